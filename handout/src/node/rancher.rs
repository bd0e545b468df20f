//! Registry-mirror configuration for K3s and RKE2: `registries.yaml`.
//! Takes a [`Mirror`] and what it mirrors; gives the file and the setting that belongs to it.

use super::file::Quoted;
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
    text.push_str("mirrors:\n");
    for (host, place) in &mirrored.hosts {
        // One rule for each host: K3s takes rules in no certain order, and the first that matches.
        text.push_str(&format!(
            "  {}:\n    endpoint:\n      - {}\n    rewrite:\n      \"^(.*)$\": {}\n",
            Quoted(host.as_str()),
            Quoted(&mirror.url()),
            Quoted(&format!("{place}/$1"))
        ));
    }
    if mirror.login.is_some() || mirror.ca.is_some() {
        text.push_str(&format!("configs:\n  {}:\n", Quoted(mirror.registry.as_str())));
    }
    if let Some(login) = &mirror.login {
        text.push_str(&format!(
            "    auth:\n      username: {}\n      password: {}\n",
            Quoted(&login.user),
            Quoted(&login.password)
        ));
    }
    if mirror.ca.is_some() {
        text.push_str(&format!("    tls:\n      ca_file: {}\n", Quoted(&format!("/{ca_file}"))));
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::node::mirror::tests::bundle;
    use crate::node::{Login, Scheme};

    /// The types of github.com/rancher/wharfie `pkg/registries/types.go`, which K3s reads the file
    /// with; unknown fields, which it would overlook, are mistakes here.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Registries {
        mirrors: BTreeMap<String, MirrorEntry>,
        #[serde(default)]
        configs: BTreeMap<String, Config>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct MirrorEntry {
        endpoint: Vec<String>,
        rewrite: BTreeMap<String, String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
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
        let read: Registries = serde_saphyr::from_str(&files[0].content).unwrap();
        let rewrite = |place: &str| BTreeMap::from([("^(.*)$".to_owned(), format!("{place}/$1"))]);
        let entry = |place: &str| MirrorEntry {
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
        let read: Registries = serde_saphyr::from_str(&files[0].content).unwrap();
        assert_eq!(read.mirrors["docker.io"].endpoint, ["http://harbor.example:8443"]);
        assert!(read.configs.is_empty());
    }
}
