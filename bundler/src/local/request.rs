//! What people ask for from this machine: images of a local source, or a single file, and the names they get.
//! Takes a [`LocalRequest`]; opens its source, once for all requests, and gives [`Request`]s.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bundle_format::Target;
use bundle_oci::{ProjectName, Reference, RepositoryName, Tag};
use bundle_registry::Client;

use super::address::{LocalAddress, LocalAddressError, Selector};
use super::error::{LocalCause, LocalError};
use super::file::{FileError, LocalFile};
use super::open::open;
use super::store::{Found, LocalImage, LocalStore};
use crate::policy::Referrers;
use crate::request::{Item, Rename};
use crate::{CacheLayout, ImagePolicy, ItemError, Limits, Platforms, Reason, Request};

/// The host in the source of what no registry names: podman gives it to images that were made here.
const NOWHERE: &str = "localhost";
/// Where files are in their project.
const FILES: &str = "files";

/// Something of this machine that is wanted in the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRequest {
    /// What.
    pub source: LocalSource,
    /// The new name, if it gets one.
    pub rename: Option<Rename>,
    /// The project that it goes to.
    pub project: ProjectName,
    /// How images are named in the project `cache`.
    pub layout: CacheLayout,
    /// Which platforms of it.
    pub platforms: Platforms,
    /// The policy for it.
    pub policy: ImagePolicy,
    /// The place that asks for it.
    pub reason: Reason,
}

/// A source on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalSource {
    /// Images.
    Images(LocalAddress),
    /// A file.
    File(LocalFile),
}

/// The address of a local source and the name that it gets: `ADDRESS` or `ADDRESS => new-name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalItem {
    /// The address.
    pub address: LocalAddress,
    /// The new name, if it gets one.
    pub rename: Option<Rename>,
}

