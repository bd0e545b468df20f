//! Signers of a statement: a private key, or a command that calls an HSM or a KMS. Takes the statement's
//! bytes, gives a signature that was verified with the public key.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use bundle_format::{PrivateKey, PublicKey, SignatureBytes};

/// A signer of a statement.
#[derive(Debug)]
pub enum Signer {
    /// A key at hand.
    Key(PrivateKey),
    /// A command that reads the statement and writes the raw 64 bytes of its signature: the way
    /// to an HSM or a KMS.
    Command {
        /// The command that `sh -c` runs.
        command: String,
        /// The key that the signature must fit. Any 64 bytes would do otherwise, and only the other
        /// side would find out.
        public: PublicKey,
    },
}

/// Why a statement could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The command cannot be run.
    #[error("signing command cannot be run")]
    Run(#[source] std::io::Error),
    /// The command failed.
    #[error("signing command failed ({0})")]
    Failed(std::process::ExitStatus),
    /// The command's output is no signature.
    #[error("signing command wrote {0} bytes where the 64 of an Ed25519 signature belong")]
    Length(usize),
    /// The command signed with another key.
    #[error("signing command gave a signature that the public key does not verify")]
    OtherKey,
}

impl Signer {
    /// The key that its signatures fit.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Key(key) => key.public(),
            Self::Command { public, .. } => public.clone(),
        }
    }

    /// Signs a statement's bytes.
    ///
    /// # Errors
    /// Any [`SignError`].
    pub fn sign(&self, statement: &[u8]) -> Result<SignatureBytes, SignError> {
        match self {
            Self::Key(key) => Ok(key.sign(statement)),
            Self::Command { command, public } => {
                let mut child = Command::new("sh")
                    .args(["-c", command])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .map_err(SignError::Run)?;
                let stdin = child.stdin.take();
                let mut output = Vec::new();
                std::thread::scope(|scope| {
                    scope.spawn(move || {
                        // A command that reads no further is judged by what it writes.
                        stdin.map(|mut stdin| stdin.write_all(statement))
                    });
                    child.stdout.take().map_or(Ok(0), |stdout| stdout.take(4096).read_to_end(&mut output))
                })
                .map_err(SignError::Run)?;
                let status = child.wait().map_err(SignError::Run)?;
                if !status.success() {
                    return Err(SignError::Failed(status));
                }
                let signature: SignatureBytes =
                    output.as_slice().try_into().map_err(|_| SignError::Length(output.len()))?;
                if public.verify(statement, &signature) { Ok(signature) } else { Err(SignError::OtherKey) }
            }
        }
    }
}
