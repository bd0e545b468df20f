//! Parses a request's path and query (distribution-spec §Endpoints). Takes the path, gives one of the
//! endpoints with parsed names.

use bundle_oci::{Digest, ParseDigestError, Registry, RepositoryName, Tag};
use url::form_urlencoded;

use crate::limits::SEARCH;
use crate::problem::Problem;

/// The endpoint of a request's path (distribution-spec §Endpoints).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<tag>`
    TaggedManifest(RepositoryName, Tag),
    /// `/v2/<name>/manifests/<digest>`
    Manifest(RepositoryName, Digest),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/`: the page for people.
    Page,
    /// `/metrics`
    Metrics,
    /// `/healthz`, as probes ask: without a password, and without a word of what is served.
    Health,
}

impl Route {
    /// Reads a path. Nothing that it names is ever a file's name.
    pub(crate) fn parse(path: &str) -> Result<Self, Problem> {
        let decoded = decode(path).ok_or_else(Problem::no_such_path)?;
        if decoded == "/" {
            return Ok(Self::Page);
        }
        if decoded == "/metrics" {
            return Ok(Self::Metrics);
        }
        if decoded == "/healthz" {
            return Ok(Self::Health);
        }
        let rest = match decoded.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Ping),
            Some("/_catalog") => return Ok(Self::Catalog),
            Some(rest) => rest.strip_prefix('/').ok_or_else(Problem::no_such_path)?,
            None => return Err(Problem::no_such_path()),
        };
        let (front, last) = rest.rsplit_once('/').ok_or_else(Problem::no_such_path)?;
        let (name, kind) = front.rsplit_once('/').ok_or_else(Problem::no_such_path)?;
        let name = || name.parse::<RepositoryName>().map_err(|error| Problem::name_invalid(&error));
        match (kind, last) {
            ("tags", "list") => Ok(Self::Tags(name()?)),
            ("manifests", reference) if reference.contains(':') => {
                Ok(Self::Manifest(name()?, digest(reference).map_err(Problem::manifest)?))
            }
            ("manifests", reference) => match reference.parse::<Tag>() {
                Ok(tag) => Ok(Self::TaggedManifest(name()?, tag)),
                Err(error) => Err(Problem::tag_invalid(&error)),
            },
            ("blobs", reference) => Ok(Self::Blob(name()?, digest(reference).map_err(Problem::blob)?)),
            ("referrers", reference) => {
                Ok(Self::Referrers(name()?, digest(reference).map_err(Problem::manifest)?))
            }
            _ => Err(Problem::no_such_path()),
        }
    }

    /// A word for it, to count by.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Catalog => "catalog",
            Self::Tags(_) => "tags",
            Self::TaggedManifest(..) | Self::Manifest(..) => "manifest",
            Self::Blob(..) => "blob",
            Self::Referrers(..) => "referrers",
            Self::Page => "page",
            Self::Metrics => "metrics",
            Self::Health => "health",
        }
    }
}

/// A digest that nothing here can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoDigest {
    /// It is of another algorithm than the bundles'.
    OtherAlgorithm,
    /// The path is no endpoint.
    Invalid,
}

fn digest(text: &str) -> Result<Digest, NoDigest> {
    text.parse().map_err(|error| match error {
        // image-spec, descriptor.md §Digests
        ParseDigestError::Algorithm if is_digest(text) => NoDigest::OtherAlgorithm,
        _ => NoDigest::Invalid,
    })
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    algorithm != "sha256"
        && algorithm.split(['+', '.', '_', '-']).all(part)
        && !encoded.is_empty()
        && encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=_-".contains(&byte))
}

/// A request's query. Unknown parameters are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// The registry that a mirror is asked to speak for (containerd, docs/hosts.md).
    pub(crate) ns: Option<Registry>,
    /// How many names, at most.
    pub(crate) n: Option<usize>,
    /// The name before the first one.
    pub(crate) last: Option<String>,
    /// The only type of referrers that is wanted.
    pub(crate) artifact_type: Option<String>,
    /// What people search for on the page.
    pub(crate) q: Option<String>,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut found = Self::default();
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*key {
                // A registry that cannot be has no repositories here.
                "ns" => found.ns = Some(value.parse().map_err(|_| Problem::unknown_registry())?),
                "n" => {
                    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                    let number = digits.then(|| value.parse().unwrap_or(usize::MAX));
                    found.n = Some(number.ok_or_else(Problem::page_size)?);
                }
                "q" => found.q = Some(value.chars().take(SEARCH).collect()),
                "last" => found.last = Some(value.into_owned()),
                "artifactType" if !value.is_empty() => found.artifact_type = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Percent-decodes a path once; `None` if that gives no text.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return None;
        };
        let hex = |digit: u8| char::from(digit).to_digit(16);
        bytes.push((hex(*high)? * 16 + hex(*low)?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn paths_are_read_from_their_end() {
        let digest: Digest = DIGEST.parse().unwrap();
        for (path, route) in [
            ("/v2/", Route::Ping),
            ("/v2", Route::Ping),
            ("/v2/_catalog", Route::Catalog),
            ("/", Route::Page),
            ("/metrics", Route::Metrics),
            ("/v2/a/tags/list", Route::Tags(name("a"))),
            ("/v2/docker.io/library/nginx/tags/list", Route::Tags(name("docker.io/library/nginx"))),
            ("/v2/tags/tags/list", Route::Tags(name("tags"))),
            ("/v2/a/manifests/manifests/b/manifests/1", {
                Route::TaggedManifest(name("a/manifests/manifests/b"), "1".parse().unwrap())
            }),
            (&format!("/v2/a/manifests/{DIGEST}"), Route::Manifest(name("a"), digest)),
            (&format!("/v2/a/manifests/{}", DIGEST.replace(':', "%3A")), Route::Manifest(name("a"), digest)),
            (&format!("/v2/a%2fb/blobs/{DIGEST}"), Route::Blob(name("a/b"), digest)),
            (&format!("/v2/a/referrers/{DIGEST}"), Route::Referrers(name("a"), digest)),
        ] {
            assert_eq!(Route::parse(path).map_err(|problem| problem.code()), Ok(route), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_code() {
        for (path, status, code) in [
            ("/v1/", 404, "NOT_FOUND"),
            ("/v2x/", 404, "NOT_FOUND"),
            ("/v2/a", 404, "NOT_FOUND"),
            ("/v2/a/b", 404, "NOT_FOUND"),
            ("/v2/a/%zz/b", 404, "NOT_FOUND"),
            ("/v2/a/%ff/b", 404, "NOT_FOUND"),
            ("/v2/a/blobs/uploads/", 404, "NOT_FOUND"),
            ("/v2/../../etc/passwd/tags/list", 400, "NAME_INVALID"),
            ("/v2/%2e%2e/tags/list", 400, "NAME_INVALID"),
            ("/v2//tags/list", 400, "NAME_INVALID"),
            ("/v2/A/tags/list", 400, "NAME_INVALID"),
            ("/v2/a/manifests/..", 400, "TAG_INVALID"),
            ("/v2/a/manifests/sha256:12", 400, "DIGEST_INVALID"),
            ("/v2/a/blobs/passwd", 400, "DIGEST_INVALID"),
            ("/v2/a/blobs/sha512:00", 404, "BLOB_UNKNOWN"),
            ("/v2/a/manifests/sha512:00", 404, "MANIFEST_UNKNOWN"),
        ] {
            let problem = Route::parse(path).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code), "{path}");
        }
    }

    #[test]
    fn queries_are_read_as_forms() {
        let query = Query::parse(Some("ns=registry.example%3A5000&n=5&last=a%2Fb&x=y")).unwrap();
        assert_eq!(query.ns, Some("registry.example:5000".parse().unwrap()));
        assert_eq!((query.n, query.last.as_deref()), (Some(5), Some("a/b")));
        assert_eq!(Query::parse(Some("n=99999999999999999999999")).unwrap().n, Some(usize::MAX));
        assert_eq!(Query::parse(Some("n=-1")).unwrap_err().code(), "PAGINATION_NUMBER_INVALID");
        assert_eq!(Query::parse(Some("ns=..")).unwrap_err().code(), "NAME_UNKNOWN");
        assert_eq!(Query::parse(None).unwrap(), Query::default());
    }
}
