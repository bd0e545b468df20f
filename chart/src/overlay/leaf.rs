//! Points images by tracing: text leaves of the values are marked, and the rendering says which of them make
//! which part of which image, however the chart spells it.
//! Takes an [`Overlay`] and the images that are not where they should be; changes the leaves that lead there.

use std::collections::{BTreeMap, BTreeSet};

use bundle_oci::Reference;

use super::edit::{each, shown};
use super::images::{Placed, Proof};
use super::seen::{Spot, seen};
use super::slot::full;
use super::spelling::Pin;
use super::{Overlay, OverlayError};
use crate::discover::Step;
use crate::{Rendering, Value};

/// The suffix for a leaf's text: a name, host or tag with it stays one, and it does not raise a version of
/// Kubernetes or of an application.
const MARK: &str = "-bdlmrk";

/// How many leaves are marked for one image.
const LEAVES: usize = 60;

/// A text of the values that makes a part of an image.
#[derive(Clone, Debug)]
struct Leaf {
    path: Vec<Step>,
    text: String,
    /// Where its text ends in the image, as far as a mark shows it.
    end: usize,
}

impl Overlay<'_> {
    /// Points the images that are still what they were `before`, leaf by leaf.
    pub(super) fn point_leaves(
        &mut self,
        before: &BTreeMap<Spot, Vec<Reference>>,
        to: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> Result<Vec<Placed>, OverlayError> {
        let mut placed = Vec::new();
        let mut tried: BTreeSet<Reference> = BTreeSet::new();
        loop {
            let now = seen(&self.rendering, &self.options.limits);
            let open = now.iter().flat_map(|(spot, images)| images.iter().map(move |image| (spot, image)));
            let is_old = |spot: &Spot, image| before.get(spot).is_some_and(|images| images.contains(image));
            let open = open.filter(|(spot, image)| {
                is_old(spot, image) && to(image).is_some() && !tried.contains(*image)
            });
            let Some((spot, image)) = open.map(|(spot, image)| (spot.clone(), image.clone())).next() else {
                return Ok(placed);
            };
            tried.insert(image.clone());
            let leaves = self.leaves_of(&spot, &image)?;
            placed.extend(self.point_by(&leaves, &spot, &image, to)?);
        }
    }

    /// The leaves that make an image, in the order of their texts in it.
    fn leaves_of(&mut self, spot: &Spot, image: &Reference) -> Result<Vec<Leaf>, OverlayError> {
        let whole = image.to_string();
        let mut candidates: Vec<(Vec<Step>, String)> = Vec::new();
        each(&Value::Map(self.rendering.declared.clone()), &mut Vec::new(), &mut |path, value| {
            let text = match value {
                Value::String(text) => text.to_string(),
                Value::Float(number) => number.to_string(),
                _ => return,
            };
            // Short words are part of everything.
            if text.len() >= 2 && whole.contains(text.trim_matches('/')) && candidates.len() < LEAVES {
                candidates.push((path.to_vec(), text));
            }
        });
        // Longer texts say more.
        candidates.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
        let mut found: Vec<Leaf> = Vec::new();
        for (path, text) in candidates {
            // No part of a name starts with the mark.
            let marked = match text.strip_suffix('/') {
                Some(start) => format!("{start}{MARK}/"),
                None => format!("{text}{MARK}"),
            };
            let Some(values) = self.put(&path, Value::from(marked)) else { continue };
            let Some(rendering) = self.attempt(&values)? else { continue };
            let after = seen(&rendering, &self.options.limits);
            let marked = after.get(spot).into_iter().flatten().map(ToString::to_string);
            let end = marked.filter_map(|marked| {
                let at = marked.find(MARK)?;
                let without = format!("{}{}", marked.get(..at)?, marked.get(at + MARK.len()..)?);
                (without == whole).then_some(at)
            });
            if let Some(end) = end.min() {
                found.push(Leaf { path, text, end });
            }
        }
        found.sort_by_key(|leaf| leaf.end);
        Ok(found)
    }

    /// Writes an image into its leaves: all of it into one, or its start into the first of its name, and its
    /// tag with the digest into that of the tag.
    fn point_by(
        &mut self,
        leaves: &[Leaf],
        spot: &Spot,
        image: &Reference,
        to: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> Result<Option<Placed>, OverlayError> {
        let Some(wanted) = to(image) else { return Ok(None) };
        let (name, wanted_name) = (full(image), full(&wanted));
        let before = seen(&self.rendering, &self.options.limits);
        let tag = image.tag().map(ToString::to_string).unwrap_or_default();
        let tag_leaf = leaves.iter().find(|leaf| leaf.end > name.len() && leaf.text == tag);
        for (pin, choice) in choices(leaves, tag_leaf, image, &name, &wanted, &wanted_name) {
            let Some(values) = choice.iter().try_fold(self.values.clone(), |values, (path, text)| {
                super::edit::put(&values, &self.rendering.declared, path, Value::from(text.as_str()))
            }) else {
                continue;
            };
            let Some(rendering) = self.attempt(&values)? else { continue };
            if !self.is_right(&before, &rendering, spot, image, pin, to) {
                continue;
            }
            self.take(values, rendering);
            let path = choice.iter().map(|(path, _)| shown(path)).collect::<Vec<_>>().join(", ");
            let now = pin.of(&wanted);
            return Ok(now.map(|now| Placed { path, image: image.clone(), now, proof: Proof::Rendered }));
        }
        Ok(None)
    }

    /// Whether the image is where it should be now, and every other one is as it was or where it should be.
    fn is_right(
        &self,
        before: &BTreeMap<Spot, Vec<Reference>>,
        rendering: &Rendering,
        spot: &Spot,
        image: &Reference,
        pin: Pin,
        to: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> bool {
        let after = seen(rendering, &self.options.limits);
        let wanted = to(image).and_then(|wanted| pin.of(&wanted));
        if after.len() != before.len()
            || !after.get(spot).into_iter().flatten().any(|image| Some(image) == wanted.as_ref())
        {
            return false;
        }
        after.iter().all(|(spot, images)| {
            let old = before.get(spot).map(Vec::as_slice).unwrap_or_default();
            images.len() == old.len()
                && images.iter().zip(old).all(|(new, old)| {
                    let moved = || to(old).into_iter().flat_map(|to| Pin::ALL.map(|pin| pin.of(&to)));
                    new == old || moved().flatten().any(|moved| moved == *new)
                })
        })
    }
}

/// The new text of each leaf, by path.
type Choice = Vec<(Vec<Step>, String)>;

fn choices(
    leaves: &[Leaf],
    tag_leaf: Option<&Leaf>,
    image: &Reference,
    name: &str,
    wanted: &Reference,
    wanted_name: &str,
) -> Vec<(Pin, Choice)> {
    let mut found: Vec<(Pin, Choice)> = Vec::new();
    let tag = wanted.tag().map(ToString::to_string).unwrap_or_default();
    let digest = wanted.digest().map(|digest| digest.to_string()).unwrap_or_default();
    // All of it stands in one text.
    for leaf in leaves.iter().filter(|leaf| leaf.text.trim() == written(image, &leaf.text)) {
        for pin in Pin::ALL {
            found.extend(pin.of(wanted).map(|now| (pin, vec![(leaf.path.clone(), now.to_string())])));
        }
    }
    // Its name starts with a text, and what stands behind it stays.
    let of_name = |leaf: &&Leaf| leaf.end <= name.len();
    for leaf in leaves.iter().filter(of_name) {
        let Some(rest) = name.get(leaf.end..) else { continue };
        // A name without a host is Docker's own, so its start may stand before the leaf.
        let start = name.get(..leaf.end).unwrap_or_default();
        let text = leaf.text.trim_matches('/');
        let is_start = start == text
            || start == format!("docker.io/{text}")
            || start == format!("docker.io/library/{text}");
        let Some(now) = wanted_name.strip_suffix(rest).filter(|_| is_start) else { continue };
        // A slash at its end is the chart's way to put it before others.
        let slash = if leaf.text.ends_with('/') && !now.ends_with('/') { "/" } else { "" };
        let first = (leaf.path.clone(), format!("{now}{slash}"));
        if let Some(tag_leaf) = tag_leaf {
            if !digest.is_empty() && !tag.is_empty() {
                let both = (tag_leaf.path.clone(), format!("{tag}@{digest}"));
                found.push((Pin::TagAndDigest, vec![first.clone(), both]));
            }
            if !tag.is_empty() {
                let text = (tag_leaf.path.clone(), tag.clone());
                found.push((Pin::Tag, vec![first.clone(), text]));
            }
        }
        found.push((Pin::Tag, vec![first]));
    }
    // Host and path stand apart, with nothing but a slash between them.
    let (host, path) = (wanted.registry().as_str(), wanted.repository().as_str());
    for (one, other) in leaves.iter().filter(of_name).zip(leaves.iter().filter(of_name).skip(1)) {
        if other.end == name.len() && one.end + 1 + other.text.trim_matches('/').len() == other.end {
            let both = vec![(one.path.clone(), host.to_owned()), (other.path.clone(), path.to_owned())];
            found.push((Pin::Tag, both));
        }
    }
    found
}

/// An image as a leaf would write it, if it wrote all of it.
fn written(image: &Reference, leaf: &str) -> String {
    let whole = image.to_string();
    let short = whole.strip_prefix("docker.io/").unwrap_or(&whole);
    let shortest = short.strip_prefix("library/").unwrap_or(short);
    let ways = [whole.as_str(), short, shortest, shortest.strip_suffix(":latest").unwrap_or(shortest)];
    ways.into_iter().find(|way| *way == leaf.trim()).unwrap_or_default().to_owned()
}
