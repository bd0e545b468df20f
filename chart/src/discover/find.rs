//! An image that was found: [`Find`], with how sure it is and every [`Place`] that names it.
//! Made by [`discover`](crate::discover).

use std::collections::BTreeSet;
use std::fmt;

use bundle_oci::{Printable, Reference};

/// An image that a chart can ask for, with all places that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// The image.
    pub reference: Reference,
    /// How sure it is that this is an image that will be asked for.
    pub certainty: Certainty,
    /// Where it was found, each place once.
    pub places: BTreeSet<Place>,
}

/// How sure a find is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// A workload runs it, or the chart's annotations list it.
    Certain,
    /// It looks like an image: its registry knows.
    Probable,
}

/// Where an image was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a document that a rendering gave.
    Document {
        /// The file, with the chart's full path.
        file: String,
        /// The document's kind and name.
        document: String,
        /// The field's path in the document.
        path: String,
        /// The value sets with which it is there.
        value_sets: BTreeSet<String>,
    },
    /// In the values.
    Value {
        /// The value's path; for a group such as `registry`, `repository` and `tag` the path of the
        /// map that holds them.
        path: String,
        /// The value sets with which it is there.
        value_sets: BTreeSet<String>,
    },
    /// In a chart's annotations.
    Annotation {
        /// The chart: its path in the tree of charts.
        chart: String,
        /// The annotation.
        key: String,
    },
}

impl Find {
    /// Whether a rendering used it; otherwise only values or annotations name it.
    pub fn is_rendered(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Document { .. }))
    }
}

impl Place {
    /// Where it is, without the value sets.
    pub(super) fn key(&self) -> (u8, &str, &str, &str) {
        match self {
            Self::Document { file, document, path, .. } => (0, file, document, path),
            Self::Value { path, .. } => (1, path, "", ""),
            Self::Annotation { chart, key } => (2, chart, key, ""),
        }
    }

    pub(super) fn value_sets(&mut self) -> Option<&mut BTreeSet<String>> {
        match self {
            Self::Document { value_sets, .. } | Self::Value { value_sets, .. } => Some(value_sets),
            Self::Annotation { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { file, document, path, value_sets } => {
                // The chart's own name is told before.
                let file = file.split_once('/').map_or(file.as_str(), |(_, inside)| inside);
                write!(f, "{} {document} {}", Printable(file), Printable(path))?;
                sets(f, value_sets)
            }
            Self::Value { path, value_sets } => {
                write!(f, "values {}", Printable(path))?;
                sets(f, value_sets)
            }
            Self::Annotation { chart, key } => {
                write!(f, "annotation {} of {}", Printable(key), Printable(chart))
            }
        }
    }
}

fn sets(f: &mut fmt::Formatter<'_>, sets: &BTreeSet<String>) -> fmt::Result {
    let names: Vec<String> = sets.iter().map(|name| Printable(name).to_string()).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    write!(f, " (value set{plural} {})", names.join(", "))
}
