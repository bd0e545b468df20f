//! The policy for an image beside its contents: its signatures, its platforms, its index as it was signed.
//! Read from bundle.yaml for all images, for a project or for one; the command line may override it.

use std::fmt;
use std::str::FromStr;

use bundle_oci::Printable;

/// Whether what is attached to an artifact (signatures, attestations, SBOMs) travels with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Referrers {
    /// It stays.
    Leave,
    /// It does, and a note names those that cannot be carried.
    #[default]
    Carry,
    /// It does; an error if there is none, or if one cannot be carried.
    Require,
}

/// The treatment of a signed index when only some of its platforms are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignedIndexes {
    /// It is cut to the platforms that are wanted, and its signatures stay behind.
    #[default]
    Split,
    /// All its platforms are carried, and its signatures with them.
    Whole,
}

/// The treatment of an image that lacks a wanted platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissingPlatforms {
    /// The others are carried, with a note; one of them must exist.
    #[default]
    Note,
    /// It is an error.
    Fail,
}

/// Whether layers that are marked non-distributable travel (image-spec, layer.md §Non-Distributable Layers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForeignLayers {
    /// They stay with their vendor, and the image is marked incomplete.
    #[default]
    Leave,
    /// They do: the vendor's licence allows it, as far as the user knows.
    Include,
}

/// The treatment of an image whose tag, or whose whole repository, is gone at its registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissingImages {
    /// It is left out, with a notice.
    Skip,
    /// The digest that an earlier run found is carried, with a notice; an error if none is known, or if it is gone too.
    KeepLast,
    /// It is an error.
    #[default]
    Fail,
}

/// The policy for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePolicy {
    /// Its signatures.
    pub referrers: Referrers,
    /// Its index.
    pub signed_indexes: SignedIndexes,
    /// Its platforms.
    pub missing_platforms: MissingPlatforms,
    /// Its layers that are marked non-distributable.
    pub foreign_layers: ForeignLayers,
    /// Whether it may be gone.
    pub missing_images: MissingImages,
}

impl ImagePolicy {
    /// The policy that satisfies both of two requests for the same image.
    pub(crate) fn stricter(self, other: Self) -> Self {
        Self {
            referrers: self.referrers.max(other.referrers),
            signed_indexes: self.signed_indexes.max(other.signed_indexes),
            missing_platforms: self.missing_platforms.max(other.missing_platforms),
            foreign_layers: self.foreign_layers.max(other.foreign_layers),
            missing_images: self.missing_images.max(other.missing_images),
        }
    }

    /// Overrides this with settings nearer to the image.
    pub(crate) fn with(self, said: PolicyOverride) -> Self {
        Self {
            referrers: said.referrers.unwrap_or(self.referrers),
            signed_indexes: said.signed_indexes.unwrap_or(self.signed_indexes),
            missing_platforms: said.missing_platforms.unwrap_or(self.missing_platforms),
            foreign_layers: said.foreign_layers.unwrap_or(self.foreign_layers),
            missing_images: said.missing_images.unwrap_or(self.missing_images),
        }
    }
}

/// Overrides of a policy; fields without a value change nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyOverride {
    /// The signatures.
    pub referrers: Option<Referrers>,
    /// The indexes.
    pub signed_indexes: Option<SignedIndexes>,
    /// The platforms.
    pub missing_platforms: Option<MissingPlatforms>,
    /// The layers that are marked non-distributable.
    pub foreign_layers: Option<ForeignLayers>,
    /// Images that are gone.
    pub missing_images: Option<MissingImages>,
}

/// A word that no policy has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not one of {choices}", Printable(.found))]
pub struct ParsePolicyError {
    found: String,
    choices: &'static str,
}

impl FromStr for Referrers {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        match text {
            "leave" => Ok(Self::Leave),
            "carry" => Ok(Self::Carry),
            "require" => Ok(Self::Require),
            _ => Err(ParsePolicyError { found: text.to_owned(), choices: "require, carry, leave" }),
        }
    }
}

impl FromStr for SignedIndexes {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        match text {
            "split" => Ok(Self::Split),
            "whole" => Ok(Self::Whole),
            _ => Err(ParsePolicyError { found: text.to_owned(), choices: "whole, split" }),
        }
    }
}

