//! Points images by a common prefix: a value such as `hub` or `global.imageRegistry` that starts several names.
//! Takes an [`Overlay`] and the images before; changes the prefixes that move images to their new names.

use std::collections::BTreeMap;

use bundle_oci::Reference;

use super::edit::each;
use super::seen::{Spot, seen};
use super::slot::full;
use super::spelling::Pin;
use super::{Overlay, OverlayError};
use crate::discover::Step;
use crate::{Rendering, Value};

impl Overlay<'_> {
    /// Changes values that are the prefix of several image names, such as `hub` or `global.imageRegistry`,
    /// where the images themselves could not be written.
    pub(super) fn point_prefixes(
        &mut self,
        before: &BTreeMap<Spot, Vec<Reference>>,
        to: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> Result<(), OverlayError> {
        let mut candidates: Vec<(Vec<Step>, String)> = Vec::new();
        let open = |rendering: &Rendering| -> Vec<(Reference, Reference)> {
            let images = seen(rendering, &self.options.limits).into_values().flatten();
            images.filter_map(|image| to(&image).map(|wanted| (image, wanted))).collect()
        };
        for (image, wanted) in open(&self.rendering) {
            let (name, wanted) = (full(&image), full(&wanted));
            for (cut, _) in name.match_indices('/') {
                let (prefix, rest) = name.split_at(cut);
                let Some(now) = wanted.strip_suffix(rest) else { continue };
                each(&Value::Map(self.rendering.declared.clone()), &mut Vec::new(), &mut |path, value| {
                    let is_meant = match value {
                        Value::String(text) if !text.is_empty() => text.trim_end_matches('/') == prefix,
                        Value::String(_) | Value::Nil => match path.last() {
                            Some(Step::Key(key)) => {
                                let key = key.to_ascii_lowercase();
                                key == "hub" || key.ends_with("registry")
                            }
                            _ => false,
                        },
                        _ => false,
                    };
                    let candidate = (path.to_vec(), now.to_owned());
                    if is_meant && !candidates.contains(&candidate) {
                        candidates.push(candidate);
                    }
                });
            }
        }
        for (path, prefix) in candidates {
            let Some(values) = self.put(&path, Value::from(prefix)) else { continue };
            let Some(rendering) = self.attempt(&values)? else { continue };
            let (now, then) =
                (seen(&self.rendering, &self.options.limits), seen(&rendering, &self.options.limits));
            let is_right = |(spot, images): (&Spot, &Vec<Reference>)| {
                let wanted = before.get(spot).into_iter().flatten().filter_map(to);
                let wanted: Vec<Reference> =
                    wanted.flat_map(|wanted| Pin::ALL.map(|pin| pin.of(&wanted))).flatten().collect();
                now.get(spot) == Some(images) || images.iter().all(|image| wanted.contains(image))
            };
            if now != then && now.len() == then.len() && then.iter().all(is_right) {
                self.take(values, rendering);
            }
        }
        Ok(())
    }
}
