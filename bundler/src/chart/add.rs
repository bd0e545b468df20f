//! Adds a chart itself to what a bundle will have.
//! Takes a discovered chart; changes the resolved images.

use bundle_chart::MANIFEST;
use bundle_format::{Artifact, Kind};
use bundle_oci::{Digest, MediaType, ParseMediaTypeError};
use bytes::Bytes;

use super::discovery::DiscoveredChart;
use crate::{Platforms, Resolved};

impl DiscoveredChart {
    /// Adds the chart itself to what will be delivered, unless it is in a registry and was resolved
    /// like an image.
    ///
    /// # Errors
    /// None in practice: the media type is a constant.
    pub fn add_to(&self, resolved: &mut Resolved) -> Result<(), ParseMediaTypeError> {
        let Some(artifact) = &self.artifact else { return Ok(()) };
        let media_type: MediaType = MANIFEST.parse()?;
        let manifest = Bytes::from(artifact.manifest.clone());
        let digest = Digest::of(&manifest);
        let known = |artifact: &Artifact| artifact.target == self.target && artifact.digest == digest;
        if resolved.artifacts.iter().any(known) {
            return Ok(());
        }
        resolved.contents.insert(digest, manifest);
        for blob in &artifact.blobs {
            resolved.contents.insert(Digest::of(blob), Bytes::from(blob.clone()));
        }
        resolved.chosen.insert(self.target.clone(), Platforms::All);
        resolved.asked.insert(self.target.clone(), self.source.clone());
        resolved.artifacts.push(Artifact {
            kind: Kind::Chart,
            source: self.source.clone(),
            target: self.target.clone(),
            digest,
            media_type,
            platforms: Vec::new(),
            derived_from: None,
            subject: None,
            reasons: vec![self.reason.to_string()],
        });
        Ok(())
    }
}
