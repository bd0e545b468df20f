//! The functions that templates can call: Go's own, Sprig's and Helm's.

use crate::limits::Limit;

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
}

/// The function with a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    let _ = name;
    None
}

/// Why a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What is wrong with its arguments, in Go's words where somebody may look for them.
    Message(String),
    /// The chart's own words, from `required` or `fail`.
    Refused(String),
    /// A limit was reached, or the time is over.
    Limit(Limit),
}

impl Failure {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }
}

impl From<Limit> for Failure {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}
