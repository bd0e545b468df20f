//! Registry-mirror configuration for CRI-O, Podman and Skopeo: one `registries.conf`.
//! Takes a [`Mirror`] and what it mirrors; gives the file.

use serde::Serialize;
use serde_json::json;

use super::file::toml;
use super::{Mirror, Mirrored, NodeFile, Scheme};

const AUTH_FILE: &str = "etc/crio/bundle-mirror-auth.json";

/// `registries.conf` of CRI-O, Podman and Skopeo (containers-registries.conf(5)). Each host is
/// renamed to its place at the mirror rather than given a mirror: so there is no second place that
/// could be asked.
pub(super) fn files(mirrored: &Mirrored, mirror: &Mirror) -> Vec<NodeFile> {
    let path = "etc/containers/registries.conf.d/50-bundle-mirror.conf";
    let mut text = mirrored.head(
        mirror,
        &[
            &format!("Belongs to /{path} of each node; reload CRI-O afterwards."),
            "Names below 'prefix' are looked for below 'location', and nowhere else.",
        ],
    );
    let registries = mirrored.hosts.iter().map(|(host, place)| Registry {
        prefix: host.as_str(),
        location: format!("{}/{place}", mirror.registry),
        insecure: (mirror.scheme == Scheme::Http).then_some(true),
    });
    text.push('\n');
    text.push_str(&toml(&Registries { registry: registries.collect() }));
    let mut files = vec![NodeFile::new(path, text)];
    if let Some(ca) = &mirror.ca {
        files.push(NodeFile::new(format!("etc/containers/certs.d/{}/ca.crt", mirror.registry), ca.as_str()));
    }
    if let Some(login) = &mirror.login {
        let entry = json!({"auth": login.basic().as_str()});
        let auth = format!("{}\n", json!({"auths": {mirror.registry.as_str(): entry}}));
        files.push(NodeFile::new(AUTH_FILE, auth).secret_if(true));
        let path = "etc/crio/crio.conf.d/50-bundle-mirror.conf";
        let about = format!("Belongs to /{path} of each node: where CRI-O finds the account that may pull.");
        let settings = mirrored.head(mirror, &[&about])
            + &toml(&json!({"crio": {"image": {"global_auth_file": format!("/{AUTH_FILE}")}}}));
        files.push(NodeFile::new(path, settings));
    }
    files
}

/// `registries.conf` (containers-registries.conf(5), version 2).
#[derive(Serialize)]
struct Registries<'a> {
    registry: Vec<Registry<'a>>,
}

#[derive(Serialize)]
struct Registry<'a> {
    prefix: &'a str,
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::mirror::tests::bundle;
    use crate::node::{Login, Secrecy};

    #[test]
    fn a_host_is_renamed_and_has_no_second_place() {
        let trusted = bundle(&[("nginx:1.25", "cache/docker.io/library/nginx:1.25")]);
        let mirror = Mirror {
            registry: "harbor.example:8443".parse().unwrap(),
            scheme: Scheme::Https,
            ca: Some("pem".to_owned()),
            login: Some(Login { user: "u".to_owned(), password: "p".to_owned().into() }),
        };
        let mirrored = Mirrored::of(&trusted, &mirror.registry).unwrap();
        let files = files(&mirrored, &mirror);
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
        assert!(files[0].content.ends_with(registry), "{}", *files[0].content);
        assert_eq!(*files[2].content, "{\"auths\":{\"harbor.example:8443\":{\"auth\":\"dTpw\"}}}\n");
        let plain = Mirror { scheme: Scheme::Http, ca: None, login: None, ..mirror };
        let files = super::files(&mirrored, &plain);
        assert!(files.len() == 1 && files[0].content.ends_with("\ninsecure = true\n"));
    }
}
