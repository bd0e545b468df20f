//! One stream for several sites, each with receipts of its own: a bundle leaves out only what all of them have, and all
//! of them can import it, however far behind one is.

use bundle_test_servers::{Check, DockerRegistry};

use crate::scene::Ran;
use crate::sync::jobs::Nights;

/// Sites beside each other, of which each has a registry, an inbox and receipts.
struct Fleet {
    nights: Nights,
    registries: Vec<DockerRegistry>,
}

impl Fleet {
    fn new(sites: usize) -> Self {
        let nights = Nights::new("  receiptsBySite: true\n", "");
        let registries: Vec<_> = (0..sites).map(|_| DockerRegistry::start().unwrap()).collect();
        let trust = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
        assert!(trust.contains("receiptsBySite: true"));
        for (site, registry) in registries.iter().enumerate() {
            let text = format!(
                "import:\n  inbox: in-{site}\n  to: {}\n  trust: key.pub\n  receipts: back/site-{site}\n  \
                 receiptKey: key-site\n  site: plant {site}\n  state: state-{site}\n  settleSeconds: 0\n",
                registry.host()
            );
            std::fs::write(nights.scene.path(&format!("site-{site}.yaml")), text).unwrap();
            std::fs::create_dir_all(nights.scene.path(&format!("back/site-{site}"))).unwrap();
            std::fs::create_dir_all(nights.scene.path(&format!("in-{site}"))).unwrap();
        }
        Self { nights, registries }
    }

    /// Carries the newest bundle to a site, which imports it and sends its receipt back.
    fn cross(&self, site: usize) -> Ran {
        let name = self.nights.list("out").pop().expect("there is a bundle to carry");
        std::fs::copy(self.nights.path("out", &name), self.nights.path(&format!("in-{site}"), &name))
            .unwrap();
        let config = format!("site-{site}.yaml");
        self.nights.scene.bundle(["sync", "import", "--config", &config])
    }

    fn required(&self) -> u64 {
        let name = self.nights.list("out").pop().unwrap();
        let file = format!("out/{name}");
        let report = self.nights.scene.bundle(["inspect", &file, "--trust", "key.pub", "--json"]).succeeds();
        report.json()["requires"].as_u64().unwrap()
    }

    fn have_all(&self, site: usize, names: &[&str]) {
        let host = self.nights.scene.source.host().replace(':', "_");
        let (source, there) = (self.nights.scene.source.client(), self.registries[site].client());
        for name in names {
            let repository = format!("cache/{host}/team/{name}");
            let wanted = source.manifest(&format!("team/{name}"), "1").unwrap().unwrap().digest;
            let found = there.manifest(&repository, "1").unwrap().map(|found| found.digest);
            assert_eq!(found, Some(wanted), "{name} at site {site}");
            assert_eq!(there.check(&repository, "1", Check::Hash), []);
        }
    }
}

#[test]
fn one_bundle_is_right_for_all_sites_however_far_behind_one_is() {
    let fleet = Fleet::new(2);
    let nights = &fleet.nights;
    nights.push("a", 1);
    nights.push("b", 2);
    nights.export(&["--json"]).succeeds().says("site-0 has no receipt");
    fleet.cross(0).succeeds();
    // A site that has said nothing has nothing: whatever the others have, the bundle is whole.
    nights.push("a", 3);
    nights.export(&[]).succeeds().says("site-1 has no receipt");
    assert_eq!(fleet.required(), 0);
    fleet.cross(0).succeeds();
    fleet.cross(1).succeeds();
    // Both have the same: the layer that stays is left out.
    nights.push("b", 4);
    nights.export(&[]).succeeds();
    assert!(fleet.required() > 0);
    fleet.cross(0).succeeds();
    // The second site missed that night: its layers are in the next bundle again, and both can take it.
    nights.push("a", 5);
    nights.export(&[]).succeeds();
    for site in 0..2 {
        fleet.cross(site).succeeds();
        fleet.have_all(site, &["a", "b"]);
    }
    let newest = nights.list("out").pop();
    nights.export(&[]).succeeds().says("arrived");
    assert_eq!(nights.list("out").pop(), newest, "all have all of it");
}

#[test]
fn a_delta_for_many_sites_is_made_of_their_receipts_in_a_directory() {
    let fleet = Fleet::new(2);
    let nights = &fleet.nights;
    nights.push("a", 1);
    nights.push("b", 2);
    nights.export(&[]).succeeds();
    (0..2).for_each(|site| {
        fleet.cross(site).succeeds();
    });
    nights.push("b", 3);
    let create = |more: &[&str]| {
        let create = ["create", "-f", "bundle.yaml", "--key", "key", "-o", "delta.tar", "--json"];
        nights.scene.bundle(create.iter().chain(more))
    };
    let sites = ["--base-sites", "back", "--base-trust", "key-site.pub"];
    let report = create(&sites).succeeds().json();
    assert!(report["requires"].as_u64().unwrap() > 0, "{report}");
    std::fs::remove_file(nights.scene.path("delta.tar")).unwrap();
    create(&["--base-sites", "back", "--base-trust", "key.pub"]).ends_with(3);
    std::fs::create_dir(nights.scene.path("back/site-new")).unwrap();
    create(&sites).ends_with(2).says("site-new has no receipt");
    create(&["--base-sites", "empty"]).ends_with(1);
}
