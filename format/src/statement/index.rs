//! `index.json`, which follows from a statement and makes of an archive an OCI image layout.
//! Takes the artifacts, gives bytes.

use std::collections::HashSet;
use std::io::{self, Write};

use bundle_oci::{Digest, Hasher, MediaType};
use serde::Serialize;

use crate::{Artifact, Blob, Kind};

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

/// The bytes of an `index.json` (docs/format.md §index.json; image-spec, image-layout.md). Duplicates, with
/// the same name and digest, are left out.
pub fn index_json<'a>(named: impl IntoIterator<Item = Named<'a>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_index(named, &mut bytes).expect("what writes into memory does not fail");
    bytes
}

/// Digest and size of an `index.json`, which may be large and is not made for it.
pub(crate) fn index_blob<'a>(named: impl IntoIterator<Item = Named<'a>>) -> Blob {
    let mut measured = Measured { hasher: Hasher::new(), size: 0 };
    write_index(named, &mut measured).expect("a digest takes all bytes");
    Blob { digest: measured.hasher.finish(), size: measured.size }
}

struct Measured {
    hasher: Hasher,
    size: u64,
}

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_index<'a>(
    named: impl IntoIterator<Item = Named<'a>>,
    to: &mut impl Write,
) -> Result<(), serde_json::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Descriptor<'a> {
        media_type: &'a MediaType,
        digest: Digest,
        size: u64,
        annotations: Annotations<'a>,
    }
    #[derive(Serialize)]
    struct Annotations<'a> {
        #[serde(rename = "io.containerd.image.name", skip_serializing_if = "Option::is_none")]
        containerd_name: Option<&'a str>,
        #[serde(rename = "org.opencontainers.image.ref.name")]
        ref_name: &'a str,
    }

    // One at a time: a hundred thousand of them would take more memory than the statement.
    let wrap = serde_json::Error::io;
    write!(to, r#"{{"schemaVersion":2,"mediaType":"{}","manifests":["#, MediaType::IMAGE_INDEX)
        .map_err(wrap)?;
    let mut seen = HashSet::new();
    for Named { name, artifact, size } in named {
        if !seen.insert((Digest::of(name.as_bytes()), artifact.digest)) {
            continue;
        }
        if seen.len() > 1 {
            to.write_all(b",").map_err(wrap)?;
        }
        let descriptor = Descriptor {
            media_type: &artifact.media_type,
            digest: artifact.digest,
            size,
            annotations: Annotations {
                // A container runtime has no use for what is not an image.
                containerd_name: (artifact.kind == Kind::Image).then_some(&name),
                ref_name: &name,
            },
        };
        serde_json::to_writer(&mut *to, &descriptor)?;
    }
    to.write_all(b"]}").map_err(wrap)
}
