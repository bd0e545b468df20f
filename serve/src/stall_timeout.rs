//! A connection that gives slow readers a bounded time.
//! Takes any stream, gives one that fails when its client is slower than the floor.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A connection that times out on a slow reader: within `stall` of waiting for it, it
/// must take `least` bytes. How long it takes altogether does not matter.
pub(crate) struct StallTimeout<S> {
    inner: S,
    stall: Duration,
    least: u64,
    deadline: Pin<Box<Sleep>>,
    since: Option<Instant>,
    waited: Duration,
    taken: u64,
}

impl<S> StallTimeout<S> {
    pub(crate) fn new(inner: S, stall: Duration, least: u64) -> Self {
        let deadline = Box::pin(tokio::time::sleep(stall));
        Self { inner, stall, least, deadline, since: None, waited: Duration::ZERO, taken: 0 }
    }

    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(length)) => {
                if let Some(since) = self.since.take() {
                    self.waited += since.elapsed();
                }
                self.taken += *length as u64;
                if self.taken >= self.least {
                    self.taken = 0;
                    self.waited = Duration::ZERO;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if self.since.is_none() {
                    let now = Instant::now();
                    self.since = Some(now);
                    self.deadline.as_mut().reset(now + self.stall.saturating_sub(self.waited));
                }
                if self.deadline.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_left_and_a_steady_one_is_not() {
        let stall = Duration::from_secs(60);
        let (near, mut far) = tokio::io::duplex(10);
        let mut stall_timeout = StallTimeout::new(near, stall, 100);
        let steady = tokio::spawn(async move {
            let mut bytes = [0; 10];
            for _ in 0..1000 {
                tokio::time::sleep(Duration::from_secs(3)).await;
                far.read_exact(&mut bytes).await.unwrap();
            }
            far
        });
        stall_timeout.write_all(&[0; 10_000]).await.unwrap();
        let mut far = steady.await.unwrap();
        let trickle = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if far.read_u8().await.is_err() {
                    return;
                }
            }
        });
        let started = Instant::now();
        let error = stall_timeout.write_all(&[0; 10_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() <= stall + Duration::from_secs(3));
        drop(stall_timeout);
        trickle.await.unwrap();
    }
}
