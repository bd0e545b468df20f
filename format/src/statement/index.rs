//! `index.json`, which follows from a statement and makes of an archive an OCI image layout.
//! Takes the artifacts, gives bytes.

use std::collections::HashSet;

use bundle_oci::{Digest, MediaType};
use serde::Serialize;

use crate::{Artifact, Kind};

/// An artifact under one of its names, as an `index.json` lists it.
#[derive(Clone, Debug)]
pub struct Named<'a> {
    /// The whole name, as container runtimes look it up.
    pub name: String,
    /// The artifact.
    pub artifact: &'a Artifact,
    /// The length of its manifest or index in bytes.
    pub size: u64,
}

/// The bytes of an `index.json` (docs/format.md §index.json; image-spec, image-layout.md). What
/// has the same name and digest as one before it is left out.
pub fn index_json<'a>(named: impl IntoIterator<Item = Named<'a>>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index<'a> {
        schema_version: u32,
        media_type: &'static str,
        manifests: Vec<Descriptor<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Descriptor<'a> {
        media_type: &'a MediaType,
        digest: Digest,
        size: u64,
        annotations: Annotations,
    }
    #[derive(Serialize)]
    struct Annotations {
        #[serde(rename = "io.containerd.image.name", skip_serializing_if = "Option::is_none")]
        containerd_name: Option<String>,
        #[serde(rename = "org.opencontainers.image.ref.name")]
        ref_name: String,
    }

    let mut seen = HashSet::new();
    let mut manifests = Vec::new();
    for Named { name, artifact, size } in named {
        if !seen.insert((name.clone(), artifact.digest)) {
            continue;
        }
        manifests.push(Descriptor {
            media_type: &artifact.media_type,
            digest: artifact.digest,
            size,
            annotations: Annotations {
                // A container runtime has no use for what is not an image.
                containerd_name: (artifact.kind == Kind::Image).then(|| name.clone()),
                ref_name: name,
            },
        });
    }
    let index = Index { schema_version: 2, media_type: MediaType::IMAGE_INDEX, manifests };
    serde_json::to_vec(&index).expect("an index has no map with keys other than strings")
}
