//! The registry's own record of accepted bundles, in all projects that the account sees: another importer's streams
//! are in it too. Takes a destination and the site's keys; gives what counts, and what only may.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{BundleId, Sequence, StreamName};
use bundle_importer::{Destination, ListedBundle, RecordKeys, RecordedStream};
use bundle_oci::{Digest, ProjectName};
use bundle_registry::Error;

/// The registry's own record of one stream.
#[derive(Clone, Debug, Default)]
pub struct StreamRecord {
    /// The bundles that were accepted, with those that were taken back.
    pub accepted: BTreeSet<(Sequence, Digest)>,
    /// Those that were taken back, and count no more.
    pub taken_back: BTreeSet<(Sequence, Digest)>,
    /// Those of which only a mark says so that none of the keys signed: whoever can push there can write one.
    pub doubted: BTreeSet<(Sequence, Digest)>,
    /// Whether one of the site's keys signed what counts.
    pub is_signed: bool,
    /// All that have an entry, whether it counts or not.
    pub entries: BTreeSet<(Sequence, Digest)>,
    /// Entries of older bundles that were not read.
    pub more: usize,
    /// The bundles with their signers, as far as they were asked for and are known.
    pub listed: Vec<ListedBundle>,
    /// The digests that the stream gave to tags last, by `project/repository:tag`, as far as they were asked for.
    pub tags: BTreeMap<String, Vec<Digest>>,
}

/// The registry's own record.
#[derive(Clone, Debug, Default)]
pub struct RegistryRecord {
    /// The streams.
    pub streams: BTreeMap<StreamName, StreamRecord>,
    /// Entries that count for nothing.
    pub unreadable: BTreeSet<String>,
}

/// How much of a record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Which bundles were accepted and taken back.
    Bundles,
    /// Their signers and the tags that they set, too.
    Lists,
}

impl StreamRecord {
    /// The newest bundle that counts.
    pub fn newest(&self, stream: &StreamName) -> Option<BundleId> {
        let counts = |key: &&(Sequence, Digest)| !self.taken_back.contains(*key);
        let (sequence, statement) = *self.accepted.iter().rev().find(counts)?;
        Some(BundleId { stream: stream.clone(), sequence, statement })
    }
}

/// Reads the record in these projects, of each stream the `most` newest entries. The account must be able to read those that are `named`; of others it is enough
/// that it sees them.
///
/// Where the site has keys and one of them signed entries of a stream, only such entries of it count. A stream without
/// any is another importer's: its entries count as they are, for it may want what is there.
///
/// # Errors
/// The registry cannot be asked.
pub async fn read_record(
    destination: &dyn Destination,
    named: &BTreeSet<ProjectName>,
    seen: impl IntoIterator<Item = ProjectName>,
    keys: &RecordKeys,
    most: usize,
    depth: Depth,
) -> Result<RegistryRecord, Error> {
    let mut read = Read { most, ..Read::default() };
    for project in named.iter().cloned().chain(seen).collect::<BTreeSet<ProjectName>>() {
        match read.project(destination, &project, keys, depth).await {
            Err(error) if !named.contains(&project) && matches!(error.status(), Some(401 | 403)) => {}
            done => done?,
        }
    }
    Ok(read.end())
}

/// What was read so far.
#[derive(Default)]
struct Read {
    most: usize,
    /// Whoever wrote it.
    all: BTreeMap<StreamName, StreamRecord>,
    /// What the keys signed.
    signed: BTreeMap<StreamName, StreamRecord>,
    unreadable: BTreeSet<String>,
    /// Entries that can be read and that none of the keys signed.
    unsigned: BTreeSet<String>,
}

