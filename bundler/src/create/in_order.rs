//! Writes the archive from its first byte to its last, while the next blobs arrive. The last bytes of
//! a blob are written only when its digest was found right.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bundle_format::{Blob, Layout, OCI_LAYOUT, TRAILER};
use bundle_oci::Hasher;
use bundle_registry::{Client, Progress};
use bytes::Bytes;

use crate::create::configs::Configs;
use crate::create::fetch::start;
use crate::sink::head::SinkHead;
use crate::sink::parts::framed;
use crate::sink::target::InOrder;
use crate::{CreateError, OutputError, Plan, Salvage};

/// How many batches of one blob wait for their turn.
const WAITING: usize = 2;
/// How long the last write may take once the run is asked to end.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Writes the whole archive, and makes it complete.
pub(crate) async fn write(
    client: &Client,
    head: SinkHead,
    writer: Box<dyn InOrder>,
    configs: &Arc<Configs>,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<(), CreateError> {
    let writer = Arc::new(Mutex::new(writer));
    let write = |bytes: Bytes| {
        let writer = writer.clone();
        async move {
            let task =
                move || writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&bytes);
            let mut task = tokio::task::spawn_blocking(task);
            let done = match client.stop().unless(&mut task).await {
                Some(done) => done,
                // A file takes the bytes; a pipe may be full for good.
                None => tokio::time::timeout(LAST_WRITE, task)
                    .await
                    .map_err(|_| OutputError::Pipe(std::io::ErrorKind::Interrupted.into()))?,
            };
            Ok::<_, CreateError>(done??)
        }
    };
    let plan = head.plan();
    let index = plan.statement().index_json();
    let contents = [head.statement(), head.signature().as_ref(), OCI_LAYOUT, &index];
    for (entry, content) in plan.layout().entries()[..Layout::HEAD].iter().zip(contents) {
        write(framed(entry, content).into()).await?;
    }
    let mut fetching = plan.layout().blobs().iter().zip(&plan.statement().blobs).map(|(entry, blob)| {
        let (sender, receiver) = tokio::sync::mpsc::channel(WAITING);
        let (client, head, progress, blob) = (client.clone(), head.clone(), progress.clone(), *blob);
        let configs = configs.clone();
        let task =
            tokio::spawn(async move { send(&client, head.plan(), &*progress, &configs, blob, sender).await });
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
    drop(fetching);
    progress.stage("finishing", 0);
    let finish = move || {
        let writer =
            Arc::into_inner(writer).ok_or_else(|| OutputError::Pipe(std::io::ErrorKind::Other.into()))?;
        writer.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).finish(&head)
    };
    tokio::task::spawn_blocking(finish).await??;
    Ok(())
}

/// Sends a blob's bytes; the last ones only after all were found right.
async fn send(
    client: &Client,
    plan: &Plan,
    progress: &dyn Progress,
    configs: &Configs,
    blob: Blob,
    sender: tokio::sync::mpsc::Sender<Bytes>,
) -> Result<(), CreateError> {
    // If the receiver is gone, its own error is reported.
    if let Some(content) = plan.content(blob.digest) {
        let _ = sender.send(content.clone()).await;
        configs.note(blob.digest, content);
        progress.begin(blob.digest, blob.size, 0);
        progress.advance(blob.digest, blob.size);
        progress.end(blob.digest);
        return Ok(());
    }
    let fetch =
        |source| CreateError::Fetch { digest: blob.digest, size: blob.size, kept: Salvage::Nothing, source };
    let mut download = start(client, plan, blob.digest, blob.size, 0).map_err(fetch)?;
    progress.begin(blob.digest, blob.size, 0);
    let mut hasher = Hasher::new();
    let mut done = 0;
    let mut config = configs.seeks(blob).then(Vec::new);
    loop {
        let told = |bytes| progress.advance(blob.digest, bytes);
        let (batch, failed) = download.next_batch(client.stop(), told).await;
        if let Some(error) = failed {
            return Err(fetch(error));
        }
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
                progress.rewind(blob.digest, done);
                download.restart(found).await.map_err(fetch)?;
                done = 0;
                config.iter_mut().for_each(Vec::clear);
                continue;
            }
            if found != blob.digest {
                return Err(fetch(download.wrong_content(found)));
            }
        }
        config.iter_mut().for_each(|config| config.extend_from_slice(&batch));
        if sender.send(batch).await.is_err() {
            return Ok(());
        }
        if done == blob.size {
            config.iter().for_each(|config| configs.note(blob.digest, config));
            progress.end(blob.digest);
            return Ok(());
        }
    }
}
