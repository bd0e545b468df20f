//! Runs `kubectl`: to apply a document, which is given on standard input and never lies in an argument or a
//! file, and to read an object. Takes YAML or names, gives what was printed.

use std::process::Stdio;
use std::time::Duration;

use bundle_oci::{ByteCount, Printable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::Limits;

/// Why `kubectl` did not do something.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// It cannot be started.
    #[error("kubectl cannot be started")]
    Start(#[source] std::io::Error),
    /// It cannot be spoken to.
    #[error("kubectl ended early")]
    Io(#[source] std::io::Error),
    /// It did not end in time.
    #[error("kubectl took longer than {} seconds", .0.as_secs())]
    Slow(Duration),
    /// It printed more than is read.
    #[error("kubectl printed more than {}", ByteCount(*.0))]
    TooMuch(u64),
    /// It failed.
    #[error("kubectl failed: {}", Printable(.0))]
    Failed(String),
}

/// Applies YAML with `kubectl apply -f -`: as standard input, for arguments can be seen by everybody on
/// the machine.
pub(crate) async fn apply(text: &str) -> Result<(), KubectlError> {
    let time = Limits::DEFAULT.command_time;
    run(&["apply", "-f", "-"], text, 0, time).await.map(drop)
}

/// The output of `kubectl` with these arguments, which only read.
pub(crate) async fn read(arguments: &[&str]) -> Result<Zeroizing<Vec<u8>>, KubectlError> {
    let limits = Limits::DEFAULT;
    run(arguments, "", limits.object, limits.look_time).await
}

async fn run(
    arguments: &[&str],
    text: &str,
    printed: u64,
    time: Duration,
) -> Result<Zeroizing<Vec<u8>>, KubectlError> {
    let run = async {
        let mut child = tokio::process::Command::new("kubectl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(if printed > 0 { Stdio::piped() } else { Stdio::null() })
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(KubectlError::Start)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read its input reports its own error.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let read = async {
            let mut said = Vec::new();
            if let Some(stderr) = stderr {
                stderr.take(Limits::DEFAULT.command_output).read_to_end(&mut said).await?;
            }
            Ok::<_, std::io::Error>(said)
        };
        let print = async {
            let mut found = Zeroizing::new(Vec::new());
            if let Some(stdout) = stdout {
                stdout.take(printed + 1).read_to_end(&mut found).await?;
            }
            Ok::<_, std::io::Error>(found)
        };
        let ((), said, found) = tokio::join!(write, read, print);
        let status = child.wait().await.map_err(KubectlError::Io)?;
        let said = said.map_err(KubectlError::Io)?;
        // Before its status: nobody read the rest, at which it may have failed.
        if found.as_ref().is_ok_and(|found| found.len() as u64 > printed) {
            return Err(KubectlError::TooMuch(printed));
        }
        if status.success() {
            return found.map_err(KubectlError::Io);
        }
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(KubectlError::Failed(last.trim().to_owned()))
    };
    tokio::time::timeout(time, run).await.map_err(|_| KubectlError::Slow(time))?
}
