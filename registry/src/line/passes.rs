//! How many requests each registry is asked at once: any number, until it says that these are too many
//! (HTTP 429, or 503 as nginx' `limit_conn` says by default), then fewer, and slowly more again. Takes
//! requests and how they were answered, gives passes.
//!
//! Such answers count connections that have a request (nginx' `limit_conn`), or requests in a time (Docker
//! Hub's abuse limit, GitHub's `allowed: 2000/minute`, Amazon's `TOOMANYREQUESTS: Rate exceeded`). Fewer at
//! once is right for both; the wait before the same request is made again is in `retry.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Limits;
use crate::limits::{FIRST_GROWTH, MOST_AT_ONCE, MOST_GROWTH};
use crate::lock::lock;

/// The passes of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Passes(Mutex<HashMap<String, Arc<Gate>>>);

#[derive(Debug)]
struct Gate {
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many requests may be under way.
    limit: usize,
    /// How many more of them there are than that.
    excess: usize,
    under_way: usize,
    /// Counts the times that the limit was found to be too high: what was asked before says nothing about it now.
    round: u64,
    /// The limit below which this round does not fall.
    least: usize,
    /// The highest limit that has proved itself since it was last found to be too high.
    proven: usize,
    /// The requests that were answered at this limit.
    answered: usize,
    /// How many for each of the limit must be answered before there is one more.
    growth: usize,
}

/// A permit for one request; it ends with the request.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    /// None for what has waited for too long.
    permit: Option<OwnedSemaphorePermit>,
    round: u64,
}

impl Passes {
    /// Waits until one more request may be made to a host. One that has waited for very long is made all
    /// the same, for those before it may be waiting for it.
    pub(crate) async fn enter(&self, host: &str, limits: &Limits) -> Pass {
        let known = lock(&self.0).get(host).cloned();
        let gate = known.unwrap_or_else(|| lock(&self.0).entry(host.to_owned()).or_default().clone());
        let free = gate.free.clone().acquire_owned();
        // The semaphore is never closed.
        let permit = tokio::time::timeout(limits.turn, free).await.ok().and_then(Result::ok);
        let mut state = lock(&gate.state);
        state.under_way += 1;
        let round = state.round;
        drop(state);
        Pass { gate, permit, round }
    }
}

impl Default for Gate {
    fn default() -> Self {
        let state = State {
            limit: MOST_AT_ONCE,
            excess: 0,
            under_way: 0,
            round: 0,
            least: 1,
            proven: 0,
            answered: 0,
            growth: FIRST_GROWTH,
        };
        Self { free: Arc::new(Semaphore::new(MOST_AT_ONCE)), state: Mutex::new(state) }
    }
}

impl Gate {
    fn shrink(&self, state: &mut State, to: usize) {
        let less = state.limit.saturating_sub(to);
        // Running requests go on; their passes are not given again.
        state.excess += less - self.free.forget_permits(less);
        state.limit -= less;
        state.answered = 0;
    }

    fn grow(&self, state: &mut State) {
        // The last limit held: the next one may rise faster.
        if state.proven > 0 && state.proven < state.limit {
            state.growth = (state.growth / 2).max(FIRST_GROWTH);
        }
        state.proven = state.limit;
        state.limit += 1;
        state.answered = 0;
        match state.excess.checked_sub(1) {
            Some(excess) => state.excess = excess,
            None => self.free.add_permits(1),
        }
    }
}

impl Pass {
    /// Takes note of an answer's status.
    pub(crate) fn answered(&self, status: u16) {
        if matches!(status, 429 | 503) { self.refused() } else { self.taken() }
    }

    /// The registry does not take so many.
    fn refused(&self) {
        let mut state = lock(&self.gate.state);
        let others = state.under_way.saturating_sub(1).max(1);
        if self.round == state.round {
            // The first of those that were made together.
            state.round += 1;
            let known = state.limit != MOST_AT_ONCE;
            state.growth = if known { state.growth.saturating_mul(2).min(MOST_GROWTH) } else { FIRST_GROWTH };
            let from = state.limit.min(state.under_way.max(1));
            let rose = state.proven > 0 && state.proven < from;
            state.least = if rose { state.proven } else { (from / 8).max(1) };
            state.proven = if rose { state.proven } else { 0 };
            let to = if rose { state.proven } else { others.min(from - from.div_ceil(4)) };
            let to = to.max(state.least).min(state.limit);
            self.gate.shrink(&mut state, to);
        } else if self.round + 1 == state.round && state.answered == 0 {
            // Another of these: what is left of them is what the registry took.
            let to = others.max(state.least).min(state.limit);
            self.gate.shrink(&mut state, to);
        }
    }

    fn taken(&self) {
        let mut state = lock(&self.gate.state);
        if state.limit == MOST_AT_ONCE || self.round != state.round {
            return;
        }
        state.answered += 1;
        if state.answered >= state.growth.saturating_mul(state.limit) {
            self.gate.grow(&mut state);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = lock(&self.gate.state);
        state.under_way = state.under_way.saturating_sub(1);
        if let Some(permit) = self.permit.take()
            && state.excess > 0
        {
            state.excess -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Asks a host that takes so many at once, so often, as many as can be; returns how many were refused.
    async fn ask(passes: &Passes, takes: usize, times: usize) -> usize {
        let mut refused = 0;
        let limits = Limits::default();
        let mut asked = 0;
        while asked < times {
            let mut together = vec![passes.enter("r.example", &limits).await];
            while together.len() < limit(passes).min(32) {
                together.push(passes.enter("r.example", &limits).await);
            }
            asked += together.len();
            let too_many = together.len().saturating_sub(takes);
            // A refusal comes at once.
            for (at, pass) in together.into_iter().enumerate() {
                pass.answered(if at < too_many { 429 } else { 201 });
            }
            refused += too_many;
        }
        refused
    }

    fn limit(passes: &Passes) -> usize {
        lock(&lock(&passes.0)["r.example"].state).limit
    }

    #[tokio::test]
    async fn what_is_refused_makes_fewer_at_once_and_what_is_taken_slowly_more() {
        let passes = Passes::default();
        assert_eq!(ask(&passes, 32, 100).await, 0);
        assert_eq!(limit(&passes), MOST_AT_ONCE);
        for takes in [4, 1, 12] {
            let refused = ask(&passes, takes, 2000).await;
            assert!(limit(&passes).abs_diff(takes) <= 1, "{} for {takes}", limit(&passes));
            assert!(refused <= 60, "{refused} of {takes} at once");
        }
        // No pass is lost.
        let gate = lock(&passes.0)["r.example"].clone();
        assert_eq!(gate.free.available_permits(), limit(&passes));
        let state = lock(&gate.state);
        assert_eq!((state.excess, state.under_way), (0, 0));
    }

    #[tokio::test]
    async fn a_request_that_waits_for_those_before_it_is_made_after_some_time_all_the_same() {
        let passes = Passes::default();
        let limits = Limits { turn: Duration::from_millis(1), ..Limits::default() };
        let first = passes.enter("r.example", &limits).await;
        first.answered(503);
        assert_eq!(limit(&passes), 1);
        let second = passes.enter("r.example", &limits).await;
        assert!(second.permit.is_none());
        assert!(passes.enter("s.example", &limits).await.permit.is_some());
        drop((first, second));
        assert!(passes.enter("r.example", &limits).await.permit.is_some());
    }
}
