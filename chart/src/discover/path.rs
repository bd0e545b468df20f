use std::fmt::Write;

/// The path of a field on the way down a document: `spec.containers[0].image`.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldPath {
    text: String,
    /// Where each part starts, and its key.
    parts: Vec<usize>,
}

impl FieldPath {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn push_key(&mut self, key: &str) {
        self.parts.push(self.text.len());
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
        let _ = write!(self.text, "[{index}]");
    }

    /// Into a document inside a string.
    pub(super) fn push_inside(&mut self) {
        self.parts.push(self.text.len());
        self.text.push_str(" > ");
    }

    pub(super) fn pop(&mut self) {
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
        path.push_key("data");
        path.push_key("app.yaml");
        path.push_inside();
        path.push_key("jobs");
        path.push_index(3);
        path.push_key("image");
        assert_eq!(path.as_str(), "data[app.yaml] > jobs[3].image");
        for _ in 0..5 {
            path.pop();
        }
        assert_eq!(path.as_str(), "data");
    }
}
