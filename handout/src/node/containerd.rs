//! Registry-mirror configuration for containerd: a `hosts.toml` for each source host.
//! Takes a [`NodeConfig`]; gives files below containerd's `certs.d`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::toml;
use super::{Mirror, NodeConfig, NodeFile};

const DIRECTORY: &str = "etc/containerd/certs.d";

/// A `hosts.toml` for each host (containerd, docs/hosts.md). `server` is what containerd falls
/// back to, and without it, that is the source itself; so the last mirror is both host and server, and
/// there is nothing else to fall back to. A file without a `host`, which would say the same, is one
/// that containerd 1.6 cannot read: it logs so, and asks the source.
pub(super) fn files(node: &NodeConfig) -> Vec<NodeFile> {
    let ca_file = format!("{DIRECTORY}/bundle-mirror-ca.crt");
    let mut files = Vec::new();
    for (host, place) in node.mirrored.names() {
        let path = format!("/v2/{place}");
        files.push(file(node, host, &node.mirrors, Some(&path)));
    }
    // Those before a registry have what it has, and stand in for it when it is down.
    for (mirror, before) in node.selves() {
        files.push(file(node, mirror.registry.as_str(), before, None));
    }
    if node.all_registries {
        // containerd reads this for every host that has no directory of its own.
        files.push(file(node, "_default", &node.mirrors, None));
    }
    files.extend(node.authorities().map(|ca| NodeFile::new(ca_file, ca)));
    files
}

/// The file for one host, whose images lie at these mirrors, at a path of theirs or under their own names.
fn file(node: &NodeConfig, host: &str, mirrors: &[Mirror], place: Option<&str>) -> NodeFile {
    // containerd's spelling of a host with a port that any file system can hold.
    let directory = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => format!("{name}_{port}_"),
        _ => host.to_owned(),
    };
    let path = format!("{DIRECTORY}/{directory}/hosts.toml");
    let mut text = node.head(&[
        &format!("Belongs to /{path} of each node; containerd reads it at each pull,"),
        "if its config.toml has: [plugins.\"io.containerd.grpc.v1.cri\".registry]",
        &format!(
            "  config_path = \"/{DIRECTORY}\"    (containerd 2: plugins.\"io.containerd.cri.v1.images\".registry)"
        ),
    ]);
    let url = |mirror: &Mirror| format!("{}{}", mirror.url(), place.unwrap_or_default());
    let settings = |mirror: &Mirror| Settings {
        capabilities: ["pull", "resolve"],
        override_path: place.map(|_| true),
        // containerd reads it as relative to this file's directory.
        ca: mirror.ca.as_ref().map(|_| "../bundle-mirror-ca.crt"),
        header: mirror
            .login
            .as_ref()
            .map(|login| Header { authorization: format!("Basic {}", login.basic().as_str()) }),
    };
    if let Some(last) = mirrors.last() {
        text.push_str(&toml(&Server { server: url(last), settings: settings(last) }));
    }
    // One after the other: containerd asks them in the order of the file.
    for mirror in mirrors {
        let host = BTreeMap::from([(url(mirror), settings(mirror))]);
        text.push('\n');
        text.push_str(&toml(&Host { host }));
    }
    NodeFile::new(path, text).secret_if(mirrors.iter().any(|mirror| mirror.login.is_some()))
}

/// The head of `hosts.toml` (containerd, docs/hosts.md).
#[derive(Serialize)]
struct Server {
    server: String,
    #[serde(flatten)]
    settings: Settings,
}

/// One of its hosts, by its URL.
#[derive(Serialize)]
struct Host {
    host: BTreeMap<String, Settings>,
}

#[derive(Serialize)]
struct Settings {
    capabilities: [&'static str; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    override_path: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
}

#[derive(Serialize)]
struct Header {
    #[serde(rename = "Authorization")]
    authorization: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::mirror::tests::bundle;
    use crate::node::{Login, Mirrored, Scheme, Secrecy};

