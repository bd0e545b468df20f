//! Likely mistakes in a chart or its values that are no errors. Every [`Warning`] is one sentence with its
//! place.

use bundle_oci::Printable;

/// Something that Helm only mentions, or skips in silence, and that is likely a mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Warning {
    /// A table where the chart has a single value. Helm takes the table.
    #[error("values: {} is a table, but a single value in the chart", Printable(.0))]
    TableOverValue(String),
    /// A single value where the chart has a table. Helm takes the value.
    #[error("values: {} is not a table, but it is one in the chart", Printable(.0))]
    ValueOverTable(String),
    /// A key at the top of a values file that neither the chart nor a chart inside it knows.
    #[error("{}: no chart knows {}", Printable(.file), quoted(.keys))]
    UnknownKeys {
        /// The file.
        file: String,
        /// The keys.
        keys: Vec<String>,
    },
    /// A condition whose value is neither true nor false.
    #[error("values: {}, which switches a chart on or off, is neither true nor false", Printable(.0))]
    Condition(String),
    /// An `import-values` of a table that is not there.
    #[error("the chart {} has no table {} to import", Printable(.chart), Printable(.table))]
    Import {
        /// The chart inside.
        chart: String,
        /// The table's path.
        table: String,
    },
    /// A schema that refers to another document, which is not asked for.
    #[error("the schema of {} refers to {}, which is not fetched: that part is not validated", Printable(.chart), Printable(.address))]
    Schema {
        /// The chart.
        chart: String,
        /// The address.
        address: String,
    },
    /// An annotation that ought to list images and cannot be read.
    #[error("the annotation {} of {} lists something that is not an image", Printable(.key), Printable(.chart))]
    Annotation {
        /// The chart.
        chart: String,
        /// The annotation.
        key: String,
    },
    /// A container whose image is no reference.
    #[error("{} {} {}: '{}' is not a valid image reference", Printable(.file), Printable(.document), Printable(.path), Printable(.text))]
    Unreadable {
        /// The file.
        file: String,
        /// The document's kind and name.
        document: String,
        /// The field's path.
        path: String,
        /// The text there.
        text: String,
    },
    /// Values that name an image without a tag, which no rendering used.
    #[error("values: {} names {} without a tag, and nothing says which is meant", Printable(.path), Printable(.name))]
    Untagged {
        /// The path of the value.
        path: String,
        /// Registry and repository.
        name: String,
    },
    /// Switches that there was no time to turn.
    #[error("{0} of its switches were not tried: the time limit was reached")]
    Switches(usize),
    /// Images that depend on the version of Kubernetes, which is not given.
    #[error("its images depend on the version of Kubernetes: {}", .0)]
    KubeVersion(String),
    /// A schema whose references multiply.
    #[error("the schema of {} is too large to be checked", Printable(.0))]
    SchemaCost(String),
}

fn quoted(keys: &[String]) -> String {
    let shown: Vec<_> = keys.iter().map(|key| format!("'{}'", Printable(key))).collect();
    shown.join(", ")
}
