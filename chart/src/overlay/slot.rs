//! The places in the values that name images, and the values that may be written into each.
//! Takes a declared image and the finds; gives [`Slot`]s, and the [`Choice`]s of each.

use bundle_oci::Reference;

use super::Overlay;
use super::edit::{at, shown};
use super::images::{Placed, Proof};
use super::spelling::{Pin, Spelling, Way, spellings};
use crate::discover::{Declared, Step};
use crate::{Find, Map, Place, Value};

/// A place in the values that names an image.
pub(super) struct Slot {
    pub(super) path: Vec<Step>,
    pub(super) shown: String,
    pub(super) kind: Kind,
    pub(super) image: Reference,
    pub(super) wanted: Reference,
}

pub(super) enum Kind {
    /// A table with fields.
    Group(Map),
    /// A text that is a reference.
    Whole,
    /// A text that is a name alone: the tag is in another value, or the chart's.
    Name,
    /// A text with a reference in it.
    Part(String),
}

impl Overlay<'_> {
    /// The places that a declared image is made of, or the image if `to` does not know it and nothing
    /// renders it.
    pub(super) fn slots(
        &self,
        declared: &Declared,
        finds: &[Find],
        to: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> Result<Vec<Slot>, Option<Reference>> {
        let outside = declared.steps.iter().position(|step| *step == Step::Inside);
        let path = declared.steps.get(..outside.unwrap_or(declared.steps.len())).unwrap_or_default();
        let value = at(&self.rendering.declared, path);
        let is_here = |find: &&Find| {
            find.places
                .iter()
                .any(|place| matches!(place, Place::Value { path, .. } if *path == declared.path))
        };
        let mut here: Vec<&Find> = finds.iter().filter(is_here).collect();
        here.sort_by_key(|find| !find.is_rendered());
        let known: Vec<(&Find, Reference)> =
            here.iter().filter_map(|find| Some((*find, to(&find.reference)?))).collect();
        let slot = |kind: Kind, image: &Reference, wanted: &Reference| Slot {
            path: path.to_vec(),
            shown: shown(path),
            kind,
            image: image.clone(),
            wanted: wanted.clone(),
        };
        match value {
            Some(Value::Map(group)) if outside.is_none() => match known.first() {
                Some((find, wanted)) => Ok(vec![slot(Kind::Group(group), &find.reference, wanted)]),
                None if here.iter().any(|find| find.is_rendered()) => Err(None),
                None => Err(here.first().map(|find| find.reference.clone())),
            },
            Some(Value::String(text)) => Ok(known
                .iter()
                .filter_map(|(find, wanted)| {
                    let whole = outside.is_none() && !text.trim().contains([' ', '=', '\n', ',']);
                    let last = text.rsplit('/').next().unwrap_or_default();
                    let kind = match whole {
                        true if last.contains([':', '@']) => Kind::Whole,
                        true => Kind::Name,
                        false => Kind::Part(written(&text, &find.reference)?),
                    };
                    Some(slot(kind, &find.reference, wanted))
                })
                .collect()),
            _ => Err(None),
        }
    }
}

impl Slot {
    pub(super) fn placed(&self, pin: Pin, proof: Proof) -> Option<Placed> {
        let (path, image) = (self.shown.clone(), self.image.clone());
        Some(Placed { path, image, now: pin.of(&self.wanted)?, proof })
    }
}

/// A value that may be written into a place.
pub(super) struct Choice {
    pub(super) pin: Pin,
    pub(super) way: Option<Way>,
    pub(super) fields: Vec<(&'static str, Value)>,
    /// Registry and repository, and nothing of tag and digest.
    pub(super) name_alone: bool,
}

pub(super) fn choices(slot: &Slot) -> Vec<Choice> {
    match &slot.kind {
        Kind::Group(group) => spellings(group, &slot.wanted)
            .into_iter()
            .map(|Spelling { way, fields }| Choice {
                pin: way.pin,
                way: Some(way),
                fields,
                name_alone: false,
            })
            .collect(),
        kind @ (Kind::Whole | Kind::Name | Kind::Part(_)) => {
            let text = |pin, name_alone| Choice { pin, way: None, fields: Vec::new(), name_alone };
            let alone = matches!(kind, Kind::Name).then_some((Pin::Tag, true));
            let pins = Pin::ALL.into_iter().map(|pin| (pin, false)).chain(alone);
            pins.filter(|(pin, _)| pin.of(&slot.wanted).is_some())
                .map(|(pin, alone)| text(pin, alone))
                .collect()
        }
    }
}

/// Registry and repository.
pub(super) fn full(image: &Reference) -> String {
    format!("{}/{}", image.registry(), image.repository())
}

/// An image as a text writes it: with Docker's own registry, or without.
fn written(text: &str, image: &Reference) -> Option<String> {
    let full = image.to_string();
    let short = full.strip_prefix("docker.io/");
    let shortest = full.strip_prefix("docker.io/library/");
    [Some(full.as_str()), short, shortest]
        .into_iter()
        .flatten()
        .find(|way| text.contains(way))
        .map(str::to_owned)
}
