use std::fmt;
use std::path::{Path, PathBuf};

use bundle_format::{ProjectName, StreamName};
use bundle_oci::{Platform, Printable};
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};
use serde_saphyr::Spanned;

use crate::list::{self, ListError};
use crate::{Item, ItemError, Platforms, Request};

/// What a `bundle.yaml` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The stream's name.
    pub name: Option<StreamName>,
    /// The platforms for every image that does not choose its own.
    pub platforms: Platforms,
    /// The requests, in the order of the file.
    pub requests: Vec<Request>,
}

/// Why a configuration or a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is too large, or no file.
    #[error("{} {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// YAML that is not valid, or has a field that is not known.
    #[error("{name}:{line}:{column}: {}", Printable(.message))]
    Yaml {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// A value that is not what the field needs.
    #[error("{name}:{line}:{column}: {field}: {error}")]
    Item {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The field's path.
        field: String,
        /// What is wrong.
        error: ItemError,
    },
    /// A list with bad lines.
    #[error(transparent)]
    List(#[from] ListError),
    /// Nothing to do.
    #[error("{0} asks for no image")]
    Empty(String),
}

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

impl Config {
    /// Reads a file, and the lists that it names, which lie beside it.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, &path.display().to_string(), |list| {
            let path = directory.join(list);
            Ok((path.display().to_string(), read_text(&path)?))
        })
    }

    /// Reads the text of a file called `name`; `read_list` gives a list's name and text.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn parse(
        text: &str,
        name: &str,
        read_list: impl Fn(&str) -> Result<(String, String), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            ConfigError::Yaml { name: name.to_owned(), line, column, message: yaml_message(&error) }
        })?;
        let platforms = file.platforms.map_or(Platforms::All, Platforms::Only);
        let mut requests = Vec::new();
        let projects = file.projects;
        let fixed = [
            ("cache", ProjectName::cache(), projects.cache),
            ("platform", ProjectName::platform(), projects.platform),
        ];
        let mut all: Vec<(String, ProjectName, Project)> = fixed
            .into_iter()
            .filter_map(|(field, project, wanted)| Some((format!("projects.{field}"), project, wanted?)))
            .collect();
        for (tenant, wanted) in projects.tenants.0 {
            if tenant.is_cache() || tenant == ProjectName::platform() {
                let message = format!("projects.tenants.{tenant}: a tenant must not be called so");
                return Err(ConfigError::Yaml { name: name.to_owned(), line: 1, column: 1, message });
            }
            all.push((format!("projects.tenants.{tenant}"), tenant, wanted));
        }
        for (field, project, wanted) in all {
            for (position, image) in wanted.images.into_iter().enumerate() {
                let at = image.referenced;
                let wrong = |error| ConfigError::Item {
                    name: name.to_owned(),
                    line: at.line(),
                    column: at.column(),
                    field: format!("{field}.images[{position}]"),
                    error,
                };
                let item = image.value.item.map_err(wrong)?;
                let target = item.place(&project).map_err(wrong)?;
                requests.push(Request {
                    reference: item.reference,
                    target,
                    platforms: image.value.platforms.map_or(platforms.clone(), Platforms::Only),
                    reasons: vec![format!("{name}:{}", at.line())],
                });
            }
            for list in wanted.lists {
                let (list_name, text) = read_list(&list)?;
                requests.extend(from_list(&text, &list_name, &project, &platforms)?);
            }
        }
        if requests.is_empty() {
            return Err(ConfigError::Empty(name.to_owned()));
        }
        Ok(Self { name: file.name, platforms, requests })
    }
}

/// The requests of a list's text.
///
/// # Errors
/// All its bad lines.
pub fn from_list(
    text: &str,
    name: &str,
    project: &ProjectName,
    platforms: &Platforms,
) -> Result<Vec<Request>, ListError> {
    let mut requests = Vec::new();
    let mut bad = Vec::new();
    for (line, item) in list::parse(text, name)? {
        match item.place(project) {
            Ok(target) => requests.push(Request {
                reference: item.reference,
                target,
                platforms: platforms.clone(),
                reasons: vec![format!("{name}:{line}")],
            }),
            Err(error) => bad.push(list::BadLine { line, text: item.reference.to_string(), error }),
        }
    }
    if bad.is_empty() { Ok(requests) } else { Err(ListError { name: name.to_owned(), lines: bad }) }
}

