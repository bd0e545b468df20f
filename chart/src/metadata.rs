//! `Chart.yaml`: what a chart says of itself.
//! Takes a parsed document; gives [`Metadata`] or a [`MetadataError`].

use std::collections::BTreeMap;

use bundle_oci::Printable;

use crate::{Map, Value, Version};

/// The content of a `Chart.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The chart's name; inside a parent that gave it one, its alias.
    pub name: String,
    /// The chart's version.
    pub version: String,
    /// The version of what it installs; not always a version.
    pub app_version: String,
    /// `v1` or `v2`.
    pub api_version: String,
    /// A range of Kubernetes' versions; empty if any will do.
    pub kube_version: String,
    /// `application`, `library` or nothing, which is `application`.
    pub chart_type: String,
    /// One sentence.
    pub description: String,
    /// Whether it is no longer maintained.
    pub deprecated: bool,
    /// A web page.
    pub home: String,
    /// The address of a picture.
    pub icon: String,
    /// Where its sources are.
    pub sources: Vec<String>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// The maintainers.
    pub maintainers: Vec<Maintainer>,
    /// Helm reads this and does not use it.
    pub condition: String,
    /// Helm reads this and does not use it.
    pub tags: String,
    /// Annotations for tools other than Helm.
    pub annotations: BTreeMap<String, String>,
    /// The charts that it depends on.
    pub dependencies: Vec<Dependency>,
}

/// A maintainer of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// A web page.
    pub url: String,
}

/// A chart that another one depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependency {
    /// The name in its own `Chart.yaml`. Once the dependencies were processed, its alias.
    pub name: String,
    /// A range of versions.
    pub version: String,
    /// The repository's address; empty for a chart that lies in `charts/`.
    pub repository: String,
    /// Paths of values that switch it on and off, with commas between them.
    pub condition: String,
    /// Names under `tags` in the values that switch it on and off.
    pub tags: Vec<String>,
    /// Whether it is switched on; true only once the dependencies were processed.
    pub enabled: bool,
    /// The values that its parent imports from it.
    pub import_values: Vec<ImportValues>,
    /// Its name inside its parent, if it is another one.
    pub alias: String,
}

/// An entry of `import-values`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportValues {
    /// A table below `exports`.
    Export(String),
    /// A table anywhere, put somewhere else.
    Table {
        /// Where it is in the dependency's values.
        child: String,
        /// Where it goes in the parent's; `.` is the top.
        parent: String,
    },
}

/// A fault in a `Chart.yaml`, `requirements.yaml` or lock file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The file is no map.
    #[error("it is not a map")]
    NoMap,
    /// A field of the wrong type.
    #[error("field '{field}' must be {expected}")]
    Type {
        /// The field's path.
        field: String,
        /// The type that Helm expects.
        expected: &'static str,
    },
    /// A field that must be there.
    #[error("field '{0}' is missing")]
    Missing(&'static str),
    /// A name that Helm refuses.
    #[error("name '{}' is not allowed", Printable(.0))]
    Name(String),
    /// An invalid version.
    #[error("version '{}' is not a semantic version", Printable(.0))]
    Version(String),
    /// An unknown type of charts.
    #[error("type '{}' is neither application nor library", Printable(.0))]
    ChartType(String),
    /// An alias that Helm refuses.
    #[error("alias '{}' has characters that are not allowed", Printable(.0))]
    Alias(String),
    /// Two dependencies of one name.
    #[error("more than one dependency has the name or alias '{}'", Printable(.0))]
    Twice(String),
}

impl Metadata {
    /// Whether it is a library, which renders nothing by itself.
    pub fn is_library(&self) -> bool {
        self.chart_type.eq_ignore_ascii_case("library")
    }

    /// Reads a `Chart.yaml`.
    pub(crate) fn read(document: &Value) -> Result<Self, MetadataError> {
        let reader = Reader::of(document)?;
        let mut metadata = Self {
            name: reader.printable("name")?,
            version: reader.text("version")?,
            app_version: reader.printable("appVersion")?,
            api_version: reader.text("apiVersion")?,
            kube_version: reader.printable("kubeVersion")?,
            chart_type: reader.text("type")?,
            description: reader.printable("description")?,
            deprecated: reader.flag("deprecated")?,
            home: reader.printable("home")?,
            icon: reader.printable("icon")?,
            sources: reader.texts("sources")?,
            keywords: reader.texts("keywords")?,
            maintainers: reader.maintainers()?,
            condition: reader.printable("condition")?,
            tags: reader.printable("tags")?,
            annotations: reader.annotations()?,
            dependencies: reader.dependencies()?,
        };
        // Helm 2 made charts without it.
        if metadata.api_version.is_empty() {
            "v1".clone_into(&mut metadata.api_version);
        }
        Ok(metadata)
    }

