//! Fetches charts and what they depend on.
//! Takes a [`ChartSource`]; gives the chart and where it was found, from a repository, a registry or a path.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bundle_chart::{Chart, MissingDependency, chart_tag};
use bundle_oci::{Digest, Manifest, Reference, Registry, RepositoryName};
use bundle_registry::{Client, Name};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::discovery::Confirm;
use super::error::ChartCause;
use super::index::{Entry, Index, choose};
use super::request::ChartSource;
use crate::Limits;
use bundle_input::{YamlError, read_bytes};

/// A chart as it was found, with all that it depends on.
pub(super) struct Fetched {
    pub(super) chart: Chart,
    pub(super) place: Place,
}

/// Where a chart was found, and as what.
pub(super) enum Place {
    /// In a registry: it is carried as it is there.
    Registry(Reference),
    /// In a repository or a file: it is carried as an artifact made of its archive.
    Archive {
        /// A name for it, as if it were an artifact there.
        source: Reference,
        archive: Bytes,
        provenance: Option<Bytes>,
    },
    /// In a directory: it is packed.
    Directory {
        /// A name for it.
        source: Reference,
    },
}

/// Asks for charts, and for each repository's index once.
pub(super) struct Fetcher<'a> {
    client: &'a Client,
    confirm: Confirm,
    indexes: Mutex<HashMap<String, Arc<IndexSlot>>>,
}

/// Filled by the first who asks, for all.
#[derive(Default)]
struct IndexSlot(OnceCell<Index>);

impl<'a> Fetcher<'a> {
    pub(super) fn new(client: &'a Client, confirm: Confirm) -> Self {
        Self { client, confirm, indexes: Mutex::default() }
    }

    /// Whether anybody may be asked.
    pub(super) const fn confirm(&self) -> Confirm {
        self.confirm
    }

    /// Asks no registry unless that is allowed.
    fn allow(&self, source: &ChartSource) -> Result<(), ChartCause> {
        match self.confirm {
            Confirm::Leave if !source.is_local() => Err(ChartCause::Offline),
            Confirm::Leave | Confirm::Ask => Ok(()),
        }
    }

    async fn entry(
        &self,
        address: &str,
        name: &str,
        range: Option<&str>,
        locked: Option<&str>,
    ) -> Result<Entry, ChartCause> {
        // Nothing that can panic runs under the lock.
        let slot = {
            let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            indexes.entry(address.to_owned()).or_default().clone()
        };
        let index = slot.0.get_or_try_init(|| self.index(address)).await?;
        // A locked version that is gone is found out by its digest.
        match locked.map(|locked| index.choose(name, Some(locked))) {
            Some(Ok(entry)) => Ok(entry.clone()),
            _ => index.choose(name, range).cloned(),
        }
    }

    async fn index(&self, address: &str) -> Result<Index, ChartCause> {
        let address = format!("{address}/index.yaml");
        let bytes = self.client.file(&address, bundle_input::Limits::DEFAULT.index).await?;
        let parse = move || match std::str::from_utf8(&bytes) {
            Ok(text) => Index::parse(text, &address),
            // Helm's parser takes no other bytes either, and what replaces them takes thrice as many.
            Err(error) => {
                let newlines = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
                let line = newlines as u64 + 1;
                let message = "is not UTF-8".to_owned();
                Err(YamlError { name: address, line, column: 1, message })
            }
        };
        Ok(tokio::task::spawn_blocking(parse).await??)
    }
}

/// Fetches a chart and the charts that it depends on and does not hold. `locked` is the version
/// that is taken if there is a choice.
pub(super) async fn fetch(
    fetcher: &Fetcher<'_>,
    source: &ChartSource,
    root: Option<&Path>,
    locked: Option<&str>,
) -> Result<Fetched, ChartCause> {
    let client = fetcher.client;
    fetcher.allow(source)?;
    let mut fetched = match source {
        ChartSource::Repository { address, name, range } => {
            from_repository(fetcher, address, name, range.as_deref(), locked).await?
        }
        ChartSource::Registry { registry, repository, range } => {
            from_registry(client, registry, repository, range.as_deref(), locked).await?
        }
        ChartSource::Path(path) => from_path(path, root)?,
        ChartSource::Manifests(_) => return Err(ChartCause::NoChart),
    };
    let directory = match (source, &fetched.place) {
        (ChartSource::Path(path), Place::Directory { .. }) => Some(path.as_path()),
        _ => None,
    };
    for missing in fetched.chart.missing_dependencies() {
        let version = missing.locked.clone().unwrap_or_else(|| missing.range.clone());
        let found = dependency(fetcher, &missing, directory, root).await;
        let found = found.map_err(|cause| ChartCause::Dependency {
            name: missing.name.clone(),
            version,
            cause: Box::new(cause),
        })?;
        fetched.chart.add_dependency(found);
    }
    Ok(fetched)
}