impl Read {
    async fn project(
        &mut self,
        destination: &dyn Destination,
        project: &ProjectName,
        keys: &RecordKeys,
        depth: Depth,
    ) -> Result<(), Error> {
        let projects = std::slice::from_ref(project);
        let (any, most) = (RecordKeys::Any, self.most);
        let all =
            RecordedStream::accepted(destination, projects, None, most, any, &mut self.unreadable).await?;
        add(&mut self.all, all);
        if matches!(keys, RecordKeys::Any) {
            return Ok(());
        }
        let (keys, unsigned) = (keys.clone(), &mut self.unsigned);
        let signed = match depth {
            Depth::Bundles => {
                RecordedStream::accepted(destination, projects, None, most, keys, unsigned).await?
            }
            Depth::Lists => RecordedStream::read(destination, projects, None, most, keys, unsigned).await?,
        };
        add(&mut self.signed, signed);
        Ok(())
    }

    fn end(self) -> RegistryRecord {
        let Self { all, mut signed, mut unreadable, unsigned, .. } = self;
        let mut streams = BTreeMap::new();
        for (stream, any) in all {
            let own = signed.remove(&stream).filter(|own| !own.accepted.is_empty());
            if own.is_some() {
                let of_stream = format!(":{stream}.");
                unreadable.extend(unsigned.iter().filter(|entry| entry.contains(&of_stream)).cloned());
            }
            let is_signed = own.is_some();
            let own = own.unwrap_or_else(|| StreamRecord {
                accepted: any.accepted.clone(),
                ..StreamRecord::default()
            });
            let doubted = any.taken_back.difference(&own.taken_back).copied().collect();
            let (entries, more) = (any.accepted, any.more);
            streams.insert(stream, StreamRecord { is_signed, doubted, entries, more, ..own });
        }
        RegistryRecord { streams, unreadable }
    }
}

/// Adds the record of one project.
fn add(all: &mut BTreeMap<StreamName, StreamRecord>, found: Vec<RecordedStream>) {
    for stream in found {
        let known = all.entry(stream.stream).or_default();
        for each in stream.bundles {
            let key = (each.bundle.sequence, each.bundle.statement);
            known.accepted.insert(key);
            if each.taken_back.is_some() {
                known.taken_back.insert(key);
            }
        }
        known.more = known.more.max(stream.more);
        known.listed.extend(stream.listed);
        for (target, digests) in stream.tags {
            let there = known.tags.entry(target).or_default();
            there.extend(digests);
            there.sort_unstable();
            there.dedup();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> (Sequence, Digest) {
        (number.try_into().unwrap(), Digest::of(&number.to_be_bytes()))
    }

    fn record(accepted: &[u64], taken_back: &[u64]) -> StreamRecord {
        let keys = |numbers: &[u64]| numbers.iter().map(|number| key(*number)).collect();
        StreamRecord { accepted: keys(accepted), taken_back: keys(taken_back), ..StreamRecord::default() }
    }

    #[test]
    fn what_the_site_did_not_sign_counts_only_for_streams_of_which_it_signed_nothing() {
        let (s, t): (StreamName, StreamName) = ("s".parse().unwrap(), "t".parse().unwrap());
        let read = Read {
            most: 9,
            all: [(s.clone(), record(&[1, 2, 9], &[2])), (t.clone(), record(&[5, 6], &[6]))].into(),
            signed: [(s.clone(), record(&[1, 2], &[]))].into(),
            unreadable: BTreeSet::new(),
            unsigned: ["cache/bundle-state:s.9.0".to_owned(), "cache/bundle-state:t.5.0".to_owned()].into(),
        };
        let RegistryRecord { streams, unreadable } = read.end();
        assert_eq!(streams[&s].accepted, [key(1), key(2)].into());
        assert_eq!(streams[&s].entries, [key(1), key(2), key(9)].into());
        // A mark that nobody signed takes nothing back for sure.
        assert!(streams[&s].taken_back.is_empty());
        assert_eq!(streams[&s].doubted, [key(2)].into());
        assert_eq!(streams[&s].newest(&s).unwrap().sequence, key(2).0);
        assert_eq!(streams[&t].accepted, [key(5), key(6)].into());
        assert_eq!(streams[&t].doubted, [key(6)].into());
        assert_eq!(unreadable, ["cache/bundle-state:s.9.0".to_owned()].into());
    }
}
