//! `bundle serve` as a process that ends with its handle.
//! Takes a scene and arguments; gives the address, and what the process wrote.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};

use bundle_test_servers::Client;

use crate::scene::Scene;

/// A running `bundle serve`.
pub(crate) struct Served {
    host: String,
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Its output before it served.
    pub(crate) greeting: String,
}

impl Served {
    /// A scene with a bundle of all its images, served.
    pub(crate) fn all_images() -> (Scene, Self) {
        let scene = Scene::with_images();
        scene.create("b.tar");
        let served = Self::start(&scene, "b.tar");
        (scene, served)
    }

    /// Serves a bundle on a free port.
    pub(crate) fn start(scene: &Scene, bundle: &str) -> Self {
        Self::with(scene, &[bundle, "--trust", "key.pub"])
    }

    /// Serves on a free port with these arguments. The access log is in the file `access`.
    pub(crate) fn with(scene: &Scene, arguments: &[&str]) -> Self {
        let mut command = scene.command(["serve", "--listen", "127.0.0.1:0"].iter().chain(arguments));
        let log = std::fs::File::create(scene.path("access")).unwrap();
        let mut child = command.stdout(log).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut greeting = String::new();
        let host = loop {
            let start = greeting.len();
            assert!(stderr.read_line(&mut greeting).unwrap() > 0, "it does not serve: {greeting}");
            if let Some((_, host)) = greeting[start..].trim_end().split_once("://") {
                break host.to_owned();
            }
        };
        Self { host, child, stderr, greeting }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// A client that shares no code with the server.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.host())
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its next line on standard error.
    pub(crate) fn says(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// Asks it to stop, as `systemctl stop` does, and waits. Its exit code, and what else it said.
    pub(crate) fn stop(self) -> (Option<i32>, String) {
        self.terminate();
        self.stopped()
    }

    /// Waits until it has stopped. Its exit code, and what else it said.
    pub(crate) fn stopped(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let killed = std::process::Command::new("kill").arg(self.id().to_string()).status().unwrap();
        assert!(killed.success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
