//! Registry-mirror configuration for CRI-O, Podman and Skopeo: one `registries.conf`.
//! Takes a [`NodeConfig`]; gives the file.

use serde::Serialize;
use serde_json::json;

use super::file::toml;
use super::{Mirror, NodeConfig, NodeFile, Scheme};

const AUTH_FILE: &str = "etc/crio/bundle-mirror-auth.json";

/// `registries.conf` of CRI-O, Podman and Skopeo (containers-registries.conf(5)). Each host is
/// renamed to its place at the last registry, and those before are its mirrors: so there is no other place
/// that could be asked. There is no rule for every registry in this format.
pub(super) fn files(node: &NodeConfig) -> Vec<NodeFile> {
    let path = "etc/containers/registries.conf.d/50-bundle-mirror.conf";
    let mut text = node.head(&[
        &format!("Belongs to /{path} of each node; reload CRI-O afterwards."),
        "Names below 'prefix' are looked for below 'location', and nowhere else.",
    ]);
    let entry = |prefix: &str, mirrors: &[Mirror], place: &str| {
        let (last, before) = mirrors.split_last()?;
        let location = |mirror: &Mirror| format!("{}{place}", mirror.registry);
        let insecure = |mirror: &Mirror| (mirror.scheme == Scheme::Http).then_some(true);
        let mirrors = before
            .iter()
            .map(|mirror| Location { location: location(mirror), insecure: insecure(mirror) })
            .collect();
        Some(Registry {
            prefix: prefix.to_owned(),
            location: location(last),
            insecure: insecure(last),
            mirror: mirrors,
        })
    };
    let names = node.mirrored.names();
    let mirrored = names.filter_map(|(host, place)| entry(host, &node.mirrors, &format!("/{place}")));
    let selves = node.selves().filter_map(|(mirror, before)| entry(mirror.registry.as_str(), before, ""));
    text.push('\n');
    text.push_str(&toml(&Registries { registry: mirrored.chain(selves).collect() }));
    let mut files = vec![NodeFile::new(path, text)];
    for mirror in &node.mirrors {
        if let Some(ca) = &mirror.ca {
            let path = format!("etc/containers/certs.d/{}/ca.crt", mirror.registry);
            files.push(NodeFile::new(path, ca.as_str()));
        }
    }
    let logins = node.mirrors.iter().filter_map(|mirror| {
        let login = mirror.login.as_ref()?;
        Some((mirror.registry.to_string(), json!({"auth": login.basic().as_str()})))
    });
    let logins: serde_json::Map<_, _> = logins.collect();
    if !logins.is_empty() {
        let auth = format!("{}\n", json!({"auths": logins}));
        files.push(NodeFile::new(AUTH_FILE, auth).secret_if(true));
        let path = "etc/crio/crio.conf.d/50-bundle-mirror.conf";
        let about = format!("Belongs to /{path} of each node: where CRI-O finds the account that may pull.");
        let settings = node.head(&[&about])
            + &toml(&json!({"crio": {"image": {"global_auth_file": format!("/{AUTH_FILE}")}}}));
        files.push(NodeFile::new(path, settings));
    }
    files
}

/// `registries.conf` (containers-registries.conf(5), version 2).
#[derive(Serialize)]
struct Registries {
    registry: Vec<Registry>,
}

#[derive(Serialize)]
struct Registry {
    prefix: String,
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mirror: Vec<Location>,
}

/// Where an image is looked for before.
#[derive(Serialize)]
struct Location {
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::mirror::tests::bundle;
    use crate::node::{Login, Mirrored, Secrecy};

    #[test]
    fn a_host_is_renamed_and_has_no_second_place() {
        let trusted = bundle(&[("nginx:1.25", "cache/docker.io/library/nginx:1.25")]);
        let mirror = Mirror {
            registry: "harbor.example:8443".parse().unwrap(),
            scheme: Scheme::Https,
            ca: Some("pem".to_owned()),
            login: Some(Login { user: "u".to_owned(), password: "p".to_owned().into() }),
        };
        let mirrored = Mirrored::of(&[&trusted], &[&mirror.registry]).unwrap();
        let mut node = NodeConfig { mirrored, mirrors: vec![mirror], all_registries: false };
        let files = files(&node);
        let found: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.secrecy)).collect();
        assert_eq!(
            found,
            [
                ("etc/containers/registries.conf.d/50-bundle-mirror.conf", Secrecy::Everyone),
                ("etc/containers/certs.d/harbor.example:8443/ca.crt", Secrecy::Everyone),
                ("etc/crio/bundle-mirror-auth.json", Secrecy::Owner),
                ("etc/crio/crio.conf.d/50-bundle-mirror.conf", Secrecy::Everyone),
            ]
        );
        let registry =
            "\n[[registry]]\nprefix = \"docker.io\"\nlocation = \"harbor.example:8443/cache/docker.io\"\n";
        assert!(files[0].content.contains(registry), "{}", *files[0].content);
        assert_eq!(*files[2].content, "{\"auths\":{\"harbor.example:8443\":{\"auth\":\"dTpw\"}}}\n");
        // A seed in front of Harbor.
        let seed = "seed.example:5000".parse().unwrap();
        node.mirrors.insert(0, Mirror { registry: seed, scheme: Scheme::Http, ca: None, login: None });
        let files = super::files(&node);
        let registry = "\n[[registry]]\nprefix = \"docker.io\"\nlocation = \"harbor.example:8443/cache/docker.io\"\n\n\
             [[registry.mirror]]\nlocation = \"seed.example:5000/cache/docker.io\"\ninsecure = true\n";
        assert!(files[0].content.contains(registry), "{}", *files[0].content);
        node.mirrors.remove(0);
        let mirror = &mut node.mirrors[0];
        (mirror.scheme, mirror.ca, mirror.login) = (Scheme::Http, None, None);
        let files = super::files(&node);
        assert!(files.len() == 1 && files[0].content.ends_with("\ninsecure = true\n"));
    }
}
