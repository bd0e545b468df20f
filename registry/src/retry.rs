//! Retries: how often and how long one thing is tried, and when a mirror is given up for the
//! registry that it stands for. Takes an attempt, gives its result or the last error.

use std::time::Duration;

use backon::BackoffBuilder;
use bundle_oci::{Registry, RepositoryName};

use crate::line::trace;
use crate::lock::lock;
use crate::routes::By;
use crate::{Blame, Client, Error, Limits};

/// An attempt that failed and will be made again.
#[derive(Debug)]
pub struct Retry<'a> {
    /// The registry.
    pub host: &'a str,
    /// How many attempts have failed, at the same request or without progress.
    pub attempt: usize,
    /// Why the attempt failed.
    pub cause: &'a Error,
    /// How long until the next one.
    pub wait: Duration,
}

/// A mirror or the registry that it stands for could not be read from, so that the other is.
#[derive(Debug)]
pub struct Fallback<'a> {
    /// The mirror.
    pub mirror: &'a Registry,
    /// The registry that it stands for.
    pub registry: &'a Registry,
    /// Which of them is read from now.
    pub to: FallbackTo,
    /// The error of the other one.
    pub cause: &'a Error,
}

/// The place to read from instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackTo {
    /// The registry itself, for the mirror failed or lacks something.
    Registry,
    /// The mirror alone, for the registry cannot be reached: what the mirror lacks counts as
    /// absent for as long as the client lives. Told once for each registry.
    Mirror,
}

/// How often one thing is tried.
pub(crate) struct Backoff {
    waits: backon::ExponentialBackoff,
    attempt: usize,
    in_all: usize,
    /// How long a rate limit was waited for.
    limited: Duration,
}

impl Backoff {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            waits: Self::waits(limits),
            attempt: 0,
            in_all: limits.attempts_in_all,
            limited: Duration::ZERO,
        }
    }

    /// For a mirror, which is not waited for.
    pub(crate) fn none(limits: &Limits) -> Self {
        Self { in_all: 0, ..Self::new(limits) }
    }

    /// For what other things can stand in for.
    pub(crate) fn few(limits: &Limits) -> Self {
        Self { in_all: limits.first_attempts, ..Self::new(limits) }
    }

    /// Starts over after progress, but for the attempts in all.
    pub(crate) fn progress(&mut self, limits: &Limits) {
        if self.attempt > 0 {
            self.waits = Self::waits(limits);
            self.attempt = 0;
        }
    }

    /// Exponential, with jitter: requests that failed together do not come back together.
    fn waits(limits: &Limits) -> backon::ExponentialBackoff {
        backon::ExponentialBuilder::new()
            .with_min_delay(limits.backoff)
            .with_max_delay(limits.longest_wait)
            .with_max_times(limits.attempts)
            .with_jitter()
            .build()
    }

    fn next(&mut self) -> Option<Duration> {
        self.in_all = self.in_all.checked_sub(1)?;
        self.attempt += 1;
        self.waits.next()
    }
}

impl Client {
    /// Waits before the next attempt, as long as the registry asks to, or else as long as planned.
    ///
    /// # Errors
    /// The error itself, if it is final or there were enough attempts.
    pub(crate) async fn wait(
        &self,
        backoff: &mut Backoff,
        host: &Registry,
        error: Error,
    ) -> Result<(), Error> {
        if error.is_retryable() { self.wait_anyway(backoff, host, error).await } else { Err(error) }
    }

    /// As [`Client::wait`], for an error of which the caller knows that it may pass.
    pub(crate) async fn wait_anyway(
        &self,
        backoff: &mut Backoff,
        host: &Registry,
        error: Error,
    ) -> Result<(), Error> {
        let limits = &self.inner.limits;
        let stranger =
            error.blame() == Blame::Unreachable && !lock(&self.inner.answered).contains(host.as_str());
        if stranger && backoff.attempt >= limits.first_attempts {
            return Err(error);
        }
        if let Some(wait) = error.limit_wait().filter(|wait| *wait > limits.longest_wait) {
            backoff.limited = backoff.limited.saturating_add(wait);
            if backoff.limited > limits.limit_wait {
                return Err(error);
            }
            let attempt = backoff.attempt;
            self.will_retry(&Retry { host: host.as_str(), attempt, cause: &error, wait });
            return self.pause(wait).await;
        }
        let Some(planned) = backoff.next() else {
            return Err(error);
        };
        let wait = error.retry_after().unwrap_or(planned).min(limits.longest_wait);
        self.will_retry(&Retry { host: host.as_str(), attempt: backoff.attempt, cause: &error, wait });
        self.pause(wait).await
    }

    async fn pause(&self, wait: Duration) -> Result<(), Error> {
        self.inner.stop.unless(tokio::time::sleep(wait)).await.ok_or(Error::Interrupted)
    }

    /// Makes attempts until one succeeds, fails for good, or there were too many.
    pub(crate) async fn retrying<T, F: Future<Output = Result<T, Error>>>(
        &self,
        registry: &Registry,
        mut backoff: Backoff,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error> {
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => self.wait(&mut backoff, registry, error).await?,
            }
        }
    }

    /// Reads from the mirror if there is one and it has the content, or else from the registry itself. A
    /// mirror's error counts only if the registry cannot be reached at all: then the answer of a mirror
    /// decides.
    pub(crate) async fn at_places<T, F: Future<Output = Result<T, Error>>>(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        by: By,
        read: impl Fn(Registry, RepositoryName) -> F,
    ) -> Result<T, Error> {
        let limits = &self.inner.limits;
        let (mirrors, (origin, here)) = self.places(registry, repository, by)?;
        let read_here = || read(origin.clone(), here.clone());
        let mut lacking = None;
        for (mirror, path) in mirrors {
            let backoff = Backoff::none(limits);
            match self.retrying(&mirror, backoff, || read(mirror.clone(), path.clone())).await {
                Ok(found) => return Ok(found),
                Err(cause) => {
                    self.fell_back(&mirror, registry, FallbackTo::Registry, &cause);
                    lacking = Some((mirror, cause));
                }
            }
        }
        if let Some((mirror, lacking)) = lacking
            && lacking.status() == Some(404)
        {
            if lock(&self.inner.unreachable).contains(registry) {
                return Err(lacking);
            }
            match read_here().await {
                Err(cause) if cause.blame() == Blame::Unreachable => {
                    if lock(&self.inner.unreachable).insert(registry.clone()) {
                        self.fell_back(&mirror, registry, FallbackTo::Mirror, &cause);
                    }
                    return Err(lacking);
                }
                Err(cause) if cause.is_retryable() => {}
                done => return done,
            }
        }
        self.retrying(&origin, Backoff::new(limits), read_here).await
    }

    /// Whether an error says that a repository or manifest is gone at a registry: the registry says so, and not
    /// only its mirror because the registry cannot be reached.
    pub fn says_gone(&self, registry: &Registry, error: &Error) -> bool {
        error.says_not_found() && !lock(&self.inner.unreachable).contains(registry)
    }

    pub(crate) fn fell_back(&self, mirror: &Registry, registry: &Registry, to: FallbackTo, cause: &Error) {
        let fallback = Fallback { mirror, registry, to, cause };
        trace::fallback(&fallback);
        (self.inner.on_fallback)(&fallback);
    }

    fn will_retry(&self, retry: &Retry<'_>) {
        trace::retry(retry);
        (self.inner.on_retry)(retry);
    }
}
