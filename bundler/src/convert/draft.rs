//! A bundle.yaml in the making.
//! Each tool's reader adds images, charts, files and manifests to a [`Draft`], and remarks on what has no place in it.

use std::collections::BTreeSet;

use bundle_oci::Reference;

use super::document::Others;
use super::{Remark, Weight};

/// What a bundle.yaml will say. Everything is in the project `cache`, in which images keep their names.
#[derive(Default)]
pub(super) struct Draft {
    /// The stream.
    pub(super) name: Option<String>,
    /// Platforms of everything; all if empty.
    pub(super) platforms: BTreeSet<String>,
    /// Registries that are reached by plain HTTP.
    pub(super) plain_http: BTreeSet<String>,
    /// Images to leave out.
    pub(super) exclude: BTreeSet<String>,
    /// Images in their order.
    pub(super) images: Vec<Image>,
    pub(super) charts: Vec<Chart>,
    /// Files and directories of Kubernetes manifests.
    pub(super) manifests: Vec<String>,
    pub(super) files: Vec<File>,
    pub(super) remarks: Vec<Remark>,
}

/// An image, or a repository with a choice of its tags.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) reference: String,
    /// Another name in the project.
    pub(super) rename: Option<String>,
    pub(super) platforms: Vec<String>,
    /// Patterns of tags.
    pub(super) tags: Vec<String>,
    pub(super) semver: Option<String>,
    /// Patterns of tags to leave out.
    pub(super) exclude: Vec<String>,
}

/// A Helm chart.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Chart {
    /// A repository, `https://…` or `oci://…`; without one, `name` is a path.
    pub(super) repo: Option<String>,
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) values: Vec<String>,
    pub(super) kube_version: Option<String>,
}

/// A file that is carried as it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct File {
    /// A path, or a URL if there is a checksum.
    pub(super) source: String,
    pub(super) sha256: Option<String>,
    pub(super) rename: Option<String>,
    pub(super) executable: bool,
}

impl Draft {
    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty() && self.charts.is_empty() && self.manifests.is_empty() && self.files.is_empty()
    }

    /// Adds an image, once. What is no reference is remarked.
    pub(super) fn image(&mut self, place: &str, image: Image) {
        if image.reference.contains("###ZARF_") || image.reference.contains("{{") {
            return self.lost(place, format!("'{}' has a template: write its value", image.reference));
        }
        match image.reference.parse::<Reference>() {
            Ok(_) if self.images.contains(&image) => {}
            Ok(_) => self.images.push(image),
            Err(error) => self.lost(place, format!("'{}' is no reference: {error}", image.reference)),
        }
    }

    /// Adds an image without settings.
    pub(super) fn reference(&mut self, place: &str, reference: &str) {
        self.image(place, Image { reference: reference.to_owned(), ..Image::default() });
    }

    /// Adds a chart, once.
    pub(super) fn chart(&mut self, chart: Chart) {
        if !self.charts.contains(&chart) {
            self.charts.push(chart);
        }
    }

    /// Adds a file, once. A file on a web server needs a checksum.
    pub(super) fn file(&mut self, place: &str, file: File) {
        if file.source.contains("://") && file.sha256.is_none() {
            let text = format!("{} has no checksum: add it below 'files:', with its sha256", file.source);
            return self.lost(place, text);
        }
        if !self.files.contains(&file) {
            self.files.push(file);
        }
    }

    /// Content that is not in the bundle.yaml.
    pub(super) fn lost(&mut self, place: &str, text: impl Into<String>) {
        self.remark(place, text.into(), Weight::Content);
    }

    /// A setting that is not in the bundle.yaml.
    pub(super) fn note(&mut self, place: &str, text: impl Into<String>) {
        self.remark(place, text.into(), Weight::Setting);
    }

    fn remark(&mut self, place: &str, text: String, weight: Weight) {
        let remark = Remark { place: place.to_owned(), text, weight };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Fields that no reader knows: settings, by their names.
    pub(super) fn unread(&mut self, place: &str, others: &Others) {
        for name in others.keys() {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            self.note(&place, "is not expressed");
        }
    }
}
