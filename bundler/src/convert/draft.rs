//! A bundle.yaml in the making.
//! Each tool's reader adds images, charts, files and manifests to a [`Draft`], and remarks on what has no place in it.

use std::collections::BTreeSet;

use bundle_format::StreamName;
use bundle_oci::{Reference, has_login, hide_logins, strip_logins};

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
    pub(super) fn chart(&mut self, mut chart: Chart) {
        let why = "`bundle login` stores it for its host";
        chart.repo = chart.repo.map(|repo| self.without_login("charts", repo, why));
        chart.name = self.without_login("charts", chart.name, why);
        chart.values = chart.values.into_iter().map(|path| self.without_login("charts", path, why)).collect();
        if !self.charts.contains(&chart) {
            self.charts.push(chart);
        }
    }

    /// Adds a file, once. A file on a web server needs a checksum.
    pub(super) fn file(&mut self, place: &str, mut file: File) {
        file.source = self.without_login(place, file.source, "files are fetched without one");
        if file.source.contains("://") && file.sha256.is_none() {
            let text = format!("{} has no checksum: add it below 'files:', with its sha256", file.source);
            return self.lost(place, text);
        }
        if !self.files.contains(&file) {
            self.files.push(file);
        }
    }

    /// An address without the login in it: a bundle.yaml lies in Git.
    fn without_login(&mut self, place: &str, text: String, why: &str) -> String {
        if !text.contains("://") || !has_login(&text) {
            return text;
        }
        self.note(place, format!("the login in '{text}' is not expressed: {why}"));
        strip_logins(&text).into_owned()
    }

    /// Leaves out what no bundle.yaml may have: names that are no stream's, and logins.
    pub(super) fn finish(&mut self) {
        if let Some(name) = self.name.take_if(|name| name.parse::<StreamName>().is_err()) {
            self.note("name", format!("'{name}' cannot be the name of a stream: write one below 'name:'"));
        }
        let lists = [("plainHttp", &mut self.plain_http), ("exclude", &mut self.exclude)];
        let refused = lists.map(|(place, list)| {
            let refused: Vec<String> = list.iter().filter(|text| has_login(text)).cloned().collect();
            list.retain(|text| !refused.contains(text));
            (place, refused)
        });
        for (place, text) in
            refused.into_iter().flat_map(|(place, texts)| texts.into_iter().map(move |text| (place, text)))
        {
            self.note(place, format!("'{text}' is not expressed: it has a login"));
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
        // Remarks are printed, and comments of a file that others read.
        let hide = |text: &str| hide_logins(text).into_owned();
        let remark = Remark { place: hide(place), text: hide(&text), weight };
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
