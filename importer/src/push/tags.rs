//! Sets the tags of a bundle of which all else is in place, and looks at each of them again.
//! Takes proof that all is in place, gives the tags that were set.

use std::sync::Arc;

use bundle_format::Graph;
use bundle_oci::{Digest, Tag};
use bundle_registry::{Name, Refusal};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::push::failures::Failures;
use crate::push::manifest_bytes::ManifestBytes;
use crate::push::rate_limit::RateLimit;
use crate::{DeliveryOptions, Destination, ImportPlan, PushError, Report, Step};

/// All blobs and manifests of a plan are verified and in place at its destination. Only
/// [`push`](crate::push()) makes one, of the plan that it carried out, and without one no tag is moved.
#[derive(Debug)]
pub struct Pushed {
    pub(super) destination: Arc<dyn Destination>,
    pub(super) plan: ImportPlan,
    pub(super) graph: Graph,
    pub(super) manifests: ManifestBytes,
    pub(super) report: Report,
    pub(super) rate_limit: RateLimit,
    pub(super) small_jobs: usize,
}

impl Pushed {
    /// The plan that was executed.
    pub fn plan(&self) -> &ImportPlan {
        &self.plan
    }

    /// The graph of the bundle's manifests.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The bytes of a manifest of the bundle; none if it has no such manifest.
    ///
    /// # Errors
    /// [`PushError::Damage`]: the file changed since it was opened.
    pub async fn manifest(&self, digest: Digest) -> Result<Option<Bytes>, PushError> {
        Ok(self.manifests.of(digest).await?.map(|held| held.bytes))
    }

    /// Sets the tags, and looks at each of them again. Then what belongs to something is attached to
    /// it, in the destination's way.
    ///
    /// # Errors
    /// Any [`PushError`]; a second import sets the rest.
    pub async fn set_tags(mut self, options: &DeliveryOptions) -> Result<Tagged, PushError> {
        let jobs = self.small_jobs;
        let failures = Failures::new(options.on_failure);
        let (pushed, noted) = (&self, &failures);
        futures_util::stream::iter(pushed.plan.steps.iter().filter(|step| step.decision.is_push()))
            .map(|step| async move {
                let Some(tag) = &step.target.tag else { return Ok(()) };
                let Some(held) = pushed.manifests.of(step.digest).await? else { return Ok(()) };
                let set = pushed.set_tag(step, tag, held.bytes.clone()).await;
                set.or_else(|error| noted.note(step.digest, &step.repository, error))
            })
            .buffer_unordered(jobs.max(1))
            .try_collect::<()>()
            .await?;
        let unstored = failures.omit(&mut self.plan, &self.graph);
        self.report.pushed -= unstored.len();
        self.report.unstored.extend(unstored);
        self.destination.attach(&self, jobs).await?;
        Ok(Tagged { report: self.report, plan: self.plan, graph: self.graph })
    }

    /// Sets one tag, and looks at it again.
    async fn set_tag(&self, step: &Step, tag: &Tag, bytes: Bytes) -> Result<(), PushError> {
        let destination = &*self.destination;
        let failed = |source| PushError::Manifest {
            name: tag.to_string(),
            repository: step.repository.clone(),
            source,
        };
        let name = Name::Tag(tag.clone());
        let permit = self.rate_limit.enter(&step.repository).await;
        let set = destination.put_manifest(&step.repository, &name, &step.media_type, bytes).await;
        drop(permit);
        let found = destination.digest_at(&step.target, step.digest).await;
        match set {
            Ok(()) => {}
            // Another import may have set it since the plan was made.
            Err(error) if error.refusal() == Some(Refusal::ImmutableTag) => {
                if !matches!(found, Ok(Some(found)) if found == step.digest) {
                    return Err(failed(error));
                }
            }
            Err(error) => return Err(failed(error)),
        }
        match found.map_err(failed)? {
            Some(found) if found == step.digest => {
                tracing::info!(target = %step.target, digest = %step.digest, "tag set");
                Ok(())
            }
            found => Err(PushError::Moved {
                target: step.target.to_string(),
                expected: step.digest,
                found: found.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
            }),
        }
    }
}

/// The artifacts that are in place under their tags, and those that are not.
#[derive(Debug)]
pub struct Tagged {
    /// The counts of the import.
    pub report: Report,
    /// The plan, in which what could not be stored is omitted.
    pub plan: ImportPlan,
    /// The graph of the bundle's manifests.
    pub graph: Graph,
}
