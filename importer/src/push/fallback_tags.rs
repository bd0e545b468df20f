//! Lists what belongs to something under its subject's tag, where a registry has no referrers API
//! (distribution-spec v1.1 §Referrers tag schema).

use std::collections::BTreeMap;

use bundle_format::{Graph, Node};
use bundle_oci::{Digest, Manifest, MediaType, Registry, RepositoryName};
use bundle_registry::{Client, Error, Name, ReferrerList};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::plan::children_first;
use crate::{ImportPlan, PushError};

/// Lists accessories under their subject's tag, in registries that have no referrers API. Listed entries
/// stay, and accessories that an earlier import pushed and did not list are added.
pub(crate) async fn list(
    client: &Client,
    registry: &Registry,
    plan: &ImportPlan,
    graph: &Graph,
    jobs: usize,
) -> Result<(), PushError> {
    let mut repositories: BTreeMap<RepositoryName, Vec<(Digest, Digest)>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.decision.is_in_place()) {
        for digest in children_first(graph, step.digest) {
            let subject = graph.manifests.get(&digest).and_then(|node| node.manifest.subject());
            if let Some(subject) = subject {
                repositories.entry(step.repository.clone()).or_default().push((digest, subject.digest));
            }
        }
    }
    futures_util::stream::iter(repositories)
        .map(|(repository, referrers)| async move {
            // One after the other: each reads the list that the one before wrote.
            for (digest, subject) in referrers {
                let failed = |source| PushError::Manifest {
                    name: digest.to_string(),
                    repository: repository.clone(),
                    source,
                };
                let Some(node) = graph.manifests.get(&digest) else { continue };
                let known = client.referrers(registry, &repository, subject).await.map_err(failed)?;
                if !matches!(known, ReferrerList::Listed(_) | ReferrerList::Partly { .. }) {
                    list_by_tag(client, registry, &repository, digest, node.size, node)
                        .await
                        .map_err(failed)?;
                }
            }
            Ok(())
        })
        .buffer_unordered(jobs.max(1))
        .try_collect()
        .await
}

/// Adds a manifest to the index of its subject's referrers, for a registry that keeps no such list
/// itself (distribution-spec §Pushing Manifests with Subject, the client's part).
async fn list_by_tag(
    client: &Client,
    registry: &Registry,
    repository: &RepositoryName,
    digest: Digest,
    size: u64,
    node: &Node,
) -> Result<(), Error> {
    let Some(subject) = node.manifest.subject() else {
        return Ok(());
    };
    let misbehaved = |what: &str| Error::Misbehaved { host: registry.to_string(), what: what.to_owned() };
    let tag = format!("sha256-{}", subject.digest.hex());
    let name = Name::Tag(tag.parse().map_err(|_| misbehaved("a digest makes no tag"))?);
    let media_type: MediaType = MediaType::IMAGE_INDEX.parse().map_err(|_| misbehaved("no media type"))?;
    let mut index = match client.manifest_info(registry, repository, &name).await? {
        Some(_) => {
            let found = client.manifest(registry, repository, &name).await?;
            match Manifest::parse(&found.bytes, &found.media_type) {
                Ok(Manifest::Index(index)) => {
                    if index.children.iter().any(|child| child.descriptor.digest == digest) {
                        return Ok(());
                    }
                    serde_json::from_slice(&found.bytes)
                        .map_err(|_| misbehaved("its referrers are not valid"))?
                }
                _ => return Err(misbehaved("the tag of its referrers is something else")),
            }
        }
        None => json!({"schemaVersion": 2, "mediaType": MediaType::IMAGE_INDEX, "manifests": []}),
    };
    let mut descriptor = json!({"mediaType": node.media_type, "digest": digest, "size": size});
    if let Manifest::Image(image) = &node.manifest {
        descriptor["artifactType"] = json!(image.kind());
        if !image.annotations.is_empty() {
            descriptor["annotations"] = json!(*image.annotations);
        }
    }
    if let Some(Value::Array(manifests)) = index.get_mut("manifests") {
        manifests.push(descriptor);
    }
    let bytes = serde_json::to_vec(&index).map_err(|_| misbehaved("its referrers cannot be written"))?;
    client.push_manifest(registry, repository, &name, &media_type, Bytes::from(bytes)).await.map(drop)
}