/// Why a text that begins like the address of a local source is no item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalItemError {
    /// The address.
    #[error(transparent)]
    Address(#[from] LocalAddressError),
    /// The new name.
    #[error(transparent)]
    Rename(#[from] ItemError),
}

impl LocalItem {
    /// Reads an item; `None` for a text that is no address of a local source.
    pub fn parse(text: &str) -> Option<Result<Self, LocalItemError>> {
        let (address, rename) = match text.split_once("=>") {
            Some((address, rename)) => (address, Some(rename)),
            None => (text, None),
        };
        let address = LocalAddress::parse(address.trim())?;
        let read = || {
            let rename = rename.map(|rename| rename.trim().parse()).transpose()?;
            Ok(Self { address: address?, rename })
        };
        Some(read())
    }
}

impl LocalRequest {
    /// The same, with its paths taken from `directory`.
    pub(crate) fn below(self, directory: &Path) -> Self {
        let source = match self.source {
            LocalSource::Images(address) => LocalSource::Images(address.below(directory)),
            LocalSource::File(file) => {
                LocalSource::File(LocalFile { origin: file.origin.below(directory), ..file })
            }
        };
        Self { source, ..self }
    }

    fn requests(&self, store: &Arc<LocalStore>) -> Result<Vec<Request>, LocalCause> {
        match &self.source {
            LocalSource::Images(address) => self.images(address, store),
            LocalSource::File(file) => {
                let found = store.images.first().ok_or(LocalCause::Empty)?;
                let target = self.file_target(&file.title()?)?;
                let reference = nowhere(target.repository.clone(), target.tag.clone())?;
                // Nothing is attached to what was made here.
                let policy = ImagePolicy { referrers: Referrers::Leave, ..self.policy };
                let reason = self.named(file.origin.to_string());
                Ok(vec![self.request(store, found, reference, target, reason, policy)])
            }
        }
    }

    fn images(&self, address: &LocalAddress, store: &Arc<LocalStore>) -> Result<Vec<Request>, LocalCause> {
        let chosen = choose(&store.images, &address.selector)?;
        if self.rename.is_some() && chosen.len() > 1 {
            return Err(LocalCause::Several(chosen.iter().map(|(found, _)| shown(found)).collect()));
        }
        let mut requests = Vec::new();
        for (found, chosen) in chosen {
            let names: Vec<Reference> = match (chosen, &self.rename) {
                (Some(name), _) => vec![name],
                (None, None) if found.names.is_empty() => return Err(LocalCause::NoName),
                (None, None) => found.names.clone(),
                (None, Some(rename)) => match found.names.first() {
                    Some(name) => vec![name.clone()],
                    None => {
                        let tag = rename.tag().or(found.tag.as_ref()).cloned();
                        vec![nowhere(rename.repository().clone(), tag)?]
                    }
                },
            };
            for reference in names {
                let item = Item { reference, rename: self.rename.clone() };
                let target = item.place_by(&self.project, &self.layout)?;
                let reason = self.named(address.to_string());
                requests.push(self.request(store, found, item.reference, target, reason, self.policy));
            }
        }
        Ok(requests)
    }

    fn request(
        &self,
        store: &Arc<LocalStore>,
        found: &Found,
        reference: Reference,
        target: Target,
        reason: Reason,
        policy: ImagePolicy,
    ) -> Request {
        let local = Some(LocalImage::new(store, found));
        let platforms = self.platforms.clone();
        Request { reference, target, platforms, policy, local, reasons: vec![reason] }
    }

    fn named(&self, object: String) -> Reason {
        Reason::Named { by: Box::new(self.reason.clone()), object }
    }

    /// Where a file goes: `files/NAME:TAG` in its project.
    fn file_target(&self, title: &str) -> Result<Target, LocalCause> {
        let (name, tag) = match &self.rename {
            Some(rename) => (rename.repository().to_string(), rename.tag().cloned()),
            None => (slug(title), None),
        };
        let wrong = |_| FileError::Repository(title.to_owned());
        let repository: RepositoryName = format!("{FILES}/{name}").parse().map_err(wrong)?;
        let tag = match tag {
            Some(tag) => tag,
            None => "latest".parse().map_err(|_| FileError::Repository(title.to_owned()))?,
        };
        let target = Target { project: self.project.clone(), repository, tag: Some(tag) };
        target.path().map_err(ItemError::Target)?;
        Ok(target)
    }
}

/// A file's name as a part of a repository's: `RKE2-images_amd64.tar.zst` is `rke2-images_amd64.tar.zst`.
fn slug(title: &str) -> String {
    let lower = title.to_lowercase();
    let parts = lower.split(|letter: char| !letter.is_ascii_alphanumeric() && !"._".contains(letter));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn nowhere(repository: RepositoryName, tag: Option<Tag>) -> Result<Reference, LocalCause> {
    let text = match tag {
        Some(tag) => format!("{NOWHERE}/{repository}:{tag}"),
        None => format!("{NOWHERE}/{repository}"),
    };
    Ok(text.parse::<Reference>().map_err(ItemError::Reference)?)
}

/// The images that are meant, each with the name by which it was chosen.
fn choose<'a>(
    images: &'a [Found],
    selector: &Selector,
) -> Result<Vec<(&'a Found, Option<Reference>)>, LocalCause> {
    let names = || images.iter().map(shown).collect();
    let absent = |wanted: &str| LocalCause::NoImage { wanted: wanted.to_owned(), names: names() };
    match selector {
        Selector::All if images.is_empty() => Err(LocalCause::Empty),
        Selector::All => Ok(images.iter().map(|found| (found, None)).collect()),
        Selector::At(position) => match images.get(*position) {
            Some(found) => Ok(vec![(found, None)]),
            None => Err(absent(&format!("@{position}"))),
        },
        Selector::Named(wanted) => {
            let full = wanted.parse::<Reference>().ok();
            let by_name = images.iter().find_map(|found| {
                let named = found.names.iter().find(|name| Some(*name) == full.as_ref())?;
                Some((found, Some(named.clone())))
            });
            // `oci:DIR:1.27` names a tag.
            let has_tag = |found: &&Found| {
                let of_names = found.names.iter().filter_map(Reference::tag);
                of_names.chain(&found.tag).any(|tag| tag.as_str() == wanted)
            };
            let mut by_tag = images.iter().filter(has_tag);
            match (by_name, by_tag.next(), by_tag.next()) {
                (Some(chosen), ..) => Ok(vec![chosen]),
                (None, Some(found), None) => {
                    let named =
                        found.names.iter().find(|name| name.tag().is_some_and(|tag| tag.as_str() == wanted));
                    Ok(vec![(found, named.cloned())])
                }
                (None, Some(_), Some(_)) => {
                    Err(LocalCause::Several(images.iter().filter(has_tag).map(shown).collect()))
                }
                (None, None, _) => Err(absent(wanted)),
            }
        }
    }
}

/// An image's name for people, or its digest.
fn shown(found: &Found) -> String {
    match (found.names.first(), &found.tag) {
        (Some(name), _) => name.to_string(),
        (None, Some(tag)) => tag.to_string(),
        (None, None) => found.root.to_string(),
    }
}

/// Opens the sources of all requests, each once, and gives the images that are meant.
///
/// # Errors
/// The first source that cannot be used.
pub(crate) async fn open_all(client: &Client, locals: &[LocalRequest]) -> Result<Vec<Request>, LocalError> {
    let mut stores: HashMap<String, Arc<LocalStore>> = HashMap::new();
    let mut requests = Vec::new();
    for local in locals {
        let (key, written) = match &local.source {
            LocalSource::Images(address) => {
                (format!("{}:{}", address.transport.as_str(), address.path.display()), address.to_string())
            }
            LocalSource::File(file) => (format!("{file:?}"), file.origin.to_string()),
        };
        let source = format!("{} ({written})", local.reason);
        let failed = |cause: LocalCause| cause.of(&source);
        let store = match stores.get(&key) {
            Some(store) => store.clone(),
            None => {
                let opened = match &local.source {
                    LocalSource::File(file) => {
                        file.open(client).await.map_err(|error| failed(error.cause))?
                    }
                    LocalSource::Images(address) => {
                        let address = address.clone();
                        let task = tokio::task::spawn_blocking(move || open(&address, &Limits::DEFAULT));
                        let opened =
                            task.await.map_err(|error| failed(std::io::Error::other(error).into()))?;
                        opened.map_err(failed)?
                    }
                };
                stores.entry(key).or_insert(Arc::new(opened)).clone()
            }
        };
        requests.extend(local.requests(&store).map_err(failed)?);
        if requests.len() > Limits::DEFAULT.images {
            return Err(failed(ItemError::TooMany.into()));
        }
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_below_files_by_its_name() {
        for (title, name) in [
            ("k3s", "k3s"),
            ("install.sh", "install.sh"),
            ("RKE2-images_linux amd64.tar.zst", "rke2-images_linux-amd64.tar.zst"),
            ("--a--", "a"),
        ] {
            assert_eq!(slug(title), name);
            assert!(format!("files/{}", slug(title)).parse::<RepositoryName>().is_ok());
        }
    }

    #[test]
    fn an_item_is_an_address_and_perhaps_a_name() {
        let item = LocalItem::parse("oci:dir:1 => tools/app:2").unwrap().unwrap();
        assert_eq!(item.address.to_string(), "oci:dir:1");
        assert_eq!(item.rename.as_ref().unwrap().repository().as_str(), "tools/app");
        assert!(LocalItem::parse("nginx:1 => a").is_none());
        let message = |text: &str| LocalItem::parse(text).unwrap().unwrap_err().to_string();
        assert_eq!(message("oci:dir =>"), "new name is empty");
        assert_eq!(message("oci: => a"), "'oci:' needs a path");
    }
}
