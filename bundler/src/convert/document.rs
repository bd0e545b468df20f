//! The documents of a YAML file of another tool, read into that tool's own form.
//! Takes a file's text; gives [`Document`]s whose errors have the file's lines. Scalars stay as they are written.

use std::collections::BTreeMap;

use bundle_input::{Dialect, YamlError, parse_yaml};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::ConvertError;

/// Documents in one file.
const DOCUMENTS: usize = 1_000;

/// Fields that a form has and that nothing reads.
pub(super) type Others = BTreeMap<String, IgnoredAny>;

/// One document of a file.
pub(super) struct Document<'t> {
    name: &'t str,
    /// Its first line in the file, from 1.
    pub(super) line: usize,
    /// The document, behind as many empty lines as there are before it.
    text: String,
}

impl Document<'_> {
    /// The document in the form `T`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, YamlError> {
        parse_yaml(&self.text, self.name, Dialect::Others)
    }

    /// What a document of Kubernetes' form says of itself; empty for other documents.
    pub(super) fn head(&self) -> Result<Head, YamlError> {
        self.read()
    }
}

/// The fields by which a document's form is recognised.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    #[serde(flatten)]
    pub(super) others: BTreeMap<String, Keys>,
}

/// The keys of a map; none of anything else.
pub(super) struct Keys(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Map(Others),
            Else(IgnoredAny),
        }
        Ok(Self(match Any::deserialize(deserializer)? {
            Any::Map(map) => map.into_keys().collect(),
            Any::Else(_) => Vec::new(),
        }))
    }
}

/// The documents of the file called `name`, without empty ones.
pub(super) fn documents<'t>(text: &'t str, name: &'t str) -> Result<Vec<Document<'t>>, ConvertError> {
    let mut documents = Vec::new();
    let mut lines = String::new();
    let mut before = 0;
    let mut finish = |lines: &mut String, before: usize| {
        let content = lines.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#'));
        if content {
            documents.push(Document { name, line: before + 1, text: "\n".repeat(before) + lines });
        }
        lines.clear();
        if documents.len() > DOCUMENTS {
            return Err(ConvertError::TooMany { name: name.to_owned(), limit: DOCUMENTS });
        }
        Ok(())
    };
    for (at, line) in text.lines().enumerate() {
        // A marker ends every document, also inside a block of text (YAML 1.2.2, section 9.1.2).
        let marker = ["---", "..."].iter().find_map(|marker| line.strip_prefix(marker));
        match marker.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            Some(rest) => {
                finish(&mut lines, before)?;
                before = at;
                lines.push_str(rest);
            }
            None => lines.push_str(line),
        }
        lines.push('\n');
    }
    finish(&mut lines, before)?;
    Ok(documents)
}
