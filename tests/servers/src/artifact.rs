//! Content of registries besides images: attestations, referrers, cosign signatures, Helm charts. Takes a
//! subject and a kind; gives a manifest with its blobs, ready to push.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::blob::Blob;
use crate::image::{ImageSpec, Platform};
use crate::layer::StoredGzip;
use crate::manifest::{Descriptor, Manifest, ManifestDocument, OCI_MANIFEST, json};

const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

impl Manifest {
    /// A buildx-style attestation manifest of this image: an index child that refers to it by annotation.
    pub fn attestation(&self) -> Manifest {
        let predicate_type = "https://slsa.dev/provenance/v0.2";
        let statement = Statement {
            kind: "https://in-toto.io/Statement/v0.1",
            predicate_type,
            subject: [Subject { name: "_", digest: [("sha256", hex(&self.digest))].into() }],
            predicate: BTreeMap::from([("buildType", "https://mobyproject.org/buildkit@v1")]),
        };
        let layer = Blob::new("application/vnd.in-toto+json", json(&statement));
        let mut layer_descriptor = Descriptor::of(&layer);
        layer_descriptor.annotations = one("in-toto.io/predicate-type", predicate_type);
        // BuildKit gives attestations an image config whose diff_ids are the statements' digests.
        let mut config_spec = ImageSpec::oci().platform(Platform::unknown());
        config_spec.labels = one("attests", &self.digest);
        let config = config_spec.config_blob(vec![layer.digest.clone()]);
        let mut manifest =
            Manifest::from_parts(None, config, vec![(layer, layer_descriptor)], None, BTreeMap::new());
        manifest.platform = Some(Platform::unknown());
        manifest.descriptor_annotations = BTreeMap::from([
            ("vnd.docker.reference.digest".to_owned(), self.digest.clone()),
            (REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned()),
        ]);
        manifest
    }

    /// An OCI 1.1 referrer: an artifact whose `subject` is this manifest.
    pub fn referrer(&self, artifact_type: &str, content: &[u8]) -> Manifest {
        let layer = Blob::new("application/octet-stream", content);
        let descriptor = Descriptor::of(&layer);
        // image-spec §Guidance for an Empty Descriptor.
        let config = Blob::new("application/vnd.oci.empty.v1+json", *b"{}");
        let mut subject = self.descriptor();
        subject.platform = None;
        subject.artifact_type = None;
        subject.annotations.clear();
        Manifest::from_parts(
            Some(artifact_type),
            config,
            vec![(layer, descriptor)],
            Some(subject),
            one("org.opencontainers.image.created", "1970-01-01T00:00:00Z"),
        )
    }

    /// A signature in cosign's tag scheme, to be pushed with the tag [`Manifest::cosign_tag`]; `repository`
    /// is what the signed payload names. Nothing signed it: tests only carry it.
    pub fn cosign_signature(&self, repository: &str) -> Manifest {
        let payload = SimpleSigning {
            critical: Critical {
                identity: BTreeMap::from([("docker-reference", repository)]),
                image: BTreeMap::from([("docker-manifest-digest", self.digest.as_str())]),
                kind: "cosign container image signature",
            },
            optional: None,
        };
        let layer = Blob::new("application/vnd.dev.cosign.simplesigning.v1+json", json(&payload));
        let mut descriptor = Descriptor::of(&layer);
        descriptor.annotations =
            one("dev.cosignproject.cosign/signature", "bWFkZSB1cCwgbm90aGluZyBzaWduZWQgdGhpcw==");
        let config = ImageSpec::oci().config_blob(vec![layer.digest.clone()]);
        Manifest::from_parts(None, config, vec![(layer, descriptor)], None, BTreeMap::new())
    }

    /// `sha256-<hex>.sig`: where cosign looks for this manifest's signature.
    pub fn cosign_tag(&self) -> String {
        format!("{}.sig", self.referrers_tag())
    }

    /// `sha256-<hex>`: distribution-spec §Referrers Tag Schema.
    pub fn referrers_tag(&self) -> String {
        self.digest.replacen(':', "-", 1)
    }

    /// A Helm chart as `helm push` stores it.
    pub fn helm_chart(name: &str, version: &str) -> Manifest {
        Self::helm_chart_with(name, version, &[])
    }