impl FromStr for ForeignLayers {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        match text {
            "leave" => Ok(Self::Leave),
            "include" => Ok(Self::Include),
            _ => Err(ParsePolicyError { found: text.to_owned(), choices: "include, leave" }),
        }
    }
}

impl FromStr for MissingImages {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        match text {
            "fail" => Ok(Self::Fail),
            "keep-last" => Ok(Self::KeepLast),
            "skip" => Ok(Self::Skip),
            _ => Err(ParsePolicyError { found: text.to_owned(), choices: "fail, keep-last, skip" }),
        }
    }
}

/// The outcome for an image's possible referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferrerOutcome {
    /// The registry has none.
    NoneUpstream,
    /// So many of each kind travel, in order of the kinds' words.
    Carried(Vec<(&'static str, usize)>),
    /// Something is or may be attached and does not travel; with what does.
    NotObtainable {
        /// Why not.
        why: String,
        /// The kinds that are carried nevertheless.
        carried: Vec<(&'static str, usize)>,
    },
    /// The index was cut to the platforms that are wanted, and what signs all of it stays behind.
    Split,
    /// They are left out on request, and were not looked up.
    Left,
}

impl fmt::Display for ReferrerOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |carried: &[(&str, usize)]| {
            let each: Vec<String> = carried.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            each.join(", ")
        };
        match self {
            Self::NoneUpstream => f.write_str("none upstream"),
            Self::Carried(carried) => write!(f, "carried {}", count(carried)),
            Self::NotObtainable { why, carried } if carried.is_empty() => {
                write!(f, "not obtainable: {why}")
            }
            Self::NotObtainable { why, carried } => {
                write!(f, "carried {}; others not obtainable: {why}", count(carried))
            }
            Self::Split => f.write_str("those of the whole index are left behind"),
            Self::Left => f.write_str("left behind"),
        }
    }
}

/// The words that begin the reasons of a statement which do not say who asked, and those that begin the result of a check
/// of an upstream signature.
const REMARKS: [&str; 4] = ["platforms: ", "incomplete: ", "referrers: ", SIGNATURE];

/// The word that begins the result of a check of an upstream signature.
const SIGNATURE: &str = "signature: ";

/// Whether a reason of a statement says who asked for the artifact.
pub fn names_requester(reason: &str) -> bool {
    !REMARKS.iter().any(|word| reason.starts_with(word))
}

/// The result of the check of an upstream signature, if a reason of a statement says one.
pub fn signature_check(reason: &str) -> Option<&str> {
    reason.strip_prefix(SIGNATURE)
}

/// Whether a reason of a statement says that something of the artifact is lacking: the others say who asked for
/// it, or that all is well.
pub(crate) fn says_lack(reason: &str) -> bool {
    reason.starts_with("platforms: ")
        || reason.starts_with("incomplete: ")
        || reason.starts_with("signature: not verified")
        || (reason.starts_with("referrers: ")
            && ["not obtainable", "left behind"].iter().any(|words| reason.contains(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_policies_the_stricter_holds() {
        let lax = ImagePolicy { referrers: Referrers::Leave, ..ImagePolicy::default() };
        let strict = ImagePolicy { signed_indexes: SignedIndexes::Whole, ..ImagePolicy::default() };
        let both = lax.stricter(strict);
        assert_eq!((both.referrers, both.signed_indexes), (Referrers::Carry, SignedIndexes::Whole));
        let said = PolicyOverride { referrers: Some(Referrers::Leave), ..PolicyOverride::default() };
        assert_eq!(both.with(said).referrers, Referrers::Leave);
        assert_eq!(both.with(said).signed_indexes, SignedIndexes::Whole);
    }

    #[test]
    fn an_outcome_is_one_of_few_sentences() {
        let both =
            ReferrerOutcome::NotObtainable { why: "HTTP 403".to_owned(), carried: vec![("signature", 2)] };
        assert_eq!(both.to_string(), "carried 2 signature; others not obtainable: HTTP 403");
        assert_eq!(
            "must".parse::<Referrers>().unwrap_err().to_string(),
            "'must' is not one of require, carry, leave"
        );
    }
}
