//! Where a repository is read from: mirrors, other locations, blocked names, as `--mirror` and
//! `registries.conf` (containers-registries.conf(5), version 2) say. Takes those files, gives the
//! places of a repository in order.

use std::path::{Path, PathBuf};

use bundle_oci::{Registry, RepositoryName};
use serde::Deserialize;

use crate::limits::{LARGEST_ROUTES_FILE, MOST_ROUTES, MOST_ROUTES_FILES};
use crate::{Client, Error};

/// The rules of `registries.conf` and of files like it.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Those that count more come first.
    rules: Vec<Rule>,
}

/// Why a `registries.conf` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// A file that cannot be read.
    #[error("{} cannot be read: {why}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        why: String,
    },
    /// A file that is not what it should be.
    #[error("{} is not a valid registries.conf: {why}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The cause, and its place.
        why: String,
    },
}

#[derive(Clone, Debug)]
struct Rule {
    /// A host, or `*.domain` without its star.
    host: String,
    wild: bool,
    /// The first parts of a repository's name; none for all.
    path: String,
    location: Option<Location>,
    blocked: bool,
    insecure: bool,
    mirrors: Vec<Mirror>,
}

#[derive(Clone, Debug)]
struct Location {
    registry: Registry,
    path: String,
}

#[derive(Clone, Debug)]
struct Mirror {
    location: Location,
    insecure: bool,
    tags: bool,
    digests: bool,
}

/// The kind of name in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Tag,
    Digest,
}

/// A repository, and the registry that has it.
pub(crate) type Place = (Registry, RepositoryName);

#[derive(Deserialize)]
struct WireFile {
    #[serde(default)]
    registry: Vec<WireRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireRule {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<WireMirror>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireMirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<String>,
}

impl Routes {
    /// Reads the file that the environment names, or else the user's or the system's, and those in
    /// `registries.conf.d` beside them. Missing files add no rules.
    ///
    /// # Errors
    /// A file is there and cannot be read or understood.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, RoutesError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut routes = Self::default();
        if let Some(path) = set("CONTAINERS_REGISTRIES_CONF") {
            if !path.exists() {
                return Err(RoutesError::Read { path, why: "it does not exist".to_owned() });
            }
            routes.read(&path)?;
            return Ok(routes);
        }
        let system = PathBuf::from("/etc/containers");
        let user = set("HOME").map(|home| home.join(".config/containers"));
        let own =
            user.as_ref().map(|directory| directory.join("registries.conf")).filter(|path| path.exists());
        routes.read(&own.unwrap_or_else(|| system.join("registries.conf")))?;
        for directory in [Some(system), user].into_iter().flatten() {
            let entries = std::fs::read_dir(directory.join("registries.conf.d"));
            let mut paths: Vec<PathBuf> = entries
                .into_iter()
                .flatten()
                .take(MOST_ROUTES_FILES)
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
                .collect();
            paths.sort();
            for path in paths {
                routes.read(&path)?;
            }
        }
        Ok(routes)
    }

