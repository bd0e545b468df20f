//! What every one of several sites has, so that one delta is right for all of them.
//! Takes the inventory of each site, one at a time, because a thousand do not fit in memory; gives one inventory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use bundle_format::{Limits, PublicKey, StreamName, Target};
use bundle_oci::{Digest, RepositoryName};

use crate::{Inventory, InventoryError, InventoryKind};

/// What all sites so far have.
#[derive(Debug, Default)]
pub struct EverySite {
    /// The site that is furthest behind: what all have is part of what it has.
    behind: Option<Inventory>,
    held: HashMap<RepositoryName, HashSet<Digest>>,
    in_place: HashSet<(Target, Digest)>,
    sites: usize,
}

/// Why the receipts of several sites are no base.
#[derive(Debug, thiserror::Error)]
pub enum EverySiteError {
    /// A directory that cannot be listed.
    #[error("{} cannot be listed", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Nothing is there.
    #[error("{} has neither a receipt nor a directory with receipts", .0.display())]
    NoSite(PathBuf),
    /// A site without a receipt.
    #[error("site {} has no receipt: nothing that it has is known", .0.display())]
    NoReceipt(PathBuf),
    /// A file that cannot be used.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A file that is no receipt.
    #[error("{} is not a receipt", .0.display())]
    NotAReceipt(PathBuf),
    /// The numbers of different streams cannot be compared.
    #[error("{} is a receipt of stream '{found}', others are of '{expected}'", .path.display())]
    Stream {
        /// The file.
        path: PathBuf,
        /// Its stream.
        found: StreamName,
        /// That of the others.
        expected: StreamName,
    },
}

impl EverySite {
    /// Adds a site with what it has.
    pub fn add(&mut self, site: Inventory) {
        let mut held: HashMap<RepositoryName, HashSet<Digest>> = HashMap::new();
        for artifact in &site.artifacts {
            if let (Ok(repository), Some(blobs)) = (artifact.target.path(), site.blobs_of(artifact)) {
                held.entry(repository).or_default().extend(blobs.map(|blob| blob.digest));
            }
        }
        // What a site has only a part of, because some is gone, is not in place there.
        let whole = site.artifacts.iter().filter(|artifact| !artifact.partial);
        let in_place = whole.map(|artifact| (artifact.target.clone(), artifact.digest)).collect();
        match &mut self.behind {
            None => {
                (self.held, self.in_place) = (held, in_place);
                self.behind = Some(site);
            }
            Some(behind) => {
                self.held.retain(|repository, blobs| {
                    let there = held.get(repository);
                    blobs.retain(|blob| there.is_some_and(|there| there.contains(blob)));
                    !blobs.is_empty()
                });
                self.in_place.retain(|artifact| in_place.contains(artifact));
                if site.base.sequence < behind.base.sequence {
                    *behind = site;
                }
            }
        }
        self.sites += 1;
    }

    /// How many sites there are.
    pub fn sites(&self) -> usize {
        self.sites
    }

    /// The inventory of the site that is furthest behind, with only what all others have as well; none without sites.
    pub fn shared(self) -> Option<Inventory> {
        let mut shared = self.behind?;
        let known = &shared.known;
        for artifact in &mut shared.artifacts {
            let held = artifact.target.path().ok().and_then(|repository| self.held.get(&repository));
            if let Some(blobs) = &mut artifact.blobs {
                let is_held = |blob: &Digest| held.is_some_and(|held| held.contains(blob));
                blobs.retain(|&at| known.get(at as usize).is_some_and(|blob| is_held(&blob.digest)));
            }
            artifact.partial = !self.in_place.contains(&(artifact.target.clone(), artifact.digest));
        }
        Some(shared)
    }

    /// Reads a directory with the receipts of sites of one stream: each file in it is the receipt of a site, and each
    /// directory in it has those of one, of which the newest counts. With `keys`, one of them must have signed each.
    ///
    /// # Errors
    /// Any [`EverySiteError`].
    pub fn read(directory: &Path, keys: &[PublicKey], limits: &Limits) -> Result<Self, EverySiteError> {
        let (files, directories) = list(directory)?;
        let mut all = Self::default();
        let mut stream: Option<StreamName> = None;
        let mut load = |path: &Path| {
            let site = Inventory::load(path, keys, limits)?;
            if site.origin != InventoryKind::Receipt {
                return Err(EverySiteError::NotAReceipt(path.to_owned()));
            }
            let found = site.base.stream.clone();
            match &stream {
                Some(expected) if *expected != found => {
                    let (path, expected) = (path.to_owned(), expected.clone());
                    return Err(EverySiteError::Stream { path, found, expected });
                }
                _ => stream = Some(found),
            }
            Ok(site)
        };
        for file in files {
            all.add(load(&file)?);
        }
        for directory in directories {
            let mut newest: Option<Inventory> = None;
            for file in list(&directory)?.0 {
                let receipt = load(&file)?;
                if newest.as_ref().is_none_or(|newest| newest.base.sequence < receipt.base.sequence) {
                    newest = Some(receipt);
                }
            }
            all.add(newest.ok_or(EverySiteError::NoReceipt(directory))?);
        }
        if all.sites == 0 {
            return Err(EverySiteError::NoSite(directory.to_owned()));
        }
        Ok(all)
    }
}

