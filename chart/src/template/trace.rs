//! Records which keys of which maps a template reads from the values while it renders. Started by the engine
//! for one file at a time; gives a [`FileTrace`], so that it is known which files a changed value can change.

use crate::limits::ABSENT_APIS;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use foldhash::HashSet;
use foldhash::quality::RandomState;

/// The keys that one file read while it was rendered.
#[derive(Debug, Default)]
pub(crate) struct FileTrace {
    pub(crate) name: Arc<str>,
    /// Keys that were asked for, by the map's id and a hash of the key.
    reads: HashSet<(usize, u64)>,
    /// Maps that were gone through as a whole.
    wholes: HashSet<usize>,
    /// Maps that were changed.
    writes: HashSet<usize>,
    /// API versions that were asked for and that are not served.
    pub(crate) absent_apis: BTreeSet<String>,
    /// Whether the cluster was asked for objects.
    pub(crate) looks_up: bool,
}

impl FileTrace {
    pub(crate) fn has_read(&self, map: usize, key: &str) -> bool {
        self.wholes.contains(&map) || self.reads.contains(&(map, hash(key)))
    }

    /// The maps of which something was read, each once.
    pub(crate) fn maps(&self) -> HashSet<usize> {
        self.reads.iter().map(|(map, _)| *map).chain(self.wholes.iter().copied()).collect()
    }

    pub(crate) fn has_changed(&self, maps: &HashSet<usize>) -> bool {
        self.writes.iter().any(|map| maps.contains(map))
    }
}

thread_local! {
    // Each rendering has a thread of its own, and functions have no way to hand this down.
    static CURRENT: RefCell<Option<FileTrace>> = const { RefCell::new(None) };
}

/// Starts to take note for a file.
pub(crate) fn start(name: &Arc<str>) {
    CURRENT.set(Some(FileTrace { name: Arc::clone(name), ..FileTrace::default() }));
}

/// Returns the reads since the start.
pub(crate) fn finish() -> Option<FileTrace> {
    CURRENT.take()
}

pub(crate) fn read(map: usize, key: &str) {
    note(|trace| {
        trace.reads.insert((map, hash(key)));
    });
}

pub(crate) fn read_whole(map: usize) {
    note(|trace| {
        trace.wholes.insert(map);
    });
}

pub(crate) fn wrote(map: usize) {
    note(|trace| {
        trace.writes.insert(map);
    });
}

pub(crate) fn lacked_api(name: &str) {
    note(|trace| {
        if trace.absent_apis.len() < ABSENT_APIS {
            trace.absent_apis.insert(name.to_owned());
        }
    });
}

pub(crate) fn looked_up() {
    note(|trace| trace.looks_up = true);
}

fn note(change: impl FnOnce(&mut FileTrace)) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(trace) = current {
            change(trace);
        }
    });
}

fn hash(key: &str) -> u64 {
    static STATE: OnceLock<RandomState> = OnceLock::new();
    STATE.get_or_init(RandomState::default).hash_one(key)
}