/// Reads a text file of bounded size; anything but a regular file could hang or never end.
///
/// # Errors
/// [`ConfigError::Read`] or [`ConfigError::File`].
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let wrong = |why| ConfigError::File { path: path.to_owned(), why };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(wrong("is no regular file"));
    }
    if metadata.len() > LARGEST {
        return Err(wrong("has more than 4 MiB"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))
}

/// The error without the place, which is told before it.
fn yaml_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text.trim_start_matches("error: ").to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<StreamName>,
    platforms: Option<Vec<Platform>>,
    projects: Projects,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Projects {
    cache: Option<Project>,
    platform: Option<Project>,
    #[serde(default)]
    tenants: Tenants,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Project {
    #[serde(default)]
    images: Vec<Spanned<Image>>,
    #[serde(default)]
    lists: Vec<String>,
}

/// Tenants in the order of the file.
#[derive(Default)]
struct Tenants(Vec<(ProjectName, Project)>);

impl<'de> Deserialize<'de> for Tenants {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TenantsVisitor;

        impl<'de> Visitor<'de> for TenantsVisitor {
            type Value = Tenants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tenants to their images")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tenants, A::Error> {
                let mut tenants = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tenants.push(entry);
                }
                Ok(Tenants(tenants))
            }
        }

        deserializer.deserialize_map(TenantsVisitor)
    }
}

/// A line of a list, or a map that says more. What is wrong with the reference is kept until the
/// field's path is known.
struct Image {
    item: Result<Item, ItemError>,
    platforms: Option<Vec<Platform>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageMap {
    r#ref: String,
    r#as: Option<String>,
    platforms: Option<Vec<Platform>>,
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ImageVisitor;

        impl<'de> Visitor<'de> for ImageVisitor {
            type Value = Image;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference, or a map with ref, as and platforms")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Image, E> {
                Ok(Image { item: text.parse(), platforms: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Image, A::Error> {
                let map = ImageMap::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let rename = map.r#as.map(|name| name.parse()).transpose();
                let item = rename.and_then(|rename| Ok(Item { reference: map.r#ref.parse()?, rename }));
                Ok(Image { item, platforms: map.platforms })
            }
        }

        deserializer.deserialize_any(ImageVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "bundle.yaml", |list| Ok((list.to_owned(), "busybox:1\n".to_owned())))
    }

    const EXAMPLE: &str = "\
name: nightly
platforms: [linux/amd64]
projects:
  cache:
    images:
      - nginx:1.25
      - {ref: quay.io/x/y:1, as: 'other:2', platforms: [linux/arm64]}
    lists: [images.txt]
  tenants:
    tenant-a:
      images: [\"quay.io/z/app:3 => tools/app\"]
";

    #[test]
    fn requests_know_their_line_and_target() {
        let config = parse(EXAMPLE).unwrap();
        let seen: Vec<_> = config
            .requests
            .iter()
            .map(|request| (request.target.to_string(), request.reasons[0].clone()))
            .collect();
        let expected = [
            ("cache/docker.io/library/nginx:1.25", "bundle.yaml:6"),
            ("cache/other:2", "bundle.yaml:7"),
            ("cache/docker.io/library/busybox:1", "images.txt:1"),
            ("tenant-a/tools/app:3", "bundle.yaml:11"),
        ];
        assert_eq!(seen, expected.map(|(target, reason)| (target.to_owned(), reason.to_owned())));
        assert_eq!(config.requests[1].platforms, Platforms::Only(vec!["linux/arm64".parse().unwrap()]));
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_field() {
        for (text, start) in [
            ("projects:\n  cache:\n    images: [x/Foo:1]\n", "bundle.yaml:3:14: projects.cache.images[0]: "),
            ("projects:\n  cache:\n    image: [a]\n", "bundle.yaml:3:5: "),
            ("projects:\n  cach: {}\n", "bundle.yaml:2:3: "),
            ("projects: {}\nprojects: {}\n", "bundle.yaml:2:1: "),
            ("projects:\n  tenants:\n    Tenant: {}\n", "bundle.yaml:3:5: "),
            ("platforms: [linux]\nprojects: {}\n", "bundle.yaml:1:13: "),
            ("projects: {}\n", "bundle.yaml asks for no image"),
            ("", "bundle.yaml:1:1: "),
            ("projects:\n\tcache: {}\n", "bundle.yaml:2:"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message:?} does not start with {start:?}");
            assert_eq!(message.lines().count(), 1, "{message:?}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(9);
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(parse(&text).is_err());
        assert!(parse(&format!("projects: {}{}", "[".repeat(50_000), "]".repeat(50_000))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[ -~\n]{0,200}") {
            let _ = parse(&text);
        }
    }
}