    #[test]
    fn the_mirror_is_the_server_so_that_there_is_nothing_to_fall_back_to() {
        let trusted = bundle(&[
            ("nginx:1.25", "cache/docker.io/library/nginx:1.25"),
            ("registry.example:5000/a/b:1", "cache/registry.example_5000/a/b:1"),
        ]);
        let mirror = Mirror {
            registry: "harbor.example".parse().unwrap(),
            scheme: Scheme::Https,
            ca: Some("pem".to_owned()),
            login: Some(Login { user: "u".to_owned(), password: "p".to_owned().into() }),
        };
        let mirrored = Mirrored::of(&[&trusted], &[&mirror.registry]).unwrap();
        let mut node = NodeConfig { mirrored, mirrors: vec![mirror], all_registries: false };
        let files = files(&node);
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "etc/containerd/certs.d/docker.io/hosts.toml",
                "etc/containerd/certs.d/index.docker.io/hosts.toml",
                "etc/containerd/certs.d/registry-1.docker.io/hosts.toml",
                "etc/containerd/certs.d/registry.example_5000_/hosts.toml",
                "etc/containerd/certs.d/harbor.example/hosts.toml",
                "etc/containerd/certs.d/bundle-mirror-ca.crt",
            ]
        );
        let body = |file: &NodeFile| {
            file.content.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            body(&files[3]),
            "server = \"https://harbor.example/v2/cache/registry.example_5000\"\n\
             capabilities = [\"pull\", \"resolve\"]\n\
             override_path = true\n\
             ca = \"../bundle-mirror-ca.crt\"\n\
             \n[header]\nAuthorization = \"Basic dTpw\"\n\
             \n[host.\"https://harbor.example/v2/cache/registry.example_5000\"]\n\
             capabilities = [\"pull\", \"resolve\"]\n\
             override_path = true\n\
             ca = \"../bundle-mirror-ca.crt\"\n\
             \n[host.\"https://harbor.example/v2/cache/registry.example_5000\".header]\n\
             Authorization = \"Basic dTpw\""
        );
        assert_eq!(files[0].secrecy, Secrecy::Owner);
        // The registry itself: a pod that names it needs its authority as well.
        assert!(body(&files[4]).starts_with(
            "server = \"https://harbor.example\"\ncapabilities = [\"pull\", \"resolve\"]\nca = \"../bundle-mirror-ca.crt\"\n"
        ));
        // A seed in front is asked first, with any name.
        let seed = "zeed.example:5000".parse().unwrap();
        node.mirrors.insert(0, Mirror { registry: seed, scheme: Scheme::Http, ca: None, login: None });
        node.all_registries = true;
        let files = super::files(&node);
        let hosts = |file: &NodeFile| {
            let lines =
                file.content.lines().filter(|line| line.starts_with("server") || line.starts_with("[host."));
            lines.filter(|line| !line.ends_with(".header]")).map(str::to_owned).collect::<Vec<_>>()
        };
        let place = "v2/cache/docker.io";
        assert_eq!(
            hosts(&files[0]),
            [
                format!("server = \"https://harbor.example/{place}\""),
                format!("[host.\"http://zeed.example:5000/{place}\"]"),
                format!("[host.\"https://harbor.example/{place}\"]"),
            ]
        );
        let default = files.iter().find(|file| file.path.ends_with("/_default/hosts.toml")).unwrap();
        assert_eq!(
            hosts(default),
            [
                "server = \"https://harbor.example\"",
                "[host.\"http://zeed.example:5000\"]",
                "[host.\"https://harbor.example\"]",
            ]
        );
        node.mirrors.remove(0);
        node.all_registries = false;
        let mirror = &mut node.mirrors[0];
        (mirror.scheme, mirror.ca, mirror.login) = (Scheme::Http, None, None);
        let files = super::files(&node);
        assert!(body(&files[0]).starts_with("server = \"http://harbor.example/v2/cache/docker.io\"\n"));
        assert_eq!((files.len(), files[0].secrecy), (5, Secrecy::Everyone));
    }
}
