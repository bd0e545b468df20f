//! Files that people write: bundle.yaml, its lock, sync.yaml, harbor.yaml, trust.yaml.
//! Takes any bytes, of which the first chooses the file.

use bundle_bundler::{Config, Lock};
use bundle_site::HarborSettings;
use bundle_sync::SyncConfig;

pub(crate) fn yaml(bytes: &[u8]) {
    let Some((which, text)) = bytes.split_first() else { return };
    let file = tempfile::NamedTempFile::new_in(std::env::temp_dir()).unwrap();
    std::fs::write(file.path(), text).unwrap();
    match which % 5 {
        0 => drop(Config::load(file.path())),
        1 => drop(SyncConfig::load(file.path())),
        2 => drop(HarborSettings::load(file.path())),
        3 => drop(bundle_trust::TrustStore::open(file.path())),
        _ => drop(std::str::from_utf8(text).map(|text| Lock::parse(text, "bundle.lock"))),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let files: [&[u8]; 5] = [
        b"\x00name: nightly\nplatforms: [linux/amd64]\nprojects:\n  cache:\n    images: &a\n    - nginx:1.25\n    - registry.example:5000/team/app:1 => app\n  platform:\n    images: *a\n",
        include_bytes!("../../manifests/sync.yaml"),
        b"\x02defaults:\n  public: false\nprojects:\n  cache:\n    quota: 200GiB\n    immutableTags: ['v*']\n",
        b"\x03signatures: 1\nkeys:\n- {name: a, file: key.pub, projects: ['*']}\n",
        b"\x04lockVersion: 1\nimages:\n  docker.io/library/nginx:1.25: sha256:6397006e08012098c50032213fe25d25b5d4fe7d5baf86675c8c04882214e42e\n",
    ];
    let mut seeds: Vec<Vec<u8>> = files.iter().map(|bytes| bytes.to_vec()).collect();
    seeds[1].insert(0, 1);
    seeds
}
