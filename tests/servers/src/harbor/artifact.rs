//! Harbor's rows for a manifest that was pushed: an artifact, its tags, its accessories. Takes manifest,
//! repository and tag; gives the artifact's row, its children, and whose accessory it is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::{Code, Refusal};
use super::clock::Time;
use super::document::{Document, config_kind, is_index};
use super::server::Core;
use super::state::{Accessory, Artifact, Reference, Repository, State, Tag, project_part};

/// The layer that makes a manifest a signature of cosign's (Harbor `middleware/cosign`).
const COSIGN_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The largest config that is looked into.
const CONFIG_LIMIT: u64 = 8 << 20;

impl State {
    /// Whether the tag is there and a rule keeps it where it is.
    pub(super) fn is_immutable_tag(&self, repository: &str, tag: &str) -> bool {
        self.repositories.get(repository).is_some_and(|found| {
            found.tags.contains_key(tag)
                && self.projects.get(&found.project).is_some_and(|p| p.is_immutable(found.short_name(), tag))
        })
    }

    /// Notes a pull, as the event does that follows a `GET`.
    pub(super) fn count_pull(&mut self, repository: &str, reference: &str, digest: &str) {
        let now = self.now();
        let Some(repository) = self.repositories.get_mut(repository) else { return };
        repository.pulls += 1;
        if let Some(artifact) = repository.artifacts.get_mut(digest) {
            artifact.pulls += 1;
            artifact.pulled = now;
        }
        if let Some(tag) = repository.tags.get_mut(reference) {
            tag.pulled = now;
        }
    }

    /// Makes the artifact of a stored manifest, creating its repository if needed, and points the tag to it
    /// (Harbor `controller/artifact Ensure`). On an error nothing was changed.
    pub(super) fn ensure_artifact(
        &mut self,
        core: &Core,
        repository: &str,
        digest: &str,
        document: &Document,
        tag: Option<&str>,
    ) -> Result<(), Refusal> {
        let new = match self.artifact(repository, digest) {
            Ok(_) => None,
            Err(_) => Some(self.abstracted(core, repository, digest, document)?),
        };
        self.ensure_repository(repository)?;
        if let Some(artifact) = new
            && let Some(found) = self.repositories.get_mut(repository)
        {
            found.updated = artifact.pushed;
            found.artifacts.insert(digest.to_owned(), artifact);
        }
        if let Some(tag) = tag {
            self.set_tag(repository, digest, tag);
        }
        self.take_blobs(repository, digest, document)?;
        self.link_accessories(repository, digest, document, tag);
        self.scan_automatically(repository, digest);
        Ok(())
    }

    /// Harbor `controller/artifact/abstractor.go`.
    fn abstracted(
        &mut self,
        core: &Core,
        repository: &str,
        digest: &str,
        document: &Document,
    ) -> Result<Artifact, Refusal> {
        let own_size = self.backend.manifest(repository, digest).map_or(0, |m| m.bytes.len() as u64);
        let mut size = own_size;
        let mut references = Vec::new();
        if is_index(&document.media_type) {
            for descriptor in &document.manifests {
                // It is in the registry, but may be missing in the database.
                let child = self.artifact(repository, &descriptor.digest)?;
                size = size.saturating_add(child.size);
                references.push(Reference {
                    child_id: child.id,
                    child_digest: child.digest.clone(),
                    platform: descriptor.platform.clone(),
                    annotations: descriptor.annotations.clone(),
                    urls: descriptor.urls.clone(),
                });
            }
        } else {
            size = document.references().fold(size, |sum, d| sum.saturating_add(d.size));
        }
        let media_type = document.artifact_media_type().to_owned();
        let artifact_type = match &document.artifact_type {
            Some(kind) => kind.clone(),
            None if is_index(&document.media_type) => String::new(),
            None => media_type.clone(),
        };
        Ok(Artifact {
            id: self.next_id(),
            digest: digest.to_owned(),
            kind: document.kind(),
            media_type,
            manifest_media_type: document.media_type.clone(),
            artifact_type,
            size,
            pushed: self.now(),
            pulled: Time::NEVER,
            pulls: 0,
            annotations: document.annotations.clone(),
            extra_attrs: extra_attributes(core, document)?,
            references,
            blobs: document.references().map(|d| d.digest.clone()).collect(),
        })
    }

    /// Points the tag to the artifact.
    pub(super) fn set_tag(&mut self, repository: &str, digest: &str, tag: &str) {
        let (id, now) = (self.next_id(), self.now());
        let Some(found) = self.repositories.get_mut(repository) else { return };
        let new = Tag { id, digest: digest.to_owned(), pushed: now, pulled: Time::NEVER };
        let known = found.tags.entry(tag.to_owned()).or_insert(new);
        if known.digest != digest {
            known.digest = digest.to_owned();
            known.pushed = now;
        }
        found.updated = now;
    }

