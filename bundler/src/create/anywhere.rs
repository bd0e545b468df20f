//! Fetches every blob to its final place, several at once. A run that ends early leaves what it
//! fetched, and the next one goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle_format::Blob;
use bundle_oci::{Digest, Hasher};
use bundle_registry::{Client, Progress, Stop};
use futures_util::StreamExt;

use crate::create::configs::Configs;
use crate::create::fetch::{BATCH, BlobStream, start};
use crate::sink::head::SinkHead;
use crate::sink::parts::Begun;
use crate::{CreateError, OutputError, Salvage};

/// The intervals of journal entries for a blob, in bytes and in time: what is fetched again after a run that was
/// killed, at most. One that ends by itself notes all that it has.
const NOTE: u64 = 16 << 20;
const NOTE_TIME: Duration = Duration::from_secs(2);

/// Writes the whole archive, and gives the files their names.
pub(crate) async fn write(
    client: &Client,
    head: SinkHead,
    files: Begun,
    configs: &Arc<Configs>,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<(), CreateError> {
    let files = Arc::new(files);
    files.write_frame(&head)?;
    let ending = Stop::default();
    let mut blobs = futures_util::stream::iter(head.plan().statement().blobs.iter().enumerate())
        .take_while(|_| std::future::ready(!ending.is_asked()))
        .filter(|(position, _)| std::future::ready(files.wants(*position)))
        .map(|(position, blob)| {
            let blob = BlobJob {
                client: client.clone(),
                head: head.clone(),
                files: files.clone(),
                configs: configs.clone(),
                progress: progress.clone(),
                ending: ending.clone(),
                position,
                blob: *blob,
            };
            async move { tokio::spawn(blob.run()).await? }
        })
        .buffer_unordered(jobs.max(1));
    let mut failed = None;
    while let Some(done) = blobs.next().await {
        if let Err(error) = done {
            // The others note what they have, so that the next run fetches none of it again.
            ending.now();
            failed.get_or_insert(error);
        }
    }
    drop(blobs);
    if let Some(error) = failed {
        return Err(error);
    }
    progress.stage("finishing", 0);
    let (files, head) = (files.clone(), head.clone());
    tokio::task::spawn_blocking(move || files.finish(&head)).await??;
    Ok(())
}

struct BlobJob {
    client: Client,
    head: SinkHead,
    files: Arc<Begun>,
    configs: Arc<Configs>,
    progress: Arc<dyn Progress>,
    /// Asked when another blob failed.
    ending: Stop,
    position: usize,
    blob: Blob,
}

impl BlobJob {
    async fn run(self) -> Result<(), CreateError> {
        let Blob { digest, size } = self.blob;
        if let Some(content) = self.head.plan().content(digest) {
            self.files.write_blob(self.position, content, 0)?;
            self.configs.note(digest, content);
            self.progress.begin(digest, size, 0);
            self.progress.advance(digest, size);
            self.progress.end(digest);
            return Ok(());
        }
        let (mut position, mut hasher) = self.rehash().await?;
        self.progress.begin(digest, size, position);
        let failed = |source| CreateError::Fetch { digest, size, kept: Salvage::Fetched, source };
        let mut download = start(&self.client, self.head.plan(), digest, size, position).map_err(failed)?;
        let mut kept = position > 0;
        loop {
            let found = self.fetch(&mut download, &mut position, hasher).await?;
            if found == digest {
                break;
            }
            self.progress.rewind(digest, position);
            if std::mem::take(&mut kept) {
                // It may be the earlier run's bytes that are wrong, which no registry can help.
                download = start(&self.client, self.head.plan(), digest, size, 0).map_err(failed)?;
            } else {
                download.restart(found).await.map_err(failed)?;
            }
            (position, hasher) = (0, Hasher::new());
        }
        self.files.note(self.position, size)?;
        if self.configs.seeks(self.blob) && self.files.has_all(self.position) {
            // Configs that an earlier run fetched count, too.
            let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
            self.files.read_blob(self.position, &mut bytes, 0)?;
            self.configs.note(digest, &bytes);
        }
        self.progress.end(digest);
        Ok(())
    }

    /// Hashes what the journal says is there.
    async fn rehash(&self) -> Result<(u64, Hasher), CreateError> {
        let (files, blob) = (self.files.clone(), self.position);
        let from = files.written(blob);
        let read = move || {
            let mut hasher = Hasher::new();
            let mut buffer = vec![0; BATCH.min(usize::try_from(from).unwrap_or(BATCH))];
            let mut done = 0;
            while done < from {
                let length = (from - done).min(buffer.len() as u64) as usize;
                files.read_blob(blob, &mut buffer[..length], done)?;
                hasher.update(&buffer[..length]);
                done += length as u64;
            }
            Ok::<_, OutputError>((from, hasher))
        };
        if from == 0 {
            return Ok((0, Hasher::new()));
        }
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// Fetches the rest and returns the digest of the whole. While one batch is hashed and written
    /// on a thread for that, the next arrives.
    async fn fetch(
        &self,
        download: &mut BlobStream,
        position: &mut u64,
        hasher: Hasher,
    ) -> Result<Digest, CreateError> {
        let Blob { digest, size } = self.blob;
        let mut writing = tokio::task::spawn_blocking(move || Ok::<_, OutputError>(hasher));
        let (mut noted, mut last) = (*position, Instant::now());
        loop {
            let told = |bytes| self.progress.advance(digest, bytes);
            let (batch, failed) = download.next_batch(&self.ending, told).await;
            let mut hasher = writing.await??;
            if *position - noted >= NOTE || (*position > noted && last.elapsed() >= NOTE_TIME) {
                self.files.note(self.position, *position)?;
                (noted, last) = (*position, Instant::now());
            }
            if batch.is_empty() && failed.is_none() {
                return Ok(hasher.finish());
            }
            let (files, blob) = (self.files.clone(), self.position);
            let (from, length) = (*position, batch.len() as u64);
            writing = tokio::task::spawn_blocking(move || {
                hasher.update(&batch);
                files.write_blob(blob, &batch, from)?;
                Ok(hasher)
            });
            *position += length;
            if let Some(source) = failed {
                // The next run keeps the bytes that came before an error.
                writing.await??;
                self.files.note(self.position, *position)?;
                return Err(CreateError::Fetch { digest, size, kept: Salvage::Fetched, source });
            }
        }
    }
}
