//! Which of an index's manifests are carried for a choice of platforms. Takes the index and the platforms that are
//! wanted; gives the children that fit, with the attestations of these, and what is wanted and not there. Children
//! of which the index names no platform are looked up in their configs.

use std::collections::{HashMap, HashSet};

use bundle_format::{Kind, Limits};
use bundle_oci::{Child, Digest, Index, Manifest, Platform, Reference};

use crate::ResolveCause;
use crate::kind::kind_of;
use crate::resolve::{Resolver, parse, platform_of};

/// The manifests of an index to carry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The children, by their positions.
    pub(crate) positions: Vec<usize>,
    /// Their platforms.
    pub(crate) platforms: Vec<Platform>,
    /// The wanted platforms that are missing.
    pub(crate) missing: Vec<Platform>,
}

/// The platform of an index's child.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RunsOn {
    /// These; a nested index may name several.
    Platforms(Vec<Platform>),
    /// Nothing that has a platform: a package or another artifact.
    Anything,
    /// It is not known, and it is left out of a choice.
    Unknown,
}

impl Resolver<'_> {
    /// Chooses the children of an index.
    ///
    /// # Errors
    /// No child fits, or one that must be looked into cannot be.
    pub(crate) async fn choose(
        &self,
        reference: &Reference,
        index: &Index,
        wanted: &[Platform],
    ) -> Result<Choice, ResolveCause> {
        // Each manifest is looked into once, however often and from wherever it is listed.
        let mut known = HashMap::new();
        let mut all = Vec::new();
        for child in &index.children {
            all.push(self.runs_on(reference, child, Limits::V1.index_depth, &mut known).await?);
        }
        choice(index, &all, wanted)
    }

    async fn runs_on(
        &self,
        reference: &Reference,
        child: &Child,
        depth: usize,
        known: &mut HashMap<Digest, RunsOn>,
    ) -> Result<RunsOn, ResolveCause> {
        let media_type = &child.descriptor.media_type;
        if let Some(platform) = &child.platform {
            return Ok(RunsOn::Platforms(vec![platform.clone()]));
        }
        let is_manifest = media_type.is_index() || media_type.is_image_manifest();
        if child.attests().is_some() || !is_manifest {
            return Ok(RunsOn::Unknown);
        }
        if let Some(found) = known.get(&child.descriptor.digest) {
            return Ok(found.clone());
        }
        let fetched = self.child(reference, &child.descriptor).await?;
        let found = match parse(&fetched)? {
            Manifest::Image(image) if kind_of(image.kind(), image.artifact_type.is_some()) != Kind::Image => {
                RunsOn::Anything
            }
            Manifest::Image(image) => match platform_of(&self.config(reference, &image.config).await?) {
                Some(platform) => RunsOn::Platforms(vec![platform]),
                None => RunsOn::Anything,
            },
            Manifest::Index(index) => {
                let depth = depth.checked_sub(1).ok_or(ResolveCause::TooDeep)?;
                let mut platforms: Vec<Platform> = Vec::new();
                let mut seen = HashSet::new();
                let mut anything = false;
                for child in &index.children {
                    if child.platform.is_none() && !seen.insert(child.descriptor.digest) {
                        continue;
                    }
                    match Box::pin(self.runs_on(reference, child, depth, known)).await? {
                        RunsOn::Platforms(more) => {
                            for platform in more {
                                if !platforms.contains(&platform) {
                                    platforms.push(platform);
                                }
                            }
                        }
                        RunsOn::Anything => anything = true,
                        RunsOn::Unknown => {}
                    }
                    if platforms.len() > crate::Limits::DEFAULT.platforms {
                        return Err(ResolveCause::TooDeep);
                    }
                }
                match (platforms.is_empty(), anything) {
                    (false, _) => RunsOn::Platforms(platforms),
                    (true, true) => RunsOn::Anything,
                    (true, false) => RunsOn::Unknown,
                }
            }
        };
        known.insert(child.descriptor.digest, found.clone());
        Ok(found)
    }
}

/// One rule for all: what there is of what is wanted, and what has no platform; an error if nothing fits.
fn choice(index: &Index, all: &[RunsOn], wanted: &[Platform]) -> Result<Choice, ResolveCause> {
    let named = |runs_on: &RunsOn| match runs_on {
        RunsOn::Platforms(platforms) => platforms.clone(),
        RunsOn::Anything | RunsOn::Unknown => Vec::new(),
    };
    let mut available: Vec<Platform> = all.iter().flat_map(named).collect();
    available.retain(|platform| !platform.is_unknown());
    let fits = |platform: &Platform| wanted.iter().any(|wanted| platform.satisfies(wanted));
    let missing = missing(&available, wanted);
    if missing.len() == wanted.len() && (!available.is_empty() || !all.contains(&RunsOn::Anything)) {
        let wanted = wanted.first().cloned().ok_or(ResolveCause::TooDeep)?;
        return Err(ResolveCause::Platform { wanted, available });
    }
    let chosen: HashSet<Digest> = index
        .children
        .iter()
        .zip(all)
        .filter(|(_, runs_on)| match runs_on {
            RunsOn::Platforms(platforms) => platforms.iter().any(fits),
            RunsOn::Anything => true,
            RunsOn::Unknown => false,
        })
        .map(|(child, _)| child.descriptor.digest)
        .collect();
    let is_chosen = |child: &Child| {
        chosen.contains(&child.descriptor.digest)
            || child.attests().is_some_and(|subject| chosen.contains(&subject))
    };
    let positions: Vec<usize> =
        (0..index.children.len()).filter(|&position| is_chosen(&index.children[position])).collect();
    let platforms = positions.iter().flat_map(|&position| named(&all[position]));
    let mut platforms: Vec<Platform> = platforms.filter(|platform| !platform.is_unknown()).collect();
    let mut seen = HashSet::new();
    platforms.retain(|platform| seen.insert(platform.to_string()));
    Ok(Choice { positions, platforms, missing: if available.is_empty() { Vec::new() } else { missing } })
}

/// Those of the wanted platforms for which there is nothing.
pub(crate) fn missing(available: &[Platform], wanted: &[Platform]) -> Vec<Platform> {
    let is_there = |wanted: &Platform| available.iter().any(|platform| platform.satisfies(wanted));
    wanted.iter().filter(|wanted| !is_there(wanted)).cloned().collect()
}
