//! Recognizes image references. Takes a text and what its field's name hints at; gives a reference, or
//! nothing for paths, addresses and the like.

use crate::limits::IMAGE_NAME;
use bundle_oci::Reference;

use super::rules;

/// The kind of value that the name of a field, flag or variable suggests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hint {
    /// Nothing.
    #[default]
    None,
    /// A name of an image's field: `RELATED_IMAGE_X`, `--kubectl-image`, `sidecarImage`.
    Named,
    /// It is `image`.
    Image,
    /// It is the image of a container: anything there is one.
    Container,
}

impl Hint {
    /// The hint that a name gives.
    pub(super) fn of(name: &str) -> Self {
        let name = name.trim_matches(['-', '"', '\'', ':', '=', ' ']);
        if name == "image" {
            return Self::Image;
        }
        if !says_image(name) {
            return Self::None;
        }
        let lower = name.to_ascii_lowercase();
        // `imagePullPolicy` and the like look like fields of images and hold none.
        let other =
            ["policy", "secret", "secrets", "registry", "tag", "repository", "digest", "version", "size"];
        if !other.iter().any(|end| lower.ends_with(end)) { Self::Named } else { Self::None }
    }
}

/// Whether `image` is in a text, in capitals or not.
pub(super) fn says_image(text: &str) -> bool {
    text.as_bytes().windows(5).any(|part| part.eq_ignore_ascii_case(b"image"))
}

/// The image that a whole text names, if it looks like one where it stands. Without a hint it must
/// look like nothing else: paths, addresses, times, types and `host:port` are all around in charts.
pub(super) fn image(text: &str, hint: Hint) -> Option<Reference> {
    let text = text.trim();
    if text.len() > IMAGE_NAME || !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    // An address with an image scheme is an image in any field.
    let (text, hint) = match IMAGE_SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(inside) => (inside, hint.max(Hint::Image)),
        None => (text, hint),
    };
    // A digest alone, as the field `digest` has it, is no image.
    if text.starts_with("sha256:") {
        return None;
    }
    let reference: Reference = text.parse().ok()?;
    let written = Written::of(text);
    let sound = match hint {
        Hint::Container => true,
        Hint::Image => written.is_pinned() || written.path.contains('/') || written.tag.is_some(),
        Hint::Named => {
            written.is_pinned()
                || written.tag.is_some_and(|tag| written.host.is_some() || !is_port(tag))
                || written.host.is_some_and(is_registry_like)
        }
        Hint::None => written.is_image_like(),
    };
    (sound && !text.starts_with(['/', '.', '-'])).then_some(reference)
}

/// How the address of an image starts in resources that can also fetch other things.
const IMAGE_SCHEMES: [&str; 4] = ["docker://", "oci://", "docker-image://", "registry://"];

/// Whether a text says by how it starts that it is the address of an image.
pub(super) fn is_image_address(text: &str) -> bool {
    IMAGE_SCHEMES.iter().any(|scheme| text.trim_start().starts_with(scheme))
}

/// The parts of a reference as it is written.
pub(super) struct Written<'a> {
    host: Option<&'a str>,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Written<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name.get(last..).and_then(|component| component.rfind(':')) {
            Some(colon) => (name.get(..last + colon), name.get(last + colon + 1..)),
            None => (Some(name), None),
        };
        let name = name.unwrap_or_default();
        let (host, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
            _ => (None, name),
        };
        Self { host, path, tag, digest }
    }

    fn is_pinned(&self) -> bool {
        self.digest.is_some_and(|digest| digest.starts_with("sha256:"))
    }

    /// Whether nothing but an image is written so: with a digest, or with a registry and a tag.
    pub(super) fn is_unmistakable(&self) -> bool {
        let tag = |tag: &str| is_tag_like(tag) || self.host.is_some_and(is_known_registry) && !is_port(tag);
        self.is_pinned() || self.host.is_some_and(is_registry_like) && self.tag.is_some_and(tag)
    }

    fn is_image_like(&self) -> bool {
        if self.is_unmistakable() {
            return true;
        }
        let Some(tag) = self.tag.filter(|_| self.host.is_none()) else { return false };
        let plain = !self.path.contains('.') && self.path.len() > 1;
        let named =
            plain && self.path.split('/').all(|part| part.bytes().any(|byte| byte.is_ascii_lowercase()));
        match self.path.matches('/').count() {
            0 => named && is_version_like(tag),
            1 | 2 => named && (is_version_like(tag) || tag == "latest"),
            _ => false,
        }
    }
}

/// `9090`
fn is_port(tag: &str) -> bool {
    tag.len() >= 2 && tag.bytes().all(|byte| byte.is_ascii_digit())
}

/// A tag as people give them: with a number, or one of the few words for the newest.
fn is_tag_like(tag: &str) -> bool {
    const NEWEST: [&str; 9] =
        ["latest", "edge", "main", "master", "stable", "nightly", "dev", "devel", "canary"];
    NEWEST.contains(&tag) || tag.bytes().any(|byte| byte.is_ascii_digit()) && !is_port(tag)
}

/// `v1.2`, `1.2.3-alpine`
fn is_version_like(tag: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let numbers = tag.strip_prefix('v').unwrap_or(tag);
    let major = digits(numbers);
    let rest = numbers.get(major..).unwrap_or_default();
    major > 0 && rest.strip_prefix('.').is_some_and(|minor| digits(minor) > 0)
}

