//! The double against what is known of Harbor. Each test is named for a promise, and those of the list
//! "Behaviours naive doubles get wrong" in `shared/harbor.md`, section 5, say which item they are for.

mod api;
mod blobs;
mod conformance;
mod credentials;
mod description;
mod faults;
mod labels;
mod manifests;
mod policies;
mod policy;
mod projects;
mod push;
mod quotas;
mod robots;
mod uploads;

use serde_json::{Value, json};

use super::*;
use crate::http::Response;
use crate::{ImageSpec, LayerSpec, Manifest};

/// An image of two layers, other ones for each seed.
fn image(seed: u64) -> Manifest {
    ImageSpec::oci().layer(LayerSpec::new(seed, 20_000)).layer(LayerSpec::new(seed + 1000, 10_000)).build()
}

/// A Harbor with the private project `platform`.
fn harbor() -> Harbor {
    let harbor = Harbor::start().unwrap();
    harbor.add_project("platform");
    harbor
}

impl Client {
    fn call(&self, method: &str, path: &str, body: &Value) -> Response {
        let headers = [("Content-Type", "application/json")];
        self.request(method, &format!("/api/v2.0{path}"), &headers, body.to_string().as_bytes()).unwrap()
    }

    fn api(&self, path: &str) -> Response {
        self.get(&format!("/api/v2.0{path}")).unwrap()
    }
}

impl Response {
    fn document(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Status and error code.
    fn refusal(&self) -> (u16, String) {
        (self.status, self.document()["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
    }

    fn message(&self) -> String {
        self.document()["errors"][0]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// The token in an answer of the token service.
fn token(answer: &Response) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.document()["token"].as_str().unwrap().to_owned()
}

/// A path of the API for a repository, its name encoded twice as Harbor wants it.
fn repository_path(project: &str, name: &str) -> String {
    format!("/projects/{project}/repositories/{}", name.replace('/', "%252F"))
}
