//! The content of several bundles for a chart: images by their sources, charts, vulnerability databases.
//! Takes trusted bundles; gives the lookup that values are made from.

use std::collections::HashMap;

use bundle_chart::{Chart, Limits};
use bundle_format::{Artifact, Kind, Target};
use bundle_oci::{Digest, ProjectName, Reference, Registry};

use super::ValuesError;
use crate::extract::chart_content;
use bundle_importer::Bundle;
use bundle_site::TrivyDatabases;

/// The images and databases of several bundles.
#[derive(Debug)]
pub struct Carried {
    /// By the names of their sources; for each what there is, the first bundle's first.
    images: HashMap<Reference, Vec<(Target, Digest)>>,
    pub(super) databases: TrivyDatabases,
    /// The names of the bundles.
    pub(super) bundles: Vec<String>,
}

/// A chart of a bundle.
#[derive(Debug)]
pub struct CarriedChart {
    pub(super) chart: Chart,
    pub(super) target: Target,
}

impl Carried {
    /// All that these bundles have.
    pub fn of(bundles: &[Bundle]) -> Self {
        let mut images: HashMap<Reference, Vec<(Target, Digest)>> = HashMap::new();
        let mut databases = TrivyDatabases::default();
        for statement in bundles.iter().map(Bundle::statement) {
            databases = databases.or(TrivyDatabases::of(statement));
            for artifact in statement.artifacts.iter().filter(|artifact| artifact.kind == Kind::Image) {
                let place = (artifact.target.clone(), artifact.digest);
                images.entry(artifact.source.clone()).or_default().push(place);
            }
        }
        let name = |bundle: &Bundle| {
            let statement = bundle.statement();
            format!("{} {} ({})", statement.stream, statement.sequence, bundle.trusted().digest())
        };
        Self { images, databases, bundles: bundles.iter().map(name).collect() }
    }

    /// Where an image is on the other side: at its target, by tag and digest. Of several targets it takes the
    /// one in the project that the chart's pods can most likely pull from: the chart's own, then the cache.
    pub(super) fn image(&self, image: &Reference, registry: &Registry, chart: &Target) -> Option<Reference> {
        let places = self.images.get(image)?;
        let preferred = [&chart.project, &ProjectName::cache(), &ProjectName::platform()];
        let rank = |project: &ProjectName| preferred.iter().position(|known| *known == project);
        let (target, digest) =
            places.iter().min_by_key(|(target, _)| rank(&target.project).unwrap_or(preferred.len()))?;
        let path = target.path().ok()?;
        let tag = target.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        format!("{registry}/{path}{tag}@{digest}").parse().ok()
    }
}

impl CarriedChart {
    /// Finds a chart by its name, `harbor` or `harbor:1.19.1`, in the first bundle that has it.
    ///
    /// # Errors
    /// No such chart, or several of that name; one that cannot be read.
    pub fn find(bundles: &[Bundle], wanted: &str) -> Result<Self, ValuesError> {
        let (name, version) = match wanted.split_once(':') {
            Some((name, version)) => (name, Some(version.replace('+', "_"))),
            None => (wanted, None),
        };
        let is_meant = |artifact: &&Artifact| {
            artifact.target.repository.last_component() == name
                && version.as_deref().is_none_or(|version| {
                    artifact.target.tag.as_ref().is_some_and(|tag| tag.as_str() == version)
                })
        };
        let charts = || {
            bundles.iter().flat_map(|bundle| {
                let artifacts = bundle.statement().artifacts.iter();
                artifacts
                    .filter(|artifact| artifact.kind == Kind::Chart)
                    .map(move |artifact| (bundle, artifact))
            })
        };
        let found: Vec<(&Bundle, &Artifact)> = charts().filter(|(_, artifact)| is_meant(artifact)).collect();
        let names = |charts: &[(&Bundle, &Artifact)]| {
            let mut names: Vec<String> = charts
                .iter()
                .map(|(_, artifact)| {
                    let name = artifact.target.repository.last_component();
                    let tag = artifact.target.tag.as_ref();
                    tag.map_or_else(|| name.to_owned(), |tag| format!("{name}:{tag}"))
                })
                .collect();
            names.sort();
            names.dedup();
            names
        };
        let Some((bundle, artifact)) = found.first() else {
            let charts = names(&charts().collect::<Vec<_>>());
            return Err(ValuesError::NoChart { wanted: wanted.to_owned(), charts });
        };
        if found.iter().any(|(_, other)| other.digest != artifact.digest) {
            let several = found.iter().map(|(_, artifact)| artifact.target.to_string()).collect();
            return Err(ValuesError::SeveralCharts(several));
        }
        let limits = &Limits::DEFAULT;
        let bytes = chart_content(bundle, artifact, limits.archive)?;
        let chart = Chart::from_archive(&artifact.target.to_string(), &bytes, limits)?;
        Ok(Self { chart, target: artifact.target.clone() })
    }

    /// Its name and version.
    pub fn name(&self) -> String {
        let metadata = self.chart.metadata();
        format!("{} {}", metadata.name, metadata.version)
    }
}
