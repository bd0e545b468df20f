//! A chart as an OCI artifact, as `helm push` makes it.
//! Takes metadata, an archive and perhaps its provenance; gives a manifest and its blobs, the same bytes each time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bundle_oci::{Digest, ParseTagError, Tag};
use flate2::{Compression, GzBuilder};
use serde::Serialize;

use crate::chart::Chart;
use crate::{ImportValues, Metadata};

/// A chart as it lies in a registry: a manifest, and the blobs that it names (helm,
/// pkg/registry/client.go).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartArtifact {
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The config, the archive, and the provenance if there is one.
    pub blobs: Vec<Vec<u8>>,
}

/// The media type of a chart's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

impl ChartArtifact {
    /// The artifact of a packed chart. The same bytes give the same artifact: unlike Helm's, it has no time.
    ///
    /// # Errors
    /// Metadata that JSON cannot hold, which no chart that was loaded has.
    pub fn new(
        metadata: &Metadata,
        archive: Vec<u8>,
        provenance: Option<Vec<u8>>,
    ) -> serde_json::Result<Self> {
        let config = metadata.to_json()?;
        let content = Descriptor::of(CONTENT, &archive);
        let mut layers = vec![content];
        layers.extend(provenance.as_ref().map(|provenance| Descriptor::of(PROVENANCE, provenance)));
        layers.sort_by_key(|layer| layer.digest);
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: Descriptor::of(CONFIG, &config),
            layers,
            annotations: annotations(metadata),
        };
        let manifest = serde_json::to_vec(&manifest)?;
        let blobs = [Some(config), Some(archive), provenance].into_iter().flatten().collect();
        Ok(Self { manifest, blobs })
    }
}

/// The tag under which Helm looks for a chart's version: `+` is no part of a tag.
///
/// # Errors
/// A version that makes no tag.
pub fn chart_tag(version: &str) -> Result<Tag, ParseTagError> {
    version.replace('+', "_").parse()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: Digest,
    size: u64,
}

