//! To which bundle a file of a directory belongs, by its name alone: one file, a volume, or what lies beside.
//! Takes names, gives the name of the bundle as one file. Nothing is opened.

use std::path::Path;

use crate::VolumeNames;

/// The suffixes of files beside a bundle.
const BESIDE: [&str; 7] =
    [".volumes.json", ".parity", ".head", ".frames", ".bundle.json", ".bundle.json.sig", ".SHA256SUMS"];

/// The name, as one file, of the bundle that a file belongs to. None for other files, and for hidden ones, as
/// copying programs make them.
pub fn bundle_of(name: &str) -> Option<&str> {
    if name.starts_with('.') {
        return None;
    }
    let is_bundle = |name: &str| name.ends_with(".tar") || name.ends_with(".tar.zst");
    let base = match VolumeNames::read(Path::new(name)) {
        Some(_) => name.rsplit_once('.').map(|(base, _)| base)?,
        None => BESIDE
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .or_else(|| countersigned(name))
            .or_else(|| parity(name))
            .unwrap_or(name),
    };
    is_bundle(base).then_some(base)
}

/// Whether a file of the bundle `bundle` is the archive, a volume of it, or one of parity, from which all of a small
/// one can be rebuilt: a signature or an index alone is no bundle yet.
pub fn has_content(name: &str, bundle: &str) -> bool {
    name == bundle || VolumeNames::read(Path::new(name)).is_some() || parity(name).is_some()
}

/// The bundle of a volume of parity, by its name.
fn parity(name: &str) -> Option<&str> {
    VolumeNames::read_parity(Path::new(name))?;
    name.rsplit_once(".parity-").map(|(base, _)| base)
}

/// The signed file of a countersignature, by its name.
fn countersigned(name: &str) -> Option<&str> {
    let (base, hex) = name.strip_suffix(".sig")?.rsplit_once('.')?;
    let is_fingerprint = hex.len() == 16 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_fingerprint.then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_bundle_and_others_to_none() {
        for (name, bundle, content) in [
            ("a.tar", Some("a.tar"), true),
            ("a.tar.0123456789abcdef.sig", Some("a.tar"), false),
            ("b.tar.zst", Some("b.tar.zst"), true),
            ("c.tar.001-of-002", Some("c.tar"), true),
            ("c.tar.volumes.json", Some("c.tar"), false),
            ("j.tar.parity-001-of-001", Some("j.tar"), true),
            ("k.tar.parity", Some("k.tar"), false),
            (".f.tar", None, false),
            ("g.tar.part", None, false),
            ("readme.txt", None, false),
        ] {
            assert_eq!(bundle_of(name), bundle, "{name}");
            assert_eq!(bundle.is_some_and(|bundle| has_content(name, bundle)), content, "{name}");
        }
    }
}
