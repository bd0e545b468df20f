//! The test vectors of docs/format.md: each file in `format/vectors` says how to make an archive
//! of the example, and at which step of the verification it is refused.

use std::path::Path;

use bundle_oci::Digest;

use crate::testing::{key, manifest, policy, signed};
use crate::{Archive, Damage, Limits, PrivateKey, SignatureBytes, Timestamp, TrustError, Unverified};

const LAYER: &[u8] = b"layer";

/// The step of docs/format.md §Verification at which these bytes are refused.
fn refused_at(bytes: &[u8], countersigners: u8) -> Option<u8> {
    let head = match Unverified::read(&mut &bytes[..], &Limits::V1) {
        Ok(head) => head,
        Err(Damage::NotABundle | Damage::StatementSize(_)) => return Some(1),
        Err(_) => return Some(2),
    };
    let now = Timestamp::from_unix(1_800_000_000).unwrap();
    let seeds = (100..).take(usize::from(countersigners));
    let countersignatures: Vec<SignatureBytes> =
        seeds.map(|seed| PrivateKey::from_seed(&[seed; 32]).sign(&head.statement)).collect();
    let trusted = match policy().check(head, &countersignatures, now, &Limits::V1) {
        Ok(trusted) => trusted,
        Err(TrustError::Stranger { .. } | TrustError::Revoked(_) | TrustError::TooMany { .. }) => {
            return Some(3);
        }
        Err(TrustError::Statement(_)) => return Some(4),
        Err(_) => return Some(5),
    };
    let archive = match Archive::open(bytes.to_vec(), trusted) {
        Ok(archive) => archive,
        Err(Damage::Truncated { .. } | Damage::TooLong(_)) => return Some(6),
        Err(_) => return Some(7),
    };
    match archive.graph(&Limits::V1) {
        Ok(_) if archive.damaged_blobs(1, &|_, _| Ok(())).is_empty() => None,
        Ok(_) => Some(9),
        Err(_) => Some(8),
    }
}

/// Follows the instructions of one vector: the archive, and how many countersign it.
fn build(name: &str, instructions: &str) -> (Vec<u8>, u8) {
    let mut image = String::from_utf8(manifest(&[LAYER])).unwrap();
    let mut edits = Vec::new();
    let mut signer = key();
    let mut afterwards = Vec::new();
    let mut layers = vec![LAYER];
    let (mut indexes, mut countersigners) = (0, 0);
    for line in instructions.lines().filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let change = || rest.split_once(" => ").unwrap_or_else(|| panic!("{name}: no => in {line}"));
        match word {
            "manifest" => {
                let (from, to) = change();
                assert!(image.contains(from), "{name}: the manifest has no {from}");
                image = image.replacen(from, to, 1);
            }
            "statement" => edits.push(change()),
            "blob" => layers.push(rest.as_bytes()),
            "nest" => indexes = rest.parse().unwrap(),
            "countersign" => countersigners = rest.parse().unwrap(),
            "seed" => signer = PrivateKey::from_seed(&[rest.parse().unwrap(); 32]),
            "flip" | "cut" | "append" | "twice" => afterwards.push((word, rest)),
            _ => panic!("{name}: unknown instruction {line}"),
        }
    }
    let mut bytes = signed(image.into_bytes(), indexes, &layers, &signer, |mut statement| {
        for (from, to) in edits {
            assert!(statement.contains(from), "{name}: the statement has no {from}");
            statement = statement.replacen(from, to, 1);
        }
        statement
    });
    for (word, rest) in afterwards {
        match word {
            "flip" => {
                let (at, mask) = rest.split_once(' ').unwrap();
                bytes[at.parse::<usize>().unwrap()] ^= u8::from_str_radix(mask, 16).unwrap();
            }
            "cut" => bytes.truncate(rest.parse().unwrap()),
            "append" => bytes.resize(bytes.len() + rest.parse::<usize>().unwrap(), 0),
            _ => bytes.extend_from_within(..),
        }
    }
    (bytes, countersigners)
}

#[test]
fn every_vector_is_refused_where_it_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, instructions) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let field = |field: &str| head.lines().find_map(|line| line.strip_prefix(field));
        assert!(field("why: ").is_some(), "{name} does not say why");
        let (bytes, countersigners) = build(&name, instructions);
        let step = match field("step: ").unwrap_or_else(|| panic!("{name} has no step")) {
            "accepted" => None,
            step => Some(step.parse().unwrap()),
        };
        assert_eq!(refused_at(&bytes, countersigners), step, "{name}");
        if let Some(digest) = field("archive: ") {
            assert_eq!(Digest::of(&bytes).to_string(), digest, "{name}");
        }
        seen += 1;
    }
    assert!(seen >= 30, "only {seen} vectors were found");
}
