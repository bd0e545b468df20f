//! Which of a bundle's artifacts are taken out: by reference, by project, or all charts.
//! Takes a statement and what people ask for; gives positions in the statement, in its order.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bundle_format::{Artifact, Kind, Statement};
use bundle_oci::{Digest, ParseReferenceError, Printable, ProjectName, Reference};

/// Some of a bundle's artifacts, by their positions in the statement, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice(Vec<usize>);

/// Why artifacts cannot be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// A text that is no reference.
    #[error("'{}'", Printable(.text))]
    Reference {
        /// The text.
        text: String,
        /// The cause.
        source: ParseReferenceError,
    },
    /// An image that is not in the bundle.
    #[error("bundle has no image {0}")]
    NoImage(Reference),
    /// A project that no image of the bundle is for.
    #[error("bundle has no image for the project {wanted}; it has images for {}", list(.projects))]
    NoProject {
        /// The project asked for.
        wanted: ProjectName,
        /// The projects that there are.
        projects: Vec<String>,
    },
    /// A file that is not in the bundle.
    #[error("bundle has no file '{}'; it has {}", Printable(.wanted), list(.files))]
    NoFile {
        /// The file asked for.
        wanted: String,
        /// The files that there are.
        files: Vec<String>,
    },
    /// Several files of one name.
    #[error("bundle has several files '{}': {}", Printable(.wanted), list(.files))]
    Files {
        /// The file asked for.
        wanted: String,
        /// Their targets.
        files: Vec<String>,
    },
    /// A chart that is not in the bundle.
    #[error("bundle has no chart '{}'; it has {}", Printable(.wanted), list(.charts))]
    NoChart {
        /// The chart asked for.
        wanted: String,
        /// The charts that there are.
        charts: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Whether what is attached to an artifact goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// Signatures, attestations and other referrers go along.
    Along,
    /// They stay.
    Left,
}

impl Choice {
    /// Every artifact.
    pub fn all(statement: &Statement) -> Self {
        Self((0..statement.artifacts.len()).collect())
    }

    /// The container images that any node may have: those of the project `cache`. A node gives an image
    /// that it has to every pod, without a secret, and past the registry's policy; so tenants' images
    /// are taken out only if their project is asked for.
    ///
    /// # Errors
    /// A project that the bundle has no image for, or no image in `cache` when no project is named.
    pub fn for_nodes(statement: &Statement, projects: &[ProjectName]) -> Result<Self, ChoiceError> {
        let cache = [ProjectName::cache()];
        let wanted = if projects.is_empty() { &cache[..] } else { projects };
        for project in wanted {
            let ours =
                |artifact: &Artifact| artifact.kind == Kind::Image && artifact.target.project == *project;
            if !statement.artifacts.iter().any(ours) {
                let projects: BTreeSet<_> =
                    images(statement).map(|image| image.target.project.to_string()).collect();
                return Err(ChoiceError::NoProject {
                    wanted: project.clone(),
                    projects: projects.into_iter().collect(),
                });
            }
        }
        Ok(Self::where_(statement, |artifact| {
            artifact.kind == Kind::Image && wanted.contains(&artifact.target.project)
        }))
    }

    /// The projects whose images are not among these, each with the number of images.
    pub fn left_out(&self, statement: &Statement) -> BTreeMap<ProjectName, usize> {
        let mut left = BTreeMap::new();
        let chosen: HashSet<usize> = self.0.iter().copied().collect();
        for (at, artifact) in statement.artifacts.iter().enumerate() {
            if artifact.kind == Kind::Image && !chosen.contains(&at) {
                *left.entry(artifact.target.project.clone()).or_default() += 1;
            }
        }
        left
    }

    /// The artifacts of these names: those of the source (`nginx:1.25`) or of the target
    /// (`cache/docker.io/library/nginx:1.25`).
    ///
    /// # Errors
    /// An invalid name, or one that nothing in the bundle has.
    pub fn images(statement: &Statement, names: &[String], attached: Referrers) -> Result<Self, ChoiceError> {
        let mut chosen = Vec::new();
        for text in names {
            let wanted: Reference =
                text.parse().map_err(|source| ChoiceError::Reference { text: text.clone(), source })?;
            let named = |artifact: &Artifact| {
                artifact.source == wanted
                    || artifact.source.runtime_name() == wanted.runtime_name()
                    || artifact.target.to_string() == *text
            };
            let before = chosen.len();
            chosen.extend(positions(statement, named));
            if chosen.len() == before {
                return Err(ChoiceError::NoImage(wanted));
            }
        }
        if attached == Referrers::Along {
            chosen.extend(attachments(statement, &chosen));
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(Self(chosen))
    }

    /// The Helm charts of these names: `harbor`, or with a version `harbor:1.18.3`.
    ///
    /// # Errors
    /// A name that no chart in the bundle has.
    pub fn charts(statement: &Statement, names: &[String]) -> Result<Self, ChoiceError> {
        let mut chosen = Vec::new();
        for wanted in names {
            let named = |artifact: &Artifact| {
                let name = artifact.target.repository.last_component();
                let (wanted, version) = match wanted.split_once(':') {
                    Some((name, version)) => (name, Some(version)),
                    None => (wanted.as_str(), None),
                };
                let tag = artifact.target.tag.as_ref().map(ToString::to_string);
                // A tag has no plus sign; Helm writes an underscore for it.
                let version = version.map(|version| version.replace('+', "_"));
                artifact.kind == Kind::Chart && name == wanted && (version.is_none() || version == tag)
            };
            let before = chosen.len();
            chosen.extend(positions(statement, named));
            if chosen.len() == before {
                let charts = statement.artifacts.iter().filter(|artifact| artifact.kind == Kind::Chart);
                let charts = charts.map(|artifact| artifact.target.to_string()).collect();
                return Err(ChoiceError::NoChart { wanted: wanted.clone(), charts });
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(Self(chosen))
    }

    /// The artifacts.
    pub fn artifacts<'a>(&'a self, statement: &'a Statement) -> impl Iterator<Item = &'a Artifact> {
        self.0.iter().filter_map(|&position| statement.artifacts.get(position))
    }

    fn where_(statement: &Statement, chosen: impl Fn(&Artifact) -> bool) -> Self {
        Self(positions(statement, chosen).collect())
    }
}

fn images(statement: &Statement) -> impl Iterator<Item = &Artifact> {
    statement.artifacts.iter().filter(|artifact| artifact.kind == Kind::Image)
}

fn positions(statement: &Statement, chosen: impl Fn(&Artifact) -> bool) -> impl Iterator<Item = usize> {
    statement.artifacts.iter().enumerate().filter(move |(_, artifact)| chosen(artifact)).map(|(at, _)| at)
}

/// The artifacts that are attached to these artifacts, and to that in turn.
fn attachments(statement: &Statement, chosen: &[usize]) -> Vec<usize> {
    let mut subjects: Vec<Digest> =
        chosen.iter().filter_map(|&at| statement.artifacts.get(at)).map(|artifact| artifact.digest).collect();
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(&subject) = subjects.get(next) {
        next += 1;
        for at in positions(statement, |artifact| artifact.subject == Some(subject)) {
            if !found.contains(&at) {
                found.push(at);
                subjects.push(statement.artifacts[at].digest);
            }
        }
    }
    found
}
