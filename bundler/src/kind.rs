//! The kind of an artifact, by the type of its config or the artifact type that it names. A table of the
//! types that tools write; any other type is an artifact.

use bundle_format::Kind;
use bundle_oci::MediaType;

/// How a type of the table is compared.
enum Like {
    /// The whole type.
    Whole(&'static str),
    /// Its start: the rest is a version or a form of writing.
    Start(&'static str),
}

use Like::{Start, Whole};

/// Types and what they mean, with where each comes from.
const TABLE: [(Like, Kind); 17] = [
    // Helm (helm, pkg/registry/constants.go).
    (Whole("application/vnd.cncf.helm.config.v1+json"), Kind::Chart),
    // SPDX and CycloneDX as registered with IANA, and as oras, buildx and Harbor attach them.
    (Start("application/spdx"), Kind::Sbom),
    (Start("text/spdx"), Kind::Sbom),
    (Start("application/vnd.cyclonedx"), Kind::Sbom),
    (Start("application/vnd.syft"), Kind::Sbom),
    (Start("application/vnd.goharbor.harbor.sbom"), Kind::Sbom),
    (Start("application/sbom"), Kind::Sbom),
    // in-toto and DSSE (in-toto/attestation, spec/v1/envelope.md).
    (Start("application/vnd.in-toto"), Kind::Attestation),
    (Start("application/vnd.dsse.envelope"), Kind::Attestation),
    // cosign's artifact types, application/vnd.dev.cosign.artifact.{sig,att,sbom}.v1+json.
    (Start("application/vnd.dev.cosign.artifact.sbom."), Kind::Sbom),
    (Start("application/vnd.dev.cosign.artifact.att."), Kind::Attestation),
    (Start("application/vnd.dev.cosign.artifact.sig."), Kind::Signature),
    (Start("application/vnd.dev.cosign.simplesigning."), Kind::Signature),
    // sigstore's bundle, application/vnd.dev.sigstore.bundle.v0.3+json (sigstore/protobuf-specs).
    (Start("application/vnd.dev.sigstore."), Kind::Signature),
    // Notation (notaryproject/specifications, signature-specification.md).
    (Start("application/vnd.cncf.notary."), Kind::Signature),
    // The two types of an image's config.
    (Whole("application/vnd.oci.image.config.v1+json"), Kind::Image),
    (Whole("application/vnd.docker.container.image.v1+json"), Kind::Image),
];

/// The kind of an artifact of this type; `is_artifact` if the manifest names an artifact type or is attached
/// to another, so that the config of an image does not count.
pub(crate) fn kind_of(media_type: &MediaType, is_artifact: bool) -> Kind {
    let text = media_type.as_str();
    let fits = |like: &Like| match like {
        Whole(whole) => text == *whole,
        Start(start) => text.starts_with(start),
    };
    match TABLE.iter().find(|(like, _)| fits(like)).map(|(_, kind)| *kind) {
        Some(Kind::Image) if is_artifact => Kind::Artifact,
        found => found.unwrap_or(Kind::Artifact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_attach_has_its_kind_and_no_word_in_a_name_makes_one() {
        for (text, kind) in [
            ("application/vnd.cncf.helm.config.v1+json", Kind::Chart),
            ("application/spdx+json", Kind::Sbom),
            ("application/vnd.cyclonedx+json", Kind::Sbom),
            ("application/vnd.in-toto+json", Kind::Attestation),
            ("application/vnd.dev.cosign.artifact.sig.v1+json", Kind::Signature),
            ("application/vnd.dev.cosign.artifact.sbom.v1+json", Kind::Sbom),
            ("application/vnd.dev.cosign.artifact.att.v1+json", Kind::Attestation),
            ("application/vnd.dev.sigstore.bundle.v0.3+json", Kind::Signature),
            ("application/vnd.cncf.notary.signature", Kind::Signature),
            ("application/vnd.acme.sbom-viewer.config.v1+json", Kind::Artifact),
            ("application/vnd.acme.cosign-policy.v1+json", Kind::Artifact),
            ("application/vnd.oci.image.config.v1+json", Kind::Artifact),
        ] {
            assert_eq!(kind_of(&text.parse().unwrap(), true), kind, "{text}");
        }
        let config = "application/vnd.oci.image.config.v1+json".parse().unwrap();
        assert_eq!(kind_of(&config, false), Kind::Image);
    }
}
