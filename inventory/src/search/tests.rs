//! Searches in receipts and bundles' statements, without a registry.
//! Take files that are written here, give places.

use std::path::{Path, PathBuf};

use bundle_format::{
    Blob, BundleId, Delivered, Outcome, PrivateKey, PublicKey, Receipt, Sequence, SignatureBytes, StreamName,
    Timestamp,
};
use bundle_oci::Digest;
use tempfile::TempDir;

use super::{Answer, At, Now, Sources, search};
use crate::Subject;

/// A directory of receipts, and the site's key.
struct Site {
    directory: TempDir,
    key: PrivateKey,
}

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

fn bundle(number: u64) -> BundleId {
    let sequence: Sequence = number.try_into().unwrap();
    let stream: StreamName = "nightly".parse().unwrap();
    BundleId { stream, sequence, statement: digest(&format!("nightly {number}")) }
}

impl Site {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), key: PrivateKey::from_seed(&[1; 32]) }
    }

    /// A night's receipt of artifacts `target`, what they are of, and what the import did.
    fn night(&self, number: u64, artifacts: &[(&str, &str, Outcome)]) -> PathBuf {
        let mut blobs = Vec::new();
        let delivered = artifacts.iter().map(|(target, of, outcome)| {
            let mut own = Vec::new();
            if outcome.is_in_place() {
                for blob in [digest(of), digest(&format!("layer of {of}"))] {
                    let at = blobs.iter().position(|it: &Blob| it.digest == blob).unwrap_or_else(|| {
                        blobs.push(Blob { digest: blob, size: 7 });
                        blobs.len() - 1
                    });
                    own.push(u32::try_from(at).unwrap());
                }
                own.sort_unstable();
            }
            Delivered {
                target: target.parse().unwrap(),
                digest: digest(of),
                outcome: *outcome,
                found: matches!(outcome, Outcome::Moved | Outcome::Skipped).then(|| digest("before")),
                blobs: own,
                read_back: None,
                scan: None,
            }
        });
        let delivered = delivered.collect();
        let receipt = Receipt {
            receipt_version: 1,
            bundle: bundle(number),
            previous: None,
            site: "plant 7".parse().unwrap(),
            registry: "harbor.example".parse().unwrap(),
            imported: Timestamp::from_unix(1000 + i64::try_from(number).unwrap()).unwrap(),
            signers: vec!["ops".to_owned()],
            artifacts: delivered,
            blobs,
            policies: Default::default(),
            overrides: Vec::new(),
        };
        let path = self.path(&format!("{number}.json"));
        self.write(&path, &receipt.to_bytes());
        path
    }

    fn write(&self, path: &Path, bytes: &[u8]) {
        let signature: SignatureBytes = self.key.sign(bytes);
        std::fs::write(path, bytes).unwrap();
        std::fs::write(format!("{}.sig", path.display()), signature.as_ref()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn search(&self, subject: &Subject) -> Answer {
        let (receipts, keys): ([PathBuf; 1], [PublicKey; 1]) =
            ([self.directory.path().to_owned()], [self.key.public()]);
        let sources = Sources { receipts: &receipts, keys: &keys, bundles: &[], policy: None, far: None };
        // Nothing waits: there is no registry.
        futures_util::FutureExt::now_or_never(search(subject, &sources)).unwrap().unwrap()
    }

    fn ask(&self, subject: &str) -> Answer {
        self.search(&subject.parse().unwrap())
    }
}

use Outcome::{Moved, Present, Pushed, Skipped};

#[test]
fn a_place_says_who_brought_it_and_whether_the_newest_bundle_still_has_it() {
    let site = Site::new();
    site.night(1, &[("cache/docker.io/library/nginx:1.25", "n1", Pushed), ("cache/a:latest", "a1", Pushed)]);
    site.night(2, &[("cache/docker.io/library/nginx:1.25", "n1", Present), ("cache/a:latest", "a2", Moved)]);
    site.night(3, &[("cache/a:latest", "a2", Present), ("cache/b:1", "b", Present)]);
    let answer = site.ask("nginx:1.25");
    let [nginx] = answer.places.as_slice() else { panic!("{answer:?}") };
    assert_eq!(nginx.brought.len(), 1);
    assert_eq!((&nginx.brought[0].bundle, nginx.brought[0].signers[0].as_str()), (&bundle(1), "ops"));
    assert_eq!((&nginx.streams[0].last, &nginx.streams[0].newest), (&bundle(2), &bundle(3)));
    assert!(!nginx.streams[0].is_wanted() && nginx.is_known() && nginx.bundles == 2);
    assert_eq!(nginx.sites.iter().map(ToString::to_string).collect::<Vec<_>>(), ["plant 7"]);
    assert_eq!(nginx.now, Now::Unknown);
    // Of a tag that moved, the newest comes first.
    let moved = site.ask("a:latest");
    let digests: Vec<Digest> = moved.places.iter().map(|place| place.digest).collect();
    assert_eq!(digests, [digest("a2"), digest("a1")]);
    assert!(moved.places[0].streams[0].is_wanted() && !moved.places[1].streams[0].is_wanted());
    // What was there before the first receipt was brought by nobody that is known.
    let before = site.ask("b");
    assert!(before.places[0].brought.is_empty());
    assert_eq!(before.places[0].first.as_ref().unwrap().bundle, bundle(3));
    // By a layer, of which only eight digits are known.
    let layer = digest("layer of n1");
    let by_layer = site.ask(&layer.hex()[..8]);
    assert_eq!((by_layer.places[0].digest, by_layer.places[0].part), (digest("n1"), Some(layer)));
    assert!(site.ask("nothing").places.is_empty());
    assert_eq!(site.search(&Subject::all()).places.len(), 4);
}

#[test]
fn what_was_left_out_is_no_delivery() {
    let site = Site::new();
    site.night(1, &[("cache/a:1", "a", Skipped)]);
    let answer = site.ask("a:1");
    assert!(answer.places[0].brought.is_empty());
    assert_eq!(answer.places[0].first.as_ref().unwrap().outcome, Skipped);
}

#[test]
fn receipts_that_nobody_signed_are_not_believed_and_are_named_with_those_that_cannot_be_read() {
    let site = Site::new();
    site.night(1, &[("cache/a:1", "a", Pushed)]);
    let forged = site.night(2, &[("cache/b:1", "b", Pushed)]);
    let text = std::fs::read_to_string(&forged).unwrap();
    std::fs::write(&forged, text.replace("plant 7", "plant 8")).unwrap();
    let unsigned = site.night(3, &[("cache/c:1", "c", Pushed)]);
    std::fs::remove_file(site.path("3.json.sig")).unwrap();
    let cut = site.path("4.json");
    site.write(&cut, b"{\"receiptVersion\":1,");
    for subject in ["b", "c", "a"] {
        let answer = site.ask(subject);
        assert_eq!(answer.places.len(), usize::from(subject == "a"), "{subject}");
        let named: Vec<&At> = answer.problems.iter().map(|problem| &problem.at).collect();
        assert_eq!(
            named,
            [&At::Receipt(forged.clone()), &At::Receipt(unsigned.clone()), &At::Receipt(cut.clone())]
        );
        assert_eq!(answer.receipts, 1);
    }
}
