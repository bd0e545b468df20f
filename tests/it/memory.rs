//! The program's peak memory, as the system counts it (`VmHWM`): small for honest work, and bounded for any
//! bundle or registry.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;

use bundle_format::{
    Artifact, Blob, CompressedWriter, Draft, Entry, EntryName, Kind, Layout, Limits, OCI_LAYOUT,
};
use bundle_test_servers::{DockerRegistry, sha256};
use bundle_trust::{Signer, load_private};

use crate::scene::{Ran, Scene};

/// Mebibytes of resident memory for honest work, and for anything at all.
const HONEST: u64 = 64;
const ANYTHING: u64 = 256;

/// Runs the program and looks at its peak of resident memory, in MiB, until it ends.
fn run(scene: &Scene, arguments: &[&str]) -> (Ran, u64) {
    let (out, err) = (scene.path("peak.out"), scene.path("peak.err"));
    let mut command = scene.command(arguments);
    command.stdin(Stdio::null());
    command.stdout(std::fs::File::create(&out).unwrap()).stderr(std::fs::File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The peak never falls, so that the last look before the end is the highest.
        if let Ok(text) = std::fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() >> 10;
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::yield_now();
    };
    let text = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let ran = Ran { code: ended.code(), stdout: text(out), stderr: text(err) };
    assert!(peak > 0, "{arguments:?} was never looked at");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    (ran, peak)
}

#[test]
fn honest_work_takes_less_than_64_mib() {
    let scene = Scene::with_images();
    let to = DockerRegistry::start().unwrap();
    let references = Scene::references(scene.source.host());
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let create = [&["create"], references.as_slice(), &["--key", "key", "-o", "b.tar"]].concat();
    for arguments in [
        create.as_slice(),
        &["verify", "b.tar", "--trust", "key.pub"],
        &["inspect", "b.tar", "--trust", "key.pub"],
        &["import", "b.tar", "--trust", "key.pub", "--to", to.host()],
        &["diff", "b.tar", "b.tar"],
    ] {
        let (ran, peak) = run(&scene, arguments);
        ran.succeeds();
        assert!(peak < HONEST, "{arguments:?}: {peak} MiB");
    }
}

/// A statement of 31 MiB of platforms of three letters, which would take 2.5 GiB; what follows it is not there.
fn head_of_platforms(scene: &Scene) -> Vec<u8> {
    let platforms = r#""a/b","#.repeat((31 << 20) / 6);
    let digest = format!("sha256:{}", "0".repeat(64));
    let artifact = format!(
        r#"{{"kind":"image","source":"docker.io/library/a:1","target":{{"project":"cache","repository":"a","tag":"1"}},"digest":"{digest}","mediaType":"application/vnd.oci.image.manifest.v1+json","platforms":[{platforms}"a/b"],"reasons":["x"]}}"#
    );
    let statement = format!(
        r#"{{"formatVersion":1,"stream":"s","sequence":1,"created":"2026-11-18T11:06:40Z","index":["{digest}",2],"artifacts":[{artifact}],"blobs":[["{digest}",2]]}}"#
    );
    let key = load_private(&scene.path("key"), |_| panic!("the key has no passphrase")).unwrap();
    let signature = Signer::Key(key).sign(statement.as_bytes()).unwrap();
    let mut head = Vec::new();
    for (name, content) in
        [(EntryName::Statement, statement.as_bytes()), (EntryName::Signature, signature.as_ref())]
    {
        let entry = Entry::alone(name, content.len() as u64);
        head.extend_from_slice(&entry.header());
        head.extend_from_slice(content);
        head.resize(head.len() + entry.padding() as usize, 0);
    }
    head
}

