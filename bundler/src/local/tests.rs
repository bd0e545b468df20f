//! Sources as `docker save`, `podman save`, crane, skopeo and oras write them, made here by hand from their
//! documentation, honest and hostile. Whole programs write and read such files in `tests/it/crossing/local.rs`.

use std::io::Write;
use std::path::Path;

use bundle_oci::Digest;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::address::LocalAddress;
use super::open::open;
use super::store::LocalStore;
use crate::Limits;

/// A tar archive in the making.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, name, "", content.as_ref())
    }

    fn link(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, name, to, b"")
    }

    fn entry(mut self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_ustar_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn opened(text: &str, limits: &Limits) -> Result<LocalStore, String> {
    let address = LocalAddress::parse(text).unwrap().unwrap();
    open(&address, limits).map_err(|error| bundle_oci::chain(&error))
}

fn archived(transport: &str, bytes: &[u8]) -> Result<LocalStore, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    std::fs::write(&path, bytes).unwrap();
    opened(&format!("{transport}:{}", path.display()), &Limits::DEFAULT)
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    config_of(layers)
}

fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("\"{}\"", Digest::of(layer))).collect();
    // Names that fold to one: people choose those of labels.
    let labels = r#""config":{"Labels":{"Version":"1","version":"2"}}"#;
    let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":[{}]}}"#, diff_ids.join(","));
    format!(r#"{{"architecture":"amd64","os":"linux",{labels},{rootfs}}}"#).into_bytes()
}

fn saved(config: &str, names: &[&str], layers: &[&str]) -> String {
    json!([{"Config": config, "RepoTags": names, "Layers": layers}]).to_string()
}

fn manifest_of(store: &LocalStore) -> Value {
    let root = store.images[0].root;
    serde_json::from_slice(&store.small(root, 1 << 20).unwrap().unwrap()).unwrap()
}

/// moby before 25: a directory for each layer, and links to layers that were written already.
fn old_docker() -> Vec<u8> {
    let config = config(&[b"one", b"two"]);
    let name = format!("{}.json", Digest::of(&config).hex());
    Archive::default()
        .file(&name, &config)
        .file("aaa/layer.tar", b"one")
        .file("aaa/VERSION", b"1.0")
        .file("bbb/layer.tar", b"two")
        .link("ccc/layer.tar", "../bbb/layer.tar")
        .file("manifest.json", saved(&name, &["nginx:1.27", "app:1"], &["aaa/layer.tar", "ccc/layer.tar"]))
        .file("repositories", b"{}")
        .bytes()
}

#[test]
fn a_manifest_is_made_of_what_docker_saves_with_all_content_as_it_is() {
    let store = archived("docker-archive", &old_docker()).unwrap();
    let [image] = store.images.as_slice() else { panic!("one image is expected") };
    let names: Vec<String> = image.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["docker.io/library/nginx:1.27", "docker.io/library/app:1"]);
    let config = config(&[b"one", b"two"]);
    let layer = |content: &[u8]| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest::of(content), "size": 3});
    assert_eq!(
        manifest_of(&store),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            // The digest of the config is the image ID.
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       "digest": Digest::of(&config), "size": config.len()},
            "layers": [layer(b"one"), layer(b"two")],
        })
    );
    assert_eq!(store.find(Digest::of(b"two")).unwrap().unwrap().read().unwrap(), b"two");
    // The same content gives the same manifest, compressed as a whole or not, and unpacked.
    let again = archived("docker-archive", &gzip(&old_docker())).unwrap();
    assert_eq!(again.images[0].root, image.root);
    let zstd = archived("docker-archive", &zstd::bulk::compress(&old_docker(), 3).unwrap()).unwrap();
    assert_eq!(zstd.images[0].root, image.root);
    // A promise: it never changes. Computed apart from this program, with Python's hashlib.
    assert_eq!(
        image.root.to_string(),
        "sha256:8cdf7a9ace7c83b4fe383ab335b57eddb184367b2311d68e644aa2de7701d8f0"
    );
}

