//! Labels and the artifacts that carry them. Takes rows of the API; gives them as Harbor keeps them: unique by name
//! within a project, and gone from an artifact that is removed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{Code, Refusal};
use super::clock::Time;
use super::switches::Switches;

/// Harbor `pkg/label/model/model.go`; the columns are `varchar(128)` and `varchar(16)`.
const LONGEST_NAME: usize = 128;
const LONGEST_COLOR: usize = 16;

/// All labels, and who carries them (`label_reference`).
#[derive(Debug, Default)]
pub(super) struct Labels {
    rows: BTreeMap<i64, Label>,
    /// Label and artifact, by their numbers.
    references: BTreeSet<(i64, i64)>,
}

#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) color: String,
    /// None for one of the whole system.
    pub(super) project: Option<i64>,
    pub(super) created: Time,
    pub(super) updated: Time,
}

impl Label {
    pub(super) fn written(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "color": self.color,
            "scope": if self.project.is_some() { "p" } else { "g" },
            "project_id": self.project.unwrap_or(0),
            "creation_time": self.created.to_string(),
            "update_time": self.updated.to_string(),
        })
    }
}

impl Labels {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Label> {
        self.rows.values()
    }

    pub(super) fn get(&self, id: i64) -> Result<&Label, Refusal> {
        self.rows.get(&id).ok_or_else(|| Refusal::not_found(format!("label {id} not found")))
    }

    /// The name is unique in its scope (`unique_label`). A column that is too short is the database's error; only a
    /// change of a label is checked before (`Valid`).
    pub(super) fn insert(&mut self, label: Label) -> Result<i64, Refusal> {
        if self.iter().any(|it| it.name == label.name && it.project == label.project) {
            return Err(Refusal::new(Code::Conflict, format!("label {} already exists", label.name)));
        }
        if label.name.len() > LONGEST_NAME || label.color.len() > LONGEST_COLOR {
            return Err(Refusal::new(Code::Unknown, "value too long for type character varying"));
        }
        let id = label.id;
        self.rows.insert(id, label);
        Ok(id)
    }

    pub(super) fn update(&mut self, changed: Label) -> Result<(), Refusal> {
        if changed.name.is_empty() {
            return Err(Refusal::bad_request("cannot be empty"));
        }
        if changed.name.len() > LONGEST_NAME {
            return Err(Refusal::bad_request("max length is 128"));
        }
        let same =
            |it: &Label| it.id != changed.id && it.name == changed.name && it.project == changed.project;
        if self.iter().any(same) {
            return Err(Refusal::new(Code::Conflict, format!("label {} already exists", changed.name)));
        }
        self.rows.insert(changed.id, changed);
        Ok(())
    }

    pub(super) fn remove(&mut self, id: i64) {
        self.references.retain(|(label, _)| *label != id);
        self.rows.remove(&id);
    }

    pub(super) fn add_to(&mut self, label: i64, artifact: i64) -> Result<(), Refusal> {
        if !self.references.insert((label, artifact)) {
            let message = format!("label {label} is already added to the artifact {artifact}");
            return Err(Refusal::new(Code::Conflict, message));
        }
        Ok(())
    }

    pub(super) fn remove_from(&mut self, label: i64, artifact: i64) -> Result<(), Refusal> {
        if !self.references.remove(&(label, artifact)) {
            let message = format!("reference with label {label} and artifact {artifact} not found");
            return Err(Refusal::not_found(message));
        }
        Ok(())
    }

    pub(super) fn has(&self, label: i64, artifact: i64) -> bool {
        self.references.contains(&(label, artifact))
    }

    pub(super) fn of(&self, artifact: i64) -> impl Iterator<Item = &Label> {
        self.iter().filter(move |label| self.has(label.id, artifact))
    }

    /// A project's labels go with it.
    pub(super) fn forget_project(&mut self, project: i64) {
        self.rows.retain(|_, label| label.project != Some(project));
        self.references.retain(|(label, _)| self.rows.contains_key(label));
    }

    /// Takes all labels from an artifact that goes (Harbor `controller/artifact deleteDeeply`).
    pub(super) fn forget_artifact(&mut self, artifact: i64) {
        self.references.retain(|(_, it)| *it != artifact);
    }
}

/// Labels.
impl Switches {
    /// The names of an artifact's labels, sorted.
    pub fn labels(&self, repository: &str, reference: &str) -> Vec<String> {
        self.state(|state| {
            let artifact = state.artifact(repository, reference).map(|artifact| artifact.id);
            sorted(artifact.into_iter().flat_map(|id| state.labels.of(id)))
        })
    }

    /// The names of a project's labels, sorted.
    pub fn project_labels(&self, project: &str) -> Vec<String> {
        self.state(|state| {
            let project = state.project_named(project).map(|project| project.id);
            sorted(state.labels.iter().filter(|label| label.project.is_some() && label.project == project))
        })
    }

    /// Makes a label of a project and gives it to an artifact, as people do.
    pub fn label(&self, repository: &str, reference: &str, name: &str) {
        self.state(|state| {
            let project = state.project_of(repository).expect("the project is there").id;
            let (id, now) = (state.next_id(), state.now());
            let (name, description, color) = (name.to_owned(), String::new(), String::new());
            let label =
                Label { id, name, description, color, project: Some(project), created: now, updated: now };
            let artifact = state.artifact(repository, reference).expect("the artifact is there").id;
            state.labels.insert(label).and_then(|id| state.labels.add_to(id, artifact)).expect("a new name");
        });
    }
}

fn sorted<'a>(labels: impl Iterator<Item = &'a Label>) -> Vec<String> {
    let mut names: Vec<String> = labels.map(|label| label.name.clone()).collect();
    names.sort();
    names
}
