//! Value sets that charts are rendered with in `sets/*.txt`.
//! Used by the golden tests and by the oracle (`scripts/helm-oracle`).

use bundle_chart::{Purpose, RenderOptions, Value, ValueSet};
use bundle_oci::Digest;

/// One way to render a chart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) set: Vec<String>,
    pub(crate) set_json: Vec<String>,
    pub(crate) kube_version: Option<String>,
    pub(crate) api_versions: Vec<String>,
}

pub(crate) const RELEASE: &str = "release-name";

impl Case {
    /// The chart's defaults, and the cases of a text: lines of `name set|json|kube|api TEXT`; all
    /// lines with one name are one case.
    pub(crate) fn all(text: &str) -> Vec<Self> {
        let mut cases = vec![Self { name: "defaults".to_owned(), ..Self::default() }];
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.splitn(3, ' ');
            let (name, kind, text) = match (words.next(), words.next(), words.next()) {
                (Some(name), Some(kind), Some(text)) => (name, kind, text.to_owned()),
                _ => panic!("{line:?} is not NAME set|json|kube|api TEXT"),
            };
            if cases.last().is_none_or(|last| last.name != name) {
                cases.push(Self { name: name.to_owned(), ..Self::default() });
            }
            let case = cases.last_mut().expect("one was pushed");
            match kind {
                "set" => case.set.push(text),
                "json" => case.set_json.push(text),
                "kube" => case.kube_version = Some(text),
                "api" => case.api_versions.push(text),
                _ => panic!("{line:?} is not NAME set|json|kube|api TEXT"),
            }
        }
        cases
    }

    pub(crate) fn value_set(&self) -> ValueSet {
        ValueSet {
            name: self.name.clone(),
            purpose: Purpose::Install,
            set: self.set.clone(),
            set_json: self.set_json.clone(),
            ..ValueSet::default()
        }
    }

    pub(crate) fn options(&self) -> RenderOptions {
        let kube_version =
            self.kube_version.as_ref().map(|text| text.parse().expect("a version of Kubernetes"));
        RenderOptions {
            release_name: Some(RELEASE.to_owned()),
            kube_version: kube_version.unwrap_or_default(),
            api_versions: self.api_versions.clone(),
            ..RenderOptions::default()
        }
    }
}

/// The digest of a document, however it is written.
pub(crate) fn digest(document: &Value) -> String {
    fn tree(value: &Value) -> serde_json::Value {
        match value {
            Value::Bool(flag) => (*flag).into(),
            Value::Int(number, _) => (*number as f64).into(),
            Value::Float(number) => (*number).into(),
            Value::String(text) => (&**text).into(),
            Value::List(list) => list.iter().map(tree).collect(),
            Value::Map(map) => {
                map.entries().iter().map(|(key, value)| (key.to_string(), tree(value))).collect()
            }
            _ => serde_json::Value::Null,
        }
    }
    Digest::of(tree(document).to_string().as_bytes()).short()
}
