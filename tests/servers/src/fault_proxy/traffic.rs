//! The traffic through the proxy, and the hooks that wait for it. Takes bytes and requests as they pass; runs
//! each hook once, before the request that it waits for goes on.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::lock;
use crate::http::{Headers, RequestHead};

/// Seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Response bodies.
    Download,
    /// Request bodies.
    Upload,
}

/// A request the proxy saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `GET`, `PUT`, …
    pub method: String,
    /// As the client wrote them.
    pub path_and_query: String,
    /// As the client sent them.
    pub headers: Headers,
    /// The status the client was sent; `None` when it was (or is yet) sent none.
    pub status: Option<u16>,
    /// Body bytes read from the client.
    pub request_body_bytes: u64,
    /// Body bytes written to the client's connection.
    pub response_body_bytes: u64,
}

/// A request whose counts still grow.
pub(super) struct Record {
    head: RequestHead,
    /// 0 is none yet.
    status: AtomicU16,
    request_body_bytes: AtomicU64,
    response_body_bytes: AtomicU64,
}

impl Record {
    /// To be called before the status is sent, so that a client that has it finds it recorded.
    pub(super) fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn counter(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Download => &self.response_body_bytes,
            Direction::Upload => &self.request_body_bytes,
        }
    }

    fn snapshot(&self) -> Recorded {
        let status = self.status.load(Ordering::SeqCst);
        Recorded {
            method: self.head.method.clone(),
            path_and_query: self.head.path_and_query.clone(),
            headers: self.head.headers.clone(),
            status: (status != 0).then_some(status),
            request_body_bytes: self.request_body_bytes.load(Ordering::SeqCst),
            response_body_bytes: self.response_body_bytes.load(Ordering::SeqCst),
        }
    }
}

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Traffic {
    records: Mutex<Vec<Arc<Record>>>,
    downloaded: AtomicU64,
    uploaded: AtomicU64,
    byte_hooks: Mutex<Vec<(Direction, u64, Hook)>>,
    request_hooks: Mutex<Vec<(u64, Hook)>>,
}

impl Traffic {
    pub(super) fn arrived(&self, head: &RequestHead) -> Arc<Record> {
        let record = Arc::new(Record {
            head: head.clone(),
            status: AtomicU16::new(0),
            request_body_bytes: AtomicU64::new(0),
            response_body_bytes: AtomicU64::new(0),
        });
        let number = {
            let mut records = lock(&self.records);
            records.push(Arc::clone(&record));
            records.len() as u64
        };
        let due = extract(&mut lock(&self.request_hooks), |(nth, _)| *nth <= number);
        due.into_iter().for_each(|(_, hook)| hook());
        record
    }

    /// Counts body bytes about to be passed on, and runs the hooks they are due for.
    pub(super) fn count(&self, record: &Record, direction: Direction, bytes: usize) {
        record.counter(direction).fetch_add(bytes as u64, Ordering::SeqCst);
        let total = self.counter(direction).fetch_add(bytes as u64, Ordering::SeqCst) + bytes as u64;
        let due = extract(&mut lock(&self.byte_hooks), |(of, threshold, _)| {
            *of == direction && *threshold <= total
        });
        due.into_iter().for_each(|(_, _, hook)| hook());
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        lock(&self.records).iter().map(|record| record.snapshot()).collect()
    }

    pub(super) fn clear(&self) {
        lock(&self.records).clear();
        self.downloaded.store(0, Ordering::SeqCst);
        self.uploaded.store(0, Ordering::SeqCst);
    }

    pub(super) fn bytes(&self, direction: Direction) -> u64 {
        self.counter(direction).load(Ordering::SeqCst)
    }

    pub(super) fn on_bytes(&self, direction: Direction, threshold: u64, hook: Hook) {
        lock(&self.byte_hooks).push((direction, threshold, hook));
    }

    pub(super) fn on_request(&self, nth: u64, hook: Hook) {
        lock(&self.request_hooks).push((nth, hook));
    }

    fn counter(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Download => &self.downloaded,
            Direction::Upload => &self.uploaded,
        }
    }
}

/// Takes the due hooks out, so that each runs once, and off the lock.
fn extract<T>(hooks: &mut Vec<T>, is_due: impl Fn(&T) -> bool) -> Vec<T> {
    hooks.extract_if(.., |hook| is_due(hook)).collect()
}
