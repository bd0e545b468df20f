//! Registry-mirror configuration for containerd: a `hosts.toml` for each source host.
//! Takes a [`Mirror`] and what it mirrors; gives files below containerd's `certs.d`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::toml;
use super::{Mirror, Mirrored, NodeFile};

const DIRECTORY: &str = "etc/containerd/certs.d";

/// A `hosts.toml` for each host (containerd, docs/hosts.md). `server` is what containerd falls
/// back to, and without it, that is the source itself; so the mirror is both host and server, and
/// there is nothing else to fall back to. A file without a `host`, which would say the same, is one
/// that containerd 1.6 cannot read: it logs so, and asks the source.
pub(super) fn files(mirrored: &Mirrored, mirror: &Mirror) -> Vec<NodeFile> {
    let ca_file = format!("{DIRECTORY}/bundle-mirror-ca.crt");
    let mut files = Vec::new();
    for (host, place) in &mirrored.hosts {
        // containerd's spelling of a host with a port that any file system can hold.
        let directory = match host.as_str().rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => format!("{name}_{port}_"),
            _ => host.as_str().to_owned(),
        };
        let path = format!("{DIRECTORY}/{directory}/hosts.toml");
        let mut text = mirrored.head(
            mirror,
            &[
                &format!("Belongs to /{path} of each node; containerd reads it at each pull,"),
                "if its config.toml has: [plugins.\"io.containerd.grpc.v1.cri\".registry]",
                &format!("  config_path = \"/{DIRECTORY}\"    (containerd 2: plugins.\"io.containerd.cri.v1.images\".registry)"),
            ],
        );
        let url = format!("{}/v2/{place}", mirror.url());
        let settings = Settings {
            capabilities: ["pull", "resolve"],
            override_path: true,
            // containerd reads it as relative to this file's directory.
            ca: mirror.ca.as_ref().map(|_| "../bundle-mirror-ca.crt"),
            header: mirror
                .login
                .as_ref()
                .map(|login| Header { authorization: format!("Basic {}", login.basic().as_str()) }),
        };
        let host = BTreeMap::from([(url.as_str(), settings.clone())]);
        text.push_str(&toml(&Hosts { server: &url, settings, host }));
        files.push(NodeFile::new(path, text).secret_if(mirror.login.is_some()));
    }
    files.extend(mirror.ca.clone().map(|ca| NodeFile::new(ca_file, ca)));
    files
}

/// `hosts.toml` (containerd, docs/hosts.md).
#[derive(Serialize)]
struct Hosts<'a> {
    server: &'a str,
    #[serde(flatten)]
    settings: Settings,
    host: BTreeMap<&'a str, Settings>,
}

#[derive(Clone, Serialize)]
struct Settings {
    capabilities: [&'static str; 2],
    override_path: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
}

#[derive(Clone, Serialize)]
struct Header {
    #[serde(rename = "Authorization")]
    authorization: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::mirror::tests::bundle;
    use crate::node::{Login, Scheme, Secrecy};

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
        let mirrored = Mirrored::of(&trusted, &mirror.registry).unwrap();
        let files = files(&mirrored, &mirror);
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "etc/containerd/certs.d/docker.io/hosts.toml",
                "etc/containerd/certs.d/registry.example_5000_/hosts.toml",
                "etc/containerd/certs.d/bundle-mirror-ca.crt",
            ]
        );
        let body = |file: &NodeFile| {
            file.content.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            body(&files[1]),
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
        let plain = Mirror { scheme: Scheme::Http, ca: None, login: None, ..mirror };
        let files = super::files(&mirrored, &plain);
        assert!(body(&files[0]).starts_with("server = \"http://harbor.example/v2/cache/docker.io\"\n"));
        assert_eq!((files.len(), files[0].secrecy), (2, Secrecy::Everyone));
    }
}