    /// Rows for the manifest and all it names, and their association with the project (Harbor
    /// `middleware/blob/put_manifest.go`).
    fn take_blobs(&mut self, repository: &str, digest: &str, document: &Document) -> Result<(), Refusal> {
        for descriptor in document.references() {
            self.ensure_blob(&descriptor.digest, &descriptor.media_type, descriptor.size);
            if let Some(row) = self.blobs.get_mut(&descriptor.digest) {
                row.content_type.clone_from(&descriptor.media_type);
            }
            self.associate(repository, &descriptor.digest)?;
        }
        let size = self.backend.manifest(repository, digest).map_or(0, |m| m.bytes.len() as u64);
        self.ensure_blob(digest, &document.media_type, size);
        self.associate(repository, digest)
    }

    /// Signatures and referrers, whichever of the two comes first (Harbor `middleware/cosign`,
    /// `middleware/subject`).
    fn link_accessories(&mut self, repository: &str, digest: &str, document: &Document, tag: Option<&str>) {
        if let Some(subject) = &document.subject {
            let declared = document.artifact_type.as_deref().unwrap_or(document.artifact_media_type());
            let kind = match declared {
                "application/vnd.cncf.notary.signature" => "signature.notation",
                "application/vnd.dev.cosign.artifact.sig.v1+json"
                | "application/vnd.dev.sigstore.bundle.v0.3+json" => "signature.cosign",
                "application/vnd.goharbor.harbor.sbom.v1" => "sbom.harbor",
                _ => "subject.accessory",
            };
            self.add_accessory(repository, digest, kind, &subject.digest);
        }
        let signed = tag.and_then(|tag| tag.strip_prefix("sha256-")?.strip_suffix(".sig"));
        if let Some(hex) = signed
            && document.references().any(|d| d.media_type == COSIGN_LAYER)
        {
            self.add_accessory(repository, digest, "signature.cosign", &format!("sha256:{hex}"));
        }
        if let Ok(subject) = self.artifact(repository, digest) {
            let id = subject.id;
            for accessory in &mut self.accessories {
                if accessory.repository == repository && accessory.subject_digest == digest {
                    accessory.subject_id = id;
                }
            }
        }
    }

    fn add_accessory(&mut self, repository: &str, digest: &str, kind: &'static str, subject: &str) {
        let Ok(artifact) = self.artifact(repository, digest) else { return };
        let (artifact_id, size) = (artifact.id, artifact.size);
        let known =
            self.accessories.iter().any(|a| a.artifact_id == artifact_id && a.subject_digest == subject);
        if known {
            return;
        }
        let subject_id = self.artifact(repository, subject).map_or(0, |subject| subject.id);
        let (id, created) = (self.next_id(), self.now());
        self.accessories.push(Accessory {
            id,
            repository: repository.to_owned(),
            artifact_id,
            digest: digest.to_owned(),
            size,
            kind,
            subject_digest: subject.to_owned(),
            subject_id,
            created,
        });
    }

    /// Removes an artifact with its tags, accessories and otherwise unused children, and with the blobs that
    /// the project has no other use for (Harbor `controller/artifact deleteDeeply`).
    pub(super) fn delete_artifact(&mut self, repository: &str, reference: &str) -> Result<(), Refusal> {
        let artifact = self.artifact(repository, reference)?;
        let (id, digest) = (artifact.id, artifact.digest.clone());
        let found = self.repository(repository)?;
        if found.artifacts.values().any(|a| a.references.iter().any(|r| r.child_id == id)) {
            return Err(Refusal::new(Code::ForeignKey, "the deleting artifact is referenced by others"));
        }
        for tag in tags_of(found, &digest) {
            self.require_mutable(repository, &tag)?;
        }
        let project = self.project_of(repository)?.id;
        let mut gone = BTreeSet::new();
        self.remove_deeply(repository, &digest, &mut gone);
        self.release_blobs(project, gone);
        self.refresh_quota(project);
        Ok(())
    }

    pub(super) fn require_mutable(&self, repository: &str, tag: &str) -> Result<(), Refusal> {
        if self.is_immutable_tag(repository, tag) {
            let message = format!("the tag {tag} configured as immutable, cannot be deleted");
            return Err(Refusal::new(Code::Precondition, message));
        }
        Ok(())
    }

    fn remove_deeply(&mut self, repository: &str, digest: &str, gone: &mut BTreeSet<String>) {
        let Some(found) = self.repositories.get_mut(repository) else { return };
        let Some(artifact) = found.artifacts.remove(digest) else { return };
        self.labels.forget_artifact(artifact.id);
        found.tags.retain(|_, tag| tag.digest != digest);
        let orphans: Vec<String> = artifact
            .references
            .iter()
            .map(|reference| reference.child_digest.clone())
            .filter(|child| tags_of(found, child).is_empty())
            .filter(|child| {
                !found.artifacts.values().any(|a| a.references.iter().any(|r| r.child_digest == *child))
            })
            .collect();
        gone.insert(digest.to_owned());
        gone.extend(artifact.blobs);
        if !self.repositories.values().any(|repository| repository.artifacts.contains_key(digest)) {
            self.scanner.forget(digest);
        }
        let mut accessories = Vec::new();
        self.accessories.retain(|accessory| {
            let of_it = accessory.repository == repository
                && (accessory.subject_digest == digest || accessory.digest == digest);
            if of_it && accessory.digest != digest {
                accessories.push(accessory.digest.clone());
            }
            !of_it
        });
        for digest in accessories.into_iter().chain(orphans) {
            self.remove_deeply(repository, &digest, gone);
        }
    }

