//! Inputs that the real writer makes: statements, archives, compressed ones, receipts, parity.
//! Takes nothing; gives bytes.

use std::collections::BTreeMap;
use std::io::Write;

use bundle_format::{
    Artifact, Blob, BundleId, CompressedWriter, Delivered, Draft, Kind, Layout, Limits, OCI_LAYOUT, Outcome,
    ParityPlan, PrivateKey, RECEIPT_VERSION, Receipt, Sequence, ShortReceipt, Statement, StreamName, Target,
    Timestamp, VOLUMES_VERSION, VolumeEntry, VolumeIndex,
};
use bundle_oci::{Digest, MediaType};
use serde_json::json;

const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux"}"#;

/// A key that is no secret.
pub(crate) fn key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

fn manifest(layers: &[Vec<u8>]) -> Vec<u8> {
    let layer = |bytes: &Vec<u8>| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest::of(bytes), "size": bytes.len()});
    let layers: Vec<_> = layers.iter().map(layer).collect();
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(CONFIG), "size": CONFIG.len()});
    let manifest = json!({"schemaVersion": 2, "mediaType": MediaType::IMAGE_MANIFEST, "config": config, "layers": layers});
    serde_json::to_vec(&manifest).unwrap()
}

fn contents(layers: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut contents = vec![manifest(layers), CONFIG.to_vec()];
    contents.extend_from_slice(layers);
    contents
}

fn statement(contents: &[Vec<u8>]) -> Statement {
    let draft = Draft {
        stream: StreamName::default(),
        sequence: Sequence::try_from(1).unwrap(),
        created: Timestamp::from_unix(1_795_000_000).unwrap(),
        expires: None,
        previous: None,
        base: Vec::new(),
        artifacts: vec![Artifact {
            kind: Kind::Image,
            source: "docker.io/library/nginx:1.25".parse().unwrap(),
            target: Target {
                project: "cache".parse().unwrap(),
                repository: "docker.io/library/nginx".parse().unwrap(),
                tag: Some("1.25".parse().unwrap()),
            },
            digest: Digest::of(&contents[0]),
            media_type: MediaType::IMAGE_MANIFEST.parse().unwrap(),
            platforms: vec!["linux/amd64".parse().unwrap()],
            derived_from: None,
            subject: None,
            reasons: vec!["images.txt:1".to_owned()],
        }],
        blobs: contents
            .iter()
            .map(|bytes| Blob { digest: Digest::of(bytes), size: bytes.len() as u64 })
            .collect(),
        requires: Vec::new(),
    };
    draft.seal(&Limits::V1).unwrap()
}

fn layers(sizes: &[usize]) -> Vec<Vec<u8>> {
    let byte = |seed: usize, at: usize| ((at + seed).wrapping_mul(2_654_435_761) >> 13) as u8;
    sizes.iter().enumerate().map(|(seed, size)| (0..*size).map(|at| byte(seed * 977, at)).collect()).collect()
}

fn bundle(sizes: &[usize]) -> Vec<u8> {
    let contents = contents(&layers(sizes));
    let statement = statement(&contents);
    let head = statement.to_bytes();
    let layout = Layout::of(&statement, head.len() as u64);
    let signature = key().sign(&head).as_ref().to_vec();
    let mut entries = vec![head, signature, OCI_LAYOUT.to_vec(), statement.index_json()];
    entries.extend(contents);
    let mut bytes = Vec::new();
    for (entry, content) in layout.entries().iter().zip(entries) {
        bytes.extend_from_slice(&entry.header());
        bytes.extend_from_slice(&content);
        bytes.resize(bytes.len() + entry.padding() as usize, 0);
    }
    bytes.resize(layout.size() as usize, 0);
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut writer = CompressedWriter::new(Vec::new()).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap().0
}

pub(crate) fn statements() -> Vec<Vec<u8>> {
    [&[5][..], &[1, 2, 3]].map(|sizes| statement(&contents(&layers(sizes))).to_bytes()).to_vec()
}

pub(crate) fn manifests() -> Vec<Vec<u8>> {
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::IMAGE_INDEX, "manifests": [
        {"mediaType": MediaType::IMAGE_MANIFEST, "digest": Digest::of(b"x"), "size": 5, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}],
        "subject": {"mediaType": MediaType::IMAGE_MANIFEST, "digest": Digest::of(b"y"), "size": 6}, "annotations": {"a": "b"}});
    vec![manifest(&layers(&[5, 9])), serde_json::to_vec(&index).unwrap()]
}

pub(crate) fn bundles() -> Vec<Vec<u8>> {
    vec![bundle(&[5]), bundle(&[0, 600, 512])]
}

pub(crate) fn pipes() -> Vec<Vec<u8>> {
    bundles().into_iter().chain(bundles().iter().map(|bytes| packed(bytes))).collect()
}

pub(crate) fn compressed() -> Vec<Vec<u8>> {
    bundles().iter().map(|bytes| packed(bytes)).collect()
}

pub(crate) fn volume_indexes() -> Vec<Vec<u8>> {
    let volumes = (1..4).map(|size| VolumeEntry { size, digest: Digest::of(b"v") }).collect();
    vec![VolumeIndex { volumes_version: VOLUMES_VERSION, statement: Digest::of(b"x"), volumes }.to_bytes()]
}

fn a_receipt() -> Receipt {
    let statement = statement(&contents(&layers(&[5])));
    let artifact = &statement.artifacts[0];
    Receipt {
        receipt_version: RECEIPT_VERSION,
        bundle: BundleId::of(&statement, Digest::of(&statement.to_bytes())),
        previous: None,
        site: "plant 7".parse().unwrap(),
        registry: "harbor.example".parse().unwrap(),
        imported: Timestamp::from_unix(1_795_100_000).unwrap(),
        signers: vec!["test".to_owned()],
        artifacts: vec![Delivered {
            target: artifact.target.clone(),
            digest: artifact.digest,
            outcome: Outcome::Pushed,
            found: None,
            blobs: (0..statement.blobs.len() as u32).collect(),
            scan: None,
        }],
        blobs: statement.blobs.clone(),
        policies: BTreeMap::new(),
        overrides: Vec::new(),
    }
}

pub(crate) fn receipts() -> Vec<Vec<u8>> {
    vec![a_receipt().to_bytes()]
}

pub(crate) fn short_receipts() -> Vec<Vec<u8>> {
    vec![ShortReceipt::of(&a_receipt().bundle).to_string().into_bytes()]
}

/// The bundle of the target `parity`.
pub(crate) fn protected() -> Vec<u8> {
    bundle(&[30_000, 4_000])
}

pub(crate) fn parities() -> Vec<Vec<u8>> {
    let bytes = protected();
    let file = tempfile::tempfile().unwrap();
    let plan = ParityPlan::of_file(Digest::of(b"x"), bytes.len() as u64, "10%".parse().unwrap());
    let read = |buffer: &mut [u8], at: u64| {
        buffer.copy_from_slice(&bytes[at as usize..][..buffer.len()]);
        Ok(())
    };
    plan.write(&read, &file, &[]).unwrap();
    let mut parity = vec![0; plan.size() as usize];
    bundle_format::Layer::read_exact_at(&file, &mut parity, 0).unwrap();
    // First come bytes that say where the bundle itself is damaged.
    [[0; 8], [10, 0, 3, 200, 90, 0, 1, 9]].map(|damage| [&damage[..], &parity].concat()).to_vec()
}