    /// Whether Helm would take it.
    pub(crate) fn check(&self) -> Result<(), MetadataError> {
        for (field, text) in [("name", &self.name), ("version", &self.version)] {
            if text.is_empty() {
                return Err(MetadataError::Missing(field));
            }
        }
        if matches!(self.name.as_str(), "." | "..") || self.name.contains('/') {
            return Err(MetadataError::Name(self.name.clone()));
        }
        if self.version.parse::<Version>().is_err() {
            return Err(MetadataError::Version(self.version.clone()));
        }
        if !matches!(self.chart_type.as_str(), "" | "application" | "library") {
            return Err(MetadataError::ChartType(self.chart_type.clone()));
        }
        let mut names = std::collections::BTreeSet::new();
        for dependency in &self.dependencies {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if !dependency.alias.bytes().all(allowed) {
                return Err(MetadataError::Alias(dependency.alias.clone()));
            }
            if !names.insert(dependency.own_name()) {
                return Err(MetadataError::Twice(dependency.own_name().to_owned()));
            }
        }
        Ok(())
    }
}

impl Dependency {
    /// Its name inside its parent.
    pub fn own_name(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }
}

/// The `dependencies` of a `requirements.yaml` or of a lock; none if it has no such field.
pub(crate) fn read_dependencies(document: &Value) -> Result<Option<Vec<Dependency>>, MetadataError> {
    let reader = Reader::of(document)?;
    if reader.get("dependencies").is_none() {
        return Ok(None);
    }
    reader.dependencies().map(Some)
}

/// Takes typed fields out of a map, as Go's JSON does after Helm's reading of YAML: what is absent
/// or null is empty, and numbers and booleans are text where a text belongs.
struct Reader {
    map: Map,
    /// The path of the map, with a full stop at its end.
    path: String,
}

impl Reader {
    fn of(document: &Value) -> Result<Self, MetadataError> {
        match document {
            Value::Map(map) => Ok(Self { map: map.clone(), path: String::new() }),
            Value::Nil => Ok(Self { map: Map::new(), path: String::new() }),
            _ => Err(MetadataError::NoMap),
        }
    }

    fn get(&self, field: &str) -> Option<Value> {
        self.map.get(field).filter(|value| !value.is_nil())
    }

    fn wrong(&self, field: &str, expected: &'static str) -> MetadataError {
        MetadataError::Type { field: format!("{}{}", self.path, Printable(field)), expected }
    }

    fn text(&self, field: &str) -> Result<String, MetadataError> {
        match self.get(field) {
            None => Ok(String::new()),
            Some(value) => scalar_text(&value).ok_or_else(|| self.wrong(field, "a text")),
        }
    }

    /// Without what cannot be printed, as Helm cleans it.
    fn printable(&self, field: &str) -> Result<String, MetadataError> {
        self.text(field).map(|text| clean(&text))
    }

