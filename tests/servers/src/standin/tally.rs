//! Requests by what they are about, to compare with the number that is necessary. Takes what a proxy recorded,
//! gives counts by method and endpoint.

use std::collections::BTreeMap;

use crate::fault_proxy::{FaultProxy, Recorded};

impl FaultProxy {
    /// How many requests there were since the start or the last [`FaultProxy::clear`], by method and endpoint of
    /// the distribution specification: `GET manifests`, `HEAD blobs`, `POST uploads`, `GET tags`, `GET referrers`,
    /// `GET v2`; everything else is `GET other`.
    pub fn tally(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.requests() {
            *counts.entry(format!("{} {}", request.method, endpoint(&request))).or_default() += 1;
        }
        counts
    }

    /// How many of them were so, as [`FaultProxy::tally`] names them.
    pub fn count(&self, what: &str) -> usize {
        self.tally().get(what).copied().unwrap_or_default()
    }
}

fn endpoint(request: &Recorded) -> &'static str {
    let path = request.path_and_query.split('?').next().unwrap_or_default();
    if path == "/v2/" {
        return "v2";
    }
    let nouns = [
        ("/blobs/uploads/", "uploads"),
        ("/manifests/", "manifests"),
        ("/blobs/", "blobs"),
        ("/tags/list", "tags"),
        ("/referrers/", "referrers"),
    ];
    let below = path.starts_with("/v2/");
    nouns.into_iter().find(|(part, _)| below && path.contains(part)).map_or("other", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, DockerRegistry, ImageSpec, LayerSpec};

    #[test]
    fn every_request_of_a_push_is_counted_once() {
        let registry = DockerRegistry::start().unwrap();
        let front = FaultProxy::start(registry.host()).unwrap();
        let client = Client::new(front.host());
        client.push("a", "1", &ImageSpec::oci().layer(LayerSpec::new(1, 10)).build()).unwrap();
        client.get("/v2/").unwrap();
        client.get("/v2/a/tags/list").unwrap();
        client.get("/token").unwrap();
        let tally = front.tally();
        for (what, count) in [
            ("HEAD blobs", 2),
            ("POST uploads", 2),
            ("PUT uploads", 2),
            ("PUT manifests", 1),
            ("GET v2", 1),
            ("GET other", 1),
        ] {
            assert_eq!(front.count(what), count, "{what}: {tally:?}");
        }
        assert_eq!(tally.values().sum::<usize>(), 10);
        front.clear();
        assert!(front.tally().is_empty());
    }
}
