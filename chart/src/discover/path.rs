//! The path of a field while a document is walked.
//! Takes steps; gives the path as people write it, `spec.containers[0].image`.

use std::fmt::Write;
use std::sync::Arc;

/// The path of a field on the way down a document: `spec.containers[0].image`.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldPath {
    text: String,
    /// Where each part starts in the text.
    parts: Vec<usize>,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// To the value of a key.
    Key(Arc<str>),
    /// To an item of a list.
    Index(usize),
    /// Into the document that a string is.
    Inside,
}

impl FieldPath {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn push_key(&mut self, key: &Arc<str>) {
        self.parts.push(self.text.len());
        self.steps.push(Step::Key(Arc::clone(key)));
        let plain =
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !plain {
            let _ = write!(self.text, "[{key}]");
        } else {
            if !self.text.is_empty() && !self.text.ends_with("> ") {
                self.text.push('.');
            }
            self.text.push_str(key);
        }
    }

    pub(super) fn push_index(&mut self, index: usize) {
        self.parts.push(self.text.len());
        self.steps.push(Step::Index(index));
        let _ = write!(self.text, "[{index}]");
    }

    /// Into a document inside a string.
    pub(super) fn push_inside(&mut self) {
        self.parts.push(self.text.len());
        self.steps.push(Step::Inside);
        self.text.push_str(" > ");
    }

    pub(super) fn pop(&mut self) {
        self.steps.pop();
        if let Some(length) = self.parts.pop() {
            self.text.truncate(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_people_write_them() {
        let mut path = FieldPath::default();
        path.push_key(&"data".into());
        path.push_key(&"app.yaml".into());
        path.push_inside();
        path.push_key(&"jobs".into());
        path.push_index(3);
        path.push_key(&"image".into());
        assert_eq!(path.as_str(), "data[app.yaml] > jobs[3].image");
        assert_eq!(path.steps()[2..5], [Step::Inside, Step::Key("jobs".into()), Step::Index(3)]);
        for _ in 0..5 {
            path.pop();
        }
        assert_eq!(path.as_str(), "data");
    }
}