/// The receipts (`*.json`) and the directories in a directory, in the order of their names. What begins with a dot, and
/// `refused` of `bundle sync`, is passed over.
fn list(directory: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), EverySiteError> {
    let failed = |source| EverySiteError::Directory { path: directory.to_owned(), source };
    let mut all: BTreeMap<std::ffi::OsString, bool> = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_directory = entry.path().metadata().map_err(failed)?.is_dir();
        all.insert(entry.file_name(), is_directory);
    }
    all.retain(|name, is_directory| {
        let hidden = name.as_encoded_bytes().starts_with(b".") || name == "refused";
        let is_receipt = Path::new(name).extension().is_some_and(|end| end == "json");
        !hidden && (*is_directory || is_receipt)
    });
    let (directories, files) = all.into_iter().partition::<Vec<_>, _>(|(_, is_directory)| *is_directory);
    let paths = |names: Vec<(std::ffi::OsString, bool)>| {
        names.into_iter().map(|(name, _)| directory.join(name)).collect()
    };
    Ok((paths(files), paths(directories)))
}

#[cfg(test)]
mod tests {
    use bundle_format::{Base, Blob, CompactBase};

    use super::*;
    use crate::inventory::InventoryEntry;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    /// A site with images, each a tag, its manifest and its layers.
    fn site(sequence: u64, images: &[(&str, &str, &[&str])]) -> Inventory {
        let mut known = Vec::new();
        let artifacts = images.iter().map(|(tag, manifest, layers)| {
            let blobs = [manifest].into_iter().chain(layers.iter()).map(|name| {
                known.push(Blob { digest: digest(name), size: 10 });
                known.len() as u32 - 1
            });
            InventoryEntry {
                target: format!("cache/app:{tag}").parse().unwrap(),
                digest: digest(manifest),
                blobs: Some(blobs.collect()),
                size: 0,
                platforms: None,
                lacks: Vec::new(),
                kind: None,
                subject: None,
                locked: None,
                partial: false,
            }
        });
        let artifacts = artifacts.collect();
        let base = Base {
            stream: "fleet".parse().unwrap(),
            sequence: Some(sequence.try_into().unwrap()),
            digest: digest(&sequence.to_string()),
        };
        Inventory { origin: InventoryKind::Receipt, base, verified: true, artifacts, known }
    }

    fn shared(sites: Vec<Inventory>) -> Inventory {
        let mut all = EverySite::default();
        sites.into_iter().for_each(|site| all.add(site));
        all.shared().unwrap()
    }

    #[test]
    fn what_one_site_lacks_is_left_out_for_none_in_whichever_order_they_come() {
        let sites = [
            site(3, &[("1", "m3", &["base", "new"])]),
            site(1, &[("1", "m1", &["base", "old"])]),
            site(2, &[("1", "m2", &["base", "mid"]), ("2", "x", &["only"])]),
        ];
        for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
            let shared = shared(order.iter().map(|&at| sites[at].clone()).collect());
            assert_eq!(u64::from(shared.base.sequence.unwrap()), 1, "the one that is furthest behind");
            let blobs: Vec<Digest> = shared.blobs().into_keys().collect();
            assert_eq!(blobs, [digest("base")]);
            assert!(shared.artifacts.iter().all(|artifact| artifact.partial));
        }
    }

    #[test]
    fn what_is_gone_at_one_site_is_neither_in_place_nor_built_on() {
        let lost = CompactBase { digest: digest("a"), size: 10, repository: "cache/app".parse().unwrap() };
        let image: &[(&str, &str, &[&str])] = &[("1", "m", &["a", "b"])];
        for loser in [1, 2] {
            let of = |number| match number == loser {
                true => site(number, image).without(std::slice::from_ref(&lost)),
                false => site(number, image),
            };
            let shared = shared(vec![of(1), of(2)]);
            assert!(shared.artifacts[0].partial, "site {loser}");
            assert!(!shared.blobs().contains_key(&lost.digest) && shared.blobs().contains_key(&digest("b")));
            let nothing = shared.without_all_of(&[lost.repository.clone()].into());
            assert!(nothing.blobs().is_empty());
        }
    }

    #[test]
    fn what_all_have_is_in_place() {
        let shared =
            shared(vec![site(1, &[("1", "m", &["a"]), ("2", "n", &[])]), site(2, &[("1", "m", &["a"])])]);
        let partial: Vec<bool> = shared.artifacts.iter().map(|artifact| artifact.partial).collect();
        assert_eq!(partial, [false, true]);
    }
}
