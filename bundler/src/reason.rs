//! The requester of something: a line of a file, the command line, a place of a chart. It stays a value until
//! it is printed or written into a statement.

use std::fmt;

use serde::{Serialize, Serializer};

/// One place that asks for an image or a chart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// An argument of the command.
    CommandLine,
    /// A line of a bundle.yaml or a list.
    File {
        /// The file, as it was named.
        name: String,
        /// The line, from 1.
        line: u64,
    },
    /// A chart.
    Chart {
        /// The name of the chart: `chart web 1.0.0`.
        chart: String,
        /// The place in it: `templates/pods.yaml Pod/web`.
        place: String,
    },
    /// Kubernetes manifests.
    Manifests {
        /// Their name.
        name: String,
        /// The place in them.
        place: String,
    },
    /// An object of manifests that names a chart.
    Named {
        /// The requester of the manifests.
        by: Box<Reason>,
        /// The object, with its file.
        object: String,
    },
    /// A lock file, of which only the contents are looked up again.
    Lock,
    /// As many reasons more, which are not kept.
    More(usize),
}

impl Reason {
    /// Whether a chart asks, so that its values and exclusions decide.
    pub fn is_of_chart(&self) -> bool {
        matches!(self, Self::Chart { .. })
    }

    /// The text that a statement has for these reasons.
    pub(crate) fn texts(reasons: &[Self]) -> Vec<String> {
        reasons.iter().map(Self::to_string).collect()
    }
}

/// As a statement has it: what cannot be shown is escaped ([`bundle_format::reason`]).
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::CommandLine => "command line".to_owned(),
            Self::File { name, line } => format!("{name}:{line}"),
            Self::Chart { chart: name, place } | Self::Manifests { name, place } => {
                format!("{name}: {place}")
            }
            Self::Named { by, object } => format!("{by} ({object})"),
            Self::Lock => "lock".to_owned(),
            Self::More(more) => format!("and {more} more"),
        };
        f.write_str(&bundle_format::reason(&text))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_a_statement_has_it() {
        let file = Reason::File { name: "a\nb.txt".to_owned(), line: 3 };
        assert_eq!(file.to_string(), "a\\u{a}b.txt:3");
        let object = "apps.yaml HelmChart/web".to_owned();
        let named = Reason::Named { by: Box::new(file), object };
        assert_eq!(named.to_string(), "a\\u{a}b.txt:3 (apps.yaml HelmChart/web)");
        let chart =
            Reason::Chart { chart: "chart web 1.0.0".to_owned(), place: "values.yaml image".to_owned() };
        assert_eq!(chart.to_string(), "chart web 1.0.0: values.yaml image");
        assert!(chart.is_of_chart() && !named.is_of_chart());
        assert_eq!(serde_json::to_string(&Reason::CommandLine).unwrap(), "\"command line\"");
    }
}