async fn dependency(
    fetcher: &Fetcher<'_>,
    missing: &MissingDependency,
    directory: Option<&Path>,
    root: Option<&Path>,
) -> Result<Chart, ChartCause> {
    let address = missing.repository.as_str();
    if address.is_empty() {
        return Err(ChartCause::NoRepository);
    }
    if address.starts_with('@') || address.starts_with("alias:") {
        return Err(ChartCause::Alias(address.to_owned()));
    }
    if let Some(beside) = address.strip_prefix("file://") {
        // A chart from elsewhere says nothing about files here.
        let directory = directory.ok_or_else(|| ChartCause::Beside(address.to_owned()))?;
        return Ok(from_path(&directory.join(beside), root)?.chart);
    }
    let range = if missing.range.is_empty() { None } else { Some(missing.range.clone()) };
    let source = ChartSource::in_repository(address, &missing.name, range)
        .map_err(|why| ChartCause::Source { address: address.to_owned(), why })?;
    let locked = missing.locked.as_deref();
    fetcher.allow(&source)?;
    let fetched = match &source {
        ChartSource::Repository { address, name, range } => {
            from_repository(fetcher, address, name, range.as_deref(), locked).await?
        }
        ChartSource::Registry { registry, repository, range } => {
            from_registry(fetcher.client, registry, repository, range.as_deref(), locked).await?
        }
        ChartSource::Path(path) => from_path(path, None)?,
        ChartSource::Manifests(_) => return Err(ChartCause::NoChart),
    };
    Ok(fetched.chart)
}

/// The shown registry of a chart without a repository.
const NOWHERE: &str = "localhost/charts";

fn from_path(path: &Path, root: Option<&Path>) -> Result<Fetched, ChartCause> {
    let limits = bundle_chart::Limits::DEFAULT;
    if path.is_dir() {
        let chart = Chart::from_directory_within(path, root, &limits)?;
        let source = named(NOWHERE, &chart)?;
        return Ok(Fetched { chart, place: Place::Directory { source } });
    }
    let archive = Bytes::from(read_bytes(path, limits.archive)?);
    let chart = Chart::from_archive(&path.display().to_string(), &archive, &limits)?;
    let source = named(NOWHERE, &chart)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".prov");
    let beside = Path::new(&beside);
    let provenance = match beside.try_exists() {
        Ok(true) => Some(Bytes::from(read_bytes(beside, Limits::DEFAULT.provenance as u64)?)),
        Ok(false) | Err(_) => None,
    };
    Ok(Fetched { chart, place: Place::Archive { source, archive, provenance } })
}

/// `place/name:version` of a chart.
fn named(place: &str, chart: &Chart) -> Result<Reference, ChartCause> {
    let metadata = chart.metadata();
    let wrong = |error| ChartCause::Place { what: metadata.name.clone(), error };
    let tag = chart_tag(&metadata.version).map_err(|error| wrong(crate::ItemError::RenameTag(error)))?;
    let text = format!("{place}/{}:{tag}", metadata.name.to_ascii_lowercase());
    text.parse().map_err(|error| wrong(crate::ItemError::Reference(error)))
}

