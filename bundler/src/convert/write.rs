//! The text of a bundle.yaml.
//! Takes a [`Draft`], the original's name and its tool; gives YAML in which every text is in quotes.

use std::fmt::Write;

use bundle_oci::Printable;

use super::draft::{Chart, Draft, File, Image};
use super::{Tool, Weight};

/// The bundle.yaml of a draft, with what content is missing as comments.
pub(super) fn yaml(draft: &Draft, name: &str, tool: Tool) -> String {
    let mut page = Page(format!("# Made by `bundle convert` of {} ({tool}).\n", Printable(name)));
    for remark in draft.remarks.iter().filter(|remark| remark.weight == Weight::Content) {
        page.line(0, &format!("# Missing: {}: {}", Printable(&remark.place), Printable(&remark.text)));
    }
    page.line(0, "version: 1");
    if let Some(name) = &draft.name {
        page.line(0, &format!("name: {}", quoted(name)));
    }
    page.list(0, "platforms", &draft.platforms);
    page.list(0, "plainHttp", &draft.plain_http);
    page.list(0, "exclude", &draft.exclude);
    if draft.is_empty() {
        page.line(0, "projects: {}");
        return page.0;
    }
    page.line(0, "projects:");
    page.line(1, "cache:");
    page.items(2, "images", &draft.images, Page::image);
    page.items(2, "charts", &draft.charts, Page::chart);
    page.items(2, "manifests", &draft.manifests, |page, path| page.line(3, &format!("- {}", quoted(path))));
    page.items(2, "files", &draft.files, Page::file);
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a String never fails.
        let _ = writeln!(self.0, "{:depth$}{text}", "", depth = 2 * depth);
    }

    fn list<'t>(&mut self, depth: usize, name: &str, texts: impl IntoIterator<Item = &'t String>) {
        let texts: Vec<String> = texts.into_iter().map(|text| quoted(text)).collect();
        if !texts.is_empty() {
            self.line(depth, &format!("{name}: [{}]", texts.join(", ")));
        }
    }

    fn items<T>(&mut self, depth: usize, name: &str, items: &[T], write: impl Fn(&mut Self, &T)) {
        if !items.is_empty() {
            self.line(depth, &format!("{name}:"));
            items.iter().for_each(|item| write(self, item));
        }
    }

    fn field(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.line(4, &format!("{name}: {}", quoted(value)));
        }
    }

    fn image(&mut self, image: &Image) {
        if *image == (Image { reference: image.reference.clone(), ..Image::default() }) {
            return self.line(3, &format!("- {}", quoted(&image.reference)));
        }
        self.line(3, &format!("- ref: {}", quoted(&image.reference)));
        self.field("as", image.rename.as_ref());
        self.list(4, "tags", &image.tags);
        self.field("semver", image.semver.as_ref());
        self.list(4, "exclude", &image.exclude);
        self.list(4, "platforms", &image.platforms);
    }

    fn chart(&mut self, chart: &Chart) {
        match &chart.repo {
            Some(repo) => {
                self.line(3, &format!("- repo: {}", quoted(repo)));
                self.field("name", Some(&chart.name));
            }
            None => self.line(3, &format!("- path: {}", quoted(&chart.name))),
        }
        self.field("version", chart.version.as_ref());
        self.list(4, "values", &chart.values);
        self.field("kubeVersion", chart.kube_version.as_ref());
    }

    fn file(&mut self, file: &File) {
        let kind = if file.sha256.is_some() && file.source.contains("://") { "url" } else { "path" };
        self.line(3, &format!("- {kind}: {}", quoted(&file.source)));
        self.field("sha256", file.sha256.as_ref().filter(|_| kind == "url"));
        self.field("as", file.rename.as_ref());
        if file.executable {
            self.line(4, "mode: \"0755\"");
        }
    }
}

/// A text in YAML's double quotes. JSON's are a part of them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
