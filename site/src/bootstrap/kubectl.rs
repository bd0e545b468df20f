//! Runs `kubectl apply` with a document on standard input.
//! Takes YAML; the document never lies in an argument or a file.

use std::process::Stdio;
use std::time::Duration;

use bundle_oci::Printable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Limits;

/// Why `kubectl` did not apply something.
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
    /// It failed.
    #[error("kubectl failed: {}", Printable(.0))]
    Failed(String),
}

/// Applies YAML with `kubectl apply -f -`: as standard input, for arguments can be seen by everybody on
/// the machine.
pub(crate) async fn apply(text: &str) -> Result<(), KubectlError> {
    let run = async {
        let mut child = tokio::process::Command::new("kubectl")
            .args(["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(KubectlError::Start)?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
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
        let ((), said) = tokio::join!(write, read);
        let status = child.wait().await.map_err(KubectlError::Io)?;
        let said = said.map_err(KubectlError::Io)?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(KubectlError::Failed(last.trim().to_owned()))
    };
    tokio::time::timeout(Limits::DEFAULT.command_time, run)
        .await
        .map_err(|_| KubectlError::Slow(Limits::DEFAULT.command_time))?
}