    /// The same with more files, by their paths in the chart.
    pub fn helm_chart_with(name: &str, version: &str, files: &[(&str, &str)]) -> Manifest {
        let chart = ChartConfig { api_version: "v2", name, version, description: "made up" };
        let yaml = format!("apiVersion: v2\nname: {name}\nversion: {version}\ndescription: made up\n");
        let all = [("Chart.yaml", yaml.as_str())].into_iter().chain(files.iter().copied());
        let all: Vec<(String, &str)> = all.map(|(path, text)| (format!("{name}/{path}"), text)).collect();
        let entries: Vec<(&str, &[u8])> =
            all.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        let layer =
            Blob::new("application/vnd.cncf.helm.chart.content.v1.tar+gzip", StoredGzip::tar_of(&entries));
        let descriptor = Descriptor::of(&layer);
        let config = Blob::new("application/vnd.cncf.helm.config.v1+json", json(&chart));
        let mut manifest = Manifest::from_parts(
            None,
            config,
            vec![(layer, descriptor)],
            None,
            BTreeMap::from([
                ("org.opencontainers.image.title".to_owned(), name.to_owned()),
                ("org.opencontainers.image.version".to_owned(), version.to_owned()),
            ]),
        );
        manifest.artifact_type = Some("application/vnd.cncf.helm.config.v1+json".to_owned());
        manifest
    }

    /// An OCI artifact of one blob with `artifactType` and the empty config.
    pub fn artifact(artifact_type: &str, media_type: &str, content: &[u8]) -> Manifest {
        let layer = Blob::new(media_type, content);
        let descriptor = Descriptor::of(&layer);
        let config = Blob::new("application/vnd.oci.empty.v1+json", *b"{}");
        Manifest::from_parts(Some(artifact_type), config, vec![(layer, descriptor)], None, BTreeMap::new())
    }

    pub(crate) fn is_attestation(&self) -> bool {
        self.descriptor_annotations.contains_key(REFERENCE_TYPE)
    }

    fn from_parts(
        artifact_type: Option<&str>,
        config: Blob,
        layers: Vec<(Blob, Descriptor)>,
        subject: Option<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Manifest {
        let (layers, layer_descriptors): (Vec<Blob>, Vec<Descriptor>) = layers.into_iter().unzip();
        let document = ManifestDocument {
            schema_version: 2,
            media_type: OCI_MANIFEST,
            artifact_type: artifact_type.map(str::to_owned),
            config: Descriptor::of(&config),
            layers: layer_descriptors,
            subject,
            annotations,
        };
        Manifest {
            artifact_type: artifact_type.map(str::to_owned),
            blobs: std::iter::once(config).chain(layers).collect(),
            ..Manifest::from_document(OCI_MANIFEST, &document)
        }
    }
}

/// in-toto attestation §Statement.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'a str,
    predicate_type: &'a str,
    subject: [Subject<'a>; 1],
    predicate: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Subject<'a> {
    name: &'a str,
    digest: BTreeMap<&'a str, &'a str>,
}

/// containers/image, docs/containers-signature.5.md §JSON data format.
#[derive(Serialize)]
struct SimpleSigning<'a> {
    critical: Critical<'a>,
    optional: Option<()>,
}

#[derive(Serialize)]
struct Critical<'a> {
    identity: BTreeMap<&'a str, &'a str>,
    image: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChartConfig<'a> {
    name: &'a str,
    version: &'a str,
    description: &'a str,
    api_version: &'a str,
}

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

fn hex(digest: &str) -> &str {
    digest.split_once(':').map_or(digest, |(_, hex)| hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerSpec;

    fn document(manifest: &Manifest) -> serde_json::Value {
        serde_json::from_slice(&manifest.bytes).unwrap()
    }

    #[test]
    fn a_referrer_names_its_subject() {
        let image = ImageSpec::oci().layer(LayerSpec::new(1, 10)).build();
        let referrer = document(&image.referrer("application/spdx+json", b"{}"));
        assert_eq!(referrer["subject"]["digest"], image.digest);
        assert_eq!(referrer["artifactType"], "application/spdx+json");
        assert_eq!(referrer["config"]["digest"], crate::sha256(b"{}"));
    }

    #[test]
    fn a_signature_signs_the_digest_it_is_tagged_by() {
        let image = ImageSpec::oci().build();
        let signature = image.cosign_signature("registry.example/a");
        let payload: serde_json::Value =
            serde_json::from_slice(&signature.blobs[1].bytes().unwrap()).unwrap();
        assert_eq!(payload["critical"]["image"]["docker-manifest-digest"], image.digest);
        assert_eq!(image.cosign_tag(), format!("sha256-{}.sig", hex(&image.digest)));
    }

    #[test]
    fn a_chart_has_helms_media_types() {
        let chart = document(&Manifest::helm_chart("web", "1.2.3"));
        assert_eq!(chart["config"]["mediaType"], "application/vnd.cncf.helm.config.v1+json");
        assert_eq!(chart["layers"][0]["mediaType"], "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    }
}
