//! Removal of tags and artifacts (Harbor's `src/server/v2.0/handler/artifact.go`, DeleteTag and DeleteArtifact).
//! Takes what is to go, gives whether it went; Harbor itself keeps immutable tags and what others refer to.

use bundle_oci::{Digest, ProjectName, RepositoryName, Tag};
use bundle_registry::{Error, Method};

use crate::Harbor;
use crate::client::encoded;

/// What became of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It was removed.
    Done,
    /// It was not there any more, or the tag is another artifact's now.
    Gone,
    /// Harbor keeps it, in its words: a tag is immutable, or another artifact refers to it.
    Kept(String),
}

impl Harbor {
    /// Removes a tag from the artifact with this digest. A tag that was moved to another artifact stays: Harbor looks
    /// it up among the tags of the artifact.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to delete tags.
    pub async fn remove_tag(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
        digest: Digest,
        tag: &Tag,
    ) -> Result<Removed, Error> {
        let path =
            format!("/projects/{project}/repositories/{}/artifacts/{digest}/tags/{tag}", encoded(repository));
        self.remove(&path, &format!("remove the tag {project}/{repository}:{tag}")).await
    }

    /// Removes an artifact with the tags that it has, the accessories that are attached to it, and the children that
    /// have no tag and no other parent (controller/artifact, deleteDeeply).
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to delete artifacts.
    pub async fn remove_artifact(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<Removed, Error> {
        let path = format!("/projects/{project}/repositories/{}/artifacts/{digest}", encoded(repository));
        self.remove(&path, &format!("remove {project}/{repository}@{digest}")).await
    }

    async fn remove(&self, path: &str, doing: &str) -> Result<Removed, Error> {
        match self.call(Method::Delete, path, doing, None::<&()>).await {
            Ok(_) => Ok(Removed::Done),
            Err(error) => match error.status() {
                Some(404) => Ok(Removed::Gone),
                // PRECONDITION and VIOLATE_FOREIGN_KEY_CONSTRAINT (its lib/http/error.go).
                Some(412) => Ok(Removed::Kept(error.to_string())),
                _ => Err(error),
            },
        }
    }
}
