//! Manifests of a `bundle.yaml`: files and directories of plain YAML.
//! Takes their paths; gives the images that they ask for, and requests for the charts that they name.

use std::path::{Path, PathBuf};

use bundle_chart::{
    Discovery, Document, NamedChart, Purpose, ValueSet, ValuesFile, discover_manifests, named_charts,
    read_manifests,
};
use bundle_input::read_text;
use bundle_oci::Printable;
use walkdir::WalkDir;

use super::error::ChartCause;
use super::request::{ChartRequest, ChartSource, Empty};
use crate::{Limits, Reason};

/// The content of manifests.
pub(super) struct Found {
    pub(super) discovery: Discovery,
    /// The charts that they name.
    pub(super) charts: Vec<ChartRequest>,
    pub(super) warnings: Vec<String>,
}

/// Reads all files, and looks for images and charts in them.
pub(super) fn look_into(paths: &[PathBuf], request: &ChartRequest) -> Result<Found, ChartCause> {
    let mut documents: Vec<Document> = Vec::new();
    for path in paths {
        for file in files(path)? {
            let text = read_text(&file, Limits::DEFAULT.manifest_file)?;
            let name = format!("manifests/{}", file.display());
            let read = read_manifests(&name, &text, &bundle_chart::Limits::DEFAULT);
            documents.extend(read.map_err(|error| ChartCause::Manifest { file: file.clone(), error })?);
        }
    }
    let discovery = discover_manifests(&documents, &request.rules, &bundle_chart::Limits::DEFAULT);
    let (mut charts, mut warnings) = (Vec::new(), Vec::new());
    for named in named_charts(&documents) {
        match chart_of(&named, request) {
            Ok(chart) => charts.push(chart),
            Err(why) => {
                let (file, object) = (Printable(&named.file), Printable(&named.object));
                warnings.push(format!("{file} {object} names the chart {}: {why}", Printable(&named.name)));
            }
        }
    }
    Ok(Found { discovery, charts, warnings })
}

/// A file, or all files of YAML and JSON in a directory, in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, ChartCause> {
    let mut found = Vec::new();
    for entry in WalkDir::new(path).sort_by_file_name().max_depth(Limits::DEFAULT.manifest_depth) {
        let entry = entry.map_err(|error| ChartCause::Walk { path: path.to_owned(), error: error.into() })?;
        let is_manifest = |path: &Path| {
            let end = path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase);
            matches!(end.as_deref(), Some("yaml" | "yml" | "json"))
        };
        // A file that is named directly is read, with any extension.
        if entry.file_type().is_file() && (entry.depth() == 0 || is_manifest(entry.path())) {
            found.push(entry.into_path());
        }
        if found.len() > Limits::DEFAULT.manifest_files {
            return Err(ChartCause::ManifestFiles(Limits::DEFAULT.manifest_files));
        }
    }
    Ok(found)
}

/// The request for a chart that an object names, with the object's values.
fn chart_of(named: &NamedChart, request: &ChartRequest) -> Result<ChartRequest, String> {
    let Some(address) = &named.repository else {
        return Err("its repository cannot be told; list the chart itself".to_owned());
    };
    let source = ChartSource::in_repository(address, &named.name, named.version.clone());
    let files = named
        .values
        .iter()
        .map(|text| ValuesFile { name: format!("{} {}", named.file, named.object), text: text.clone() });
    let values = ValueSet {
        name: request.values.name.clone(),
        purpose: Purpose::Install,
        files: files.collect(),
        set: named.set.clone(),
        ..ValueSet::default()
    };
    Ok(ChartRequest {
        source: source.map_err(|error| error.to_string())?,
        values,
        value_sets: Vec::new(),
        empty: Empty::Allow,
        root: None,
        reason: Reason::Named {
            by: Box::new(request.reason.clone()),
            object: format!("{} {}", named.file, named.object),
        },
        ..request.clone()
    })
}
