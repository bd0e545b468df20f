//! Sets the tags of a bundle of which all else is in place, and looks at each of them again.

use std::collections::HashMap;

use bundle_format::{Graph, Statement};
use bundle_oci::Digest;
use bundle_registry::{Name, Refusal};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::push::referrers;
use crate::site::accessory;
use crate::site::rate_limit::Rooms;
use crate::{Decision, Destination, ImportPlan, PushError, Report};

/// All blobs and manifests of a bundle are verified and in place. Only [`push`](crate::push()) makes one, and without
/// one no tag is moved.
#[derive(Debug)]
pub struct Pushed {
    pub(super) statement: Statement,
    pub(super) graph: Graph,
    pub(super) manifests: HashMap<Digest, Bytes>,
    pub(super) report: Report,
    pub(super) rooms: Rooms,
}

impl Pushed {
    /// Sets the tags, and looks at each of them again. Then what belongs to something is attached to it:
    /// a Harbor does so itself, which is looked at; elsewhere it is listed under its subject's tag.
    ///
    /// # Errors
    /// Any [`PushError`]; a second import sets the rest.
    pub async fn set_tags(
        self,
        plan: &ImportPlan,
        destination: &Destination,
        jobs: usize,
    ) -> Result<Report, PushError> {
        let moves =
            plan.steps.iter().filter(|step| matches!(step.decision, Decision::Push | Decision::Move(_)));
        let pushed = &self;
        futures_util::stream::iter(moves)
            .map(|step| async move {
                let artifact = &pushed.statement.artifacts[step.artifact];
                let bytes = pushed.manifests.get(&artifact.digest);
                let (Some(tag), Some(bytes)) = (&artifact.target.tag, bytes) else {
                    return Ok(());
                };
                let failed = |source| PushError::Manifest {
                    name: tag.to_string(),
                    repository: step.repository.clone(),
                    source,
                };
                let (name, repository) = (Name::Tag(tag.clone()), &step.repository);
                let (client, registry) = (destination.client(), destination.registry());
                let room = pushed.rooms.enter(repository).await;
                let set = client
                    .push_manifest(registry, repository, &name, &artifact.media_type, bytes.clone())
                    .await;
                drop(room);
                let found = destination.digest_at(&artifact.target, artifact.digest).await;
                match set {
                    Ok(_) => {}
                    // Another import may have set it since the plan was made.
                    Err(error) if error.refusal() == Some(Refusal::ImmutableTag) => {
                        if !matches!(found, Ok(Some(found)) if found == artifact.digest) {
                            return Err(failed(error));
                        }
                    }
                    Err(error) => return Err(failed(error)),
                }
                match found.map_err(failed)? {
                    Some(found) if found == artifact.digest => Ok(()),
                    found => Err(PushError::Moved {
                        target: artifact.target.to_string(),
                        expected: artifact.digest,
                        found: found.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
                    }),
                }
            })
            .buffer_unordered(jobs.max(1))
            .try_collect::<()>()
            .await?;
        if let Destination::Plain { client, registry } = destination {
            referrers::list(client, registry, plan, &self.statement, &self.graph, jobs).await?;
        }
        if let Destination::Harbor(harbor) = destination {
            let attached = accessory::attached(destination, plan, &self.statement, &self.graph).collect();
            accessory::attach(harbor, attached, &self.manifests, jobs).await?;
        }
        Ok(self.report)
    }
}
