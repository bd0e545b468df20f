//! Which bundles are served if not all can be: the newest of each stream, and what these build on. Takes what
//! bundles say of themselves and how many there may be; gives their places. No stream takes the share of another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bundle_format::Sequence;
use bundle_oci::Digest;

/// A bundle that could be served.
pub(crate) struct Candidate<'a> {
    pub(crate) signers: &'a [String],
    pub(crate) stream: &'a str,
    pub(crate) sequence: Sequence,
    pub(crate) digest: Digest,
    /// The bundles that it builds on.
    pub(crate) bases: &'a [Digest],
    /// How many blobs it carries.
    pub(crate) blobs: usize,
}

/// How many bundles and different blobs there may be in all.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bundles: usize,
    pub(crate) blobs: usize,
}

/// The places of the bundles that are served. The first `fixed` always are.
///
/// Keys share the room evenly, and the streams of a key share its part. What is left over goes round: the next bundle
/// of each stream in turn. `blobs_of` says which blobs a bundle has; it is asked only if there may be too many.
pub(crate) fn choose(
    candidates: &[Candidate<'_>],
    fixed: usize,
    room: Room,
    blobs_of: impl FnMut(usize) -> Vec<Digest>,
) -> BTreeSet<usize> {
    let blobs = candidates.iter().fold(0_usize, |sum, candidate| sum.saturating_add(candidate.blobs));
    if candidates.len() <= room.bundles && blobs <= room.blobs {
        return (0..candidates.len()).collect();
    }
    let places = candidates.iter().enumerate().map(|(place, candidate)| (candidate.digest, place)).collect();
    let mut choice = Choice { candidates, places, blobs_of, taken: BTreeSet::new(), blobs: HashSet::new() };
    for place in 0..fixed.min(candidates.len()) {
        choice.taken.insert(place);
        choice.blobs.extend((choice.blobs_of)(place));
    }
    let mut keys: BTreeMap<&[String], BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
    for (place, candidate) in candidates.iter().enumerate().skip(fixed) {
        keys.entry(candidate.signers).or_default().entry(candidate.stream).or_default().push(place);
    }
    let left = Room {
        bundles: room.bundles.saturating_sub(choice.taken.len()),
        blobs: room.blobs.saturating_sub(choice.blobs.len()),
    };
    let parts = keys.len().max(1);
    let mut turns = Vec::new();
    for streams in keys.into_values() {
        let parts = parts.saturating_mul(streams.len());
        let mut of_key = Vec::new();
        for mut bundles in streams.into_values() {
            // The newest first.
            bundles.sort_by_key(|&place| std::cmp::Reverse(candidates[place].sequence));
            let end = Room {
                bundles: choice.taken.len() + left.bundles / parts,
                blobs: choice.blobs.len() + left.blobs / parts,
            };
            for &place in &bundles {
                if !choice.take(place, end) {
                    break;
                }
            }
            of_key.push(bundles);
        }
        turns.push(in_turn(of_key));
    }
    for place in in_turn(turns) {
        choice.take(place, room);
    }
    choice.taken
}

struct Choice<'a, F> {
    candidates: &'a [Candidate<'a>],
    places: HashMap<Digest, usize>,
    blobs_of: F,
    taken: BTreeSet<usize>,
    blobs: HashSet<Digest>,
}

impl<F: FnMut(usize) -> Vec<Digest>> Choice<'_, F> {
    /// Takes a bundle with all that it builds on, if there is room for them up to `end`. Whether it is taken.
    fn take(&mut self, place: usize, end: Room) -> bool {
        let (mut more, mut open) = (BTreeSet::new(), vec![place]);
        while let Some(place) = open.pop() {
            if self.taken.contains(&place) || !more.insert(place) {
                continue;
            }
            open.extend(self.candidates[place].bases.iter().filter_map(|base| self.places.get(base)));
        }
        if self.taken.len() + more.len() > end.bundles {
            return more.is_empty();
        }
        let mut blobs = HashSet::new();
        for &place in &more {
            blobs.extend((self.blobs_of)(place).into_iter().filter(|digest| !self.blobs.contains(digest)));
            if self.blobs.len() + blobs.len() > end.blobs {
                return false;
            }
        }
        self.taken.extend(more);
        self.blobs.extend(blobs);
        true
    }
}

