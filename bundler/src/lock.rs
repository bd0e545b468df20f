use std::collections::HashMap;

use bundle_format::{Kind, StreamName, Target};
use bundle_oci::{Digest, MediaType, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::{ConfigError, Platforms, Request};

/// References resolved to digests, for people to review and for `create` to keep to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The version of this file's form, 1.
    pub version: u32,
    /// The stream's name.
    pub name: StreamName,
    /// What will be delivered, sorted by target.
    pub artifacts: Vec<LockEntry>,
}

/// One artifact of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LockEntry {
    /// What was asked for.
    pub reference: Reference,
    /// Where it goes: `project/repository:tag`.
    pub target: String,
    /// What it is.
    pub kind: Kind,
    /// What the reference means at its source.
    pub digest: Digest,
    /// What is delivered, if that is not the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Digest>,
    /// The type of what is delivered.
    pub media_type: MediaType,
    /// The platforms that were chosen; empty for all that there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Platform>,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// The size of all its blobs in bytes.
    pub size: u64,
    /// The places that asked for it.
    pub why: Vec<String>,
}

const HEADER: &str = "# Written by `bundle lock`: what each reference meant then. `bundle create` keeps to it.\n\
    # Review the changes, commit the file, and run `bundle lock` again to take new versions.\n";

impl Lock {
    /// The file's text; the same lock gives the same bytes.
    ///
    /// # Errors
    /// The values cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        Ok(format!("{HEADER}{}", serde_saphyr::to_string(self)?))
    }

    /// Reads the text of a file called `name`.
    ///
    /// # Errors
    /// [`ConfigError::Yaml`].
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let lock: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let message = error.without_snippet().to_string();
            ConfigError::Yaml { name: name.to_owned(), line, column, message }
        })?;
        if lock.version != 1 {
            let message = format!("lock is of version {}, and this program reads version 1", lock.version);
            return Err(ConfigError::Yaml { name: name.to_owned(), line: 1, column: 1, message });
        }
        Ok(lock)
    }

    /// What the lock says about each request that it knows.
    pub fn pins(&self, requests: &[Request]) -> HashMap<(Reference, Target), Digest> {
        let known: HashMap<_, _> =
            self.artifacts.iter().map(|entry| ((&entry.reference, entry.target.as_str()), entry)).collect();
        let pin = |request: &Request| {
            let entry = known.get(&(&request.reference, request.target.to_string().as_str())).copied()?;
            let only: &[Platform] = match &request.platforms {
                Platforms::All => &[],
                Platforms::Only(platforms) => platforms,
            };
            (entry.only == only).then(|| ((request.reference.clone(), request.target.clone()), entry.digest))
        };
        requests.iter().filter_map(pin).collect()
    }
}
