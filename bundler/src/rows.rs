//! The lines of a comparison for people: each image with what is attached to it, and its tag before beside its tag after.
//! Takes one inventory or two; gives rows, which name artifacts by their positions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bundle_format::{Kind, Target};
use bundle_oci::{Digest, Platform, ProjectName, RepositoryName};

use crate::diff::only_first;
use crate::{Inventory, InventoryEntry};

/// One line of a comparison: an image, chart or other artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What became of it.
    pub change: RowChange,
    /// Its position in the first inventory; none if it is new.
    pub before: Option<usize>,
    /// Its position in the second inventory; none if it is gone.
    pub after: Option<usize>,
    /// The positions in the first inventory of what is attached to it: signatures, attestations, SBOMs.
    pub attached_before: Arc<[usize]>,
    /// The same in the second.
    pub attached_after: Arc<[usize]>,
    /// The platforms that only the first has, where both say theirs.
    pub lost: Vec<Platform>,
    /// The platforms that only the second has, where both say theirs.
    pub gained: Vec<Platform>,
    /// Its missing parts that the first does not list.
    pub lacks: Vec<String>,
    /// The bytes of its blobs, and of those attached to it, that the first inventory has nowhere; none if that is not
    /// known. Blobs that several rows have count for each.
    pub new_bytes: Option<u64>,
}

/// What became of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowChange {
    /// It has another digest or another tag.
    Updated,
    /// Only the second has its repository, or one more tag of it.
    New,
    /// Only the first has it.
    Gone,
    /// It is the same, and what is attached to it is not.
    Attached,
    /// Nothing.
    Unchanged,
}

impl RowChange {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::New => "new",
            Self::Gone => "gone",
            Self::Attached => "attached",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The rows from `before` to `after`, or those of `after` alone, in the order of their targets.
pub fn rows(before: Option<&Inventory>, after: &Inventory) -> Vec<Row> {
    let new = Folded::of(after, |held| held.subject);
    let Some(before) = before else {
        let all = new.heads.iter().map(|&at| Row {
            change: RowChange::New,
            before: None,
            after: Some(at),
            attached_before: Arc::from([]),
            attached_after: new.attached(at),
            lost: Vec::new(),
            gained: Vec::new(),
            lacks: after.artifacts[at].lacks.clone(),
            new_bytes: None,
        });
        return sorted(all.collect(), None, after);
    };
    // A receipt does not say what is attached to what; the other side may.
    let subjects: HashMap<(&Target, Digest), Digest> = after
        .artifacts
        .iter()
        .filter_map(|held| Some(((&held.target, held.digest), held.subject?)))
        .collect();
    let old = Folded::of(before, |held| {
        held.subject.or_else(|| subjects.get(&(&held.target, held.digest)).copied())
    });
    let both = before.knows_blobs() && after.knows_blobs();
    let had: HashSet<Digest> = if both { before.blobs().into_keys().collect() } else { HashSet::new() };
    let mut costs: HashMap<Place<'_>, u64> = HashMap::new();
    let mut row = |from: Option<usize>, to: Option<usize>| {
        let attached_before = from.map_or_else(|| Arc::from([]), |at| old.attached(at));
        let attached_after = to.map_or_else(|| Arc::from([]), |at| new.attached(at));
        let (first, second) = (from.map(|at| &before.artifacts[at]), to.map(|at| &after.artifacts[at]));
        let digests = |inventory: &Inventory, attached: &[usize]| -> HashSet<Digest> {
            attached.iter().map(|&at| inventory.artifacts[at].digest).collect()
        };
        let change = match (first, second) {
            (None, _) => RowChange::New,
            (_, None) => RowChange::Gone,
            (Some(first), Some(second)) if first.digest != second.digest || first.target != second.target => {
                RowChange::Updated
            }
            _ if digests(before, &attached_before) != digests(after, &attached_after) => RowChange::Attached,
            _ => RowChange::Unchanged,
        };
        let platforms = |one: Option<&InventoryEntry>, other: Option<&InventoryEntry>| match (one, other) {
            (Some(one), Some(other)) => only_first(&one.platforms, &other.platforms),
            _ => Vec::new(),
        };
        let lacking = |lack: &&String| first.is_none_or(|first| !first.lacks.contains(lack));
        let fresh = |held| -> u64 {
            let own = to.into_iter().chain(attached_after.iter().copied());
            let blobs = own.filter_map(|at| after.blobs_of(&after.artifacts[at])).flatten();
            // Names of one digest need the same blobs.
            *costs.entry(place(held, held.digest)).or_insert_with(|| {
                let fresh = blobs.filter(|blob| !had.contains(&blob.digest));
                fresh.map(|blob| (blob.digest, blob.size)).collect::<HashMap<_, _>>().values().sum()
            })
        };
        Row {
            change,
            before: from,
            after: to,
            lost: platforms(first, second),
            gained: platforms(second, first),
            lacks: second.iter().flat_map(|held| held.lacks.iter().filter(lacking).cloned()).collect(),
            new_bytes: both.then(|| second.map_or(0, fresh)),
            attached_before,
            attached_after,
        }
    };
    let pairs = pairs(&old, before, &new, after);
    sorted(pairs.into_iter().map(|(from, to)| row(from, to)).collect(), Some(before), after)
}

/// The artifacts of an inventory that have rows of their own, and what is attached to each.
struct Folded<'a> {
    inventory: &'a Inventory,
    heads: Vec<usize>,
    /// By the digest of a head: names of one digest in one repository share what is attached to it.
    attached: HashMap<Place<'a>, Arc<[usize]>>,
}

