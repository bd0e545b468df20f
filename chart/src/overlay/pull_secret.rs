//! Gives all pods of a chart a pull secret.
//! Takes an [`Overlay`] and a secret's name; changes the overlay and gives the workloads that no value reaches.

use std::collections::BTreeSet;

use super::edit::{at, each, keys};
use super::{Overlay, OverlayError};
use crate::discover::Step;
use crate::{Document, List, ListType, Map, Origin, Rendering, Value};

impl Overlay<'_> {
    /// Gives all pods that the chart makes a pull secret, in the field and form that the chart takes. Secrets
    /// that values name already stay. Returned are the workloads that no value gives one, by file, kind and
    /// name.
    ///
    /// # Errors
    /// Only [`OverlayError::Trials`].
    pub fn pull_secret(&mut self, name: &str) -> Result<Vec<String>, OverlayError> {
        let mut fields: Vec<Vec<Step>> = vec![keys("imagePullSecrets"), keys("global.imagePullSecrets")];
        each(&Value::Map(self.rendering.declared.clone()), &mut Vec::new(), &mut |path, _| {
            if let Some(Step::Key(key)) = path.last()
                && key.to_ascii_lowercase().contains("pullsecret")
                && path.iter().all(|step| matches!(step, Step::Key(_)))
                && !fields.iter().any(|known| known == path)
            {
                fields.push(path.to_vec());
            }
        });
        // Settings for all pods come before settings for each.
        fields.sort_by_key(Vec::len);
        for field in fields {
            let without = without(&self.rendering, name);
            if without.is_empty() {
                break;
            }
            let before = at(&self.rendering.declared, &field);
            for form in forms(name, before.as_ref()) {
                let Some(values) = self.put(&field, form) else { continue };
                let Some(rendering) = self.attempt(&values)? else { continue };
                if self::without(&rendering, name).len() < without.len() && is_sound(&rendering) {
                    self.take(values, rendering);
                    break;
                }
            }
        }
        Ok(without(&self.rendering, name).into_iter().collect())
    }
}

impl Overlay<'_> {
    /// The place of a Secret of this name that the chart makes and that no pod can pull with.
    pub fn secret_named(&self, name: &str) -> Option<String> {
        let label = format!("Secret/{name}");
        let pulls = |document: &Document| {
            let kind = document.value.as_map().and_then(|secret| secret.get("type"));
            kind.is_some_and(|kind| kind.as_str() == Some("kubernetes.io/dockerconfigjson"))
        };
        let mut secrets = self.rendering.documents.iter().filter(|document| document.label() == label);
        secrets.find(|document| !pulls(document)).map(|document| document.file.clone())
    }
}

/// The forms in which charts take secrets, beside those that are there already.
fn forms(name: &str, before: Option<&Value>) -> Vec<Value> {
    let object = || Value::Map(Map::from_iter([("name", Value::from(name))]));
    let known: Vec<Value> =
        before.and_then(Value::as_list).map(|list| list.iter().cloned().collect()).unwrap_or_default();
    let listed = |item: Value| {
        Value::List(List::new(known.iter().cloned().chain([item]).collect::<Vec<_>>(), ListType::Any))
    };
    let of_texts = known.first().is_some_and(|item| item.as_str().is_some());
    let mut forms = vec![listed(object()), listed(Value::from(name))];
    if of_texts {
        forms.reverse();
    }
    if known.is_empty() {
        forms.extend([Value::from(name), object()]);
    }
    forms
}

/// The workloads of a rendering whose pods do not have the secret, neither themselves nor by their
/// account.
fn without(rendering: &Rendering, name: &str) -> BTreeSet<String> {
    let accounts: BTreeSet<String> = rendering
        .documents
        .iter()
        .filter(|document| document.label().starts_with("ServiceAccount/"))
        .filter(|document| document.value.as_map().is_some_and(|account| has(account, name)))
        .map(Document::label)
        .collect();
    let has_secret = |pod: &Map| {
        let account = ["serviceAccountName", "serviceAccount"].iter().find_map(|key| pod.get(key));
        let account = account.and_then(|account| Some(format!("ServiceAccount/{}", account.as_str()?)));
        has(pod, name) || account.is_some_and(|account| accounts.contains(&account))
    };
    let mut found = BTreeSet::new();
    for document in &rendering.documents {
        for pod in pods(document) {
            if !has_secret(&pod) {
                found.insert(format!("{} {}", document.file, document.label()));
            }
        }
    }
    found
}

fn secrets(pod: &Map) -> Vec<Value> {
    let list = pod.get("imagePullSecrets");
    list.and_then(|list| Some(list.as_list()?.iter().cloned().collect())).unwrap_or_default()
}

fn has(pod: &Map, name: &str) -> bool {
    secrets(pod).iter().any(|secret| {
        secret
            .as_map()
            .and_then(|secret| secret.get("name"))
            .is_some_and(|found| found.as_str() == Some(name))
    })
}

/// Whether each secret of each pod is an object with a name.
fn is_sound(rendering: &Rendering) -> bool {
    let is_object = |secret: &Value| {
        secret.as_map().and_then(|secret| secret.get("name")).is_some_and(|name| name.as_str().is_some())
    };
    rendering.documents.iter().flat_map(pods).all(|pod| {
        pod.get("imagePullSecrets").is_none_or(|list| list.as_list().is_some() || list.is_nil())
            && secrets(&pod).iter().all(is_object)
    })
}

/// The specifications of pods in a document.
pub(super) fn pods(document: &Document) -> Vec<Map> {
    if document.origin == Origin::Definition || document.label().starts_with("CustomResourceDefinition") {
        return Vec::new();
    }
    let mut found = Vec::new();
    each(&document.value, &mut Vec::new(), &mut |_, value| {
        let is_pod = |map: &&Map| map.get("containers").is_some_and(|list| list.as_list().is_some());
        found.extend(value.as_map().filter(is_pod).cloned());
    });
    found
}