async fn from_repository(
    fetcher: &Fetcher<'_>,
    address: &str,
    name: &str,
    range: Option<&str>,
    locked: Option<&str>,
) -> Result<Fetched, ChartCause> {
    let limits = bundle_chart::Limits::DEFAULT;
    let client = fetcher.client;
    let entry = fetcher.entry(address, name, range, locked).await?;
    let Some(archive_address) = entry.urls.first() else {
        return Err(ChartCause::NoChart);
    };
    if let Some(rest) = archive_address.strip_prefix("oci://") {
        let reference: Reference = rest.parse().map_err(|error| ChartCause::Place {
            what: rest.to_owned(),
            error: crate::ItemError::Reference(error),
        })?;
        return from_artifact(client, reference).await;
    }
    let archive_address = resolved(address, archive_address);
    let archive =
        client.file(&archive_address, usize::try_from(limits.archive).unwrap_or(usize::MAX)).await?;
    let found = Digest::of(&archive);
    if let Some(expected) = entry.digest().filter(|expected| *expected != found) {
        return Err(ChartCause::Digest { address: archive_address, expected, found });
    }
    let file = archive_address.rsplit('/').next().unwrap_or(name).to_owned();
    let chart = Chart::from_archive(&file, &archive, &limits)?;
    let provenance = match client.file(&format!("{archive_address}.prov"), Limits::DEFAULT.provenance).await {
        Ok(provenance) => Some(provenance),
        // Most repositories have none, and say so in many ways.
        Err(error) if error.status().is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let place = address.split_once("://").map_or(address, |(_, place)| place);
    let source = named(&place.to_ascii_lowercase(), &chart).or_else(|_| named(NOWHERE, &chart))?;
    Ok(Fetched { chart, place: Place::Archive { source, archive, provenance } })
}

/// Where an address in a repository's index leads. One that starts with a slash is below the host,
/// not below the repository.
fn resolved(repository: &str, address: &str) -> String {
    let (scheme, place) = repository.split_once("://").unwrap_or(("https", repository));
    let host = place.split('/').next().unwrap_or(place);
    match address {
        _ if address.contains("://") => address.to_owned(),
        _ if address.starts_with("//") => format!("{scheme}:{address}"),
        _ if address.starts_with('/') => format!("{scheme}://{host}{address}"),
        _ => format!("{repository}/{address}"),
    }
}

async fn from_registry(
    client: &Client,
    registry: &Registry,
    repository: &RepositoryName,
    range: Option<&str>,
    locked: Option<&str>,
) -> Result<Fetched, ChartCause> {
    // `1.2` is a range of versions.
    let exact = |version: &str| {
        let numbers = version.split(['-', '+']).next().unwrap_or_default();
        numbers.matches('.').count() == 2 && version.parse::<bundle_chart::Version>().is_ok()
    };
    let version = match (locked, range) {
        (Some(version), _) => version.to_owned(),
        (None, Some(version)) if exact(version) => version.to_owned(),
        (None, range) => {
            let tags = client.tags(registry, repository).await?.tags;
            let versions: Vec<String> = tags.iter().map(|tag| tag.as_str().replace('_', "+")).collect();
            choose(versions.iter().map(String::as_str), range)?.to_owned()
        }
    };
    let tag = chart_tag(&version).map_err(|error| ChartCause::Place {
        what: repository.to_string(),
        error: crate::ItemError::RenameTag(error),
    })?;
    from_artifact(client, Reference::tagged(registry.clone(), repository.clone(), tag)).await
}

/// The media types of a chart's archive: today's, and that of the first experiments.
const CONTENT: [&str; 2] = ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];

async fn from_artifact(client: &Client, reference: Reference) -> Result<Fetched, ChartCause> {
    let limits = bundle_chart::Limits::DEFAULT;
    let (registry, repository) = (reference.registry(), reference.repository());
    let fetched = client.manifest(registry, repository, &Name::of(&reference)).await?;
    let Ok(Manifest::Image(manifest)) = Manifest::parse(&fetched.bytes, &fetched.media_type) else {
        return Err(ChartCause::NoContent);
    };
    let content = manifest.layers.iter().find(|layer| CONTENT.contains(&layer.media_type.as_str()));
    let content = content.ok_or(ChartCause::NoContent)?;
    if content.size > limits.archive {
        let host = registry.to_string();
        let what = format!("the chart's archive has {} bytes", content.size);
        return Err(bundle_registry::Error::Misbehaved { host, what }.into());
    }
    let archive = crate::resolve::whole_blob(client, &reference, content.digest, content.size).await?;
    let chart = Chart::from_archive(&reference.to_string(), &archive, &limits)?;
    Ok(Fetched { chart, place: Place::Registry(reference) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_an_index_lead_where_helm_goes() {
        for (address, place) in [
            ("web-1.tgz", "https://a.example/stable/web-1.tgz"),
            ("charts/web-1.tgz", "https://a.example/stable/charts/web-1.tgz"),
            ("/files/web-1.tgz", "https://a.example/files/web-1.tgz"),
            ("//b.example/web-1.tgz", "https://b.example/web-1.tgz"),
            ("http://b.example/web-1.tgz", "http://b.example/web-1.tgz"),
        ] {
            assert_eq!(resolved("https://a.example/stable", address), place);
        }
    }
}
