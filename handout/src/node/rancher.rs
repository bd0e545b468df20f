//! Registry-mirror configuration for K3s and RKE2: `registries.yaml`.
//! Takes a [`NodeConfig`]; gives the file and the setting that belongs to it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::yaml;
use super::{Mirror, NodeConfig, NodeFile};

/// `registries.yaml` of K3s and RKE2, which make `hosts.toml` files of it for their containerd
/// (k3s `pkg/agent/containerd/config.go`), and the setting without which these lead to the source
/// itself when the mirror fails.
pub(super) fn files(product: &str, node: &NodeConfig) -> Vec<NodeFile> {
    let directory = format!("etc/rancher/{product}");
    let ca_file = format!("{directory}/bundle-mirror-ca.crt");
    let settings_file = format!("{directory}/config.yaml.d/50-bundle-mirror.yaml");
    let mut text = node.head(&[
        &format!("Belongs to /{directory}/registries.yaml of each node; {product} reads it when it starts."),
        &format!("/{settings_file} beside it keeps {product} from asking the sources"),
        "themselves when the mirror does not answer.",
    ]);
    let urls = |mirrors: &[Mirror]| mirrors.iter().map(Mirror::url).collect::<Vec<_>>();
    let mut mirrors: BTreeMap<&str, MirrorEntry> = node
        .mirrored
        .names()
        .map(|(host, place)| {
            // One rule for each host: K3s takes rules in no certain order, and the first that matches.
            let rewrite = BTreeMap::from([("^(.*)$", format!("{place}/$1"))]);
            (host, MirrorEntry { endpoint: urls(&node.mirrors), rewrite })
        })
        .collect();
    // Those before a registry have what it has, and stand in for it when it is down.
    mirrors.extend(node.selves().map(|(mirror, before)| {
        (mirror.registry.as_str(), MirrorEntry { endpoint: urls(before), rewrite: BTreeMap::new() })
    }));
    if node.all_registries {
        mirrors.insert("*", MirrorEntry { endpoint: urls(&node.mirrors), rewrite: BTreeMap::new() });
    }
    let told = node.mirrors.iter().filter(|mirror| mirror.login.is_some() || mirror.ca.is_some());
    let configs = told.map(|mirror| (mirror.registry.as_str(), Config::of(mirror, &ca_file))).collect();
    text.push_str(&yaml(&Registries { mirrors, configs }));
    let settings = node
        .head(&[&format!("Belongs to /{settings_file} of each node. {product} asks only the mirror.")])
        + "disable-default-registry-endpoint: true\n";
    let registries = NodeFile::new(format!("{directory}/registries.yaml"), text);
    let mut files = vec![registries.secret_if(node.has_login()), NodeFile::new(settings_file, settings)];
    files.extend(node.authorities().map(|ca| NodeFile::new(ca_file, ca)));
    files
}

/// `registries.yaml` (rancher/wharfie, `pkg/registries/types.go`).
#[derive(Serialize)]
struct Registries<'a> {
    mirrors: BTreeMap<&'a str, MirrorEntry>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    configs: BTreeMap<&'a str, Config<'a>>,
}

#[derive(Serialize)]
struct MirrorEntry {
    endpoint: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rewrite: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
}

impl<'a> Config<'a> {
    fn of(mirror: &'a Mirror, ca_file: &str) -> Self {
        Self {
            auth: mirror
                .login
                .as_ref()
                .map(|login| Auth { username: &login.user, password: &login.password }),
            tls: mirror.ca.as_ref().map(|_| Tls { ca_file: format!("/{ca_file}") }),
        }
    }
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
    use crate::node::{Login, Mirrored, Scheme};

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
        #[serde(default)]
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
        let mirrored = Mirrored::of(&[&trusted], &[&mirror.registry]).unwrap();
        let mut node = NodeConfig { mirrored, mirrors: vec![mirror], all_registries: false };
        let files = files("k3s", &node);
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
        let itself = ReadMirror { rewrite: BTreeMap::new(), ..entry("") };
        let expected = BTreeMap::from([
            ("docker.io".to_owned(), entry("cache/docker.io")),
            ("index.docker.io".to_owned(), entry("cache/docker.io")),
            ("registry-1.docker.io".to_owned(), entry("cache/docker.io")),
            ("registry.example:5000".to_owned(), entry("cache/registry.example_5000")),
            ("harbor.example:8443".to_owned(), itself),
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
        // A seed in front: it is asked first, for Harbor's own names too, and no other registry is asked.
        let seed = "seed.example:5000".parse().unwrap();
        node.mirrors.insert(0, Mirror { registry: seed, scheme: Scheme::Https, ca: None, login: None });
        node.all_registries = true;
        let files = super::files("k3s", &node);
        let read: ReadRegistries = serde_saphyr::from_str(&files[0].content).unwrap();
        let both = ["https://seed.example:5000", "https://harbor.example:8443"];
        for host in ["docker.io", "harbor.example:8443", "*"] {
            assert_eq!(read.mirrors[host].endpoint, both, "{host}");
        }
        assert_eq!(read.mirrors["seed.example:5000"].endpoint, both[..1]);
        assert!(read.mirrors["*"].rewrite.is_empty());
        node.mirrors.remove(0);
        node.all_registries = false;
        let mirror = &mut node.mirrors[0];
        (mirror.scheme, mirror.ca, mirror.login) = (Scheme::Http, None, None);
        let files = super::files("rke2", &node);
        assert_eq!((files.len(), files[0].secrecy), (2, Everyone));
        let read: ReadRegistries = serde_saphyr::from_str(&files[0].content).unwrap();
        assert_eq!(read.mirrors["docker.io"].endpoint, ["http://harbor.example:8443"]);
        assert!(read.configs.is_empty());
    }
}