impl Descriptor {
    fn of(media_type: &'static str, bytes: &[u8]) -> Self {
        Self { media_type, digest: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

/// The annotations that Helm gives a manifest; the chart's own do not replace them.
fn annotations(metadata: &Metadata) -> BTreeMap<String, String> {
    let authors = metadata.maintainers.iter().map(|maintainer| match maintainer.email.as_str() {
        "" => maintainer.name.clone(),
        email => format!("{} ({email})", maintainer.name),
    });
    let authors: Vec<String> = authors.collect();
    let mut annotations = metadata.annotations.clone();
    for (key, text) in [
        ("description", metadata.description.as_str()),
        ("title", metadata.name.as_str()),
        ("version", metadata.version.as_str()),
        ("url", metadata.home.as_str()),
        ("source", metadata.sources.first().map_or("", String::as_str)),
        ("authors", &authors.join(", ")),
    ] {
        if !text.trim().is_empty() {
            annotations.insert(format!("org.opencontainers.image.{key}"), text.to_owned());
        }
    }
    annotations
}

impl Chart {
    /// The chart packed as `helm package` packs it, with the charts that were put into it. The same
    /// files give the same bytes.
    ///
    /// # Errors
    /// A path that is too long for a tar archive.
    pub fn pack(&self) -> io::Result<Vec<u8>> {
        let encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        let mut archive = tar::Builder::new(encoder);
        let name = &self.metadata.name;
        let mut append = |path: &str, data: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(data.len() as u64);
            archive.append_data(&mut header, format!("{name}/{path}"), data)
        };
        // Helm wants to see this one first.
        let (first, others): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|file| file.name() == "Chart.yaml");
        let mut paths = BTreeSet::new();
        for file in first.into_iter().chain(others) {
            append(file.name(), file.data())?;
            paths.insert(file.name());
        }
        for below in &self.added {
            let path = format!("charts/{}-{}.tgz", below.metadata.name, below.metadata.version);
            if !paths.contains(path.as_str()) {
                append(&path, &below.pack()?)?;
            }
        }
        archive.into_inner()?.finish()
    }
}

impl Metadata {
    /// As JSON in Helm's form and order, which is an artifact's config.
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Config<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            home: &'a str,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            sources: &'a [String],
            version: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            description: &'a str,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            keywords: &'a [String],
            #[serde(skip_serializing_if = "Vec::is_empty")]
            maintainers: Vec<BTreeMap<&'a str, &'a str>>,
            #[serde(skip_serializing_if = "str::is_empty")]
            icon: &'a str,
            api_version: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            condition: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            tags: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            app_version: &'a str,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            deprecated: bool,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            annotations: &'a BTreeMap<String, String>,
            #[serde(skip_serializing_if = "str::is_empty")]
            kube_version: &'a str,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            dependencies: Vec<Entry<'a>>,
            #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
            chart_type: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Entry<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            version: &'a str,
            repository: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            condition: &'a str,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            tags: &'a [String],
            #[serde(skip_serializing_if = "Vec::is_empty")]
            import_values: Vec<serde_json::Value>,
            #[serde(skip_serializing_if = "str::is_empty")]
            alias: &'a str,
        }
        let import = |entry: &ImportValues| match entry {
            ImportValues::Export(name) => serde_json::json!(name),
            ImportValues::Table { child, parent } => serde_json::json!({"child": child, "parent": parent}),
        };
        serde_json::to_vec(&Config {
            name: &self.name,
            home: &self.home,
            sources: &self.sources,
            version: &self.version,
            description: &self.description,
            keywords: &self.keywords,
            maintainers: self
                .maintainers
                .iter()
                .map(|maintainer| {
                    let fields =
                        [("name", &maintainer.name), ("email", &maintainer.email), ("url", &maintainer.url)];
                    let filled = fields.into_iter().filter(|(_, text)| !text.is_empty());
                    filled.map(|(key, text)| (key, text.as_str())).collect()
                })
                .collect(),
            icon: &self.icon,
            api_version: &self.api_version,
            condition: &self.condition,
            tags: &self.tags,
            app_version: &self.app_version,
            deprecated: self.deprecated,
            annotations: &self.annotations,
            kube_version: &self.kube_version,
            dependencies: self
                .dependencies
                .iter()
                .map(|dependency| Entry {
                    name: &dependency.name,
                    version: &dependency.version,
                    repository: &dependency.repository,
                    condition: &dependency.condition,
                    tags: &dependency.tags,
                    import_values: dependency.import_values.iter().map(import).collect(),
                    alias: &dependency.alias,
                })
                .collect(),
            chart_type: &self.chart_type,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::chart::File;

    fn chart(name: &str) -> Chart {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "apiVersion: v2\nname: {name}\nversion: 1.0.0+a\ndescription: A chart.\nsources: [https://a.example]\n"
        );
        std::fs::write(directory.path().join("Chart.yaml"), text).unwrap();
        std::fs::write(directory.path().join("a.txt"), "a").unwrap();
        Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap()
    }

    #[test]
    fn a_packed_chart_is_loaded_again_with_what_was_put_into_it() {
        let mut top = chart("top");
        top.add_dependency(chart("below"));
        let packed = top.pack().unwrap();
        assert_eq!(packed, top.pack().unwrap());
        let again = Chart::from_archive("top.tgz", &packed, &Limits::DEFAULT).unwrap();
        let names: Vec<_> = again.files().iter().map(File::name).collect();
        assert_eq!(names, ["Chart.yaml", "a.txt", "charts/below-1.0.0+a.tgz"]);
        assert_eq!(again.dependencies()[0].metadata(), top.dependencies()[0].metadata());
    }

    #[test]
    fn an_artifact_names_its_blobs_as_helm_does() {
        let chart = chart("top");
        let archive = b"archive".to_vec();
        let artifact =
            ChartArtifact::new(chart.metadata(), archive.clone(), Some(b"signed".to_vec())).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&artifact.manifest).unwrap();
        assert_eq!(manifest["config"]["mediaType"], CONFIG);
        assert_eq!(manifest["config"]["digest"], Digest::of(&artifact.blobs[0]).to_string());
        let layers = manifest["layers"].as_array().unwrap();
        let content = layers.iter().find(|layer| layer["mediaType"] == CONTENT).unwrap();
        assert_eq!(content["digest"], Digest::of(&archive).to_string());
        assert_eq!(content["size"], 7);
        assert!(layers.iter().any(|layer| layer["mediaType"] == PROVENANCE));
        assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.0.0+a");
        assert_eq!(
            String::from_utf8(artifact.blobs[0].clone()).unwrap(),
            r#"{"name":"top","sources":["https://a.example"],"version":"1.0.0+a","description":"A chart.","apiVersion":"v2"}"#
        );
        assert_eq!(chart_tag("1.0.0+a").unwrap().as_str(), "1.0.0_a");
    }
}
