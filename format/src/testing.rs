//! One small bundle, made by hand, for the tests of this crate and as a seed for fuzzing.
//! Takes layers' bytes, gives manifests, statements, keys and whole bundles. Outside of tests it exists only
//! with the feature `testing`.

use std::collections::BTreeMap;
use std::io::Write;

use bundle_oci::{Digest, MediaType};
use serde_json::json;

use crate::{
    Artifact, Blob, BundleId, CompressedWriter, Delivered, Draft, Kind, Layout, OCI_LAYOUT, Outcome,
    PrivateKey, RECEIPT_VERSION, Receipt, Sequence, Statement, StreamName, Target, Timestamp, TrustPolicy,
};

/// The config of every image here.
pub const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux"}"#;

/// The manifest of an image with these layers.
pub fn manifest(layers: &[&[u8]]) -> Vec<u8> {
    let layer = |bytes: &&[u8]| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest::of(bytes), "size": bytes.len()});
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(CONFIG), "size": CONFIG.len()});
    let layers: Vec<_> = layers.iter().map(layer).collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": MediaType::IMAGE_MANIFEST, "config": config, "layers": layers});
    serde_json::to_vec(&manifest).unwrap()
}

/// An index of nothing but this image or index.
fn index_of(child: &[u8], is_image: bool) -> Vec<u8> {
    let media_type = if is_image { MediaType::IMAGE_MANIFEST } else { MediaType::IMAGE_INDEX };
    let child = json!({"mediaType": media_type, "digest": Digest::of(child), "size": child.len()});
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::IMAGE_INDEX, "manifests": [child]});
    serde_json::to_vec(&index).unwrap()
}

/// The blobs of an image with this manifest and these layers, in so many indexes, the outermost first.
fn contents(manifest: Vec<u8>, indexes: usize, layers: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut contents = vec![manifest];
    for number in 0..indexes {
        let outer = index_of(&contents[0], number == 0);
        contents.insert(0, outer);
    }
    contents.push(CONFIG.to_vec());
    for layer in layers {
        if !contents.iter().any(|known| known == layer) {
            contents.push(layer.to_vec());
        }
    }
    contents
}

/// The statement of one image with these layers.
pub fn statement(layers: &[&[u8]]) -> Statement {
    statement_of(&contents(manifest(layers), 0, layers), MediaType::IMAGE_MANIFEST)
}

/// The statement of one image with these blobs, its manifest first.
fn statement_of(contents: &[Vec<u8>], media_type: &str) -> Statement {
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
            media_type: media_type.parse().unwrap(),
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
    draft.seal(&crate::Limits::V1).unwrap()
}

/// The receipt of [`statement`] with one layer.
pub fn receipt() -> Receipt {
    let statement = statement(&[b"layer"]);
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
            read_back: None,
            scan: None,
        }],
        blobs: statement.blobs.clone(),
        policies: BTreeMap::new(),
        overrides: Vec::new(),
    }
}

/// A key that is no secret.
pub fn key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

/// Trusts [`key`].
pub fn policy() -> TrustPolicy {
    TrustPolicy::single("test", key().public())
}

/// The whole archive of [`statement`].
pub fn bundle(layers: &[&[u8]]) -> Vec<u8> {
    signed(manifest(layers), 0, layers, &key(), |statement| statement)
}

/// The archive of an image with this manifest and these layers, in so many indexes, each in the one before, whose
/// statement's text was changed before it was signed.
pub fn signed(
    manifest: Vec<u8>,
    indexes: usize,
    layers: &[&[u8]],
    key: &PrivateKey,
    change: impl FnOnce(String) -> String,
) -> Vec<u8> {
    let media_type = if indexes == 0 { MediaType::IMAGE_MANIFEST } else { MediaType::IMAGE_INDEX };
    let contents = contents(manifest, indexes, layers);
    let statement = statement_of(&contents, media_type);
    let head = change(String::from_utf8(statement.to_bytes()).unwrap()).into_bytes();
    let layout = Layout::of(&statement, head.len() as u64);
    let signature = key.sign(&head).as_ref().to_vec();
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

/// `content` as the writer of `.tar.zst` compresses it.
pub fn compressed(content: &[u8]) -> Vec<u8> {
    let mut writer = CompressedWriter::new(Vec::new()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().0
}

/// A bundle of [`bundle`] in a compact encoding, in which each of its last `layers` blobs has a recipe, the later
/// ones as differences to the one before.
pub fn compact(content: &[u8], layers: usize) -> Vec<u8> {
    let head = crate::Unverified::read(&mut &content[..], &crate::Limits::V1).unwrap();
    let statement = Statement::parse(&head.statement, &crate::Limits::V1).unwrap();
    let layout = Layout::of(&statement, head.statement.len() as u64);
    let scratch = crate::ScratchSpace::default();
    let effort = crate::Effort::Default;
    let bases = std::sync::Arc::new(crate::NoBases);
    let encoder = crate::CompactEncoder::new(bases, scratch.clone(), effort, &crate::Limits::V1);
    let mut writer = crate::CompactWriter::new(Vec::new(), Vec::new()).unwrap();
    let mut at = 0;
    let mut earlier = Vec::new();
    let blobs = layout.blobs();
    for entry in &blobs[blobs.len().saturating_sub(layers)..] {
        let (from, to) = (entry.offset as usize, (entry.offset + entry.size) as usize);
        writer.bytes(&content[at..from]).unwrap();
        let file = std::sync::Arc::new(scratch.file().unwrap());
        (&*file).write_all(&content[from..to]).unwrap();
        let encoded = encoder.encode(&file, entry.size, &earlier).unwrap();
        writer.blob(&file, entry.size, encoded.as_ref()).unwrap();
        earlier = vec![encoder.earlier(entry.offset, entry.size, file)];
        at = to;
    }
    writer.bytes(&content[at..]).unwrap();
    writer.finish().unwrap().0
}

/// A zip of these files as Python, Java and others write it: zlib's DEFLATE at level 6.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    use bundle_recompress::{Deflate, Encoder, Level, ZlibSettings};
    let level = Level::new(6).unwrap();
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let (mut encoder, mut packed) = (Deflate::zlib(ZlibSettings::usual(level)), Vec::new());
        encoder.write(content, &mut packed);
        encoder.finish(&mut packed);
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        for number in [crc.sum(), packed.len() as u32, content.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 10]].concat());
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.bytes());
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
    }
    let (offset, length, number) = (bytes.len() as u32, directory.len() as u32, files.len() as u16);
    bytes.append(&mut directory);
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend([number.to_le_bytes(), number.to_le_bytes()].concat());
    bytes.extend([length.to_le_bytes(), offset.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}
