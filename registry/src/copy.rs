//! A blob's bytes for code that waits for them: a thread of its own that is no part of the runtime. Takes a place and
//! a digest, writes the bytes as they come; that they are right is for the receiver to see.

use std::io::{self, Write};

use bundle_oci::{Digest, Registry, RepositoryName};

use crate::{Client, Error};

/// How many pieces wait for the writer.
const WAITING: usize = 8;

/// Fetches blobs for threads that wait.
#[derive(Clone, Debug)]
pub struct BlockingBlobs {
    client: Client,
    runtime: tokio::runtime::Handle,
}

impl BlockingBlobs {
    /// For threads beside the current runtime.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(client: Client) -> Self {
        Self { client, runtime: tokio::runtime::Handle::current() }
    }

    /// Writes a blob's bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if the repository does not have it, or none is allowed to read it; else what
    /// the network or the writer says.
    pub fn copy(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
        size: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(WAITING);
        let (client, registry, repository) = (self.client.clone(), registry.clone(), repository.clone());
        self.runtime.spawn(async move {
            let mut download = client.blob(&registry, &repository, digest, size, 0);
            loop {
                let piece = download.next().await;
                let ends = !matches!(piece, Ok(Some(_)));
                if sender.send(piece).await.is_err() || ends {
                    break;
                }
            }
        });
        loop {
            match receiver.blocking_recv() {
                Some(Ok(Some(piece))) => out.write_all(&piece)?,
                Some(Ok(None)) => return Ok(()),
                Some(Err(error)) => return Err(as_io(error)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

fn as_io(error: Error) -> io::Error {
    let kind = match error.status() {
        Some(401 | 403 | 404 | 410) => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