    /// Takes blobs from the project that no artifact of it needs.
    pub(super) fn release_blobs(&mut self, project: i64, gone: BTreeSet<String>) {
        let needed: BTreeSet<String> = self
            .repositories
            .values()
            .filter(|repository| repository.project == project)
            .flat_map(|repository| repository.artifacts.values())
            .flat_map(|artifact| artifact.blobs.iter().chain([&artifact.digest]))
            .cloned()
            .collect();
        if let Some(project) = self.projects.get_mut(&project) {
            project.blobs.retain(|digest, _| !gone.contains(digest) || needed.contains(digest));
        }
    }

    /// Copies an artifact with its children and accessories, and its tags, without moving a byte.
    pub(super) fn copy_artifact(
        &mut self,
        core: &Core,
        from: &str,
        reference: &str,
        to: &str,
    ) -> Result<(), Refusal> {
        let source = self.artifact(from, reference)?.clone();
        let tags = self.repository(from).map(|r| tags_of(r, &source.digest)).unwrap_or_default();
        for child in &source.references {
            self.copy_untagged(core, from, &child.child_digest, to)?;
        }
        self.copy_untagged(core, from, &source.digest, to)?;
        for accessory in self.accessories.clone() {
            if accessory.repository != from || accessory.subject_digest != source.digest {
                continue;
            }
            self.copy_untagged(core, from, &accessory.digest, to)?;
            self.add_accessory(to, &accessory.digest, accessory.kind, &accessory.subject_digest);
        }
        for tag in tags {
            self.set_tag(to, &source.digest, &tag);
        }
        let project = self.project_of(to)?.id;
        self.refresh_quota(project);
        Ok(())
    }

    fn copy_untagged(&mut self, core: &Core, from: &str, digest: &str, to: &str) -> Result<(), Refusal> {
        let Some(stored) = self.backend.manifest(from, digest).cloned() else {
            return Err(Refusal::not_found(format!("artifact {from}@{digest} not found")));
        };
        let document = Document::parse(&stored.media_type, &stored.bytes)
            .map_err(|error| Refusal::new(Code::ManifestInvalid, error))?;
        for descriptor in document.references() {
            if self.backend.has_link(from, &descriptor.digest) {
                self.backend.link(to, &descriptor.digest);
            }
        }
        self.backend.manifests.entry(to.to_owned()).or_default().insert(digest.to_owned(), stored);
        self.ensure_artifact(core, to, digest, &document, None)
    }

    /// Removes a repository with all its artifacts.
    pub(super) fn delete_repository(&mut self, name: &str) -> Result<(), Refusal> {
        let repository = self.repository(name)?;
        for tag in repository.tags.keys() {
            self.require_mutable(name, tag)?;
        }
        let project = repository.project;
        let gone: BTreeSet<String> = repository
            .artifacts
            .values()
            .flat_map(|artifact| artifact.blobs.iter().chain([&artifact.digest]))
            .cloned()
            .collect();
        self.repositories.remove(name);
        self.accessories.retain(|accessory| accessory.repository != name);
        self.release_blobs(project, gone);
        self.refresh_quota(project);
        Ok(())
    }

    /// Repositories of a project, by name.
    pub(super) fn repositories_in(&self, project: &str) -> impl Iterator<Item = &Repository> {
        self.repositories.values().filter(move |repository| project_part(&repository.name) == project)
    }
}

pub(super) fn tags_of(repository: &Repository, digest: &str) -> Vec<String> {
    repository.tags.iter().filter(|(_, tag)| tag.digest == digest).map(|(name, _)| name.clone()).collect()
}

/// The attributes that Harbor reads from the config. A config that is no JSON object, where one must be,
/// fails the push on the server's side.
fn extra_attributes(core: &Core, document: &Document) -> Result<Value, Refusal> {
    let Some(config) = &document.config else { return Ok(json!({})) };
    let is_chart = document.kind() == "CHART";
    if !document.is_image() && !is_chart && config_kind(&config.media_type).is_none() {
        return Ok(json!({}));
    }
    let Some((file, _)) = core.store.blob(&config.digest)? else { return Ok(json!({})) };
    let read: Value = serde_json::from_reader(std::io::Read::take(file, CONFIG_LIMIT))
        .map_err(|error| Refusal::new(Code::Unknown, error.to_string()))?;
    if !read.is_object() {
        return Err(Refusal::new(Code::Unknown, "the config is no object"));
    }
    if !document.is_image() {
        return Ok(read);
    }
    let mut attributes = json!({});
    for name in ["architecture", "author", "config", "created", "os"] {
        if let Some(value) = read.get(name).filter(|value| !value.is_null()) {
            attributes[name] = value.clone();
        }
    }
    Ok(attributes)
}
