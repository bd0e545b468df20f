//! How a bundle stands to the newest one of its stream, and whether that is allowed.
//! Takes two bundles' names and what the operator allows; gives a verdict.

use bundle_format::{BundleId, Rule, Sequence};
use bundle_oci::Digest;

/// The newest bundle of a stream that was accepted. There are several digests where a person let
/// another bundle have a number that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its number.
    pub sequence: Sequence,
    /// The digests of the statements that were accepted under this number, the latest last.
    pub statements: Vec<Digest>,
}

/// How a bundle stands to the newest one of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No bundle of the stream is known.
    First,
    /// It is newer. Gaps are no matter.
    Newer,
    /// It is the very same.
    Again,
    /// It is older.
    Older,
    /// It is another one with the same number.
    Reused,
    /// It was accepted once, and taken back.
    TakenBack,
}

/// A bundle that would take a stream back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// Older than the newest one.
    #[error(
        "bundle {} of the stream '{}' is older than {}, which was imported before",
        .bundle.sequence.dated(), .bundle.stream, .newest.dated()
    )]
    Older {
        /// The bundle.
        bundle: BundleId,
        /// The newest one's number.
        newest: Sequence,
    },
    /// Another one under a number that is taken.
    #[error(
        "bundle {} of the stream '{}' is {}, and another one with this number was imported before: {newest}",
        .bundle.sequence.dated(), .bundle.stream, .bundle.statement
    )]
    Reused {
        /// The bundle.
        bundle: BundleId,
        /// The digest of the other one's statement.
        newest: Digest,
    },
    /// One that was accepted by mistake and taken back.
    #[error(
        "bundle {} of the stream '{}' was imported before and taken back with `bundle stream repair`",
        .bundle.sequence.dated(), .bundle.stream
    )]
    TakenBack {
        /// The bundle.
        bundle: BundleId,
    },
}

impl Newest {
    /// The bundle that was accepted last under this number.
    pub fn bundle(&self, stream: &bundle_format::StreamName) -> Option<BundleId> {
        let statement = *self.statements.last()?;
        Some(BundleId { stream: stream.clone(), sequence: self.sequence, statement })
    }

    /// How `bundle` stands to what is known of its stream.
    pub fn standing(newest: Option<&Self>, bundle: &BundleId) -> Standing {
        let Some(newest) = newest else { return Standing::First };
        if bundle.sequence > newest.sequence {
            Standing::Newer
        } else if bundle.sequence < newest.sequence {
            Standing::Older
        } else if newest.statements.contains(&bundle.statement) {
            Standing::Again
        } else {
            Standing::Reused
        }
    }

    /// The state of a stream after `bundle` was accepted: the number never falls, even where the operator
    /// allowed an older bundle.
    pub fn after(newest: Option<&Self>, bundle: &BundleId) -> Self {
        let taken = Self { sequence: bundle.sequence, statements: vec![bundle.statement] };
        Self::merge(newest.cloned(), Some(taken.clone())).unwrap_or(taken)
    }

    /// Combines two records of a stream.
    pub fn merge(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(mut one), Some(other)) = (one.clone(), other.clone()) else { return one.or(other) };
        if one.sequence != other.sequence {
            return Some(if one.sequence > other.sequence { one } else { other });
        }
        for statement in other.statements {
            if !one.statements.contains(&statement) {
                one.statements.push(statement);
            }
        }
        Some(one)
    }
}

impl Standing {
    /// The rule that must be set aside for the bundle to be accepted.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::First | Self::Newer | Self::Again => None,
            Self::Older | Self::TakenBack => Some(Rule::Rollback),
            Self::Reused => Some(Rule::ReusedSequence),
        }
    }

    /// Refuses what would take the stream back.
    ///
    /// # Errors
    /// Any [`RollbackError`].
    pub fn enforce(&self, newest: Option<&Newest>, bundle: &BundleId) -> Result<(), RollbackError> {
        if *self == Self::TakenBack {
            return Err(RollbackError::TakenBack { bundle: bundle.clone() });
        }
        let Some(newest) = newest else { return Ok(()) };
        match self {
            Self::First | Self::Newer | Self::Again | Self::TakenBack => Ok(()),
            Self::Older => Err(RollbackError::Older { bundle: bundle.clone(), newest: newest.sequence }),
            Self::Reused => Err(RollbackError::Reused {
                bundle: bundle.clone(),
                newest: newest.statements.last().copied().unwrap_or(bundle.statement),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(sequence: u64, content: &str) -> BundleId {
        BundleId {
            stream: "nightly".parse().unwrap(),
            sequence: sequence.try_into().unwrap(),
            statement: Digest::of(content.as_bytes()),
        }
    }

    #[test]
    fn a_stream_only_goes_forward() {
        let newest = Newest::after(None, &bundle(5, "five"));
        for (candidate, expected) in [
            (bundle(6, "six"), Standing::Newer),
            (bundle(900, "after a gap"), Standing::Newer),
            (bundle(5, "five"), Standing::Again),
            (bundle(5, "another five"), Standing::Reused),
            (bundle(4, "four"), Standing::Older),
        ] {
            let standing = Newest::standing(Some(&newest), &candidate);
            assert_eq!(standing, expected);
            let refused = matches!(expected, Standing::Reused | Standing::Older);
            assert_eq!(standing.rule().is_some(), refused);
            assert_eq!(standing.enforce(Some(&newest), &candidate).is_err(), refused);
        }
        assert_eq!(Newest::standing(None, &bundle(1, "one")), Standing::First);
    }

    #[test]
    fn an_older_bundle_that_was_let_pass_does_not_lower_the_number() {
        let newest = Newest::after(None, &bundle(5, "five"));
        assert_eq!(Newest::after(Some(&newest), &bundle(3, "three")), newest);
        let both = Newest::after(Some(&newest), &bundle(5, "another five"));
        assert_eq!(Newest::standing(Some(&both), &bundle(5, "five")), Standing::Again);
        assert_eq!(Newest::standing(Some(&both), &bundle(5, "another five")), Standing::Again);
        assert_eq!(both.bundle(&"nightly".parse().unwrap()), Some(bundle(5, "another five")));
        assert_eq!(Newest::merge(Some(both.clone()), None), Some(both.clone()));
        assert_eq!(Newest::merge(Some(newest), Some(both.clone())), Some(both));
    }
}
