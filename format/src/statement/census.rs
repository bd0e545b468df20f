//! How much there is in a statement, counted before any of it is kept: takes its bytes, and gives numbers
//! to hold to [`Limits`]. Two bytes of JSON may take a hundred once parsed.

use serde::Deserialize;
use serde::de::Deserializer;

use crate::count::{Count, fold_list};
use crate::statement::document::{StatementError, Terms, over};
use crate::{Artifact, Limits};

/// How many there are of what a statement lists.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Census {
    #[serde(default)]
    artifacts: Artifacts,
    #[serde(default)]
    blobs: Count,
    #[serde(default)]
    requires: Count,
    #[serde(default)]
    base: Count,
}

impl Census {
    /// Counts what a statement's bytes list.
    ///
    /// # Errors
    /// They are no JSON of the shape.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Counts what a statement lists that is to be written.
    pub(super) fn of_terms(terms: &Terms) -> Self {
        let mut artifacts = Artifacts::default();
        for Artifact { platforms, reasons, .. } in &terms.artifacts {
            artifacts.add(&Lists { platforms: Count(platforms.len()), reasons: Count(reasons.len()) });
        }
        let (blobs, requires) = (Count(terms.blobs.len()), Count(terms.requires.len()));
        Self { artifacts, blobs, requires, base: Count(terms.base.len()) }
    }

    /// Holds the numbers to the limits.
    ///
    /// # Errors
    /// [`StatementError::TooMany`].
    pub(super) fn check(&self, limits: &Limits) -> Result<(), StatementError> {
        let Self { artifacts, blobs, requires, base } = self;
        for (what, found, limit) in [
            ("artifacts", artifacts.count, limits.artifacts),
            ("blobs", blobs.0.saturating_add(requires.0), limits.blobs),
            ("bases", base.0, limits.bases),
            ("reasons for one artifact", artifacts.most_reasons, limits.reasons),
            ("reasons", artifacts.reasons, limits.all_reasons),
            ("platforms of one artifact", artifacts.most_platforms, limits.platforms),
            ("platforms", artifacts.platforms, limits.all_platforms),
        ] {
            over(what, found as u64, limit as u64)?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Artifacts {
    count: usize,
    platforms: usize,
    most_platforms: usize,
    reasons: usize,
    most_reasons: usize,
}

impl Artifacts {
    fn add(&mut self, lists: &Lists) {
        self.count += 1;
        self.platforms += lists.platforms.0;
        self.most_platforms = self.most_platforms.max(lists.platforms.0);
        self.reasons += lists.reasons.0;
        self.most_reasons = self.most_reasons.max(lists.reasons.0);
    }
}

#[derive(Deserialize)]
struct Lists {
    #[serde(default)]
    platforms: Count,
    #[serde(default)]
    reasons: Count,
}

impl<'de> Deserialize<'de> for Artifacts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fold_list(deserializer, "a list of artifacts", |all: &mut Self, lists: Lists| all.add(&lists))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Statement;
    use crate::testing::statement;

    fn told(change: impl FnOnce(&mut Artifact)) -> Result<Statement, StatementError> {
        let mut draft = statement(&[b"layer"]).draft();
        change(&mut draft.artifacts[0]);
        draft.seal(&Limits { all_reasons: 900, all_platforms: 200, ..Limits::V1 })
    }

    #[test]
    fn what_is_small_in_bytes_and_large_in_memory_has_an_end() {
        let platforms = |count: usize| (0..count).map(|at| format!("a/b{at}").parse().unwrap()).collect();
        assert!(told(|artifact| artifact.platforms = platforms(200)).is_ok());
        for (count, what) in [(201, "platforms"), (257, "platforms of one artifact")] {
            let error = told(|artifact| artifact.platforms = platforms(count)).unwrap_err();
            assert!(matches!(error, StatementError::TooMany { what: found, .. } if found == what), "{error}");
        }
        let error = told(|artifact| artifact.reasons = vec!["x".to_owned(); 901]).unwrap_err();
        assert!(matches!(error, StatementError::TooMany { what: "reasons", found: 901, limit: 900 }));
        let error = told(|artifact| artifact.reasons = vec!["x".to_owned(); 1001]).unwrap_err();
        assert!(matches!(error, StatementError::TooMany { what: "reasons for one artifact", .. }));
    }
}
