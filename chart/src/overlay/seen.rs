//! Where renderings have their images.
//! Takes a rendering; gives its images by file, document and path, so that two renderings can be compared.

use std::collections::BTreeMap;

use bundle_oci::Reference;

use crate::discover::sightings;
use crate::{Limits, Rendering};

/// Where a rendering has an image: the file, the position of the document among those of the file, for
/// its name can change with a tag, and the path in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    file: String,
    document: usize,
    path: String,
}

/// The images of a rendering. A text that holds several has one path.
pub(super) fn seen(rendering: &Rendering, limits: &Limits) -> BTreeMap<Spot, Vec<Reference>> {
    let mut documents: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found: BTreeMap<Spot, Vec<Reference>> = BTreeMap::new();
    for document in &rendering.documents {
        let count = documents.entry(&document.file).or_default();
        let position = *count;
        *count += 1;
        for sighting in sightings(document, limits).0 {
            let spot = Spot { file: document.file.clone(), document: position, path: sighting.path };
            found.entry(spot).or_default().push(sighting.reference);
        }
    }
    found
}
