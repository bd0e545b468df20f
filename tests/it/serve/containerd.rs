//! Debian's containerd as a process that ends with its handle.
//! Takes a configuration; gives its socket, its log, and the images that it has.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A running containerd with an empty store, without its CRI plugin.
pub(crate) struct Containerd {
    directory: TempDir,
    daemon: Child,
}

impl Containerd {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("c.sock")
        );
        std::fs::write(path("c.toml"), config).unwrap();
        let daemon = Command::new("containerd")
            .args(["--config".as_ref(), path("c.toml").as_os_str()])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("c.log")).unwrap())
            .spawn()
            .expect("containerd is installed by scripts/test");
        let mut containerd = Self { directory, daemon };
        for _ in 0..3000 {
            if containerd.ctr(&["version"]).status.success() {
                return containerd;
            }
            if containerd.daemon.try_wait().unwrap().is_some() {
                break;
            }
        }
        panic!("{}", std::fs::read_to_string(containerd.directory.path().join("c.log")).unwrap());
    }

    /// Runs `ctr` in the namespace that Kubernetes uses.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> Output {
        let socket = self.directory.path().join("c.sock");
        let mut command = Command::new("ctr");
        command.args(["-a".as_ref(), socket.as_os_str()]).args(["-n", "k8s.io"]).args(arguments);
        command.output().unwrap()
    }

    /// Runs `ctr`, which must succeed; what it printed.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.ctr(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ctr {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Imports an archive as K3s does with the files in its images directory: every platform, all
    /// content (`pkg/agent/containerd/containerd.go: preloadFile`).
    #[track_caller]
    pub(crate) fn import(&self, archive: &Path) {
        self.run(&["images", "import", "--no-unpack", "--all-platforms", archive.to_str().unwrap()]);
    }

    /// The names of all images, with their digests.
    pub(crate) fn images(&self) -> Vec<(String, String)> {
        let listed = self.run(&["images", "list"]);
        let mut images: Vec<_> = listed
            .lines()
            .skip(1)
            .map(|line| {
                let mut columns = line.split_whitespace();
                let name = columns.next().unwrap().to_owned();
                (name, columns.nth(1).unwrap().to_owned())
            })
            .collect();
        images.sort();
        images
    }

    /// containerd's status of an image's content for one platform: whether it is complete.
    pub(crate) fn check(&self, name: &str) -> String {
        self.run(&["images", "check", &format!("name=={name}")])
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}
