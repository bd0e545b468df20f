//! Whether a Harbor shows signatures and the like as accessories of what they belong to.

use std::collections::{HashMap, HashSet};

use bundle_format::{Artifact, Graph, Statement};
use bundle_harbor::Harbor;
use bundle_oci::{Digest, Manifest, RepositoryName};
use bundle_registry::Name;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::{Decision, Destination, ImportPlan, PushError, Step};

/// What a Harbor should show as an accessory of something else.
pub(crate) struct Attached<'a> {
    artifact: &'a Artifact,
    repository: &'a RepositoryName,
    /// What is attached.
    pub(crate) accessory: Digest,
    /// To what.
    subject: Digest,
}

/// The media type by which Harbor knows a signature of cosign's that hangs on a tag (its
/// middleware/cosign).
const COSIGN_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// What of a bundle a Harbor should attach: manifests with a subject, and cosign's signatures. Other
/// tags of cosign's are tags to Harbor, and no more. What belongs to something that the bundle leaves
/// elsewhere cannot be attached.
pub(crate) fn attached<'a>(
    destination: &Destination,
    plan: &'a ImportPlan,
    statement: &'a Statement,
    graph: &'a Graph,
) -> impl Iterator<Item = Attached<'a>> {
    let harbor = matches!(destination, Destination::Harbor(_));
    let in_place = move |step: &&Step| harbor && !matches!(step.decision, Decision::Skip(_));
    let places: HashSet<(&RepositoryName, Digest)> = plan
        .steps
        .iter()
        .filter(in_place)
        .flat_map(|step| {
            let root = statement.artifacts[step.artifact].digest;
            graph.extent(root).into_iter().map(|blob| (&step.repository, blob.digest))
        })
        .collect();
    plan.steps.iter().filter(in_place).filter_map(move |step| {
        let artifact = &statement.artifacts[step.artifact];
        let subject = subject(artifact, graph)?;
        let here = places.contains(&(&step.repository, subject));
        here.then_some(Attached {
            artifact,
            repository: &step.repository,
            accessory: artifact.digest,
            subject,
        })
    })
}

fn subject(artifact: &Artifact, graph: &Graph) -> Option<Digest> {
    let manifest = &graph.manifests.get(&artifact.digest)?.manifest;
    if let Some(subject) = manifest.subject() {
        return Some(subject.digest);
    }
    let Manifest::Image(image) = manifest else { return None };
    if !image.layers.iter().any(|layer| layer.media_type.as_str() == COSIGN_LAYER) {
        return None;
    }
    let tag = artifact.target.tag.as_ref()?.as_str();
    let hex = tag.strip_prefix("sha256-")?.strip_suffix(".sig")?;
    format!("sha256:{hex}").parse().ok()
}

/// Looks whether a Harbor shows each signature and the like as an accessory of what it belongs to,
/// and pushes once more what it does not. Harbor attaches what it is sent after its subject, but
/// people have seen it not to (goharbor/harbor#19788).
pub(crate) async fn attach(
    harbor: &Harbor,
    all: Vec<Attached<'_>>,
    contents: &HashMap<Digest, Bytes>,
    jobs: usize,
) -> Result<(), PushError> {
    futures_util::stream::iter(&all)
        .map(|attached| async move {
            if is_attached(harbor, attached).await? {
                return Ok(());
            }
            let artifact = attached.artifact;
            if let Some(bytes) = contents.get(&artifact.digest) {
                let name = match &artifact.target.tag {
                    Some(tag) => Name::Tag(tag.clone()),
                    None => Name::Digest(artifact.digest),
                };
                let (client, registry) = (harbor.client(), harbor.registry());
                client
                    .push_manifest(registry, attached.repository, &name, &artifact.media_type, bytes.clone())
                    .await
                    .map_err(|source| failed(attached, source))?;
                if is_attached(harbor, attached).await? {
                    return Ok(());
                }
            }
            Err(PushError::NotAttached {
                repository: attached.repository.clone(),
                accessory: attached.accessory,
                subject: attached.subject,
            })
        })
        .buffer_unordered(jobs.max(1))
        .try_collect()
        .await
}

async fn is_attached(harbor: &Harbor, attached: &Attached<'_>) -> Result<bool, PushError> {
    let target = &attached.artifact.target;
    let name = Name::Digest(attached.subject);
    let found = harbor.artifact(&target.project, &target.repository, &name).await;
    let subject = found.map_err(|source| failed(attached, source))?;
    Ok(subject.is_some_and(|subject| subject.accessories.contains(&attached.accessory)))
}

fn failed(attached: &Attached<'_>, source: bundle_registry::Error) -> PushError {
    let name = attached.accessory.to_string();
    PushError::Manifest { name, repository: attached.repository.clone(), source }
}