/// A manifest in a repository.
type Place<'a> = (&'a ProjectName, &'a RepositoryName, Digest);

/// A manifest in the repository of an artifact.
fn place(held: &InventoryEntry, digest: Digest) -> Place<'_> {
    (&held.target.project, &held.target.repository, digest)
}

/// So many attachments are in the row of their image; more, which nobody makes, have rows of their own. Many names of one
/// digest share them, so that without a bound the work is the square of a statement's length.
const MOST_ATTACHED: usize = 100;

/// How long a chain of attachments may be: a signature of an SBOM of an image has two links.
const LONGEST_CHAIN: usize = 8;

impl<'a> Folded<'a> {
    fn of(inventory: &'a Inventory, subject: impl Fn(&InventoryEntry) -> Option<Digest>) -> Self {
        let subjects: Vec<Option<Digest>> = inventory.artifacts.iter().map(subject).collect();
        let wanted: HashSet<Digest> = subjects.iter().flatten().copied().collect();
        // The artifact that each manifest belongs to: its own, or an index that has it.
        let mut owners: HashMap<Place<'a>, usize> = HashMap::new();
        for (at, held) in inventory.artifacts.iter().enumerate() {
            owners.entry(place(held, held.digest)).or_insert(at);
        }
        for (at, held) in inventory.artifacts.iter().enumerate().filter(|(at, _)| subjects[*at].is_none()) {
            for blob in inventory.blobs_of(held).into_iter().flatten() {
                if wanted.contains(&blob.digest) {
                    owners.entry(place(held, blob.digest)).or_insert(at);
                }
            }
        }
        let head_of = |at: usize| {
            let (mut current, held) = (at, &inventory.artifacts[at]);
            for _ in 0..LONGEST_CHAIN {
                let Some(subject) = subjects[current] else { return Some(current) };
                current = *owners.get(&place(held, subject))?;
            }
            None
        };
        let (mut heads, mut attached) = (Vec::new(), HashMap::<Place<'a>, Vec<usize>>::new());
        for (at, held) in inventory.artifacts.iter().enumerate() {
            let Some(head) = head_of(at).filter(|head| *head != at) else {
                heads.push(at);
                continue;
            };
            let all = attached.entry(place(held, inventory.artifacts[head].digest)).or_default();
            if all.len() < MOST_ATTACHED { &mut *all } else { &mut heads }.push(at);
        }
        let attached = attached.into_iter().map(|(place, all)| (place, all.into())).collect();
        Self { inventory, heads, attached }
    }

    fn attached(&self, head: usize) -> Arc<[usize]> {
        let held = &self.inventory.artifacts[head];
        self.attached.get(&place(held, held.digest)).cloned().unwrap_or_else(|| Arc::from([]))
    }
}

/// Which artifact before is which one after: of one name, or of tags of one repository that look alike.
fn pairs(
    old: &Folded<'_>,
    before: &Inventory,
    new: &Folded<'_>,
    after: &Inventory,
) -> Vec<(Option<usize>, Option<usize>)> {
    // Without a tag, the digest is the name.
    fn name(held: &InventoryEntry) -> (&Target, Option<Digest>) {
        (&held.target, held.target.tag.is_none().then_some(held.digest))
    }
    let mut left: HashMap<_, usize> = old.heads.iter().map(|&at| (name(&before.artifacts[at]), at)).collect();
    let mut pairs = Vec::new();
    let mut moved: BTreeMap<_, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    let repository = |held: &InventoryEntry| (held.target.project.clone(), held.target.repository.clone());
    for &at in &new.heads {
        match left.remove(&name(&after.artifacts[at])) {
            Some(from) => pairs.push((Some(from), Some(at))),
            None => moved.entry(repository(&after.artifacts[at])).or_default().1.push(at),
        }
    }
    for at in left.into_values() {
        moved.entry(repository(&before.artifacts[at])).or_default().0.push(at);
    }
    for (mut gone, mut come) in moved.into_values() {
        gone.sort_unstable();
        let same_kind = |from: usize, to: usize| match (before.artifacts[from].kind, after.artifacts[to].kind)
        {
            (Some(one), Some(other)) => one == other,
            // A receipt has no kinds.
            (_, kind) => kind.is_none_or(|kind| matches!(kind, Kind::Image | Kind::Chart | Kind::Artifact)),
        };
        let tag =
            |held: &InventoryEntry| TagForm::of(held.target.tag.as_ref().map_or("", |tag| tag.as_str()));
        let old_tags: Vec<TagForm> = gone.iter().map(|&at| tag(&before.artifacts[at])).collect();
        let new_tags: Vec<TagForm> = come.iter().map(|&at| tag(&after.artifacts[at])).collect();
        for (from, to) in alike(&old_tags, &new_tags, |from, to| same_kind(gone[from], come[to])) {
            pairs.push((Some(gone[from]), Some(come[to])));
            (gone[from], come[to]) = (usize::MAX, usize::MAX);
        }
        let rest = |all: Vec<usize>| all.into_iter().filter(|at| *at != usize::MAX).collect::<Vec<_>>();
        match (rest(gone).as_slice(), rest(come).as_slice()) {
            (&[from], &[to]) if same_kind(from, to) => pairs.push((Some(from), Some(to))),
            (gone, come) => {
                pairs.extend(gone.iter().map(|&at| (Some(at), None)));
                pairs.extend(come.iter().map(|&at| (None, Some(at))));
            }
        }
    }
    pairs
}

/// A tag by its form, in which numbers do not count, and by its numbers: `1.27.3-alpine3.20` is `#-alpine#.#`.
#[derive(Debug, PartialEq, Eq)]
struct TagForm {
    form: String,
    numbers: Vec<u64>,
}

impl TagForm {
    fn of(tag: &str) -> Self {
        let plain =
            tag.strip_prefix('v').filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        let tag = plain.unwrap_or(tag);
        let end = tag.find(['-', '_']).unwrap_or(tag.len());
        let version = !tag[..end].is_empty() && tag[..end].chars().all(|c| c.is_ascii_digit() || c == '.');
        let mut form = if version { "#".to_owned() } else { String::new() };
        let mut digits = false;
        for c in tag[if version { end } else { 0 }..].chars() {
            if !c.is_ascii_digit() {
                form.push(c);
            } else if !digits {
                form.push('#');
            }
            digits = c.is_ascii_digit();
        }
        let numbers = tag.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
        Self { form, numbers: numbers.map(|digits| digits.parse().unwrap_or(u64::MAX)).collect() }
    }
}

/// Up to so many pairs of tags of one repository are compared with each other.
const MOST_PAIRS: usize = 10_000;

/// Pairs of tags of one form, by their positions: those that have the most first numbers in common before others, and
/// the newer before the older.
fn alike(old: &[TagForm], new: &[TagForm], fits: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    if old.len().saturating_mul(new.len()) > MOST_PAIRS {
        return Vec::new();
    }
    let mut all: Vec<(usize, usize)> = (0..old.len())
        .flat_map(|from| (0..new.len()).map(move |to| (from, to)))
        .filter(|&(from, to)| old[from].form == new[to].form && fits(from, to))
        .collect();
    let common = |&(from, to): &(usize, usize)| {
        old[from].numbers.iter().zip(&new[to].numbers).take_while(|(one, other)| one == other).count()
    };
    all.sort_by_key(|pair| {
        let &(from, to) = pair;
        std::cmp::Reverse((common(pair), &new[to].numbers, &old[from].numbers))
    });
    let (mut used, mut taken) = (HashSet::new(), HashSet::new());
    all.retain(|(from, to)| {
        let free = !used.contains(from) && !taken.contains(to);
        if free {
            used.insert(*from);
            taken.insert(*to);
        }
        free
    });
    all
}

fn sorted(mut rows: Vec<Row>, before: Option<&Inventory>, after: &Inventory) -> Vec<Row> {
    rows.sort_by_cached_key(|row| {
        let second = row.after.map(|at| &after.artifacts[at]);
        let first = row.before.and_then(|at| before.map(|before| &before.artifacts[at]));
        second.or(first).map(|held| (held.target.clone(), held.digest))
    });
    rows
}

#[cfg(test)]
mod tests {
    use bundle_format::{Base, Blob};

