//! Registry-mirror configuration for K3s and RKE2: `registries.yaml`.
//! Takes a [`Mirror`] and what it mirrors; gives the file and the setting that belongs to it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::yaml;
use super::{Mirror, Mirrored, NodeFile};

/// `registries.yaml` of K3s and RKE2, which make `hosts.toml` files of it for their containerd
/// (k3s `pkg/agent/containerd/config.go`), and the setting without which these lead to the source
/// itself when the mirror fails.
pub(super) fn files(product: &str, mirrored: &Mirrored, mirror: &Mirror) -> Vec<NodeFile> {
    let directory = format!("etc/rancher/{product}");
    let ca_file = format!("{directory}/bundle-mirror-ca.crt");
    let settings_file = format!("{directory}/config.yaml.d/50-bundle-mirror.yaml");
    let mut text = mirrored.head(
        mirror,
        &[
            &format!(
                "Belongs to /{directory}/registries.yaml of each node; {product} reads it when it starts."
            ),
            &format!("/{settings_file} beside it keeps {product} from asking the sources"),
            "themselves when the mirror does not answer.",
        ],
    );
    let url = mirror.url();
    let mirrors = mirrored.hosts.iter().map(|(host, place)| {
        // One rule for each host: K3s takes rules in no certain order, and the first that matches.
        let rewrite = BTreeMap::from([("^(.*)$", format!("{place}/$1"))]);
        (host.as_str(), MirrorEntry { endpoint: [&url], rewrite })
    });
    let config = Config {
        auth: mirror.login.as_ref().map(|login| Auth { username: &login.user, password: &login.password }),
        tls: mirror.ca.as_ref().map(|_| Tls { ca_file: format!("/{ca_file}") }),
    };
    let told = config.auth.is_some() || config.tls.is_some();
    let configs = told.then_some((mirror.registry.as_str(), config)).into_iter().collect();
    text.push_str(&yaml(&Registries { mirrors: mirrors.collect(), configs }));
    let settings = mirrored.head(
        mirror,
        &[&format!("Belongs to /{settings_file} of each node. {product} asks the mirror, and nobody else.")],
    ) + "disable-default-registry-endpoint: true\n";
    let registries = NodeFile::new(format!("{directory}/registries.yaml"), text);
    let mut files =
        vec![registries.secret_if(mirror.login.is_some()), NodeFile::new(settings_file, settings)];
    files.extend(mirror.ca.clone().map(|ca| NodeFile::new(ca_file, ca)));
    files
}

/// `registries.yaml` (rancher/wharfie, `pkg/registries/types.go`).
#[derive(Serialize)]
struct Registries<'a> {
    mirrors: BTreeMap<&'a str, MirrorEntry<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    configs: BTreeMap<&'a str, Config<'a>>,
}

#[derive(Serialize)]
struct MirrorEntry<'a> {
    endpoint: [&'a str; 1],
    rewrite: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
}

#[derive(Serialize)]
struct Auth<'a> {
    username: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct Tls {
    ca_file: String,
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::node::mirror::tests::bundle;
    use crate::node::{Login, Scheme};

    /// The types of github.com/rancher/wharfie `pkg/registries/types.go`, which K3s reads the file
    /// with; unknown fields, which it would overlook, are mistakes here.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ReadRegistries {
        mirrors: BTreeMap<String, ReadMirror>,
        #[serde(default)]
        configs: BTreeMap<String, ReadConfig>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ReadMirror {
        endpoint: Vec<String>,
        rewrite: BTreeMap<String, String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ReadConfig {
        auth: Option<BTreeMap<String, String>>,
        tls: Option<BTreeMap<String, String>>,
    }

    #[test]
    fn registries_yaml_is_what_k3s_reads() {
        let trusted = bundle(&[
            ("nginx:1.25", "cache/docker.io/library/nginx:1.25"),
            ("registry.example:5000/a/b:1", "cache/registry.example_5000/a/b:1"),
            ("registry.k8s.io/pause:3.9", "platform/pause:3.9"),
        ]);
        let mirror = Mirror {
            registry: "harbor.example:8443".parse().unwrap(),
            scheme: Scheme::Https,
            ca: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
            login: Some(Login {
                user: "robot$pull".to_owned(),
                password: "a\"b\\c: #\u{e9}".to_owned().into(),
            }),
        };
        let mirrored = Mirrored::of(&trusted, &mirror.registry).unwrap();
        let files = files("k3s", &mirrored, &mirror);
        let paths: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.secrecy)).collect();
        use crate::node::Secrecy::{Everyone, Owner};
        assert_eq!(
            paths,
            [
                ("etc/rancher/k3s/registries.yaml", Owner),
                ("etc/rancher/k3s/config.yaml.d/50-bundle-mirror.yaml", Everyone),
                ("etc/rancher/k3s/bundle-mirror-ca.crt", Everyone),
            ]
        );
        let read: ReadRegistries = serde_saphyr::from_str(&files[0].content).unwrap();
        let rewrite = |place: &str| BTreeMap::from([("^(.*)$".to_owned(), format!("{place}/$1"))]);
        let entry = |place: &str| ReadMirror {
            endpoint: vec!["https://harbor.example:8443".to_owned()],
            rewrite: rewrite(place),
        };
        let expected = BTreeMap::from([
            ("docker.io".to_owned(), entry("cache/docker.io")),
            ("registry.example:5000".to_owned(), entry("cache/registry.example_5000")),
        ]);
        assert_eq!(read.mirrors, expected);
        let config = &read.configs["harbor.example:8443"];
        let auth = config.auth.as_ref().unwrap();
        assert_eq!(
            (auth["username"].as_str(), auth["password"].as_str()),
            ("robot$pull", "a\"b\\c: #\u{e9}")
        );
        assert_eq!(config.tls.as_ref().unwrap()["ca_file"], "/etc/rancher/k3s/bundle-mirror-ca.crt");
        let text = &files[0].content;
        assert!(text.contains("#   registry.k8s.io/pause:3.9 is harbor.example:8443/platform/pause:3.9\n"));
        assert!(files[1].content.ends_with("disable-default-registry-endpoint: true\n"));
        let plain = Mirror { scheme: Scheme::Http, ca: None, login: None, ..mirror };
        let files = super::files("rke2", &mirrored, &plain);
        assert_eq!((files.len(), files[0].secrecy), (2, Everyone));
        let read: ReadRegistries = serde_saphyr::from_str(&files[0].content).unwrap();
        assert_eq!(read.mirrors["docker.io"].endpoint, ["http://harbor.example:8443"]);
        assert!(read.configs.is_empty());
    }
}