    fn flag(&self, field: &str) -> Result<bool, MetadataError> {
        match self.get(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.wrong(field, "true or false")),
        }
    }

    fn list(&self, field: &str) -> Result<Vec<Value>, MetadataError> {
        match self.get(field) {
            None => Ok(Vec::new()),
            Some(Value::List(list)) => Ok(list.to_vec()),
            Some(_) => Err(self.wrong(field, "a list")),
        }
    }

    fn texts(&self, field: &str) -> Result<Vec<String>, MetadataError> {
        let text = |(position, value): (usize, Value)| match scalar_text(&value) {
            Some(text) => Ok(clean(&text)),
            None => Err(self.wrong(&format!("{field}[{position}]"), "a text")),
        };
        self.list(field)?.into_iter().enumerate().map(text).collect()
    }

    /// The maps of a list, each as a reader of its own.
    fn readers(&self, field: &str) -> Result<Vec<Self>, MetadataError> {
        let reader = |(position, value): (usize, Value)| match value {
            Value::Map(map) => Ok(Self { map, path: format!("{}{field}[{position}].", self.path) }),
            _ => Err(self.wrong(&format!("{field}[{position}]"), "a map")),
        };
        self.list(field)?.into_iter().enumerate().map(reader).collect()
    }

    fn maintainers(&self) -> Result<Vec<Maintainer>, MetadataError> {
        let maintainer = |reader: &Self| {
            Ok(Maintainer {
                name: reader.printable("name")?,
                email: reader.printable("email")?,
                url: reader.printable("url")?,
            })
        };
        self.readers("maintainers")?.iter().map(maintainer).collect()
    }

    fn annotations(&self) -> Result<BTreeMap<String, String>, MetadataError> {
        let map = match self.get("annotations") {
            None => return Ok(BTreeMap::new()),
            Some(Value::Map(map)) => map,
            Some(_) => return Err(self.wrong("annotations", "a map")),
        };
        let annotation = |(key, value): (std::sync::Arc<str>, Value)| {
            let text = if value.is_nil() { Some(String::new()) } else { scalar_text(&value) };
            match text {
                Some(text) => Ok((key.to_string(), text)),
                None => Err(self.wrong(&format!("annotations.{key}"), "a text")),
            }
        };
        map.entries().into_iter().map(annotation).collect()
    }

    fn dependencies(&self) -> Result<Vec<Dependency>, MetadataError> {
        let dependency = |reader: &Self| {
            Ok(Dependency {
                name: reader.printable("name")?,
                version: reader.printable("version")?,
                repository: reader.printable("repository")?,
                condition: reader.printable("condition")?,
                tags: reader.texts("tags")?,
                enabled: false,
                import_values: reader.import_values()?,
                alias: reader.text("alias")?,
            })
        };
        self.readers("dependencies")?.iter().map(dependency).collect()
    }

    /// Entries of other types Helm skips.
    fn import_values(&self) -> Result<Vec<ImportValues>, MetadataError> {
        let entry = |value: Value| match value {
            Value::String(text) => Some(ImportValues::Export(text.to_string())),
            Value::Map(map) => {
                let text = |key| map.get(key).as_ref().and_then(scalar_text).unwrap_or_default();
                Some(ImportValues::Table { child: text("child"), parent: text("parent") })
            }
            _ => None,
        };
        Ok(self.list("import-values")?.into_iter().filter_map(entry).collect())
    }
}

/// A scalar where Helm wants a text.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Int(number, _) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

fn clean(text: &str) -> String {
    let spaced = |character: char| if character.is_whitespace() { ' ' } else { character };
    text.chars().map(spaced).filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn read(text: &str) -> Result<Metadata, MetadataError> {
        let metadata = Metadata::read(&crate::yaml::parse_values(text, &Limits::DEFAULT).unwrap())?;
        metadata.check().map(|()| metadata)
    }

    #[test]
    fn numbers_are_text_where_a_text_belongs() {
        let text = "name: a\nversion: 1.2.3\nappVersion: 1.10\nannotations: {date: 20240101, flag: yes}\ndeprecated: yes\n";
        let metadata = read(text).unwrap();
        assert_eq!(metadata.app_version, "1.1");
        assert_eq!(metadata.annotations["date"], "20240101");
        assert_eq!(metadata.annotations["flag"], "true");
        assert!(metadata.deprecated);
        assert_eq!(metadata.api_version, "v1");
    }

    #[test]
    fn what_helm_refuses_is_refused_with_its_field() {
        for (text, message) in [
            ("[]", "it is not a map"),
            ("version: 1.0.0", "field 'name' is missing"),
            ("name: a", "field 'version' is missing"),
            ("name: a/b\nversion: 1.0.0", "name 'a/b' is not allowed"),
            ("name: a\nversion: latest", "version 'latest' is not a semantic version"),
            ("name: a\nversion: 1.0.0\ntype: plugin", "type 'plugin' is neither application nor library"),
            ("name: a\nversion: 1.0.0\ndeprecated: no way", "field 'deprecated' must be true or false"),
            ("name: a\nversion: 1.0.0\nsources: [[]]", "field 'sources[0]' must be a text"),
            (
                "name: a\nversion: 1.0.0\ndependencies: [{name: [x]}]",
                "field 'dependencies[0].name' must be a text",
            ),
            (
                "name: a\nversion: 1.0.0\ndependencies: [{name: x, alias: a.b}]",
                "alias 'a.b' has characters that are not allowed",
            ),
            (
                "name: a\nversion: 1.0.0\ndependencies: [{name: x}, {name: y, alias: x}]",
                "more than one dependency has the name or alias 'x'",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