#[test]
fn layers_that_crane_saves_compressed_stay_so_and_are_held_to_their_diff_ids() {
    let (config, layer) = (config(&[b"one"]), gzip(b"one"));
    let (id, name) = (format!("{}", Digest::of(&config)), format!("{}.tar.gz", Digest::of(&layer).hex()));
    let bytes = |layer: &[u8]| {
        let made = Archive::default().file(&id, &config).file(&name, layer);
        made.file("manifest.json", saved(&id, &["a.example/app:1"], &[&name])).bytes()
    };
    let store = archived("docker-archive", &bytes(&layer)).unwrap();
    let found = &manifest_of(&store)["layers"][0];
    assert_eq!(found["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_eq!(found["digest"], Digest::of(&layer).to_string());
    let error = archived("docker-archive", &bytes(&gzip(b"other"))).unwrap_err();
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    assert_eq!(error, format!("its content for {one} is {other}"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    std::fs::write(&path, bytes(&gzip(&vec![0; 1 << 20]))).unwrap();
    let small = Limits { unpacked_layer: 1 << 16, ..Limits::DEFAULT };
    let error = opened(&format!("docker-archive:{}", path.display()), &small).unwrap_err();
    assert_eq!(error, "it has more than 64.0 KiB unpacked");
    std::fs::write(&path, gzip(&vec![0; 1 << 20])).unwrap();
    let small = Limits { unpacked_archive: 1 << 16, ..Limits::DEFAULT };
    let error = opened(&format!("docker-archive:{}", path.display()), &small).unwrap_err();
    assert_eq!(error, "it has more than 64.0 KiB unpacked");
}

/// An OCI layout of one image: its files, and the digest of its manifest.
fn layout(annotations: Value) -> (Vec<(String, Vec<u8>)>, Digest) {
    let config = config(&[b"one"]);
    let layer = gzip(b"one");
    let part = |media_type: &str, content: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(content), "size": content.len()});
    // Spaces, so that only the bytes themselves have this digest.
    let manifest = serde_json::to_vec_pretty(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("application/vnd.oci.image.config.v1+json", &config),
        "layers": [part("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
    }))
    .unwrap();
    let mut entry = part("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = annotations;
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes();
    let root = Digest::of(&manifest);
    let blob = |content: Vec<u8>| (format!("blobs/sha256/{}", Digest::of(&content).hex()), content);
    let files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index),
        blob(config),
        blob(layer),
        blob(manifest),
    ];
    (files, root)
}

fn packed(files: &[(String, Vec<u8>)]) -> Archive {
    files.iter().fold(Archive::default(), |made, (name, content)| made.file(name, content))
}

fn write(files: &[(String, Vec<u8>)], to: &Path) {
    for (name, content) in files {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

#[test]
fn layouts_keep_their_manifests_and_name_their_images_as_each_tool_does() {
    let (name, full) = ("org.opencontainers.image.ref.name", "io.containerd.image.name");
    for (annotations, names, tag) in [
        // podman, and this program.
        (json!({name: "quay.io/a/app:1"}), &["quay.io/a/app:1"][..], None),
        // skopeo and oras.
        (json!({name: "1.27"}), &[], Some("1.27")),
        // BuildKit, and Docker 25.
        (json!({full: "docker.io/library/app:2", name: "2"}), &["docker.io/library/app:2"], None),
        // crane.
        (json!({}), &[], None),
        // A name that lies about its digest is none.
        (json!({name: format!("a.example/app@{}", Digest::of(b"other"))}), &[], None),
    ] {
        let (files, root) = layout(annotations.clone());
        let directory = tempfile::tempdir().unwrap();
        write(&files, directory.path());
        let of_directory = opened(&format!("oci:{}", directory.path().display()), &Limits::DEFAULT).unwrap();
        for store in [of_directory, archived("oci-archive", &packed(&files).bytes()).unwrap()] {
            let [image] = store.images.as_slice() else { panic!("one image is expected") };
            assert_eq!(image.root, root);
            let found: Vec<String> = image.names.iter().map(ToString::to_string).collect();
            assert_eq!(found, names, "{annotations}");
            assert_eq!(image.tag.as_ref().map(ToString::to_string).as_deref(), tag, "{annotations}");
        }
    }
}

#[test]
fn what_docker_25_saves_keeps_the_manifest_that_lies_beside() {
    let (mut files, root) = layout(json!({}));
    let config = files[2].0.clone();
    let layer = files[3].0.clone();
    files.push(("manifest.json".to_owned(), saved(&config, &["app:1"], &[&layer]).into_bytes()));
    let store = archived("docker-archive", &packed(&files).bytes()).unwrap();
    assert_eq!(store.images[0].root, root);
    assert_eq!(store.images[0].names[0].to_string(), "docker.io/library/app:1");
    // Without one of its layers, it is not the image that was saved.
    let one = config_with_layer(&files);
    assert_ne!(archived("docker-archive", &one).unwrap().images[0].root, root);
}

/// The same with the layer under another name, so that the layout lacks it.
fn config_with_layer(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut files = files.to_vec();
    let config = files[2].0.clone();
    files[3].0 = "layer.tar".to_owned();
    files[5].1 = saved(&config, &["app:1"], &["layer.tar"]).into_bytes();
    packed(&files).bytes()
}

#[test]
fn a_directory_of_skopeo_is_one_image_without_a_name() {
    let (files, root) = layout(json!({}));
    let directory = tempfile::tempdir().unwrap();
    let flat: Vec<_> = files[2..]
        .iter()
        .map(|(name, content)| {
            let hex = name.rsplit('/').next().unwrap();
            let is_root = Digest::of(content) == root;
            (if is_root { "manifest.json".to_owned() } else { hex.to_owned() }, content.clone())
        })
        .collect();
    write(&flat, directory.path());
    let store = opened(&format!("dir:{}", directory.path().display()), &Limits::DEFAULT).unwrap();
    assert_eq!((store.images[0].root, store.images[0].names.len()), (root, 0));
    assert!(store.find(Digest::of(&gzip(b"one"))).unwrap().is_some());
}

#[test]
fn hostile_sources_are_refused_with_what_is_wrong() {
    let config = config(&[b"one"]);
    let id = format!("{}.json", Digest::of(&config).hex());
    let docker = |made: Archive, manifest: String| {
        archived("docker-archive", &made.file("manifest.json", manifest).bytes()).unwrap_err()
    };
    let with_config = || Archive::default().file(&id, &config);
    for (error, message) in [
        (
            archived("docker-archive", &Archive::default().file("x", b"").bytes()).unwrap_err(),
            "it has no manifest.json, so it is not a file of docker save".to_owned(),
        ),
        (
            docker(with_config(), saved(&id, &[], &["layer.tar"])),
            "its manifest.json names 'layer.tar', which is not there".to_owned(),
        ),
        (
            docker(with_config(), saved(&id, &[], &[])),
            "its manifest.json lists 0 layers of an image whose config has 1".to_owned(),
        ),
        (
            docker(Archive::default().file(&id, b"{}"), saved(&id, &[], &[])),
            format!("its content for {} is {}", Digest::of(&config), Digest::of(b"{}")),
        ),
        (
            docker(with_config(), saved("../../etc/passwd", &[], &[])),
            "its manifest.json names '../../etc/passwd', which is not there".to_owned(),
        ),
        (
            docker(with_config().link("layer.tar", "/etc/passwd"), saved(&id, &[], &["layer.tar"])),
            "entry 'layer.tar' is a link that leads out of the archive".to_owned(),
        ),
        (
            docker(with_config().file("a", b"one").link("b", "a").link("c", "b"), saved(&id, &[], &["c"])),
            "entry 'c' is a link to a link".to_owned(),
        ),
        (
            docker(with_config().file("manifest.json", b"[]"), saved(&id, &[], &[])),
            "entry 'manifest.json' is there twice".to_owned(),
        ),
    ] {
        assert_eq!(error, message);
    }
    let twice = r#"[{"Config":"a","config":"b","Layers":[]}]"#.to_owned();
    assert!(docker(with_config(), twice).starts_with("its manifest.json cannot be used: "));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(docker(with_config(), deep).starts_with("its manifest.json cannot be used: "));
    // A few bytes for each layer in the file, and a hundred and fifty in the manifest that is made.
    let many = 40_000;
    let config_of_many = config_of(&vec![&b"one"[..]; many]);
    let id_of_many = format!("{}.json", Digest::of(&config_of_many).hex());
    let made = Archive::default().file(&id_of_many, &config_of_many).file("l", b"one");
    assert_eq!(
        docker(made, saved(&id_of_many, &[], &vec!["l"; many])),
        "its manifest.json lists more layers than manifests may have"
    );
    let large = " ".repeat(5 << 20);
    assert!(docker(with_config(), large).starts_with("its manifest.json has 5.0 MiB"));

    let (files, root) = layout(json!({}));
    let without: Vec<_> = files.iter().filter(|(name, _)| !name.contains(&root.hex())).cloned().collect();
    let error = archived("oci-archive", &packed(&without).bytes()).unwrap_err();
    assert_eq!(error, format!("it lacks {root}, which its image needs"));
    let mut flipped = files.clone();
    flipped[4].1[5] ^= 1;
    let error = archived("oci-archive", &packed(&flipped).bytes()).unwrap_err();
    assert!(error.starts_with(&format!("its content for {root} is sha256:")), "{error}");
    let error = archived("oci-archive", &packed(&files[1..]).bytes()).unwrap_err();
    assert_eq!(error, "it has no oci-layout, so it is not an OCI image layout");
    // A directory whose blob is a link to a file elsewhere.
    let directory = tempfile::tempdir().unwrap();
    write(&files, directory.path());
    let path = directory.path().join(&files[4].0);
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), &files[4].1).unwrap();
    std::fs::remove_file(&path).unwrap();
    let linked = std::process::Command::new("ln").arg("-s").arg(outside.path()).arg(&path).status();
    assert!(linked.unwrap().success());
    let error = opened(&format!("oci:{}", directory.path().display()), &Limits::DEFAULT).unwrap_err();
    assert_eq!(error, format!("entry '{}' is a link that leads out of the directory", files[4].0));
}
