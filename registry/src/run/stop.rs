//! A request to end early, which reaches everybody who waits for a registry. Takes one word from
//! anywhere; gives something to wait on, and [`Error::Interrupted`](crate::Error) to who waits.

use std::sync::Arc;

/// Ends the waiting of all that share it, once and for all. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(Arc<tokio::sync::watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(tokio::sync::watch::Sender::new(false)))
    }
}

impl Stop {
    /// Asks everybody to end.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        // The sender lives as long as this value.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }

    /// Does some work, or gives it up when somebody asks: then there is no result.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.asked() => None,
            done = work => Some(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_ends_when_it_is_asked_and_who_comes_later_does_not_begin() {
        let stop = Stop::default();
        assert_eq!(stop.unless(async { 1 }).await, Some(1));
        let (shared, never) = (stop.clone(), std::future::pending::<u8>());
        let waiting = tokio::spawn(async move { shared.unless(never).await });
        stop.now();
        assert_eq!(waiting.await.unwrap(), None);
        assert_eq!(stop.unless(async { 1 }).await, None);
        assert!(stop.is_asked());
    }
}