    /// Adds what a file says; of two rules for one prefix, the later one counts.
    fn read(&mut self, path: &Path) -> Result<(), RoutesError> {
        let invalid = |why: String| RoutesError::Invalid { path: path.to_owned(), why };
        let text = match bundle_os::read_text(path, LARGEST_ROUTES_FILE) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(RoutesError::Read { path: path.to_owned(), why: error.to_string() }),
        };
        let file: WireFile = toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
            let line = before.matches('\n').count() + 1;
            invalid(format!("line {line}: {}", error.message()))
        })?;
        for wire in file.registry {
            let rule = Rule::read(wire).map_err(invalid)?;
            self.rules.retain(|known| {
                (&known.host, known.wild, &known.path) != (&rule.host, rule.wild, &rule.path)
            });
            if self.rules.len() == MOST_ROUTES {
                return Err(invalid(format!("there are more than {MOST_ROUTES} registries")));
            }
            self.rules.push(rule);
        }
        // The longest prefix counts, and a name more than a wildcard.
        self.rules.sort_by_key(|rule| (rule.wild, std::cmp::Reverse(rule.host.len() + rule.path.len())));
        Ok(())
    }

    /// Adds a mirror for all of a registry, which counts before all else for it.
    pub(crate) fn mirror(&mut self, registry: Registry, to: Registry, prefix: Option<RepositoryName>) {
        self.rules.retain(|rule| rule.wild || rule.host != registry.as_str());
        let path = prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
        let location = Location { registry: to, path };
        let mirror = Mirror { location, insecure: false, tags: true, digests: true };
        self.rules.insert(
            0,
            Rule {
                host: registry.to_string(),
                wild: false,
                path: String::new(),
                location: None,
                blocked: false,
                insecure: false,
                mirrors: vec![mirror],
            },
        );
    }

    fn rule(&self, registry: &Registry, repository: &RepositoryName) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.covers(registry, repository))
    }

    /// Whether a registry may be spoken to without encryption, where it speaks none.
    pub(crate) fn is_insecure(&self, registry: &Registry) -> bool {
        self.rules.iter().any(|rule| {
            let own = match &rule.location {
                Some(location) => location.registry == *registry,
                None => !rule.wild && rule.host == registry.as_str(),
            };
            (rule.insecure && own)
                || rule.mirrors.iter().any(|mirror| mirror.insecure && mirror.location.registry == *registry)
        })
    }
}

impl Rule {
    fn read(wire: WireRule) -> Result<Self, String> {
        let text = wire.prefix.as_ref().or(wire.location.as_ref()).filter(|text| !text.is_empty());
        let text = text.ok_or("a registry has neither prefix nor location")?;
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let (wild, host) = match host.strip_prefix("*.") {
            Some(domain) => (true, format!(".{}", domain.to_ascii_lowercase())),
            None => (
                false,
                host.parse::<Registry>().map_err(|error| format!("prefix '{text}': {error}"))?.to_string(),
            ),
        };
        let location =
            match wire.location.as_ref().filter(|location| !location.is_empty() && *location != text) {
                Some(location) => Some(Location::read(location)?),
                None => None,
            };
        let only = wire.mirror_by_digest_only;
        let mirrors = wire.mirror.into_iter().map(|mirror| {
            let (tags, digests) = match mirror.pull_from_mirror.as_deref() {
                None | Some("" | "all") => (!only, true),
                Some("digest-only") => (false, true),
                Some("tag-only") => (true, false),
                Some(other) => return Err(format!("pull-from-mirror '{other}' is not known")),
            };
            let location = Location::read(&mirror.location)?;
            Ok(Mirror { location, insecure: mirror.insecure, tags, digests })
        });
        Ok(Self {
            host,
            wild,
            path: path.trim_end_matches('/').to_owned(),
            location,
            blocked: wire.blocked,
            insecure: wire.insecure,
            mirrors: mirrors.collect::<Result<_, String>>()?,
        })
    }

    fn covers(&self, registry: &Registry, repository: &RepositoryName) -> bool {
        let host = registry.as_str();
        let named = if self.wild { host.ends_with(&self.host) } else { host == self.host };
        let rest = repository.as_str().strip_prefix(&self.path);
        named && rest.is_some_and(|rest| self.path.is_empty() || rest.is_empty() || rest.starts_with('/'))
    }

    /// The repository's name behind the rule's prefix, below another location.
    fn at(&self, location: &Location, repository: &RepositoryName) -> Option<Place> {
        let rest = repository.as_str().strip_prefix(&self.path)?.trim_start_matches('/');
        let whole = match (location.path.is_empty(), rest.is_empty()) {
            (true, _) => rest.to_owned(),
            (false, true) => location.path.clone(),
            (false, false) => format!("{}/{rest}", location.path),
        };
        Some((location.registry.clone(), whole.parse().ok()?))
    }
}

