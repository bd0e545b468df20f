use std::io::Write;
use std::sync::Arc;

use bundle_format::{BLOCK, CompressedWriter, Entry, Layout, OCI_LAYOUT, SignatureBytes, TRAILER};
use bundle_oci::{Digest, Hasher};
use bundle_registry::{Client, Download, Error, Progress};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};

use crate::output::Placement;
use crate::volume_set::Head;
use crate::{OutputError, PartialFile, Plan};

/// Why a bundle could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A blob could not be fetched.
    #[error("blob {digest} ({size} bytes) cannot be fetched")]
    Fetch {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// Why not.
        source: Error,
    },
    /// The file could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The pipe could not be written.
    #[error("the bundle cannot be written to the pipe")]
    Pipe(#[source] std::io::Error),
    /// A blob that no image's repository is known for.
    #[error("blob {0} has no origin")]
    NoOrigin(Digest),
    /// A part of the program ended before it should.
    #[error("a task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// How many bytes are hashed and written at once.
const BATCH: usize = 1 << 20;
/// How often the journal is told of a blob, in bytes.
const NOTE: u64 = 16 << 20;

/// Fetches every blob to its final place, several at once, and gives the file its name.
///
/// # Errors
/// Any [`CreateError`]; what was fetched stays for the next run.
pub async fn create_file(
    client: &Client,
    plan: Arc<Plan>,
    signature: &SignatureBytes,
    mut output: PartialFile,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<(), CreateError> {
    let statement = Digest::of(plan.statement_bytes());
    progress.total(plan.statement().blob_bytes());
    let placement = output.prepare(statement, plan.layout())?;
    let output = Arc::new(output);
    if placement == Placement::InOrder {
        let writer = {
            let output = output.clone();
            move |bytes: Bytes| output.append(&bytes)
        };
        let writer = Arc::new(std::sync::Mutex::new(writer));
        let written = write_in_order(client, &plan, signature, jobs, &progress, writer).await;
        written.map_err(|error| not_appended(error, &output))?;
    } else {
        let written = output.written(statement);
        write_frame(&plan, signature, &output)?;
        futures_util::stream::iter(plan.layout().blobs().iter().enumerate())
            .map(|(position, entry)| {
                let blob = BlobJob {
                    client: client.clone(),
                    plan: plan.clone(),
                    output: output.clone(),
                    progress: progress.clone(),
                    position,
                    entry: *entry,
                };
                let from = written.get(&position).copied().unwrap_or_default().min(entry.size);
                async move { tokio::spawn(blob.run(from)).await? }
            })
            .buffer_unordered(jobs.max(1))
            .try_collect::<()>()
            .await?;
    }
    finish(output, &plan, signature).await
}

/// Writes the archive compressed, from its first byte to its last, and gives the file its name.
///
/// # Errors
/// Any [`CreateError`]. The next run starts anew: what is compressed cannot be gone on with.
pub async fn create_compressed(
    client: &Client,
    plan: Arc<Plan>,
    signature: &SignatureBytes,
    mut output: PartialFile,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<(), CreateError> {
    progress.total(plan.statement().blob_bytes());
    output.prepare_stream(plan.layout().size())?;
    let output = Arc::new(output);
    let mut writer = Some(CompressedWriter::new(Appending(output.clone())).map_err(CreateError::Pipe)?);
    let write = move |bytes: Bytes| match &mut writer {
        Some(_) if bytes.is_empty() => writer.take().map_or(Ok(()), |writer| writer.finish().map(drop)),
        Some(writer) => writer.write_all(&bytes),
        None => Ok(()),
    };
    let write = Arc::new(std::sync::Mutex::new(write));
    let written = write_in_order(client, &plan, signature, jobs, &progress, write).await;
    written.map_err(|error| not_appended(error, &output))?;
    finish(output, &plan, signature).await
}

/// A file is no pipe, though it is written like one.
fn not_appended(error: CreateError, output: &PartialFile) -> CreateError {
    match error {
        CreateError::Pipe(source) => CreateError::Output(output.not_appended(source)),
        other => other,
    }
}

/// Writes at a file's end.
struct Appending(Arc<PartialFile>);

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Gives the file its name, once nobody writes to it any more.
async fn finish(
    output: Arc<PartialFile>,
    plan: &Arc<Plan>,
    signature: &SignatureBytes,
) -> Result<(), CreateError> {
    let (signature, plan) = (*signature, plan.clone());
    let finish = move || {
        let length = plan.head_length();
        output.finish(&Head { statement: plan.statement_bytes(), signature: &signature, length })
    };
    tokio::task::spawn_blocking(finish).await??;
    Ok(())
}

/// Everything that is not blob content, at its place.
fn write_frame(plan: &Plan, signature: &SignatureBytes, output: &PartialFile) -> Result<(), OutputError> {
    let index = plan.statement().index_json();
    let head = [plan.statement_bytes(), signature, OCI_LAYOUT, &index];
    let layout = plan.layout();
    for (entry, content) in layout.entries().iter().zip(head) {
        output.write_at(&framed(entry, content), entry.header_offset())?;
    }
    for entry in layout.blobs() {
        output.write_at(&entry.header(), entry.header_offset())?;
        output.write_at(&[0; BLOCK as usize][..entry.padding() as usize], entry.offset + entry.size)?;
    }
    output.write_at(&[0; TRAILER as usize], layout.size() - TRAILER)
}

fn framed(entry: &Entry, content: &[u8]) -> Vec<u8> {
    let mut bytes = entry.header().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + entry.padding() as usize, 0);
    bytes
}

struct BlobJob {
    client: Client,
    plan: Arc<Plan>,
    output: Arc<PartialFile>,
    progress: Arc<dyn Progress>,
    position: usize,
    entry: Entry,
}

impl BlobJob {
    fn digest(&self) -> Digest {
        self.plan.statement().blobs[self.position].digest
    }

    async fn run(self, from: u64) -> Result<(), CreateError> {
        let digest = self.digest();
        if let Some(content) = self.plan.content(digest) {
            self.output.write_at(content, self.entry.offset)?;
            self.progress.begin(digest, self.entry.size, self.entry.size);
            self.progress.end(digest);
            return Ok(());
        }
        let size = self.entry.size;
        let (mut position, mut hasher) = self.rehash(from).await?;
        self.progress.begin(digest, size, position);
        let mut download = start(&self.client, &self.plan, digest, size, position)?;
        let mut kept = position > 0;
        loop {
            let found = self.fetch(&mut download, &mut position, hasher).await?;
            if found == digest {
                break;
            }
            self.progress.rewind(digest, position);
            if std::mem::take(&mut kept) {
                // It may be the earlier run's bytes that are wrong, which no registry can help.
                download = start(&self.client, &self.plan, digest, size, 0)?;
            } else {
                let again = download.restart(found).await;
                again.map_err(|source| CreateError::Fetch { digest, size, source })?;
            }
            (position, hasher) = (0, Hasher::new());
        }
        self.output.note(self.position, self.entry.size)?;
        self.progress.end(digest);
        Ok(())
    }

    /// Hashes what the journal says is there.
    async fn rehash(&self, from: u64) -> Result<(u64, Hasher), CreateError> {
        let (output, offset) = (self.output.clone(), self.entry.offset);
        let read = move || {
            let mut hasher = Hasher::new();
            let mut buffer = vec![0; BATCH.min(usize::try_from(from).unwrap_or(BATCH))];
            let mut done = 0;
            while done < from {
                let length = (from - done).min(buffer.len() as u64) as usize;
                output.read_at(&mut buffer[..length], offset + done)?;
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
        download: &mut Download,
        position: &mut u64,
        hasher: Hasher,
    ) -> Result<Digest, CreateError> {
        let digest = self.digest();
        let mut writing = tokio::task::spawn_blocking(move || Ok::<_, OutputError>(hasher));
        let mut noted = *position;
        loop {
            let batch = next_batch(download).await.map_err(|source| CreateError::Fetch {
                digest,
                size: self.entry.size,
                source,
            });
            // What was written before an error counts for the next run.
            let mut hasher = writing.await??;
            if *position - noted >= NOTE || batch.is_err() {
                self.output.note(self.position, *position)?;
                noted = *position;
            }
            let batch = batch?;
            if batch.is_empty() {
                return Ok(hasher.finish());
            }
            let (output, offset, length) =
                (self.output.clone(), self.entry.offset + *position, batch.len() as u64);
            writing = tokio::task::spawn_blocking(move || {
                hasher.update(&batch);
                output.write_at(&batch, offset)?;
                Ok(hasher)
            });
            *position += length;
            self.progress.advance(digest, length);
        }
    }
}

fn start(
    client: &Client,
    plan: &Plan,
    digest: Digest,
    size: u64,
    from: u64,
) -> Result<Download, CreateError> {
    let (registry, repository) = plan.origin(digest).ok_or(CreateError::NoOrigin(digest))?;
    Ok(client.blob(registry, repository, digest, size, from))
}

/// The next bytes, gathered to a batch; empty at the end.
async fn next_batch(download: &mut Download) -> Result<Bytes, Error> {
    let mut batch = BytesMut::new();
    while batch.len() < BATCH {
        match download.next().await? {
            Some(piece) => batch.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(batch.freeze())
}

/// Writes the archive from its first byte to its last, while the next blobs arrive.
///
/// # Errors
/// Any [`CreateError`]; what was written is no bundle then.
pub async fn create_stream(
    client: &Client,
    plan: Arc<Plan>,
    signature: &SignatureBytes,
    mut writer: impl Write + Send + 'static,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<(), CreateError> {
    progress.total(plan.statement().blob_bytes());
    let write = move |bytes: Bytes| if bytes.is_empty() { writer.flush() } else { writer.write_all(&bytes) };
    write_in_order(client, &plan, signature, jobs, &progress, Arc::new(std::sync::Mutex::new(write))).await
}

/// How many batches of one blob wait for their turn.
const WAITING: usize = 2;

async fn write_in_order<W>(
    client: &Client,
    plan: &Arc<Plan>,
    signature: &SignatureBytes,
    jobs: usize,
    progress: &Arc<dyn Progress>,
    writer: Arc<std::sync::Mutex<W>>,
) -> Result<(), CreateError>
where
    W: FnMut(Bytes) -> std::io::Result<()> + Send + 'static,
{
    let write = |bytes: Bytes| {
        let writer = writer.clone();
        async move {
            let task = move || writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)(bytes);
            tokio::task::spawn_blocking(task).await?.map_err(CreateError::Pipe)
        }
    };
    let index = plan.statement().index_json();
    let head = [plan.statement_bytes(), signature, OCI_LAYOUT, &index];
    for (entry, content) in plan.layout().entries()[..Layout::HEAD].iter().zip(head) {
        write(framed(entry, content).into()).await?;
    }
    let mut fetching = plan.layout().blobs().iter().zip(&plan.statement().blobs).map(|(entry, blob)| {
        let (sender, receiver) = tokio::sync::mpsc::channel(WAITING);
        let (client, plan, progress, blob) = (client.clone(), plan.clone(), progress.clone(), *blob);
        let task = tokio::spawn(async move { deliver(&client, &plan, &*progress, blob, sender).await });
        (entry, receiver, task)
    });
    // Tasks are started ahead of the one whose bytes are written.
    let mut ahead = std::collections::VecDeque::new();
    loop {
        while ahead.len() < jobs.max(1) {
            match fetching.next() {
                Some(task) => ahead.push_back(task),
                None => break,
            }
        }
        let Some((entry, mut receiver, task)) = ahead.pop_front() else {
            break;
        };
        write(Bytes::copy_from_slice(&entry.header())).await?;
        while let Some(batch) = receiver.recv().await {
            write(batch).await?;
        }
        task.await??;
        if entry.padding() > 0 {
            write(Bytes::from(vec![0; entry.padding() as usize])).await?;
        }
    }
    write(Bytes::from_static(&[0; TRAILER as usize])).await?;
    write(Bytes::new()).await
}

/// Sends a blob's bytes; the last ones only after all were found right.
async fn deliver(
    client: &Client,
    plan: &Plan,
    progress: &dyn Progress,
    blob: bundle_format::Blob,
    sender: tokio::sync::mpsc::Sender<Bytes>,
) -> Result<(), CreateError> {
    // A receiver that is gone has an error of its own to tell.
    if let Some(content) = plan.content(blob.digest) {
        let _ = sender.send(content.clone()).await;
        progress.begin(blob.digest, blob.size, blob.size);
        progress.end(blob.digest);
        return Ok(());
    }
    let fetch = |source| CreateError::Fetch { digest: blob.digest, size: blob.size, source };
    let mut download = start(client, plan, blob.digest, blob.size, 0)?;
    progress.begin(blob.digest, blob.size, 0);
    let mut hasher = Hasher::new();
    let mut done = 0;
    loop {
        let batch = next_batch(&mut download).await.map_err(fetch)?;
        let length = batch.len() as u64;
        let hashed = batch.clone();
        hasher = tokio::task::spawn_blocking(move || {
            hasher.update(&hashed);
            hasher
        })
        .await?;
        done += length;
        if done == blob.size {
            let found = std::mem::take(&mut hasher).finish();
            if found != blob.digest && length == done {
                // Nothing of it was sent on.
                download.restart(found).await.map_err(fetch)?;
                done = 0;
                continue;
            }
            if found != blob.digest {
                return Err(fetch(download.wrong_content(found)));
            }
        }
        progress.advance(blob.digest, length);
        if sender.send(batch).await.is_err() {
            return Ok(());
        }
        if done == blob.size {
            progress.end(blob.digest);
            return Ok(());
        }
    }
}
