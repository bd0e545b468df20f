//! The index of base layers: takes each base's plain bytes once, gives for a member of a new layer the base member
//! that it most likely came from. About 150 bytes a member are held.

use std::io;

use crate::members::{Member, walk};
use crate::read_at::ReadAt;
use crate::traits::{FEATURES, Inspector, Traits};

/// The most members that are known of all bases. The members after them are not used as a base.
const MEMBERS_MAX: usize = 200_000;
/// The most members that are looked at for one key.
const SAME_KEY_MAX: usize = 16;

/// What the encoder knows of the base layers.
#[derive(Debug, Default)]
pub struct BaseIndex {
    /// The length of each base.
    sizes: Vec<u64>,
    members: Vec<Known>,
    contents: Keys,
    paths: Keys,
    stems: Keys,
    names: Keys,
    features: Keys,
}

/// A member of a base.
#[derive(Debug)]
pub(crate) struct Known {
    /// The number of the base.
    pub(crate) base: usize,
    /// Where its header starts.
    pub(crate) start: u64,
    /// Where its content starts.
    pub(crate) data: u64,
    /// The length of its content.
    pub(crate) size: u64,
    path: u64,
    stem: u32,
    content: [u8; 16],
    sketch: [u32; FEATURES],
}

/// How a member of a base fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The content is the same.
    Same,
    /// The content is probably alike.
    Alike,
}

impl BaseIndex {
    /// Reads all bases once. Their order is their numbers, for encoding and decoding.
    ///
    /// # Errors
    /// When a base cannot be read.
    pub fn of(bases: &[&dyn ReadAt]) -> io::Result<BaseIndex> {
        let mut index = BaseIndex::default();
        let mut inspector = Inspector::new();
        for (number, base) in bases.iter().enumerate() {
            index.sizes.push(base.size());
            walk(base, |member| index.add(number, *base, &member, &mut inspector))?;
        }
        index.sort();
        Ok(index)
    }

    /// As [`Self::of`], with the members of each base given: any parts of it, in any order. Those before others count
    /// more where there are too many.
    ///
    /// # Errors
    /// When a base cannot be read; a member that is not within its base cannot.
    pub fn of_members(bases: &[(&dyn ReadAt, &[Member])]) -> io::Result<BaseIndex> {
        let mut index = BaseIndex::default();
        let mut inspector = Inspector::new();
        for (number, (base, members)) in bases.iter().enumerate() {
            index.sizes.push(base.size());
            members.iter().try_for_each(|member| index.add(number, *base, member, &mut inspector))?;
        }
        index.sort();
        Ok(index)
    }

    fn sort(&mut self) {
        for keys in
            [&mut self.contents, &mut self.paths, &mut self.stems, &mut self.names, &mut self.features]
        {
            keys.0.sort_unstable();
        }
    }

    fn add(
        &mut self,
        base: usize,
        plain: &dyn ReadAt,
        member: &Member,
        inspector: &mut Inspector,
    ) -> io::Result<()> {
        if self.members.len() >= MEMBERS_MAX {
            return Ok(());
        }
        let traits = inspector.traits(plain, member)?;
        let id = self.members.len() as u32;
        if member.size > 0 {
            self.contents.add(key_of(&traits.content), id);
            for (number, feature) in traits.sketch.iter().enumerate() {
                if *feature != 0 {
                    self.features.add(feature_key(number, *feature), id);
                }
            }
        }
        if !member.path.is_empty() {
            self.paths.add(traits.path as u32, id);
            self.stems.add(traits.stem, id);
            self.names.add(traits.name, id);
        }
        let Traits { path, stem, content, sketch, .. } = traits;
        let Member { start, data, size, .. } = *member;
        self.members.push(Known { base, start, data, size, path, stem, content, sketch });
        Ok(())
    }

    /// Whether these can be the bases of the index, by their number and lengths.
    pub(crate) fn is_of(&self, bases: &[&dyn ReadAt]) -> bool {
        self.sizes.iter().copied().eq(bases.iter().map(|base| base.size()))
    }

    /// The number of members that are known.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nothing is known, so that all bytes will be new.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A member by its number.
    pub(crate) fn member(&self, id: u32) -> &Known {
        &self.members[id as usize]
    }

    /// Whether a member is at the path of a new one, or at one that differs by a version.
    fn is_near(&self, id: u32, member: &Member, traits: &Traits) -> (bool, bool) {
        let known = self.member(id);
        let has_path = !member.path.is_empty();
        (has_path && known.path == traits.path, has_path && known.stem == traits.stem)
    }

    /// The member that has the content of a new member.
    pub(crate) fn same(&self, member: &Member, traits: &Traits) -> Option<u32> {
        let same = self.contents.get(key_of(&traits.content)).filter(|id| {
            let known = self.member(*id);
            member.size > 0 && known.content == traits.content && known.size == member.size
        });
        // The one at the same path has the same header, too.
        same.max_by_key(|id| self.is_near(*id, member, traits))
    }

    /// The member that a new member most likely came from, of which none has the content.
    pub(crate) fn alike(&self, member: &Member, traits: &Traits) -> Option<u32> {
        let is_same_path = |id: u32| self.is_near(id, member, traits).0;
        let mut candidates: Vec<u32> = Vec::new();
        if !member.path.is_empty() {
            candidates.extend(self.paths.get(traits.path as u32).filter(|id| is_same_path(*id)));
            candidates.extend(self.stems.get(traits.stem));
            candidates.extend(self.names.get(traits.name));
        }
        for (number, feature) in traits.sketch.iter().enumerate() {
            if member.size > 0 && *feature != 0 {
                candidates.extend(self.features.get(feature_key(number, *feature)));
            }
        }
        let score = |id: u32| {
            let known = self.member(id);
            let alike = known.sketch.iter().zip(&traits.sketch).filter(|(a, b)| a == b && **a != 0).count();
            let (path, stem) = self.is_near(id, member, traits);
            let named = if path { 3 } else { u64::from(stem) };
            let lengths = (known.size.min(member.size) << 8) / known.size.max(member.size).max(1);
            ((2 * alike as u64 + named) << 16) + lengths
        };
        let best = candidates.into_iter().max_by_key(|id| score(*id))?;
        (score(best) >= 1 << 16 || member.path.is_empty()).then_some(best)
    }
}

fn key_of(content: &[u8; 16]) -> u32 {
    u32::from_le_bytes([content[0], content[1], content[2], content[3]])
}

fn feature_key(number: usize, feature: u32) -> u32 {
    feature.wrapping_add((number as u32).wrapping_mul(0x9e37_79b1))
}

/// Members by a key that several may have.
#[derive(Debug, Default)]
struct Keys(Vec<(u32, u32)>);

impl Keys {
    fn add(&mut self, key: u32, id: u32) {
        self.0.push((key, id));
    }

    fn get(&self, key: u32) -> impl Iterator<Item = u32> {
        let from = self.0.partition_point(|(other, _)| *other < key);
        self.0[from..]
            .iter()
            .take_while(move |(other, _)| *other == key)
            .take(SAME_KEY_MAX)
            .map(|(_, id)| *id)
    }
}
