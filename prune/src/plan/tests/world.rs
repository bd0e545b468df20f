//! Small worlds at random: streams that move tags, and people who push between their nights.
//! Whatever happens, nothing goes that was not brought, is wanted, or was moved since.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bundle_format::Outcome::{self, Moved, Present, Pushed};
use bundle_oci::Tag;
use proptest::prelude::*;

use crate::ledger::tests::digest;
use crate::plan::tests::scene::{Scene, live};

/// A small world: which image is behind each tag, night by night, and what people do in between.
#[derive(Clone, Debug)]
struct World {
    nights: Vec<Vec<(u8, u8, u8)>>,
    people: Vec<(u8, u8, u8)>,
    keep: usize,
}

fn world() -> impl Strategy<Value = World> {
    let image = || (0..3_u8, 0..3_u8, 0..6_u8);
    let nights = prop::collection::vec(prop::collection::vec(image(), 1..5), 1..8);
    (nights, prop::collection::vec(image(), 0..6), 1..4_usize).prop_map(|(nights, people, keep)| World {
        nights,
        people,
        keep,
    })
}

impl World {
    /// Plays the nights of two streams in turn, with people pushing between them. Gives the scene, what people
    /// pushed last, and what each stream's last `keep` nights named.
    #[expect(clippy::type_complexity, reason = "one test reads it")]
    fn play(&self) -> (Scene, BTreeMap<(u8, u8), u8>, HashSet<(u8, u8)>, HashSet<(u8, u8, u8)>) {
        let mut scene = Scene::default();
        let mut tags: BTreeMap<(u8, u8), (u8, bool)> = BTreeMap::new();
        let mut stored: BTreeSet<(u8, u8)> = BTreeSet::new();
        let mut brought: HashSet<(u8, u8, u8)> = HashSet::new();
        let mut people = self.people.iter();
        let mut named: BTreeMap<&str, Vec<Vec<(u8, u8, u8)>>> = BTreeMap::new();
        for (at, night) in self.nights.iter().enumerate() {
            let stream = if at % 3 == 2 { "t" } else { "s" };
            if let Some((repository, tag, image)) = people.next() {
                tags.insert((*repository, *tag), (*image, true));
                stored.insert((*repository, *image));
            }
            let mut artifacts: BTreeMap<(u8, u8), (u8, Outcome)> = BTreeMap::new();
            for (repository, tag, image) in night {
                let place = (*repository, *tag);
                if artifacts.contains_key(&place) {
                    continue;
                }
                let outcome = match tags.get(&place) {
                    Some((there, _)) if there == image => Present,
                    Some(_) => Moved,
                    None => Pushed,
                };
                if outcome != Present {
                    tags.insert(place, (*image, false));
                    stored.insert((*repository, *image));
                    if stream == "s" {
                        brought.insert((*repository, *tag, *image));
                    }
                }
                artifacts.insert(place, (*image, outcome));
            }
            let names: Vec<(String, String, Outcome)> = artifacts
                .iter()
                .map(|((repository, tag), (image, outcome))| {
                    (format!("r{repository}:{tag}"), format!("r{repository} {image}"), *outcome)
                })
                .collect();
            let names: Vec<(&str, &str, Outcome)> =
                names.iter().map(|(target, of, outcome)| (&**target, &**of, *outcome)).collect();
            scene = scene.night(stream, at as u64 + 1, &names);
            let images = artifacts.iter().map(|((repository, tag), (image, _))| (*repository, *tag, *image));
            named.entry(stream).or_default().push(images.collect());
        }
        for (repository, tag, image) in people {
            tags.insert((*repository, *tag), (*image, true));
            stored.insert((*repository, *image));
        }
        for repository in 0..3_u8 {
            let images = stored.iter().filter(|(at, _)| *at == repository);
            let artifacts = images.map(|(_, image)| {
                let own = tags.iter().filter(|((at, _), (there, _))| *at == repository && there == image);
                let names: Vec<String> = own.map(|((_, tag), _)| tag.to_string()).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                live(&format!("r{repository} {image}"), &names)
            });
            let artifacts = artifacts.collect();
            scene = scene.has(&format!("r{repository}"), artifacts);
        }
        let kept: HashSet<(u8, u8)> = named
            .values()
            .flat_map(|nights| nights.iter().rev().take(self.keep).flatten())
            .map(|(repository, _, image)| (*repository, *image))
            .collect();
        let theirs = tags.into_iter().filter(|(_, (_, is_theirs))| *is_theirs);
        let theirs = theirs.map(|(place, (image, _))| (place, image)).collect();
        (scene, theirs, kept, brought)
    }
}

proptest! {
    #[test]
    fn a_plan_has_nothing_that_was_not_brought_is_wanted_or_was_moved_since(world in world()) {
        let (scene, theirs, kept, brought) = world.play();
        let (removals, _, _) = scene.plan(world.keep);
        let mut gone = HashSet::new();
        for removal in &removals {
            let repository: u8 = removal.repository.name.as_str()[1..].parse().unwrap();
            let image = (0..6_u8).find(|image| digest(&format!("r{repository} {image}")) == removal.digest);
            let image = image.unwrap();
            let is_own = brought.iter().any(|(at, _, it)| (*at, *it) == (repository, image));
            prop_assert!(is_own, "not brought: {removal:?}");
            for tag in &removal.tags {
                let tag: u8 = tag.as_str().parse().unwrap();
                prop_assert!(brought.contains(&(repository, tag, image)), "{tag} not brought: {removal:?}");
                // What people pushed last under a tag is the stream's only if the stream had brought just that.
                if let Some(there) = theirs.get(&(repository, tag)) {
                    prop_assert_eq!(*there, image);
                }
            }
            if removal.whole {
                prop_assert!(!kept.contains(&(repository, image)), "wanted: {removal:?}");
                let own = theirs.iter().any(|((at, tag), there)| {
                    let tag: Tag = tag.to_string().parse().unwrap();
                    *at == repository && *there == image && !removal.tags.contains(&tag)
                });
                prop_assert!(!own, "has a tag of people: {removal:?}");
                prop_assert!(gone.insert((repository, image)), "twice: {removal:?}");
            }
        }
        // With all nights kept, nothing that any night names goes.
        let all = World { keep: 100, ..world.clone() };
        let (scene, _, kept, _) = all.play();
        for removal in scene.plan(100).0 {
            let wanted = kept.iter().any(|(at, image)| digest(&format!("r{at} {image}")) == removal.digest);
            prop_assert!(!wanted, "{removal:?}");
        }
    }
}
