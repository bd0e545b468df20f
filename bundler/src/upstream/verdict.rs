//! What came of the checks of publishers' signatures. Takes facts; gives the words for the statement, for
//! notices and for errors.

use std::fmt;

use bundle_format::reason;
use bundle_oci::{Digest, Reference};

use super::CosignSigner;
use crate::Reason;

/// What came of looking for a publisher's signature of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureCheck {
    /// The image.
    pub image: Reference,
    /// The digest that it has at its source: of its index, if it has one.
    pub digest: Digest,
    /// The rule's place.
    pub rule: Reason,
    /// Whose signature is asked for, for people; nothing if none is.
    pub signer: Option<String>,
    /// What came of it.
    pub outcome: SignatureOutcome,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureOutcome {
    /// It is signed as the rule asks.
    Verified {
        /// By whom: `key sha256:…`.
        by: String,
        /// The digest that is signed: that of the image at its source, or that of its one manifest which is carried.
        signed: Digest,
    },
    /// It is not, and is carried nevertheless, because the rule only warns.
    NotVerified(Unsigned),
    /// The rule says that signatures are not looked at.
    Ignored,
}

/// Why an image is not signed as a rule asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// The rule's place.
    pub rule: Reason,
    /// Whose signature is asked for, for people.
    pub signer: String,
    /// The digest whose signatures were looked at.
    pub digest: Digest,
    /// What is wrong with each signature, the first few of them: `3f0c…: is by another key, or was altered`.
    pub found: Vec<String>,
    /// How many signatures there are, also those that are not named and those that were not looked at.
    pub count: usize,
    /// Why some may not be known.
    pub lost: Option<String>,
}

/// How many signatures an error names.
const NAMED: usize = 4;

impl Unsigned {
    /// An image without any signature so far.
    pub(crate) fn new(rule: &Reason, signer: &CosignSigner, digest: Digest) -> Self {
        let (rule, signer) = (rule.clone(), signer.to_string());
        Self { rule, signer, digest, found: Vec::new(), count: 0, lost: None }
    }

    /// Takes note of a signature that does not count, in the manifest of this digest.
    pub(crate) fn add(&mut self, holder: Digest, why: &str) {
        self.count += 1;
        if self.found.len() < NAMED {
            self.found.push(format!("{}: {why}", holder.short()));
        }
    }

    /// What was found, as a fragment of a sentence.
    pub fn what(&self) -> String {
        let lost =
            self.lost.as_ref().map(|why| format!("; others may not be known: {why}")).unwrap_or_default();
        match (self.count, &self.lost) {
            (0, Some(why)) => format!("its signatures are not known: {why}"),
            (0, None) => "no signature is attached to it".to_owned(),
            (1, _) => format!("its signature {}{lost}", self.found.join("; ")),
            (count, _) => {
                let more = count - self.found.len();
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                format!("none of its {count} signatures counts: {}{more}{lost}", self.found.join("; "))
            }
        }
    }
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, signer, digest, .. } = self;
        write!(f, "{digest} is not signed by {signer}, as {rule} asks: {}", self.what())
    }
}

/// How many characters of a signer's name, and of what was found, a statement has.
const LONGEST: usize = 90;

impl SignatureCheck {
    /// The reason that the statement has for it. Readers of the statement know it by its first word.
    pub(crate) fn mark(&self) -> String {
        let cut = |text: &str| -> String {
            let count = text.chars().count();
            let tail: String = text.chars().skip(count.saturating_sub(LONGEST)).collect();
            if count > LONGEST { format!("…{tail}") } else { tail }
        };
        reason(&match &self.outcome {
            SignatureOutcome::Verified { by, signed } if *signed == self.digest => {
                format!("signature: verified, {}", cut(by))
            }
            SignatureOutcome::Verified { by, .. } => {
                format!("signature: verified for this platform, {}", cut(by))
            }
            SignatureOutcome::NotVerified(unsigned) => {
                let what: String = unsigned.what().chars().take(LONGEST).collect();
                format!("signature: not verified: {what} ({})", cut(&self.rule.to_string()))
            }
            SignatureOutcome::Ignored => {
                format!("signature: not looked at ({})", cut(&self.rule.to_string()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Reason {
        Reason::File { name: "bundle.yaml".to_owned(), line: 3 }
    }

    fn unsigned() -> Unsigned {
        Unsigned {
            rule: rule(),
            signer: "the cosign key acme.pub".to_owned(),
            digest: Digest::of(b"image"),
            found: Vec::new(),
            count: 0,
            lost: None,
        }
    }

    #[test]
    fn an_error_names_the_digest_the_signer_the_rule_and_what_was_found() {
        let mut image = unsigned();
        let digest = Digest::of(b"image");
        assert_eq!(
            image.to_string(),
            format!(
                "{digest} is not signed by the cosign key acme.pub, as bundle.yaml:3 asks: no signature is attached to it"
            )
        );
        image.add(Digest::of(b"a"), "is by another key");
        assert!(image.to_string().ends_with("its signature ca978112ca1b: is by another key"));
        for _ in 0..6 {
            image.add(Digest::of(b"a"), "is by another key");
        }
        assert!(image.what().starts_with("none of its 7 signatures counts: ca978112ca1b: is by"));
        assert!(image.what().ends_with("; and 3 more"));
        image.lost = Some("HTTP 403".to_owned());
        assert!(image.what().ends_with("; others may not be known: HTTP 403"));
    }

    #[test]
    fn a_statements_reason_begins_with_what_readers_look_for_however_long_names_are() {
        let check = |outcome| SignatureCheck {
            image: "ghcr.io/acme/app:1".parse().unwrap(),
            digest: Digest::of(b"image"),
            rule: Reason::File { name: "x".repeat(1000), line: 3 },
            signer: None,
            outcome,
        };
        let verified = |signed: &[u8]| {
            let by = format!("key {}", Digest::of(b"key"));
            check(SignatureOutcome::Verified { by, signed: Digest::of(signed) }).mark()
        };
        assert_eq!(verified(b"image"), format!("signature: verified, key {}", Digest::of(b"key")));
        assert!(verified(b"part").starts_with("signature: verified for this platform, key sha256:"));
        let lost = Unsigned { lost: Some("y".repeat(1000)), ..unsigned() };
        for mark in
            [check(SignatureOutcome::NotVerified(lost)).mark(), check(SignatureOutcome::Ignored).mark()]
        {
            assert!(mark.starts_with("signature: not ") && mark.ends_with(":3)"), "{mark}");
        }
    }
}
