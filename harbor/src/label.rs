//! Labels of a project and the artifacts that carry them (Harbor's `src/server/v2.0/handler/label.go` and
//! `handler/artifact.go`). Takes a project's number and names, gives labels, and gives them to artifacts.

use bundle_oci::{Digest, ProjectName, RepositoryName};
use bundle_registry::{Error, Method};
use serde::Deserialize;
use serde_json::json;

use crate::Harbor;
use crate::client::encoded;

/// A label of a project. Its name is unique there, and has at most 128 bytes (Harbor's `pkg/label/model`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// Harbor's number for it.
    pub id: i64,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The description that people read.
    #[serde(default)]
    pub description: String,
    /// Its color, such as `#0065AB`.
    #[serde(default)]
    pub color: String,
}

/// What became of a label that was given to an artifact, or taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// It was done.
    Done,
    /// It was so already.
    Already,
    /// There is no such artifact, or no such label.
    Gone,
}

#[derive(Deserialize)]
struct WireArtifact {
    digest: Digest,
    /// With the project before it.
    repository_name: String,
}

impl Harbor {
    /// The labels of the project with this number whose name contains `part`.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list them.
    pub async fn labels(&self, project: i64, part: &str) -> Result<Vec<Label>, Error> {
        let part = part.replace('%', "%25").replace(' ', "%20").replace('/', "%2F").replace('&', "%26");
        let path = format!("/labels?scope=p&project_id={project}&name={part}");
        self.list(&path, "list the labels of a project").await
    }

    /// Makes a label in the project with this number. An existing one of the name is given back as it is.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right.
    pub async fn create_label(&self, project: i64, new: &Label) -> Result<Label, Error> {
        let body = json!({
            "name": new.name, "description": new.description, "color": new.color,
            "scope": "p", "project_id": project,
        });
        let doing = format!("make the label '{}'", new.name);
        match self.call(Method::Post, "/labels", &doing, Some(&body)).await {
            Ok(_) => {}
            Err(error) if error.status() == Some(409) => {}
            Err(error) => return Err(error),
        }
        let found = self.labels(project, &new.name).await?;
        let found = found.into_iter().find(|label| label.name == new.name);
        found.ok_or_else(|| {
            self.misbehaved(format!("it does not list the label '{}', which it made", new.name))
        })
    }

    /// Changes a label's name, description and color, for all artifacts that carry it.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right, 409 if another label has the name.
    pub async fn update_label(&self, label: &Label) -> Result<(), Error> {
        let body = json!({"name": label.name, "description": label.description, "color": label.color});
        let doing = format!("change the label '{}'", label.name);
        self.call(Method::Put, &format!("/labels/{}", label.id), &doing, Some(&body)).await.map(drop)
    }

    /// Removes a label from all artifacts and from its project. One that is gone is no error.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right.
    pub async fn remove_label(&self, label: &Label) -> Result<(), Error> {
        let doing = format!("remove the label '{}'", label.name);
        match self.call(Method::Delete, &format!("/labels/{}", label.id), &doing, None::<&()>).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(404) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a label to an artifact.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right.
    pub async fn add_label(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
        digest: Digest,
        label: &Label,
    ) -> Result<Labelled, Error> {
        let doing = format!("give {project}/{repository}@{digest} the label '{}'", label.name);
        let path =
            format!("/projects/{project}/repositories/{}/artifacts/{digest}/labels", encoded(repository));
        match self.call(Method::Post, &path, &doing, Some(&json!({"id": label.id}))).await {
            Ok(_) => Ok(Labelled::Done),
            Err(error) if error.status() == Some(409) => Ok(Labelled::Already),
            Err(error) if error.status() == Some(404) => Ok(Labelled::Gone),
            Err(error) => Err(error),
        }
    }

    /// Takes a label from an artifact.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right.
    pub async fn take_label(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
        digest: Digest,
        label: &Label,
    ) -> Result<Labelled, Error> {
        let doing = format!("take the label '{}' from {project}/{repository}@{digest}", label.name);
        let path = format!(
            "/projects/{project}/repositories/{}/artifacts/{digest}/labels/{}",
            encoded(repository),
            label.id
        );
        match self.call(Method::Delete, &path, &doing, None::<&()>).await {
            Ok(_) => Ok(Labelled::Done),
            Err(error) if error.status() == Some(404) => Ok(Labelled::Gone),
            Err(error) => Err(error),
        }
    }

    /// The artifacts of a project that carry a label, by repository and digest (Harbor's `handler/project.go`,
    /// ListArtifactsOfProject, since 2.11).
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list artifacts, 404 from an older Harbor.
    pub async fn labelled(
        &self,
        project: &ProjectName,
        label: &Label,
    ) -> Result<Vec<(RepositoryName, Digest)>, Error> {
        let query = format!("q=labels%3D({}),base%3D*&with_tag=false&with_accessory=false", label.id);
        let path = format!("/projects/{project}/artifacts?{query}");
        let doing = format!("list the artifacts of {project} with the label '{}'", label.name);
        let found: Vec<WireArtifact> = self.list(&path, &doing).await?;
        let inside = |name: &str| {
            let rest = name.strip_prefix(project.as_str()).and_then(|rest| rest.strip_prefix('/'));
            rest.and_then(|name| name.parse().ok())
        };
        let place = |artifact: WireArtifact| match inside(&artifact.repository_name) {
            Some(repository) => Ok((repository, artifact.digest)),
            None => Err(self.misbehaved(format!(
                "{} is not a repository of the project {project}",
                bundle_oci::Printable(&artifact.repository_name)
            ))),
        };
        found.into_iter().map(place).collect()
    }
}
