//! Whether others find a host where it is found here: the pods of a cluster, by their CoreDNS, and a node, by
//! its `/etc/hosts`. Takes their configuration and the addresses here, gives checks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use bundle_oci::Registry;
use serde::Deserialize;

use super::check::{Check, CheckName, Outcome, Skipped, Trouble};
use crate::Limits;
use crate::bootstrap::kubectl;

/// The addresses that lines in the form of `/etc/hosts` give a name. CoreDNS' `hosts` takes the same form
/// (coredns.io/plugins/hosts).
fn told(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let found = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name)).then_some(address)
    });
    found.collect()
}

fn listed(addresses: &[IpAddr]) -> String {
    let said: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    said.join(", ")
}

fn compared(there: &[IpAddr], here: &[IpAddr]) -> Outcome {
    match there.iter().all(|address| here.contains(address)) {
        true => Outcome::Passed(format!("{}, as here", listed(there))),
        false => Outcome::Warned(Trouble::OtherAddress { there: listed(there), here: listed(here) }),
    }
}

/// Whether a name is one that can be looked up.
fn is_name(registry: &Registry) -> bool {
    registry.host().trim_matches(['[', ']']).parse::<IpAddr>().is_err()
}

/// Checks the addresses of a host in a node's `/etc/hosts`; nothing if it is not listed, because the node
/// then asks the site's DNS.
pub fn look_at_hosts_file(root: &Path, registry: &Registry, here: &[IpAddr]) -> Option<Check> {
    let path = root.join("etc/hosts");
    if !is_name(registry) || here.is_empty() {
        return None;
    }
    let text = bundle_os::read_text(&path, Limits::DEFAULT.object).ok()?;
    let there = told(&text, registry.host());
    (!there.is_empty()).then(|| {
        CheckName::NodeName.of(format!("{} in {}", registry.host(), path.display()), compared(&there, here))
    })
}

#[derive(Default, Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<ConfigMap>,
}

#[derive(Deserialize)]
struct ConfigMap {
    #[serde(default)]
    data: BTreeMap<String, String>,
}

/// Checks the addresses of a host in the cluster's CoreDNS. Pods cannot resolve a host that CoreDNS does not
/// list and that only the file `hosts` has here.
pub async fn look_at_pod_names(registry: &Registry, here: &[IpAddr], hosts: &Path) -> Option<Check> {
    if !is_name(registry) || here.is_empty() {
        return None;
    }
    let name = registry.host();
    let check = |outcome| Some(CheckName::PodName.of(name, outcome));
    let arguments = [
        "get",
        "configmap",
        "--namespace",
        "kube-system",
        "coredns",
        "coredns-custom",
        "--ignore-not-found",
        "--output",
        "json",
    ];
    let found = match kubectl::read(&arguments).await {
        Ok(found) => found,
        Err(error) => return check(Outcome::NotRun(Skipped::NoCluster(bundle_oci::chain(&error)))),
    };
    // One object stands for itself, several are a list.
    let maps = match serde_json::from_slice::<List>(&found) {
        Ok(List { items }) if !items.is_empty() => items,
        _ => serde_json::from_slice::<ConfigMap>(&found).into_iter().collect(),
    };
    let there: Vec<IpAddr> =
        maps.iter().flat_map(|map| map.data.values()).flat_map(|text| told(text, name)).collect();
    if !there.is_empty() {
        return check(compared(&there, here));
    }
    let by_file =
        bundle_os::read_text(hosts, Limits::DEFAULT.object).is_ok_and(|text| !told(&text, name).is_empty());
    (by_file && !maps.is_empty())
        .then(|| CheckName::PodName.of(name, Outcome::Warned(Trouble::PodsDoNotKnow)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_hosts_files_and_in_corefiles() {
        let corefile = "harbor.example:53 {\n  hosts {\n    10.0.0.11 harbor.example\n    # 10.0.0.9 harbor.example\n  }\n}\n";
        let hosts = "127.0.0.1 localhost\n10.0.0.11\tHarbor.Example node1 # the ingress\nfe80::1 harbor.example.\n10.0.0.3 harbor.example.org\n";
        assert_eq!(listed(&told(corefile, "harbor.example")), "10.0.0.11");
        assert_eq!(listed(&told(hosts, "harbor.example")), "10.0.0.11, fe80::1");
        assert_eq!(told(hosts, "harbor"), Vec::<IpAddr>::new());
    }

    #[test]
    fn a_node_that_looks_elsewhere_is_told() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/hosts"), "10.0.0.9 harbor.example\n").unwrap();
        let registry: Registry = "harbor.example".parse().unwrap();
        let here: Vec<IpAddr> = vec!["10.0.0.11".parse().unwrap()];
        let check = look_at_hosts_file(root.path(), &registry, &here).unwrap();
        let Outcome::Warned(trouble) = check.outcome else { panic!() };
        assert_eq!(trouble.to_string(), "it is 10.0.0.9 there, and 10.0.0.11 here");
        std::fs::write(root.path().join("etc/hosts"), "10.0.0.11 harbor.example\n").unwrap();
        let check = look_at_hosts_file(root.path(), &registry, &here).unwrap();
        assert!(matches!(check.outcome, Outcome::Passed(_)));
        let other: Registry = "other.example:5000".parse().unwrap();
        assert!(look_at_hosts_file(root.path(), &other, &here).is_none());
    }
}
