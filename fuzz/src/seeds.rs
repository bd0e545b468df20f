//! Inputs that the real writer makes: statements, archives, compressed ones, receipts, parity.
//! Takes nothing; gives bytes.

use bundle_format::{
    AbsenceNotice, CompactBase, ParityPlan, ShortReceipt, VOLUMES_VERSION, VolumeEntry, VolumeIndex, testing,
};
use bundle_oci::{Digest, MediaType};
use serde_json::json;

fn layers(sizes: &[usize]) -> Vec<Vec<u8>> {
    let byte = |seed: usize, at: usize| ((at + seed).wrapping_mul(2_654_435_761) >> 13) as u8;
    sizes.iter().enumerate().map(|(seed, size)| (0..*size).map(|at| byte(seed * 977, at)).collect()).collect()
}

/// The slices of `layers`.
fn slices(layers: &[Vec<u8>]) -> Vec<&[u8]> {
    layers.iter().map(Vec::as_slice).collect()
}

fn bundle(sizes: &[usize]) -> Vec<u8> {
    testing::bundle(&slices(&layers(sizes)))
}

pub(crate) fn statements() -> Vec<Vec<u8>> {
    [&[5][..], &[1, 2, 3]].map(|sizes| testing::statement(&slices(&layers(sizes))).to_bytes()).to_vec()
}

pub(crate) fn manifests() -> Vec<Vec<u8>> {
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::IMAGE_INDEX, "manifests": [
        {"mediaType": MediaType::IMAGE_MANIFEST, "digest": Digest::of(b"x"), "size": 5, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}],
        "subject": {"mediaType": MediaType::IMAGE_MANIFEST, "digest": Digest::of(b"y"), "size": 6}, "annotations": {"a": "b"}});
    vec![testing::manifest(&slices(&layers(&[5, 9]))), serde_json::to_vec(&index).unwrap()]
}

pub(crate) fn bundles() -> Vec<Vec<u8>> {
    vec![bundle(&[5]), bundle(&[0, 600, 512])]
}

pub(crate) fn pipes() -> Vec<Vec<u8>> {
    bundles().into_iter().chain(bundles().iter().map(|bytes| testing::compressed(bytes))).collect()
}

pub(crate) fn compressed() -> Vec<Vec<u8>> {
    bundles().iter().map(|bytes| testing::compressed(bytes)).collect()
}

/// Zips that have much in common, the last with another in it.
pub(crate) fn zips() -> Vec<Vec<u8>> {
    let text = include_bytes!("seeds.rs");
    let zip = |changed: &[u8]| testing::zip(&[("a", &text[..900]), ("b", changed), ("c", &text[..1500])]);
    let zips = [zip(&text[100..1900]), zip(&[&b"changed"[..], &text[130..1900]].concat())];
    let nested = testing::zip(&[("a", &text[..700]), ("lib/b.jar", &zips[1])]);
    zips.into_iter().chain([nested]).collect()
}

/// Encodings of bundles with layers that are differences to earlier ones, in the last one between opened zips.
pub(crate) fn compact() -> Vec<Vec<u8>> {
    let opened = testing::compact(&testing::bundle(&slices(&zips())), zips().len());
    let encodings =
        [&[5_000][..], &[9_000, 9_100]].map(|sizes| testing::compact(&bundle(sizes), sizes.len()));
    encodings.into_iter().chain([opened]).collect()
}

pub(crate) fn volume_indexes() -> Vec<Vec<u8>> {
    let volumes = (1..4).map(|size| VolumeEntry { size, digest: Digest::of(b"v") }).collect();
    vec![VolumeIndex { volumes_version: VOLUMES_VERSION, statement: Digest::of(b"x"), volumes }.to_bytes()]
}

pub(crate) fn receipts() -> Vec<Vec<u8>> {
    let receipt = testing::receipt();
    let lost = CompactBase {
        digest: receipt.blobs[0].digest,
        size: 7,
        repository: "cache/docker.io/library/nginx".parse().unwrap(),
    };
    let receipt_bytes = receipt.to_bytes();
    let (site, registry, noticed) = (receipt.site, receipt.registry, receipt.imported);
    let notice = AbsenceNotice::new(receipt.bundle, site, registry, noticed, vec![lost]);
    vec![receipt_bytes, notice.to_bytes()]
}

pub(crate) fn short_receipts() -> Vec<Vec<u8>> {
    vec![ShortReceipt::of(&testing::receipt().bundle).to_string().into_bytes()]
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