impl Location {
    fn read(text: &str) -> Result<Self, String> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let registry = host.parse().map_err(|error| format!("location '{text}': {error}"))?;
        Ok(Self { registry, path: path.trim_end_matches('/').to_owned() })
    }
}

impl Client {
    /// The mirrors of a repository in order, and where it is itself.
    pub(crate) fn places(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        by: By,
    ) -> Result<(Vec<Place>, Place), Error> {
        let Some(rule) = self.inner.routes.rule(registry, repository) else {
            return Ok((Vec::new(), (registry.clone(), self.path_at(registry, repository)?)));
        };
        if rule.blocked {
            return Err(Error::Blocked { host: registry.to_string(), what: repository.to_string() });
        }
        let fits = |mirror: &&Mirror| if by == By::Tag { mirror.tags } else { mirror.digests };
        let mirrors = rule.mirrors.iter().filter(fits);
        let mirrors = mirrors.filter_map(|mirror| rule.at(&mirror.location, repository)).collect();
        let origin = match &rule.location {
            Some(location) => rule
                .at(location, repository)
                .ok_or_else(|| Error::Blocked { host: registry.to_string(), what: repository.to_string() })?,
            None => (registry.clone(), self.path_at(registry, repository)?),
        };
        Ok((mirrors, origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(text: &str) -> Result<Routes, RoutesError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("registries.conf");
        std::fs::write(&path, text).unwrap();
        let shown = path.to_string_lossy().into_owned();
        Routes::from_environment(|name| (name == "CONTAINERS_REGISTRIES_CONF").then(|| shown.clone()))
    }

    fn places(routes: Routes, reference: (&str, &str), by: By) -> Result<Vec<String>, Error> {
        let client = Client::builder().routes(routes).build().unwrap();
        let (mirrors, origin) =
            client.places(&reference.0.parse().unwrap(), &reference.1.parse().unwrap(), by)?;
        Ok(mirrors.iter().chain([&origin]).map(|(registry, path)| format!("{registry}/{path}")).collect())
    }

    /// The example of containers-registries.conf(5), and more.
    const CONF: &str = r#"
unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"
[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"
[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true
pull-from-mirror = "digest-only"
[[registry]]
location = "registry.com"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.registry.com"
[[registry]]
prefix = "*.bad.example"
blocked = true
"#;

    #[test]
    fn registries_conf_is_read_as_podman_reads_it() {
        let at = |reference, by| places(routes(CONF).unwrap(), reference, by);
        assert_eq!(
            at(("example.com", "foo/image"), By::Digest).unwrap(),
            [
                "example-mirror-0.local/mirror-for-foo/image",
                "example-mirror-1.local/mirrors/foo/image",
                "internal-registry-for-example.com/bar/image"
            ]
        );
        assert_eq!(at(("example.com", "foo"), By::Tag).unwrap().len(), 2);
        assert_eq!(at(("example.com", "foobar/image"), By::Tag).unwrap(), ["example.com/foobar/image"]);
        assert_eq!(at(("registry.com", "a/b"), By::Tag).unwrap(), ["registry.com/a/b"]);
        assert_eq!(
            at(("registry.com", "a/b"), By::Digest).unwrap(),
            ["mirror.registry.com/a/b", "registry.com/a/b"]
        );
        assert!(matches!(at(("very.bad.example", "a"), By::Tag), Err(Error::Blocked { .. })));
        let routes = routes(CONF).unwrap();
        assert!(routes.is_insecure(&"example-mirror-1.local".parse().unwrap()));
        assert!(!routes.is_insecure(&"example-mirror-0.local".parse().unwrap()));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, why) in [
            ("[[registry]]\nprefix = 7\n", "line 2"),
            ("[[registry]]\ninsecure = true\n", "neither prefix nor location"),
            ("[[registry]]\nlocation = \"a b\"\n", "a b"),
            (
                "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b.example\"\npull-from-mirror = \"x\"\n",
                "'x'",
            ),
        ] {
            let error = routes(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
