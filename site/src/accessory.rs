//! Whether a Harbor shows signatures and the like as accessories of what they belong to.
//! Takes proof of what was pushed; pushes once more what Harbor does not show.

use std::collections::HashSet;

use bundle_format::Graph;
use bundle_harbor::Harbor;
use bundle_importer::{ImportPlan, PushError, Pushed, Step};
use bundle_oci::{Digest, Manifest, RepositoryName};
use bundle_registry::Name;
use futures_util::{StreamExt, TryStreamExt};

use crate::harbor::name_of;

/// An artifact that Harbor should list as an accessory of another one.
pub(crate) struct ExpectedAccessory<'a> {
    step: &'a Step,
    /// The accessory.
    pub(crate) accessory: Digest,
    /// To what.
    subject: Digest,
}

/// The media type by which Harbor knows a signature of cosign's that hangs on a tag (its
/// middleware/cosign).
const COSIGN_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The accessories of a bundle that Harbor should list: manifests with a subject, and cosign's signatures.
/// Harbor takes cosign's other tags as tags only. An accessory cannot be attached if the bundle delivers its
/// subject elsewhere.
pub(crate) fn attached<'a>(
    plan: &'a ImportPlan,
    graph: &'a Graph,
) -> impl Iterator<Item = ExpectedAccessory<'a>> {
    let in_place = |step: &&Step| step.decision.is_in_place();
    let sought: HashSet<(&RepositoryName, Digest)> = plan
        .steps
        .iter()
        .filter(in_place)
        .filter_map(|step| Some((&step.repository, subject(step, graph)?)))
        .collect();
    // Only what is sought is kept: all that a bundle brings into all of its repositories may be a million places.
    let brought =
        plan.steps.iter().filter(in_place).filter(|_| !sought.is_empty()).flat_map(|step| {
            graph.extent(step.digest).into_iter().map(|blob| (&step.repository, blob.digest))
        });
    let places: HashSet<(&RepositoryName, Digest)> = brought.filter(|place| sought.contains(place)).collect();
    plan.steps.iter().filter(in_place).filter_map(move |step| {
        let subject = subject(step, graph)?;
        let here = places.contains(&(&step.repository, subject));
        here.then_some(ExpectedAccessory { step, accessory: step.digest, subject })
    })
}

fn subject(step: &Step, graph: &Graph) -> Option<Digest> {
    let manifest = &graph.manifests.get(&step.digest)?.manifest;
    if let Some(subject) = manifest.subject() {
        return Some(subject.digest);
    }
    let Manifest::Image(image) = manifest else { return None };
    if !image.layers.iter().any(|layer| layer.media_type.as_str() == COSIGN_LAYER) {
        return None;
    }
    let tag = step.target.tag.as_ref()?.as_str();
    let hex = tag.strip_prefix("sha256-")?.strip_suffix(".sig")?;
    format!("sha256:{hex}").parse().ok()
}

/// Looks whether a Harbor shows each signature and the like as an accessory of what it belongs to,
/// and pushes once more what it does not. Harbor attaches what it is sent after its subject, but
/// people have seen it not to (goharbor/harbor#19788).
pub(crate) async fn attach(harbor: &Harbor, pushed: &Pushed, jobs: usize) -> Result<(), PushError> {
    let all: Vec<ExpectedAccessory<'_>> = attached(pushed.plan(), pushed.graph()).collect();
    let all = all.iter().map(|attached| async move {
        if is_attached(harbor, attached).await? {
            return Ok(());
        }
        let step = attached.step;
        if let Some(bytes) = pushed.manifest(step.digest).await? {
            let name = name_of(&step.target, step.digest);
            let (client, registry) = (harbor.client(), harbor.registry());
            client
                .push_manifest(registry, &step.repository, &name, &step.media_type, bytes)
                .await
                .map_err(|source| failed(attached, source))?;
            if is_attached(harbor, attached).await? {
                return Ok(());
            }
        }
        Err(PushError::NotAttached {
            repository: attached.step.repository.clone(),
            accessory: attached.accessory,
            subject: attached.subject,
        })
    });
    // Collected, for the closure's lifetimes are not general enough to be held across an await.
    futures_util::stream::iter(all.collect::<Vec<_>>()).buffer_unordered(jobs.max(1)).try_collect().await
}

async fn is_attached(harbor: &Harbor, attached: &ExpectedAccessory<'_>) -> Result<bool, PushError> {
    let target = &attached.step.target;
    let name = Name::Digest(attached.subject);
    let found = harbor.artifact(&target.project, &target.repository, &name).await;
    let subject = found.map_err(|source| failed(attached, source))?;
    Ok(subject.is_some_and(|subject| subject.accessories.iter().any(|it| it.digest == attached.accessory)))
}

fn failed(attached: &ExpectedAccessory<'_>, source: bundle_registry::Error) -> PushError {
    let name = attached.accessory.to_string();
    PushError::Manifest { name, repository: attached.step.repository.clone(), source }
}
