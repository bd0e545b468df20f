//! Puts the blobs of a pipe in place: what was kept of its start first, then layers as they come.
//! Takes a pipe behind its manifests; no blob is read twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bundle_format::{Damage, Pipe};
use bundle_oci::Digest;
use bundle_registry::Error;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::push::arrival::{Arrival, Arrivals};
use crate::push::run::{Knowledge, Push};
use crate::push::source::InMemory;
use crate::{BlobStep, PushError, Supply};

impl Push<'_> {
    /// Pushes the kept start of a pipe, then its layers as they come.
    pub(super) async fn blobs_piped(
        &self,
        pipe: Pipe<Box<dyn std::io::Read + Send>>,
        kept: &HashMap<Digest, Bytes>,
    ) -> Result<(), PushError> {
        futures_util::stream::iter(&self.plan.blobs)
            .map(|step| async move {
                let (blob, progress) = (step.blob, self.progress.clone());
                match kept.get(&blob.digest).cloned() {
                    Some(bytes) => {
                        let source = InMemory { bytes, blob, progress, told: Arc::default() };
                        self.blob(step, Knowledge::Current, Some(&source)).await
                    }
                    None if step.supply == Supply::Required => {
                        self.blob(step, Knowledge::Current, None).await
                    }
                    None => Ok(()),
                }
            })
            .buffer_unordered(self.small_jobs)
            .try_collect::<()>()
            .await?;
        let needs: HashMap<Digest, &BlobStep> =
            self.plan.blobs.iter().map(|step| (step.blob.digest, step)).collect();
        // A config without its manifest is what an import left that ended early, maybe for a layer that was lost on
        // its way.
        let ended_early = self.counters.found.load(Ordering::Relaxed) > 0;
        let wanted = needs.keys().copied().collect();
        let (mut sink, arrivals) = Arrivals::new(wanted, ended_early, self.progress.clone(), &self.limits);
        let reading = tokio::task::spawn_blocking(move || pipe.finish(&mut sink));
        let result = arrivals
            .map(|Arrival { blob, source, _room }| {
                let step = needs.get(&blob.digest).copied();
                async move {
                    match step {
                        Some(step) => self.blob(step, Knowledge::Current, Some(&*source)).await,
                        None => Ok(()),
                    }
                }
            })
            .buffer_unordered(self.small_jobs)
            .try_collect::<()>()
            .await;
        if let Err(PushError::Blob { source: Error::Interrupted, .. }) = &result {
            // The pipe may stand still for good.
            return result;
        }
        match (reading.await?, result) {
            // A reader whose receiver has stopped has no error of its own.
            (Err(Damage::Read(error)), Err(told)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(told)
            }
            // A blob that broke off could not be stored either.
            (Err(damage), _) => Err(damage.into()),
            (Ok(()), result) => result,
        }
    }
}
