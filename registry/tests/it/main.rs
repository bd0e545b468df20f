//! The client against registries that follow a script: one connection, one thread, no clock.
//! Each file takes one subject of the client.

mod auth;
mod call;
mod download;
mod files;
mod limit;
mod lists;
mod pieces;
mod redirect;
mod server;
mod target;
mod upload;

use std::time::Duration;

use bundle_oci::RepositoryName;
use bundle_registry::{Client, ClientBuilder, CredentialStore, Limits};

fn builder() -> ClientBuilder {
    let limits = Limits { backoff: Duration::from_millis(1), attempts: 3, ..Limits::default() };
    Client::builder().limits(limits)
}

fn client() -> Client {
    builder().build().unwrap()
}

/// A store with one entry, `user` and `password`.
fn credentials(host: &str) -> CredentialStore {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.json");
    std::fs::write(&path, format!(r#"{{"auths":{{"{host}":{{"auth":"dXNlcjpwYXNzd29yZA=="}}}}}}"#)).unwrap();
    let variable = |name: &str| (name == "REGISTRY_AUTH_FILE").then(|| path.to_string_lossy().into_owned());
    CredentialStore::from_environment(variable).unwrap()
}

fn repository() -> RepositoryName {
    "team/app".parse().unwrap()
}