/// A host that is a registry and nothing else, so that any tag there is one.
fn is_known_registry(host: &str) -> bool {
    rules::shipped().registries.iter().any(|known| match known.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => host == known,
    })
}

/// A host that may be a registry: a name that people can look up, and no file, no code's home, no
/// address inside a cluster.
fn is_registry_like(host: &str) -> bool {
    // Homes of code and of names, which have no images.
    const NONE: [&str; 3] = ["github.com", "kubernetes.io", "k8s.io"];
    const BELOW: [&str; 2] = [".kubernetes.io", ".k8s.io"];
    const ENDS: [&str; 22] = [
        "svc", "local", "yaml", "yml", "json", "conf", "cfg", "ini", "txt", "sh", "py", "js", "toml", "tpl",
        "tmpl", "crt", "pem", "key", "log", "sock", "md", "html",
    ];
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    if name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok() {
        return port.is_some();
    }
    let end = name.rsplit('.').next().unwrap_or_default();
    let named = name.contains('.') || port.is_some();
    named
        && end.len() >= 2
        && end.bytes().all(|byte| byte.is_ascii_lowercase())
        && !NONE.contains(&name)
        && (name == "registry.k8s.io" || !BELOW.iter().any(|end| name.ends_with(end)))
        && !ENDS.contains(&end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PINNED: &str = "x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn images_are_seen_where_they_stand() {
        for (text, hint) in [
            ("nginx", Hint::Container),
            ("nginx:1.25", Hint::None),
            ("bitnami/redis:7.2.4-debian-12", Hint::None),
            ("grafana/loki:latest", Hint::None),
            ("quay.io/prometheus-operator/prometheus-config-reloader:v0.75.0", Hint::None),
            ("registry.k8s.io/pause:3.9", Hint::None),
            ("localhost:5000/app:1", Hint::None),
            ("harbor.example:8443/a/b:main", Hint::None),
            (PINNED, Hint::None),
            ("quay.io/argoproj/argoexec", Hint::Named),
            ("argoexec:latest", Hint::Named),
            ("ghcr.io/a/b:jammy", Hint::None),
            ("docker://quay.io/a/b:v1.2", Hint::None),
            ("redis:7", Hint::Named),
            ("grafana/grafana", Hint::Image),
            ("redis:7", Hint::Image),
        ] {
            assert!(image(text, hint).is_some(), "{text} {hint:?}");
        }
    }

    #[test]
    fn what_only_looks_like_an_image_is_not_seen() {
        for (text, hint) in [
            ("nginx", Hint::None),
            ("nginx", Hint::Named),
            ("nginx", Hint::Image),
            ("IfNotPresent", Hint::Named),
            ("apps/v1", Hint::None),
            ("monitoring.coreos.com/v1", Hint::None),
            ("rbac.authorization.k8s.io/v1", Hint::None),
            ("application/json", Hint::None),
            ("text/plain", Hint::None),
            ("/etc/config/prometheus.yml", Hint::None),
            ("/var/run/secrets:ro", Hint::None),
            ("etc/config.yaml:1.2", Hint::None),
            ("http://loki.svc:3100/push", Hint::None),
            ("loki.monitoring.svc.cluster.local:3100/loki/api/v1/push", Hint::None),
            ("loki.svc/a:1.2", Hint::None),
            ("localhost:9090", Hint::None),
            ("0.0.0.0:8080", Hint::None),
            ("127.0.0.1:9.9", Hint::None),
            ("[::]:8080", Hint::None),
            ("example.com:443", Hint::None),
            ("default/my-service:8080", Hint::None),
            ("12:30", Hint::None),
            ("00:00:00", Hint::None),
            ("2024-01-01T10:00:00Z", Hint::None),
            ("10m", Hint::None),
            ("system:serviceaccounts", Hint::None),
            ("instance:node_cpu:rate1m", Hint::None),
            ("github.com/argoproj/argo-cd:v2.0.0", Hint::None),
            ("github.com/a/b@v1.2.3", Hint::None),
            ("app.kubernetes.io/name", Hint::None),
            ("app.kubernetes.io/component:template", Hint::None),
            ("networking.k8s.io/policy:v1", Hint::None),
            ("a.example/b:word", Hint::None),
            ("ghcr.io/a/b:8080", Hint::None),
            ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Hint::None),
            ("a b:1.2", Hint::None),
            ("", Hint::Container),
            ("1.25", Hint::Container),
        ] {
            assert_eq!(image(text, hint), None, "{text} {hint:?}");
        }
    }

    #[test]
    fn names_say_what_they_hold() {
        for (name, hint) in [
            ("image", Hint::Image),
            ("RELATED_IMAGE_PROXY", Hint::Named),
            ("--kubectl-image", Hint::Named),
            ("thanosDefaultBaseImage", Hint::Named),
            ("imageName", Hint::Named),
            ("imagePullPolicy", Hint::None),
            ("imagePullSecrets", Hint::None),
            ("imageRegistry", Hint::None),
            ("imageTag", Hint::None),
            ("args", Hint::None),
        ] {
            assert_eq!(Hint::of(name), hint, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_panic(text in "[a-z.:/@ é=\"\n-]{0,60}") {
            for hint in [Hint::None, Hint::Named, Hint::Image, Hint::Container] {
                let _ = image(&text, hint);
            }
        }
    }
}
