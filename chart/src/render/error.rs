//! Why a chart does not render.
//! Every [`RenderError`] has the chart's own words and the line they come from.

use bundle_oci::Printable;

use crate::schema::SchemaError;
use crate::values::ValuesError;
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
    #[error("values: {} is not a table, but a subchart has its values there", Printable(.0))]
    NoTable(String),
    /// Charts that are depended on and not there.
    #[error("{}", missing(.0))]
    Missing(Vec<MissingDependency>),
    /// A library, which renders nothing.
    #[error("it is a library chart, which cannot be installed")]
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
    #[error("{}: {}{}", place(.error), Printable(&.error.message), callers(.error))]
    Template {
        /// The cause, and its place.
        error: template::Error,
        /// The value that the chart asks for, if that can be told: `expose.tls.auto.commonName`.
        wanted: Option<String>,
    },
    /// A template that wrote something that is no YAML.
    #[error("{}: line {} of what it writes: {}", Printable(.file), .error.line, Printable(&.error.message))]
    Yaml {
        /// The template.
        file: String,
        /// The cause.
        error: YamlError,
    },
}

/// `tpl` renders a text that is in no file.
const TEXT: &str = "gotpl";

fn place(error: &template::Error) -> String {
    match error.template.as_str() {
        TEXT => format!("line {} of a text that tpl renders", error.line),
        file => format!("{}:{}", Printable(file), error.line),
    }
}

/// The calls that led there: the innermost one, and the template that Helm renders.
fn callers(error: &template::Error) -> String {
    let files: Vec<_> = error.includes.iter().filter(|include| include.template != TEXT).collect();
    let show = |include: &template::Include| format!("{}:{}", Printable(&include.template), include.line);
    match files.as_slice() {
        [] => String::new(),
        [only] => format!(" (called at {})", show(only)),
        [first, .., last] => format!(" (called at {}, from {})", show(last), show(first)),
    }
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
