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
    /// How it is asked for.
    pub grade: Grade,
    /// How sure it is that this is an image that will be asked for.
    pub certainty: Certainty,
    /// The switches that must be turned until it is rendered, one of them at a time; empty if none must, or
    /// none was found.
    pub switches: BTreeSet<String>,
    /// The other readings of the same fields, where their names are ambiguous: one of these and this is
    /// meant. Empty if this reading is certain.
    pub readings: BTreeSet<Reference>,
    /// Where it was found, each place once.
    pub places: BTreeSet<Place>,
}

/// How an image is asked for, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// A rendering with the values that were given asks for it.
    Rendered,
    /// A rendering asks for it once a switch is turned.
    Switched,
    /// The values name it, or a default of a definition or a schema does.
    Declared,
    /// The chart lists it: in an annotation, or in a list of images.
    Annotated,
    /// A text, a comment or a template mentions it.
    Mentioned,
}

impl Grade {
    /// Its name in reports: `rendered`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rendered => "rendered",
            Self::Switched => "switched",
            Self::Declared => "declared",
            Self::Annotated => "annotated",
            Self::Mentioned => "mentioned",
        }
    }
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
    /// In a document that is rendered once a switch is turned.
    Switched {
        /// The file, with the chart's full path.
        file: String,
        /// The document's kind and name.
        document: String,
        /// The field's path in the document.
        path: String,
        /// The switch.
        switch: String,
    },
    /// In a file of the chart that is not rendered.
    File {
        /// The file, with the chart's full path.
        file: String,
        /// The line, from 1; 0 if that cannot be told.
        line: u64,
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
    /// Whether a rendering shows it once something is switched.
    pub fn is_switched(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Switched { .. }))
    }

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
            Self::Switched { file, document, path, .. } => (3, file, document, path),
            Self::File { file, .. } => (4, file, "", ""),
        }
    }

    pub(super) fn value_sets(&mut self) -> Option<&mut BTreeSet<String>> {
        match self {
            Self::Document { value_sets, .. } | Self::Value { value_sets, .. } => Some(value_sets),
            Self::Annotation { .. } | Self::Switched { .. } | Self::File { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { file, document, path, value_sets } => {
                write!(f, "{} {document} {}", Printable(inside(file)), Printable(path))?;
                sets(f, value_sets)
            }
            Self::Value { path, value_sets } => {
                write!(f, "values {}", Printable(path))?;
                sets(f, value_sets)
            }
            Self::Switched { file, document, path, switch } => {
                let file = inside(file);
                let (path, switch) = (Printable(path), Printable(switch));
                write!(f, "{} {document} {path} (once switched: {switch})", Printable(file))
            }
            Self::File { file, line: 0 } => write!(f, "{}", Printable(inside(file))),
            Self::File { file, line } => write!(f, "{}:{line}", Printable(inside(file))),
            Self::Annotation { chart, key } => {
                write!(f, "annotation {} of {}", Printable(key), Printable(chart))
            }
        }
    }
}

/// The path inside the chart, without the chart's name.
fn inside(file: &str) -> &str {
    file.split_once('/').map_or(file, |(_, inside)| inside)
}

fn sets(f: &mut fmt::Formatter<'_>, sets: &BTreeSet<String>) -> fmt::Result {
    if sets.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = sets.iter().map(|name| Printable(name).to_string()).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    write!(f, " (value set{plural} {})", names.join(", "))
}
