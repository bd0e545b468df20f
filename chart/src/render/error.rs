use bundle_oci::Printable;

use crate::values::{SchemaError, ValuesError};
use crate::yaml::YamlError;
use crate::{KubeVersion, MissingDependency, template};

/// Why a chart does not render.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The values that were given.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// Values that the chart does not allow.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A single value where the values of a chart inside belong.
    #[error("values: {} is no table, and a chart inside has its values there", Printable(.0))]
    NoTable(String),
    /// Charts that are depended on and not there.
    #[error("{}", missing(.0))]
    Missing(Vec<MissingDependency>),
    /// A library, which renders nothing.
    #[error("it is a library for other charts, and installs nothing")]
    Library,
    /// A chart for other versions of Kubernetes.
    #[error("it is made for Kubernetes {}, and not for {given}", Printable(.wanted))]
    KubeVersion {
        /// The chart's range.
        wanted: String,
        /// The version that it was rendered for.
        given: KubeVersion,
    },
    /// A template.
    #[error("{}:{}: {}", Printable(&.error.template), .error.line, Printable(&.error.message))]
    Template {
        /// What is wrong, and where.
        error: template::Error,
        /// The value that the chart asks for, if that can be told: `expose.tls.auto.commonName`.
        wanted: Option<String>,
    },
    /// A template that wrote something that is no YAML.
    #[error("{}: line {} of what it writes: {}", Printable(.file), .error.line, Printable(&.error.message))]
    Yaml {
        /// The template.
        file: String,
        /// What is wrong.
        error: YamlError,
    },
}

fn missing(missing: &[MissingDependency]) -> String {
    let one = |missing: &MissingDependency| {
        let from = match missing.repository.as_str() {
            "" => "which has no repository and must lie in charts/".to_owned(),
            repository => format!("from {}", Printable(repository)),
        };
        let version = missing.locked.as_ref().unwrap_or(&missing.range);
        format!("{} {} {from}", Printable(&missing.name), Printable(version))
    };
    let texts: Vec<String> = missing.iter().map(one).collect();
    format!("charts that it depends on are not inside it: {}", texts.join("; "))
}