    use super::*;
    use crate::InventoryKind;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    /// `target digest kind subject: blobs`
    type Held<'a> = (&'a str, &'a str, Kind, Option<&'a str>, &'a [(&'a str, u64)]);

    fn inventory(artifacts: &[Held<'_>]) -> Inventory {
        let entries = artifacts.iter().map(|(target, name, kind, subject, blobs)| InventoryEntry {
            target: target.parse().unwrap(),
            digest: digest(name),
            blobs: None,
            size: blobs.iter().map(|(_, size)| size).sum(),
            platforms: Some(vec!["linux/amd64".parse().unwrap()]),
            lacks: Vec::new(),
            kind: Some(*kind),
            subject: subject.map(digest),
            locked: None,
            partial: false,
        });
        let base = Base { stream: "s".parse().unwrap(), sequence: 1.try_into().ok(), digest: digest("x") };
        let (origin, known) = (InventoryKind::Bundle, Vec::new());
        let mut made = Inventory { origin, base, verified: true, artifacts: entries.collect(), known };
        for (at, (_, name, _, _, blobs)) in artifacts.iter().enumerate() {
            let own = Blob { digest: digest(name), size: 1 };
            let more = blobs.iter().map(|(name, size)| Blob { digest: digest(name), size: *size });
            made.note_blobs(at, Some([own].into_iter().chain(more).collect()));
        }
        made
    }

    fn text(before: &Inventory, after: &Inventory) -> Vec<String> {
        let target = |inventory: &Inventory, at: Option<usize>| {
            at.map_or("-".to_owned(), |at| inventory.artifacts[at].target.to_string())
        };
        let line = |row: &Row| {
            format!(
                "{} {} {} {:?}",
                row.change.as_str(),
                target(before, row.before),
                target(after, row.after),
                row.new_bytes.unwrap()
            )
        };
        rows(Some(before), after).iter().map(line).collect()
    }

    #[test]
    fn an_image_with_a_new_tag_is_one_row_and_variants_are_not_mixed() {
        let image = Kind::Image;
        let before = inventory(&[
            ("cache/a:1.25.0", "a1", image, None, &[("base", 100)]),
            ("cache/a:1.26.0", "a2", image, None, &[("base", 100)]),
            ("cache/a:1.26.0-alpine3.20", "a3", image, None, &[]),
            ("cache/b:1", "b1", image, None, &[]),
            ("cache/c:latest", "c1", image, None, &[]),
            ("cache/d:stable", "d1", image, None, &[]),
        ]);
        let after = inventory(&[
            ("cache/a:1.25.4", "a4", image, None, &[("base", 100), ("new", 7)]),
            ("cache/a:v1.26.1", "a5", image, None, &[("base", 100)]),
            ("cache/a:1.26.1-alpine3.21", "a6", image, None, &[]),
            ("cache/a:1.28.0", "a7", image, None, &[]),
            ("cache/c:latest", "c1", image, None, &[]),
            ("cache/d:2024-01-01", "d2", image, None, &[]),
            ("cache/e:1", "e1", image, None, &[]),
        ]);
        assert_eq!(
            text(&before, &after),
            [
                "updated cache/a:1.25.0 cache/a:1.25.4 8",
                "updated cache/a:1.26.0-alpine3.20 cache/a:1.26.1-alpine3.21 1",
                "new - cache/a:1.28.0 1",
                "updated cache/a:1.26.0 cache/a:v1.26.1 1",
                "gone cache/b:1 - 0",
                "unchanged cache/c:latest cache/c:latest 0",
                "updated cache/d:stable cache/d:2024-01-01 1",
                "new - cache/e:1 1",
            ]
        );
    }

    #[test]
    fn what_is_attached_is_in_the_row_of_its_image_and_a_change_of_it_is_said() {
        let (image, signature, sbom) = (Kind::Image, Kind::Signature, Kind::Sbom);
        let plain = inventory(&[("cache/a:1", "index", image, None, &[("child", 5)])]);
        let signed = inventory(&[
            ("cache/a:1", "index", image, None, &[("child", 5)]),
            ("cache/a:2", "index", image, None, &[("child", 5)]),
            ("cache/a", "of child", signature, Some("child"), &[]),
            ("cache/a", "of index", sbom, Some("index"), &[]),
            ("cache/a", "of sbom", signature, Some("of index"), &[]),
            ("cache/other", "astray", signature, Some("index"), &[]),
        ]);
        let found = rows(Some(&plain), &signed);
        let lines: Vec<_> =
            found.iter().map(|row| (row.change, row.after, row.attached_after.to_vec())).collect();
        let all = vec![2, 3, 4];
        assert_eq!(
            lines,
            [
                (RowChange::Attached, Some(0), all.clone()),
                (RowChange::New, Some(1), all.clone()),
                (RowChange::New, Some(5), vec![])
            ]
        );
        assert_eq!(found[0].new_bytes, Some(3));
        assert_eq!(rows(None, &signed).len(), 3);
        assert!(rows(Some(&signed), &signed).iter().all(|row| row.change == RowChange::Unchanged));
    }

    #[test]
    fn a_receipt_that_knows_no_subjects_is_folded_by_what_the_bundle_says() {
        let artifacts: [Held<'_>; 2] =
            [("cache/a:1", "a", Kind::Image, None, &[]), ("cache/a", "s", Kind::Signature, Some("a"), &[])];
        let after = inventory(&artifacts);
        let mut before = after.clone();
        before.artifacts.iter_mut().for_each(|held| (held.kind, held.subject) = (None, None));
        let found = rows(Some(&before), &after);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].change, found[0].attached_before.to_vec()), (RowChange::Unchanged, vec![1]));
    }

    #[test]
    fn tags_are_told_apart_by_their_form() {
        let form = |tag: &str| TagForm::of(tag).form;
        assert_eq!(form("1.27.3-alpine3.20"), "#-alpine#.#");
        assert_eq!((form("v2"), form("1.27"), form("latest")), ("#".into(), "#".into(), "latest".into()));
        assert_eq!((form("release-7"), form("")), ("release-#".into(), String::new()));
        assert_eq!(TagForm::of("99999999999999999999.1").numbers, [u64::MAX, 1]);
    }
}