#[test]
fn a_statement_that_is_small_in_bytes_and_large_in_memory_is_refused_within_256_mib() {
    let scene = Scene::empty();
    let head = head_of_platforms(&scene);
    std::fs::write(scene.path("b.tar"), &head).unwrap();
    let mut packed = CompressedWriter::new(Vec::new()).unwrap();
    packed.write_all(&head).unwrap();
    let packed = packed.finish().unwrap().0;
    assert!(packed.len() < 64 << 10, "a stranger needs few bytes: {}", packed.len());
    std::fs::write(scene.path("b.tar.zst"), packed).unwrap();
    for arguments in [
        ["inspect", "b.tar.zst"].as_slice(),
        &["inspect", "b.tar.zst", "--unverified"],
        &["verify", "b.tar", "--trust", "key.pub"],
        &["import", "b.tar.zst", "--trust", "key.pub", "--to", "127.0.0.1:1"],
        &["diff", "b.tar", "b.tar.zst"],
    ] {
        let (ran, peak) = run(&scene, arguments);
        assert!(peak < ANYTHING, "{arguments:?}: {peak} MiB");
        ran.ends_with(3).says("platforms of one artifact");
    }
}

/// A bundle of images without layers, each with a manifest of nearly 4 MiB.
fn bundle_of_large_manifests(scene: &Scene, name: &str, manifests: &[String]) {
    let config = r#"{"architecture":"amd64","os":"linux"}"#;
    let blob = |text: &str| Blob { digest: bundle_oci::Digest::of(text.as_bytes()), size: text.len() as u64 };
    let mut blobs = vec![blob(&manifests[0]), blob(config)];
    blobs.extend(manifests[1..].iter().map(|text| blob(text)));
    let artifacts = manifests.iter().enumerate().map(|(at, text)| Artifact {
        kind: Kind::Image,
        source: format!("r.example/app:{at}").parse().unwrap(),
        target: format!("cache/app:{at}").parse().unwrap(),
        digest: blob(text).digest,
        media_type: IMAGE.parse().unwrap(),
        platforms: Vec::new(),
        derived_from: None,
        subject: None,
        reasons: vec!["x".to_owned()],
    });
    let draft = Draft {
        stream: "s".parse().unwrap(),
        sequence: 1.try_into().unwrap(),
        created: "2026-11-18T11:06:40Z".parse().unwrap(),
        expires: None,
        previous: None,
        base: Vec::new(),
        artifacts: artifacts.collect(),
        blobs,
        requires: Vec::new(),
    };
    let statement = draft.seal(&Limits::V1).unwrap();
    let head = statement.to_bytes();
    let key = load_private(&scene.path("key"), |_| panic!("the key has no passphrase")).unwrap();
    let signature = Signer::Key(key).sign(&head).unwrap().as_ref().to_vec();
    let layout = Layout::of(&statement, head.len() as u64);
    let mut contents = vec![head, signature, OCI_LAYOUT.to_vec(), statement.index_json()];
    contents.extend([manifests[0].clone().into_bytes(), config.into()]);
    contents.extend(manifests[1..].iter().map(|text| text.clone().into_bytes()));
    let mut file = std::io::BufWriter::new(std::fs::File::create(scene.path(name)).unwrap());
    for (entry, content) in layout.entries().iter().zip(contents) {
        file.write_all(&entry.header()).unwrap();
        file.write_all(&content).unwrap();
        file.write_all(&vec![0; entry.padding() as usize]).unwrap();
    }
    file.write_all(&[0; 1024]).unwrap();
    file.into_inner().unwrap().sync_all().unwrap();
}

#[test]
fn many_large_manifests_are_read_when_they_are_needed_and_not_kept() {
    let scene = Scene::empty();
    let to = DockerRegistry::start().unwrap();
    let config = r#"{"architecture":"amd64","os":"linux"}"#;
    let config = format!(
        r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}}"#,
        bundle_oci::Digest::of(config.as_bytes()),
        config.len()
    );
    let padded = |at: usize| {
        let padding = "y".repeat(4_100_000);
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{IMAGE}",{config},"layers":[],"padding":"{at}{padding}"}}"#
        )
    };
    let manifests: Vec<String> = (0..40).map(padded).collect();
    bundle_of_large_manifests(&scene, "b.tar", &manifests);
    for arguments in [
        ["verify", "b.tar", "--trust", "key.pub"].as_slice(),
        &["inspect", "b.tar", "--trust", "key.pub"],
        &["import", "b.tar", "--trust", "key.pub", "--to", to.host()],
    ] {
        let (ran, peak) = run(&scene, arguments);
        ran.succeeds();
        // All of them have 156 MiB.
        assert!(peak < 2 * HONEST, "{arguments:?}: {peak} MiB");
    }
}

