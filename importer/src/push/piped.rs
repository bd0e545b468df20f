//! Puts the blobs of a pipe in place: what was kept of its start first, then layers as they come.
//! Takes a pipe behind its manifests; no blob is read twice.

use std::collections::HashMap;

use bundle_format::{Blob, Damage, Pipe};
use bundle_oci::Digest;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::push::run::{Knowledge, Push};
use crate::push::source::{Forward, InMemory, Once};
use crate::{BlobStep, PushError, Supply};

impl Push<'_> {
    /// What was kept of a pipe first, then its layers as they come.
    pub(super) async fn blobs_piped(
        &self,
        pipe: Pipe<Box<dyn std::io::Read + Send>>,
        kept: &HashMap<Digest, Bytes>,
    ) -> Result<(), PushError> {
        let needs: HashMap<Digest, &BlobStep> =
            self.plan.blobs.iter().map(|step| (step.blob.digest, step)).collect();
        futures_util::stream::iter(&self.plan.blobs)
            .map(|step| async move {
                match kept.get(&step.blob.digest) {
                    Some(bytes) => self.blob(step, Knowledge::Current, Some(&InMemory(bytes.clone()))).await,
                    None if step.supply == Supply::Required => {
                        self.blob(step, Knowledge::Current, None).await
                    }
                    None => Ok(()),
                }
            })
            .buffer_unordered(self.small_jobs)
            .try_collect::<()>()
            .await?;
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<(Blob, Bytes)>(4);
        let reading = tokio::task::spawn_blocking(move || pipe.finish(&mut Forward(sender)));
        let mut result = Ok(());
        let mut held: Option<(Blob, Bytes)> = None;
        while result.is_ok()
            && let Some((blob, first)) = match held.take() {
                Some(held) => Some(held),
                None => receiver.recv().await,
            }
        {
            let (pieces, stream) = tokio::sync::mpsc::channel(2);
            let source = Once(std::sync::Mutex::new(Some(stream)), self.progress.clone(), blob.digest);
            let step = needs.get(&blob.digest).copied();
            let feed = async {
                let mut next = Some((blob, first));
                let mut wanted = true;
                loop {
                    match next {
                        // A blob that is there already is read on, to be verified.
                        Some((of, bytes)) if of == blob => {
                            wanted = wanted && pieces.send(Ok(bytes)).await.is_ok()
                        }
                        Some(other) => {
                            drop(pieces);
                            return Some(other);
                        }
                        None => {
                            drop(pieces);
                            return None;
                        }
                    }
                    next = receiver.recv().await;
                }
            };
            let put = async {
                let put = match step {
                    Some(step) => self.blob(step, Knowledge::Current, Some(&source)).await,
                    None => Ok(()),
                };
                // Nobody listens any longer; the feed goes on without us.
                drop(source);
                put
            };
            let (put, next) = tokio::join!(put, feed);
            result = put;
            held = next;
        }
        drop(receiver);
        match (reading.await?, result) {
            // A reader that stopped because nobody listens has nothing to tell.
            (Err(Damage::Read(error)), Err(told)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(told)
            }
            // A blob that broke off could not be stored either.
            (Err(damage), _) => Err(damage.into()),
            (Ok(()), result) => result,
        }
    }
}
