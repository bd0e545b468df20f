//! A year of nights, each followed by a removal.
//! What is left is what the last bundles want and what people pushed.

use std::collections::BTreeSet;

use bundle_format::Outcome::{self, Moved, Present, Pushed};
use bundle_oci::Digest;

use crate::ledger::tests::digest;
use crate::plan::tests::scene::{Scene, at, live};

#[test]
fn a_year_of_nights_with_pruning_ends_with_what_the_last_three_bundles_want() {
    let keep = 3;
    let mut scene = Scene::default();
    // What people pushed: a repository of their own, and a tag beside the stream's.
    let theirs = [("own", "own", "1"), ("r0", "theirs", "dev")];
    for (repository, of, tag) in theirs {
        scene = scene.has(repository, vec![live(of, &[tag])]);
    }
    let mut last: Vec<BTreeSet<(String, String)>> = Vec::new();
    let mut most = 0;
    for night in 1..=365_u64 {
        // Three repositories: a new tag each night, a tag that moves each third night, and a tag that stays.
        let images = [
            ("r0".to_owned(), format!("{night}"), format!("r0 {night}")),
            ("r1".to_owned(), "latest".to_owned(), format!("r1 {}", night / 3)),
            ("r2".to_owned(), "stable".to_owned(), "r2".to_owned()),
        ];
        let mut artifacts = Vec::new();
        for (repository, tag, of) in &images {
            let there = scene.live.entry(at(repository)).or_default();
            let before = there.iter().position(|it| it.tags.iter().any(|it| it.name.as_str() == tag));
            let outcome = match before {
                Some(position) if there[position].digest == digest(of) => Present,
                Some(position) => {
                    there[position].tags.retain(|it| it.name.as_str() != tag);
                    Moved
                }
                None => Pushed,
            };
            if outcome != Present {
                there.push(live(of, &[tag.as_str()]));
            }
            artifacts.push((format!("{repository}:{tag}"), of.clone(), outcome));
        }
        let names: Vec<(&str, &str, Outcome)> =
            artifacts.iter().map(|(target, of, outcome)| (&**target, &**of, *outcome)).collect();
        scene = scene.night("s", night, &names);
        last.push(images.iter().map(|(repository, _, of)| (repository.clone(), of.clone())).collect());
        for removal in scene.plan(keep).0 {
            let there = scene.live.get_mut(&removal.repository).unwrap();
            for artifact in there.iter_mut().filter(|it| it.digest == removal.digest) {
                artifact.tags.retain(|tag| !removal.tags.contains(&tag.name));
                assert!(!removal.whole || artifact.tags.is_empty());
            }
            there.retain(|it| !removal.whole || it.digest != removal.digest);
        }
        most = most.max(scene.live.values().map(Vec::len).sum());
    }
    let expected: BTreeSet<(String, Digest)> = last
        .iter()
        .rev()
        .take(keep)
        .flatten()
        .map(|(repository, of)| (repository.clone(), digest(of)))
        .chain(theirs.map(|(repository, of, _)| (repository.to_owned(), digest(of))))
        .collect();
    let there: BTreeSet<(String, Digest)> = scene
        .live
        .iter()
        .flat_map(|(repository, all)| all.iter().map(|it| (repository.name.to_string(), it.digest)))
        .collect();
    assert_eq!(there, expected);
    assert!(most < 12, "the site grew to {most} artifacts");
}
