//! One run of a scanner: no shell, no secrets in its environment, an empty home and working directory that are removed
//! afterwards, an end to its time and to its output. The only place of this crate that starts a program.
//! Takes a program with its arguments, gives what it wrote.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bundle_os::end_group;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// A program, and how it is run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Variables besides `PATH`, `HOME` and `TMPDIR`.
    pub(crate) variables: Vec<(&'static str, OsString)>,
    pub(crate) timeout: Duration,
    /// Bytes of its output.
    pub(crate) output: u64,
    /// Bytes at the end of its error output.
    pub(crate) message: usize,
}

/// Why a scanner gave no findings.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It cannot be started.
    #[error("{} cannot be run", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("the scanner failed ({status}){}{message}", if .message.is_empty() { "" } else { ": " })]
    Failed {
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its error output.
        message: String,
    },
    /// It did not end in time.
    #[error("the scanner did not end within {} s and was stopped", .0.as_secs())]
    Timeout(Duration),
    /// It wrote more than it may.
    #[error("the scanner wrote more than {0} bytes and was stopped")]
    TooLong(u64),
    /// Its output cannot be read.
    #[error("the scanner's output cannot be read")]
    Read(#[source] std::io::Error),
    /// Its output cannot be used.
    #[error(transparent)]
    Parse(#[from] crate::ParseError),
}

/// Ends the program, and all that it started, however this is left.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Once it was waited for, there is no number, which may be another's by now.
        if let Some(id) = self.0.id() {
            end_group(id);
        }
    }
}

impl Run {
    /// Runs it, and gives its output.
    ///
    /// # Errors
    /// Any [`ScanError`] but [`ScanError::Parse`].
    pub(crate) async fn output(self) -> Result<Vec<u8>, ScanError> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.finish()).await {
            Ok(done) => done,
            Err(_) => Err(ScanError::Timeout(timeout)),
        }
    }

    async fn finish(self) -> Result<Vec<u8>, ScanError> {
        let Self { program, arguments, variables, timeout: _, output, message } = self;
        let start = |source| ScanError::Start { program: program.clone(), source };
        // Scanners unpack layers below TMPDIR, and read settings, exceptions and logins from HOME and where they run.
        let home = tempfile::Builder::new().prefix("bundle-scan-").tempdir().map_err(start)?;
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().current_dir(home.path());
        command.env("HOME", home.path()).env("TMPDIR", home.path()).env("LC_ALL", "C");
        // A program of a name only is looked for where the user's shell does.
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(variables);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.kill_on_drop(true);
        let mut running = Running(command.spawn().map_err(start)?);
        let (stdout, stderr) = (running.0.stdout.take(), running.0.stderr.take());
        let (written, said) = tokio::join!(most(stdout, output), end(stderr, message));
        let written = written.map_err(ScanError::Read)?;
        if written.len() as u64 > output {
            return Err(ScanError::TooLong(output));
        }
        let status = running.0.wait().await.map_err(ScanError::Read)?;
        if !status.success() {
            return Err(ScanError::Failed { status, message: said });
        }
        Ok(written)
    }
}

/// The bytes of a pipe, at most one more than `limit`. The pipe is closed then, which ends most programs.
async fn most(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The last bytes of a pipe as text in one line: programs say at their end why they end. That it cannot be read is no
/// reason to lose the output.
async fn end(pipe: Option<impl AsyncRead + Unpin>, limit: usize) -> String {
    let mut last = Vec::new();
    let mut piece = [0; 4096];
    if let Some(mut pipe) = pipe {
        while let Ok(read @ 1..) = pipe.read(&mut piece).await {
            last.extend_from_slice(&piece[..read]);
            let before = last.len().saturating_sub(limit);
            last.drain(..before);
        }
    }
    String::from_utf8_lossy(&last).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Run {
        Run {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            variables: vec![("GIVEN", "x".into())],
            timeout: Duration::from_secs(60),
            output: 1000,
            message: 20,
        }
    }

    #[tokio::test]
    async fn a_scanner_knows_nothing_of_the_users_environment() {
        let written = shell("env | cut -d= -f1 | grep -v -e ^_ -e PWD -e SHLVL | sort | tr '\\n' ' '; ls -A")
            .output()
            .await;
        assert_eq!(String::from_utf8(written.unwrap()).unwrap(), "GIVEN HOME LC_ALL PATH TMPDIR ");
        let home = shell("printf %s \"$HOME\"; touch \"$HOME/left\"").output().await.unwrap();
        assert!(!std::path::Path::new(std::str::from_utf8(&home).unwrap()).exists());
    }

    #[tokio::test]
    async fn a_scanner_that_fails_writes_without_end_or_never_ends_is_an_error() {
        let failed =
            shell("echo lost; yes no | head -c 9000 >&2; echo the reason >&2; exit 3").output().await;
        let error = failed.unwrap_err();
        assert!(
            matches!(&error, ScanError::Failed { message, .. } if message.ends_with("the reason") && message.len() <= 20)
        );
        assert!(matches!(shell("yes").output().await, Err(ScanError::TooLong(1000))));
        let slow = Run { timeout: Duration::from_millis(50), ..shell("sleep 1000 & wait") };
        assert!(matches!(slow.output().await, Err(ScanError::Timeout(_))));
        let none = Run { program: "no-such-scanner".into(), ..shell("") };
        assert!(matches!(none.output().await, Err(ScanError::Start { .. })));
    }
}
