//! `regsync.yml` (regclient.org, "regsync Configuration File"): images and repositories with filters of tags.
//! Takes a document; fills a [`Draft`].

use serde::Deserialize;

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;
use super::draft::Image;
use super::pattern::Globs;
use super::skopeo::no_glob;

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    creds: Vec<Credentials>,
    #[serde(default)]
    sync: Vec<Entry>,
    #[serde(default)]
    defaults: Defaults,
    #[serde(rename = "version")]
    _version: Option<String>,
    #[serde(rename = "x-")]
    _extension: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Credentials {
    registry: String,
    tls: Option<String>,
    user: Option<serde::de::IgnoredAny>,
    pass: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Defaults {
    platforms: Vec<String>,
    platform: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    source: String,
    #[serde(rename = "target")]
    _target: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    tags: Filter,
    platform: Option<String>,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Filter {
    allow: Vec<String>,
    deny: Vec<String>,
    semver_range: Vec<String>,
}

/// Reads a configuration.
pub(super) fn read(document: &Document, draft: &mut Draft) -> Result<(), ConvertError> {
    let configuration: Configuration = document.read()?;
    for credentials in configuration.creds {
        let registry = credentials.registry;
        if credentials.tls.is_some_and(|tls| tls == "disabled") {
            draft.plain_http.insert(registry.clone());
        }
        if credentials.user.is_some() || credentials.pass.is_some() {
            let text = format!("is not expressed: `bundle login {registry}`, or 'credentials:' with a file");
            draft.note(&format!("creds of {registry}"), text);
        }
    }
    let defaults = configuration.defaults;
    for (at, entry) in configuration.sync.into_iter().enumerate() {
        read_entry(&format!("sync[{at}]"), entry, &defaults, draft);
    }
    draft.note("sync[].target", "is not expressed: in 'cache' an image keeps its registry and path");
    Ok(())
}

fn read_entry(place: &str, entry: Entry, defaults: &Defaults, draft: &mut Draft) {
    for name in entry.others.keys() {
        let place = format!("{place}.{name}");
        match name.as_str() {
            // Carried always.
            "digestTags" | "referrers" | "fastCopy" => {}
            "schedule" | "interval" => {
                draft.note(&place, "is not expressed: `bundle sync export` runs from a timer")
            }
            "backup" => {
                draft.note(&place, "is not expressed: an import never overwrites what it did not set")
            }
            _ => draft.note(&place, "is not expressed"),
        }
    }
    let platform = entry.platform.as_ref().or(defaults.platform.as_ref());
    let platforms = if entry.platforms.is_empty() { &defaults.platforms } else { &entry.platforms };
    let platforms: Vec<String> = platform.into_iter().chain(platforms).cloned().collect();
    let source = entry.source;
    if source.contains("{{") {
        return draft.lost(place, format!("'{source}' has a template: write its value"));
    }
    let image = Image { reference: source.clone(), platforms, ..Image::default() };
    match entry.r#type.as_deref().unwrap_or("image") {
        "image" => draft.image(place, image),
        "repository" => {
            let globs = |filters: &[String]| -> Result<Vec<String>, String> {
                let mut all = Vec::new();
                for filter in filters {
                    all.extend(Globs::whole(filter).ok_or_else(|| no_glob(filter))?.0);
                }
                Ok(all)
            };
            let (tags, exclude) = match (globs(&entry.tags.allow), globs(&entry.tags.deny)) {
                (Ok(tags), Ok(exclude)) => (tags, exclude),
                (Err(text), _) | (_, Err(text)) => return draft.lost(&format!("{place}.tags"), text),
            };
            let ranges = entry.tags.semver_range;
            if ranges.is_empty() {
                let tags = if tags.is_empty() { vec!["*".to_owned()] } else { tags };
                return draft.image(place, Image { tags, exclude, ..image });
            }
            // A tag must be in one of the ranges, and match one of the filters.
            for range in ranges {
                let (tags, exclude) = (tags.clone(), exclude.clone());
                draft.image(place, Image { semver: Some(range), tags, exclude, ..image.clone() });
            }
        }
        "registry" => draft.lost(place, format!("{source} is a whole registry: list its repositories")),
        kind => draft.lost(place, format!("'{kind}' is no type that is known")),
    }
}