/// An upstream that answers each request for a manifest with an index of many images, each image with a
/// manifest of its own of nearly 4 MiB of annotations; and each question for referrers with a list of 4 MiB.
struct Fat {
    host: String,
}

impl Fat {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let annotations: Vec<String> =
            (0..90_000).map(|at| format!(r#""k{at:06}":"{}""#, "v".repeat(20))).collect();
        let annotations: Arc<str> = annotations.join(",").into();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let annotations = annotations.clone();
                std::thread::spawn(move || while answer(&connection, &annotations).is_some() {});
            }
        });
        Self { host }
    }
}

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn child(name: &str, annotations: &str) -> String {
    let config = format!("sha256:{}", sha256(name.as_bytes()).trim_start_matches("sha256:"));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{}}},"layers":[],"annotations":{{{annotations}}}}}"#,
        name.len()
    )
}

/// Answers one request of a connection; `None` at its end.
fn answer(mut connection: &TcpStream, annotations: &str) -> Option<()> {
    let mut lines = BufReader::with_capacity(1, connection).lines();
    let request = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let mut words = request.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let digest = |text: &str| format!("sha256:{}", sha256(text.as_bytes()).trim_start_matches("sha256:"));
    let children =
        |image: &str| (0..8).map(|at| child(&format!("{image}-{at}"), annotations)).collect::<Vec<_>>();
    let image = path.split('/').nth(2)?;
    let (status, kind, body) = if path.contains("/referrers/") {
        let each = (0..9_000).map(|at| {
            let digest = digest(&format!("{path}{at}"));
            format!(
                r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":7,"annotations":{{{}}}}}"#,
                (0..20).map(|at| format!(r#""{at}":"""#)).collect::<Vec<_>>().join(",")
            )
        });
        let list = each.collect::<Vec<_>>().join(",");
        let index = "application/vnd.oci.image.index.v1+json";
        (200, index, format!(r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[{list}]}}"#))
    } else if path.ends_with("/manifests/1") {
        let each = children(image).into_iter().enumerate().map(|(at, child)| {
            let platform = format!(r#"{{"os":"linux","architecture":"a{at}"}}"#);
            let digest = digest(&child);
            format!(
                r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":{},"platform":{platform}}}"#,
                child.len()
            )
        });
        let list = each.collect::<Vec<_>>().join(",");
        let index = "application/vnd.oci.image.index.v1+json";
        (200, index, format!(r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[{list}]}}"#))
    } else if path.contains("/manifests/sha256:") {
        match children(image).into_iter().find(|child| path.ends_with(&digest(child))) {
            Some(child) => (200, IMAGE, child),
            None => (404, "application/json", r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#.to_owned()),
        }
    } else {
        (200, "application/json", "{}".to_owned())
    };
    let digest = digest(&body);
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {digest}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).ok()?;
    if method != "HEAD" {
        connection.write_all(body.as_bytes()).ok()?;
    }
    Some(())
}

#[test]
fn an_upstream_cannot_drive_create_beyond_256_mib() {
    let scene = Scene::empty();
    let fat = Fat::start();
    let images: Vec<String> = (0..12).map(|at| format!("{}/app{at}:1", fat.host)).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    for more in [["--no-referrers"].as_slice(), &[]] {
        let arguments = [&["create"], images.as_slice(), &["--key", "key", "-o", "b.tar"], more].concat();
        let (ran, peak) = run(&scene, &arguments);
        assert!(peak < ANYTHING, "{more:?}: {peak} MiB");
        assert_ne!(ran.code, Some(0), "{}", ran.stdout);
        ran.says("take more than 72 MiB together");
        assert!(!scene.path("b.tar").exists());
    }
}
