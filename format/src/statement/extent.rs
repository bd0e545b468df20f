//! The images of a statement as people know them, with what each consists of. Takes artifacts and their
//! manifests; gives names, such as `nginx:1.25`, and blobs. Referrers go with their images and are none of them.

use bundle_oci::Reference;

use crate::{Artifact, Blob, Graph, Kind};

/// The names of those artifacts that people asked for, and the blobs of each that are wanted.
pub fn image_extents<'a>(
    artifacts: impl IntoIterator<Item = &'a Artifact>,
    graph: &Graph,
    wanted: impl Fn(&Blob) -> bool,
) -> Vec<(String, Vec<Blob>)> {
    let is_asked_for = |artifact: &&Artifact| {
        artifact.subject.is_none() && matches!(artifact.kind, Kind::Image | Kind::Chart | Kind::Artifact)
    };
    let extent = |artifact: &Artifact| {
        let blobs = graph.extent(artifact.digest).into_iter().filter(&wanted).collect();
        (familiar(&artifact.source), blobs)
    };
    artifacts.into_iter().filter(is_asked_for).map(extent).collect()
}

/// A reference as people write it: without Docker Hub's host and `library/`, and without a digest.
fn familiar(reference: &Reference) -> String {
    let (host, repository) = (reference.registry().as_str(), reference.repository().as_str());
    let name = match host {
        "docker.io" => repository.strip_prefix("library/").unwrap_or(repository).to_owned(),
        _ => format!("{host}/{repository}"),
    };
    reference.tag().map_or(name.clone(), |tag| format!("{name}:{tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_people_write_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (reference, expected) in [
            ("docker.io/library/nginx:1.25", "nginx:1.25"),
            ("grafana/grafana:11", "grafana/grafana:11"),
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            (&format!("quay.io/a/b:1@{digest}"), "quay.io/a/b:1"),
            (&format!("quay.io/a/b@{digest}"), "quay.io/a/b"),
        ] {
            assert_eq!(familiar(&reference.parse().unwrap()), expected);
        }
    }
}
