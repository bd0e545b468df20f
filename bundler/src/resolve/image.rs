//! One image that is resolved, and how its targets get it.
//! Takes the requests for it; adds its artifacts to [`Resolved`], its referrers among them.

use std::collections::HashSet;
use std::sync::Arc;

use bundle_format::{Artifact, Kind, Target, reason};
use bundle_oci::{Digest, Platform, Reference};
use bundle_registry::FetchedManifest;

use super::error::ResolveCause;
use super::run::Resolved;
use crate::foreign::ForeignCarrier;
use crate::referrer::FoundReferrer;
use crate::upstream::SignatureCheck;
use crate::{Limits, Origin, Reason, Request};

/// An image with all that belongs to it, before it is given its targets.
pub(crate) struct Image {
    pub(super) kind: Kind,
    pub(super) root: FetchedManifest,
    pub(super) platforms: Vec<Platform>,
    pub(super) derived_from: Option<Digest>,
    /// The manifests and configs that were looked into.
    pub(crate) contents: HashSet<Digest>,
    pub(crate) attached: Vec<FoundReferrer>,
    /// The artifact that carries its non-distributable layers, if they are wanted.
    pub(super) foreign: Option<ForeignCarrier>,
    /// What came of the check of its publisher's signature, if a rule asks for one.
    pub(super) signature: Option<SignatureCheck>,
    /// The outcomes for its signatures and platforms, for the statement.
    pub(super) marks: Vec<String>,
}

impl Image {
    /// Gives the image its targets. One that has it already, by its tag or by tag and digest, gets further reasons.
    pub(super) fn push_into(
        self,
        group: &[&Request],
        resolved: &mut Resolved,
        delivered: &mut HashSet<(Target, Digest)>,
    ) -> Result<(), ResolveCause> {
        let source = &group[0].reference;
        let (registry, repository) = (source.registry(), source.repository());
        let origin = match &group[0].local {
            Some(local) => Origin::Local(local.clone()),
            None => Origin::Registry(Arc::new((source.registry().clone(), source.repository().clone()))),
        };
        for digest in self.contents {
            resolved.origins.entry(digest).or_insert_with(|| origin.clone());
        }
        let foreign = self.foreign.map(|ForeignCarrier { artifact, addresses }| {
            for (digest, addresses) in addresses {
                resolved.addresses.entry(digest).or_insert(addresses);
            }
            resolved.origins.entry(artifact.manifest.digest).or_insert_with(|| origin.clone());
            artifact
        });
        let attached = self.attached.iter().map(|attached| (attached, attached.kind.as_str()));
        let attached: Vec<(&FoundReferrer, &str)> =
            attached.chain(foreign.iter().map(|carrier| (carrier, "non-distributable layers"))).collect();
        for request in group {
            // Several digests without a tag can live in one repository.
            let may_be_there = request.target.tag.is_some() && resolved.asked.contains_key(&request.target);
            if may_be_there
                && let Some(there) = resolved
                    .artifacts
                    .iter_mut()
                    .find(|artifact| artifact.subject.is_none() && artifact.target == request.target)
            {
                let marks = resolved.marks.get(&(request.target.clone(), there.digest)).map_or(0, Vec::len);
                let asked = there.reasons.len().saturating_sub(marks);
                if there.digest != self.root.digest {
                    return Err(ResolveCause::TwoMeanings {
                        target: request.target.clone(),
                        first: there.digest,
                        reasons: there.reasons[..asked].to_vec(),
                        second: self.root.digest,
                    });
                }
                let room = Limits::DEFAULT.reasons.saturating_sub(asked);
                let more: Vec<String> = Reason::texts(&request.reasons).into_iter().take(room).collect();
                there.reasons.splice(asked..asked, more);
                continue;
            }
            resolved.chosen.insert(request.target.clone(), request.platforms.clone());
            resolved.asked.insert(request.target.clone(), request.reference.clone());
            delivered.insert((request.target.clone(), self.root.digest));
            resolved.artifacts.push(Artifact {
                kind: self.kind,
                source: source.clone(),
                target: request.target.clone(),
                digest: self.root.digest,
                media_type: self.root.media_type.clone(),
                platforms: self.platforms.clone(),
                derived_from: self.derived_from,
                subject: None,
                reasons: Reason::texts(&request.reasons).into_iter().chain(self.marks.clone()).collect(),
            });
            let named = (request.target.clone(), self.root.digest);
            resolved.marks.insert(named, self.marks.clone());
            for &(attached, what) in &attached {
                let source = match &attached.tag {
                    Some(tag) => Reference::tagged(registry.clone(), repository.clone(), tag.clone()),
                    None => Reference::pinned(registry.clone(), repository.clone(), attached.manifest.digest),
                };
                let target = Target { tag: attached.tag.clone(), ..request.target.clone() };
                if !delivered.insert((target.clone(), attached.manifest.digest)) {
                    continue;
                }
                let most = bundle_format::Limits::V1.artifacts;
                if resolved.artifacts.len() >= most {
                    return Err(ResolveCause::TooManyArtifacts(most));
                }
                resolved.artifacts.push(Artifact {
                    kind: attached.kind,
                    source,
                    target,
                    digest: attached.manifest.digest,
                    media_type: attached.manifest.media_type.clone(),
                    platforms: Vec::new(),
                    derived_from: None,
                    subject: Some(attached.subject),
                    reasons: vec![reason(&format!("{what} of {}", request.reference))],
                });
            }
        }
        Ok(())
    }
}