/// The first of each list, then the second of each.
fn in_turn(lists: Vec<Vec<usize>>) -> Vec<usize> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|turn| lists.iter().filter_map(move |list| list.get(turn).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle: signer, stream, sequence, how many blobs of its own, and the sequence of its base.
    type Made = (&'static str, &'static str, u64, usize, Option<u64>);

    fn digest(stream: &str, sequence: u64) -> Digest {
        Digest::of(format!("{stream} {sequence}").as_bytes())
    }

    fn chosen(made: &[Made], bundles: usize, blobs: usize) -> Vec<(&'static str, u64)> {
        let owned: Vec<(Vec<String>, Vec<Digest>)> = made
            .iter()
            .map(|&(signer, stream, _, _, base)| {
                (vec![signer.to_owned()], base.map(|base| digest(stream, base)).into_iter().collect())
            })
            .collect();
        let candidates: Vec<Candidate<'_>> = made
            .iter()
            .zip(&owned)
            .map(|(&(_, stream, sequence, blobs, _), (signers, bases))| Candidate {
                signers,
                stream,
                sequence: sequence.to_string().parse().unwrap(),
                digest: digest(stream, sequence),
                bases,
                blobs,
            })
            .collect();
        let blobs_of = |place: usize| {
            let (_, stream, sequence, blobs, _) = made[place];
            (0..blobs).map(|blob| Digest::of(format!("{stream} {sequence} {blob}").as_bytes())).collect()
        };
        let places = choose(&candidates, 0, Room { bundles, blobs }, blobs_of);
        places.into_iter().map(|place| (made[place].1, made[place].2)).collect()
    }

    #[test]
    fn the_newest_of_a_stream_are_served_with_what_they_build_on() {
        let nights: Vec<Made> = (1..=10).map(|night| ("ops", "s", night, 2, None)).collect();
        assert_eq!(chosen(&nights, 3, 100), [("s", 8), ("s", 9), ("s", 10)]);
        assert_eq!(chosen(&nights, 100, 5), [("s", 9), ("s", 10)]);
        let deltas: Vec<Made> =
            (1..=10).map(|night| ("ops", "s", night, 2, (night > 1).then_some(1))).collect();
        assert_eq!(chosen(&deltas, 3, 100), [("s", 1), ("s", 9), ("s", 10)]);
        // If the newest has no room with its base, older ones that do are served.
        assert_eq!(chosen(&deltas, 1, 100), [("s", 1)]);
    }

    #[test]
    fn one_stream_or_key_cannot_push_out_another_however_many_or_large_its_bundles_are() {
        let mut made: Vec<Made> = (1..=200).map(|night| ("mallory", "m", night, 1, None)).collect();
        made.extend((1..=4).map(|night| ("ops", "s", night, 1, None)));
        let served = chosen(&made, 8, 1000);
        assert_eq!(served.iter().filter(|(stream, _)| *stream == "s").count(), 4, "{served:?}");
        assert_eq!(served.len(), 8);
        // A key of many streams has the share of one key.
        const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let mut made: Vec<Made> = NAMES.iter().map(|name| ("mallory", *name, 1_000_000, 1, None)).collect();
        made.extend((1..=4).map(|night| ("ops", "s", night, 1, None)));
        let served = chosen(&made, 8, 1000);
        assert_eq!(served.iter().filter(|(stream, _)| *stream == "s").count(), 4, "{served:?}");
        assert_eq!(served.len(), 8);
        // A large one comes after the share of the others, and gets only what they leave.
        let made = [("mallory", "m", 9, 95, None), ("ops", "s", 1, 20, None), ("ops", "s", 2, 20, None)];
        assert_eq!(chosen(&made, 8, 100), [("s", 1), ("s", 2)]);
    }
}
