//! Looks for a publisher's signature of an image, where a rule asks for one. Takes an image that is looked up;
//! fetches what is attached to it, and gives what came of the check, or an error where a signature is required.

use std::collections::HashMap;

use bundle_oci::{Digest, Manifest, Reference};
use bundle_registry::FetchedManifest;
use bundle_upstream::{
    Annotations, BUNDLE_TYPE, CERTIFICATE_ANNOTATION, Fault, Found, LOG_ANNOTATION, Limits,
    SIGNATURE_ANNOTATION, SIMPLE_TYPE,
};
use serde::Deserialize;

use super::{CosignSigner, SignatureAction, SignatureCheck, SignatureOutcome, Unsigned};
use crate::Notice;
use crate::ResolveCause;
use crate::referrer::{Anew, FoundReferrer, is_answer};
use crate::resolve::{Resolver, parse};

/// The layers of a manifest with signatures.
#[derive(Deserialize)]
struct Layers {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

/// One signature that a registry lists.
struct Listed<'a> {
    /// The manifest that has it.
    holder: Digest,
    layer: &'a Layer,
    /// The signature itself, if it is beside the layer.
    simple: Option<&'a str>,
}

impl Resolver<'_> {
    /// Checks the signatures of an image as the rule for it asks; nothing if there is no rule. `original` is what
    /// the reference means at its source, `carried` what the bundle will have of it.
    ///
    /// # Errors
    /// [`ResolveCause::Unsigned`] if a signature is required, or the registry does not answer.
    pub(crate) async fn check_signature(
        &self,
        reference: &Reference,
        original: &FetchedManifest,
        carried: &FetchedManifest,
        anew: Anew,
    ) -> Result<Option<SignatureCheck>, ResolveCause> {
        let Some(rule) = self.upstream.rule_for(reference) else { return Ok(None) };
        let signer = rule.signer.as_ref().filter(|_| rule.action != SignatureAction::Ignore);
        let outcome = match signer {
            None => SignatureOutcome::Ignored,
            Some(signer) => {
                let mut subjects = vec![original.digest];
                // One manifest out of an index may have been signed by itself. An index that is made here was not.
                if carried.digest != original.digest && matches!(parse(carried)?, Manifest::Image(_)) {
                    subjects.push(carried.digest);
                }
                let mut unsigned = Unsigned::new(&rule.place, signer, original.digest);
                let mut verified = self.find(reference, &subjects, signer, &mut unsigned, anew).await?;
                // What an earlier run was told may be older than the signature.
                if verified.is_none() && anew == Anew::No && !self.options.referrers_max_age.is_zero() {
                    unsigned = Unsigned::new(&rule.place, signer, original.digest);
                    verified = self.find(reference, &subjects, signer, &mut unsigned, Anew::Yes).await?;
                }
                match (verified, rule.action) {
                    (Some((by, signed)), _) => SignatureOutcome::Verified { by, signed },
                    (None, SignatureAction::Require) => {
                        return Err(ResolveCause::Unsigned(Box::new(unsigned)));
                    }
                    (None, SignatureAction::Warn | SignatureAction::Ignore) => {
                        self.say(Notice::NotSigned { image: reference.clone(), why: unsigned.clone() });
                        SignatureOutcome::NotVerified(unsigned)
                    }
                }
            }
        };
        Ok(Some(SignatureCheck {
            image: reference.clone(),
            digest: original.digest,
            rule: rule.place.clone(),
            signer: signer.map(ToString::to_string),
            outcome,
        }))
    }

    /// The signer of one of these manifests, and which; what is wrong with signatures is noted in `unsigned`.
    async fn find(
        &self,
        reference: &Reference,
        subjects: &[Digest],
        signer: &CosignSigner,
        unsigned: &mut Unsigned,
        anew: Anew,
    ) -> Result<Option<(String, Digest)>, ResolveCause> {
        for &subject in subjects {
            let attached = self.look_up_referrers(reference, subject, anew).await?;
            self.remember(reference, subject, &attached);
            for holder in &attached {
                let Some(read) = layers_of(holder) else { continue };
                for listed in read.signatures(holder) {
                    if unsigned.count >= Limits::DEFAULT.signatures {
                        unsigned.count += 1;
                        continue;
                    }
                    match self.check_one(reference, subject, signer, &listed).await? {
                        Ok(by) => return Ok(Some((by, subject))),
                        Err(why) => unsigned.add(listed.holder, &why),
                    }
                }
            }
        }
        let lost = self.unobtainable.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let lost = lost.iter().find(|lost| lost.reference == *reference && subjects.contains(&lost.subject));
        unsigned.lost = lost.map(|lost| lost.why.clone());
        Ok(None)
    }

    /// The signer, if this signature counts; or why it does not.
    async fn check_one(
        &self,
        reference: &Reference,
        subject: Digest,
        signer: &CosignSigner,
        listed: &Listed<'_>,
    ) -> Result<Result<String, String>, ResolveCause> {
        let limits = Limits::DEFAULT;
        let (what, limit) = match listed.simple {
            Some(_) => ("its payload", limits.payload),
            None => ("its bundle", limits.bundle),
        };
        let Layer { digest, size, .. } = *listed.layer;
        if size > limit {
            return Ok(Err(Fault::TooLarge { what, limit }.to_string()));
        }
        let bytes = match self.source(reference).small(reference, digest, size).await {
            Err(ResolveCause::Registry(error)) if is_answer(&error) => {
                return Ok(Err(format!("cannot be fetched: {}", bundle_oci::chain(&error))));
            }
            other => other?,
        };
        let found = match listed.simple {
            Some(signature) => {
                let beside = |name: &str| listed.layer.annotations.get(name).map(String::as_str);
                let beside =
                    Annotations { certificate: beside(CERTIFICATE_ANNOTATION), log: beside(LOG_ANNOTATION) };
                Found::Simple { payload: &bytes, signature, beside }
            }
            None => Found::Bundle(&bytes),
        };
        Ok(signer.check(subject, found).map_err(|fault| fault.to_string()))
    }
}

/// The layers of a manifest that may have signatures. One that cannot be read has none: its registry, or whoever
/// pushed it, says something that is no signature.
fn layers_of(holder: &FoundReferrer) -> Option<Layers> {
    serde_json::from_slice(&holder.manifest.bytes).ok()
}

impl Layers {
    /// The signatures of a manifest: cosign's payloads below its tag or in a referrer, bundles in referrers.
    fn signatures<'a>(&'a self, holder: &FoundReferrer) -> Vec<Listed<'a>> {
        let tag = holder.tag.as_ref().map(bundle_oci::Tag::as_str);
        if tag.is_some_and(|tag| !tag.ends_with(".sig")) {
            return Vec::new();
        }
        let holder = holder.manifest.digest;
        let listed = self.layers.iter().filter_map(|layer| {
            let simple = layer.annotations.get(SIGNATURE_ANNOTATION).map(String::as_str);
            match layer.media_type.as_str() {
                SIMPLE_TYPE => Some(Listed { holder, layer, simple: Some(simple.unwrap_or_default()) }),
                BUNDLE_TYPE if tag.is_none() => Some(Listed { holder, layer, simple: None }),
                _ => None,
            }
        });
        listed.collect()
    }
}
