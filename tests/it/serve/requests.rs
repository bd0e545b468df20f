//! A bundle is a registry that can only be read.
//! Takes a bundle; sends requests that clients send and that they should not.

use std::io::{Read, Write};
use std::net::TcpStream;

use bundle_test_servers::{Check, Client, ImageSpec, LayerSpec, Response, sha256};

use crate::scene::Scene;
use crate::serve::served::Served;

fn json(response: &Response) -> serde_json::Value {
    serde_json::from_slice(&response.body).unwrap()
}

/// The host of the source as it is part of names.
fn source_host(scene: &Scene) -> String {
    scene.source.host().replace(':', "_")
}

#[test]
fn everything_in_a_bundle_is_served_whole_under_its_target() {
    let (scene, served) = Served::all_images();
    assert_eq!(served.client().check_complete(Check::Hash).unwrap(), []);
    let target = bundle_test_servers::DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    let mut imported = target.client().contents().unwrap();
    // The importer's own record of what it accepted.
    imported.remove("cache/bundle-state").unwrap();
    for tags in imported.values_mut() {
        // Without a referrers API, clients keep lists under such tags.
        tags.retain(|tag, _| !tag.starts_with("sha256-") || tag.contains('.'));
    }
    assert_eq!(served.client().contents().unwrap(), imported);
    assert!(served.greeting.contains("signed by 'key.pub'"), "{}", served.greeting);
}

#[test]
fn volumes_and_a_compressed_bundle_are_served_as_they_are() {
    let (scene, whole) = Served::all_images();
    let references = Scene::references(scene.source.host());
    scene.bundle(Scene::create_arguments(&references, "b.tar.zst")).succeeds();
    let volumes = Scene::create_arguments(&references, "v.tar");
    scene.bundle(volumes.iter().map(String::as_str).chain(["--volume-size", "200KiB"])).succeeds();
    let files = scene.files();
    assert!(files.iter().filter(|name| name.starts_with("v.tar")).count() > 2, "{files:?}");
    for bundle in ["b.tar.zst", "v.tar"] {
        let served = Served::start(&scene, bundle);
        assert_eq!(served.client().check_complete(Check::Hash).unwrap(), [], "{bundle}");
        assert_eq!(served.client().contents().unwrap(), whole.client().contents().unwrap(), "{bundle}");
    }
    assert_eq!(scene.files(), files, "nothing was unpacked");
}

#[test]
fn an_image_is_found_by_the_names_of_its_source_and_its_target() {
    let (scene, served) = Served::all_images();
    let host = source_host(&scene);
    let expected = scene.source.client().manifest("team/multi", "1").unwrap().unwrap();
    for path in [
        format!("/v2/cache/{host}/team/multi/manifests/1"),
        format!("/v2/{host}/team/multi/manifests/1"),
        "/v2/team/multi/manifests/1".to_owned(),
        format!("/v2/team/multi/manifests/1?ns={}", scene.source.host()),
        format!("/v2/team/multi/manifests/1?ns={}", scene.source.host().replace(':', "%3A")),
        format!("/v2/cache/{host}/team/multi/manifests/1?ns={}", scene.source.host()),
        format!("/v2/team/multi/manifests/{}", expected.digest),
        format!("/v2/team%2Fmulti/manifests/{}", expected.digest.replace(':', "%3A")),
    ] {
        let found = served.client().get(&path).unwrap();
        assert_eq!(found.status, 200, "{path}: {}", found.text());
        assert_eq!(found.body, expected.bytes);
        assert_eq!(found.header("content-type"), Some(expected.media_type.as_str()));
        assert_eq!(found.header("docker-content-digest"), Some(expected.digest.as_str()));
        let head = served.client().head(&path).unwrap();
        assert_eq!(head.header("content-length"), found.header("content-length"));
        assert_eq!(head.header("docker-content-digest"), Some(expected.digest.as_str()));
    }
    for (path, code) in [
        ("/v2/team/multi/manifests/1?ns=docker.io", "NAME_UNKNOWN"),
        ("/v2/team/multi/manifests/1?ns=../x", "NAME_UNKNOWN"),
        ("/v2/team/multi/manifests/2", "MANIFEST_UNKNOWN"),
        ("/v2/team/other/manifests/1", "NAME_UNKNOWN"),
        (&format!("/v2/team/docker/manifests/{}", expected.digest), "MANIFEST_UNKNOWN"),
    ] {
        let found = served.client().get(path).unwrap();
        assert_eq!((found.status, json(&found)["errors"][0]["code"].as_str()), (404, Some(code)), "{path}");
        assert_eq!(served.client().head(path).unwrap().status, 404);
    }
}

#[test]
fn a_name_without_a_host_is_no_name_where_two_hosts_have_it() {
    let scene = Scene::empty();
    let other = bundle_test_servers::DockerRegistry::start().unwrap();
    let image = |seed| ImageSpec::oci().layer(LayerSpec::new(seed, 1000)).build();
    let (here, there) = (image(1), image(2));
    scene.source.client().push("team/app", "1", &here).unwrap();
    other.client().push("team/app", "1", &there).unwrap();
    let references = [scene.source.host(), other.host()].map(|host| format!("{host}/team/app:1"));
    scene.bundle(Scene::create_arguments(&references, "b.tar")).succeeds();
    let served = Served::start(&scene, "b.tar");
    assert_eq!(served.client().get("/v2/team/app/manifests/1").unwrap().status, 404);
    for (host, image) in [(scene.source.host(), here), (other.host(), there)] {
        let path = format!("/v2/team/app/manifests/1?ns={host}");
        assert_eq!(sha256(&served.client().get(&path).unwrap().body), image.digest);
    }
}

#[test]
fn ranges_and_conditions_are_honoured() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 3 << 20).uncompressed()).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let reference = format!("{}/team/app:1", scene.source.host());
    scene.bundle(Scene::create_arguments(&[reference], "b.tar")).succeeds();
    let layer = image.blobs.last().unwrap();
    let bytes = layer.bytes().unwrap();
    let size = bytes.len();
    // A range of a blob that was not requested before, and of one that is proven, are the same.
    for first in ["bytes=100000-299999", "bytes=0-0", &format!("bytes=-{}", size - 1)] {
        let served = Served::start(&scene, "b.tar");
        let path = format!("/v2/team/app/blobs/{}", layer.digest);
        let get = |headers: &[(&str, &str)]| served.client().request("GET", &path, headers, b"").unwrap();
        for range in
            [first, "bytes=65535-65536", "bytes=1-", "bytes=-1", "bytes=1000000-99999999999999999999"]
        {
            let (start, end) = match range.trim_start_matches("bytes=").split_once('-').unwrap() {
                ("", suffix) => (size - suffix.parse::<usize>().unwrap(), size),
                (start, end) => (start.parse().unwrap(), end.parse().unwrap_or(size - 1).min(size - 1) + 1),
            };
            let part = get(&[("Range", range)]);
            assert_eq!(part.status, 206, "{range}");
            assert_eq!(part.header("content-range"), Some(&*format!("bytes {start}-{}/{size}", end - 1)));
            assert!(part.body == bytes[start..end], "{range} has other bytes");
        }
        let etag = format!("\"{}\"", layer.digest);
        assert_eq!(get(&[("If-None-Match", &etag)]).status, 304);
        assert_eq!(get(&[("If-None-Match", &format!("\"x\", W/{etag}"))]).status, 304);
        assert_eq!(get(&[("If-None-Match", "\"x\"")]).status, 200);
        assert_eq!(get(&[("If-Match", "\"x\"")]).status, 412);
        assert_eq!(get(&[("If-Match", &etag)]).status, 200);
        assert_eq!(get(&[("Range", "bytes=0-0"), ("If-Range", &etag)]).status, 206);
        let whole = get(&[("Range", "bytes=0-0"), ("If-Range", "\"x\"")]);
        assert_eq!(whole.status, 200);
        assert_eq!(whole.header("etag"), Some(&*etag));
        assert!(whole.body == bytes);
        let beyond = get(&[("Range", &format!("bytes={size}-"))]);
        assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(&*format!("bytes */{size}"))));
    }
}

#[test]
fn lists_come_in_pages_that_lead_to_their_end() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1000)).build();
    let tags = ["1", "10", "2", "a", "v1.0"];
    for tag in tags {
        scene.source.client().push("team/app", tag, &image).unwrap();
    }
    scene.source.client().push("team/other", "1", &image).unwrap();
    let mut references: Vec<String> = tags.iter().map(|tag| format!("team/app:{tag}")).collect();
    references.push("team/other:1".to_owned());
    let references: Vec<String> =
        references.iter().map(|name| format!("{}/{name}", scene.source.host())).collect();
    scene.bundle(Scene::create_arguments(&references, "b.tar")).succeeds();
    let served = Served::start(&scene, "b.tar");
    let client = served.client();
    assert_eq!(client.tags("team/app").unwrap(), tags);
    let mut found = Vec::new();
    let mut next = Some("/v2/team/app/tags/list?n=2".to_owned());
    let mut pages = 0;
    while let Some(path) = next {
        let page = client.get(&path).unwrap();
        let listed = json(&page)["tags"].as_array().unwrap().clone();
        assert!(listed.len() <= 2);
        found.extend(listed.into_iter().map(|tag| tag.as_str().unwrap().to_owned()));
        next = page.header("link").map(|link| link[1..link.find('>').unwrap()].to_owned());
        pages += 1;
    }
    assert_eq!((found.as_slice(), pages), (tags.map(str::to_owned).as_slice(), 3));
    assert_eq!(
        json(&client.get("/v2/team/app/tags/list?last=2").unwrap())["tags"],
        serde_json::json!(["a", "v1.0"])
    );
    let none = client.get("/v2/team/app/tags/list?n=0").unwrap();
    assert_eq!((json(&none)["tags"].as_array().map(Vec::len), none.header("link")), (Some(0), None));
    assert_eq!(client.get("/v2/team/app/tags/list?n=x").unwrap().status, 400);
    assert_eq!(client.get("/v2/team/none/tags/list").unwrap().status, 404);
    let host = source_host(&scene);
    let repositories = ["app", "other"].map(|name| format!("cache/{host}/team/{name}"));
    assert_eq!(client.catalog().unwrap(), repositories);
    let page = client.get("/v2/_catalog?n=1").unwrap();
    assert_eq!(json(&page)["repositories"], serde_json::json!([repositories[0]]));
    assert!(page.header("link").is_some());
}

#[test]
fn referrers_are_listed_and_filtered() {
    let (scene, served) = Served::all_images();
    let client = served.client();
    let subject = client.manifest("team/signed", "1").unwrap().unwrap().digest;
    let all = client.get(&format!("/v2/team/signed/referrers/{subject}")).unwrap();
    assert_eq!(all.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    assert_eq!(all.header("oci-filters-applied"), None);
    let listed = json(&all);
    assert_eq!(listed["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(listed["manifests"][0]["artifactType"], "application/spdx+json");
    let digest = listed["manifests"][0]["digest"].as_str().unwrap();
    let referrer = client.manifest("team/signed", digest).unwrap().unwrap();
    assert_eq!(referrer.digest, digest);
    assert_eq!(referrer.bytes.len() as u64, listed["manifests"][0]["size"].as_u64().unwrap());
    for (kind, count) in [("application/spdx%2Bjson", 1), ("application/x", 0)] {
        let path = format!("/v2/team/signed/referrers/{subject}?artifactType={kind}");
        let filtered = client.get(&path).unwrap();
        assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
        assert_eq!(json(&filtered)["manifests"].as_array().unwrap().len(), count, "{kind}");
    }
    // A manifest without referrers has an empty list.
    let other = client.manifest("team/docker", "1").unwrap().unwrap().digest;
    let none = client.get(&format!("/v2/team/docker/referrers/{other}")).unwrap();
    assert_eq!((none.status, json(&none)["manifests"].as_array().map(Vec::len)), (200, Some(0)));
    drop(scene);
}

#[test]
fn nothing_can_be_written() {
    let (_scene, served) = Served::all_images();
    let digest = served.client().manifest("team/docker", "1").unwrap().unwrap().digest;
    for (method, path) in [
        ("POST", "/v2/team/docker/blobs/uploads/".to_owned()),
        ("PATCH", "/v2/team/docker/blobs/uploads/1".to_owned()),
        ("PUT", "/v2/team/docker/manifests/1".to_owned()),
        ("DELETE", format!("/v2/team/docker/manifests/{digest}")),
        ("POST", "/".to_owned()),
    ] {
        let answer = served.client().request(method, &path, &[], b"{}").unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        assert_eq!(json(&answer)["errors"][0]["code"], "UNSUPPORTED");
    }
    // A body that is large beyond reason is not waited for.
    let mut stream = TcpStream::connect(served.host()).unwrap();
    write!(stream, "PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n{{")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn hostile_requests_get_an_answer_and_do_no_harm() {
    let (_scene, served) = Served::all_images();
    let talk = |request: &[u8]| {
        let mut stream = TcpStream::connect(served.host()).unwrap();
        // It may answer, and close, before it has read all.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    };
    let get =
        |path: &str| talk(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    for (path, status) in [
        ("/v2/../../../etc/passwd", "404"),
        ("/v2/..%2f..%2fetc/passwd/tags/list", "400"),
        ("/v2/%2e%2e/manifests/1", "400"),
        ("/v2/team/docker/manifests/..%2f..%2fetc%2fpasswd", "404"),
        ("/v2/team/docker/blobs/sha256:..%2f..%2f", "404"),
        ("/v2/team/docker/manifests/%00", "400"),
        ("/v2//etc/passwd/tags/list", "400"),
        ("/v2/team/docker/tags/list?n=-1", "400"),
        ("/v2/team/docker/tags/list?n=18446744073709551616&last=%ff", "200"),
        ("http://other.example/v2/", "200"),
        ("//v2/", "404"),
        ("/metrics/../v2/", "404"),
    ] {
        let line = get(path);
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {line}");
    }
    let long = "a".repeat(1 << 20);
    for (request, status) in [
        (format!("GET /v2/{long}/tags/list HTTP/1.1\r\nHost: x\r\n\r\n"), "431"),
        (format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), "431"),
        (format!("GET /v2/ HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000)), "431"),
        ("GET /v2/ HTTP/9.9\r\n\r\n".to_owned(), "400"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n".to_owned(), "400"),
        ("GET /v2/ HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n".to_owned(), ""),
    ] {
        let line = talk(request.as_bytes());
        assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{:?}: {line}", &request[..40]);
    }
    // Many connections that send nothing, or half of a request, do not block other clients.
    let silent: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = TcpStream::connect(served.host()).unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost:").unwrap();
            }
            stream
        })
        .collect();
    assert_eq!(served.client().check_complete(Check::Hash).unwrap(), []);
    drop(silent);
    let (code, rest) = served.stop();
    assert_eq!(code, Some(0), "{rest}");
    assert!(!rest.contains("panicked"), "{rest}");
}

#[test]
fn a_file_that_changes_or_vanishes_gives_errors_and_never_wrong_bytes_until_it_returns() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 5 << 20).uncompressed()).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let reference = format!("{}/team/app:1", scene.source.host());
    scene.bundle(Scene::create_arguments(&[reference], "b.tar")).succeeds();
    let right = std::fs::read(scene.path("b.tar")).unwrap();
    let layer = image.blobs.last().unwrap();
    let head = layer.bytes().unwrap()[..64].to_vec();
    let at = right.windows(64).position(|window| window == head).unwrap();
    let path = format!("/v2/team/app/blobs/{}", layer.digest);
    let fetch = |client: &Client| match client.get(&path) {
        Ok(answer) if answer.status == 200 => Some(sha256(&answer.body)),
        Ok(answer) => {
            assert_eq!(answer.status, 503, "{}", answer.text());
            None
        }
        // It was begun, and not ended.
        Err(_) => None,
    };
    let restore = || std::fs::write(scene.path("b.tar"), &right).unwrap();
    // Whether the blob was proven before or not; a byte at its begin, in the middle, at its end.
    for proven in [false, true] {
        for place in [at, at + (2 << 20), at + (5 << 20) - 1] {
            restore();
            let mut served = Served::start(&scene, "b.tar");
            let client = served.client();
            if proven {
                assert_eq!(fetch(&client), Some(layer.digest.clone()));
            }
            let mut wrong = right.clone();
            wrong[place] ^= 1;
            std::fs::write(scene.path("b.tar"), wrong).unwrap();
            assert_eq!(fetch(&client), None, "wrong bytes were sent");
            assert!(served.says().contains("has other bytes than were signed"));
            restore();
            // It is looked for again after a while.
            while fetch(&client).as_deref() != Some(&layer.digest) {}
        }
    }
    restore();
    let mut served = Served::start(&scene, "b.tar");
    let client = served.client();
    assert_eq!(fetch(&client), Some(layer.digest.clone()));
    // A stick that is pulled out: reads fail, and the path leads nowhere.
    std::fs::OpenOptions::new().write(true).truncate(true).open(scene.path("b.tar")).unwrap();
    std::fs::remove_file(scene.path("b.tar")).unwrap();
    assert_eq!(fetch(&client), None);
    assert!(served.says().contains("cannot be read"));
    let metrics = client.get("/metrics").unwrap().text();
    assert!(metrics.contains("bundle_serve_bundle_up{bundle=\"b.tar\",stream=\"default\""), "{metrics}");
    assert!(metrics.lines().any(|line| line.starts_with("bundle_serve_bundle_up") && line.ends_with(" 0")));
    assert_eq!(client.get("/v2/").unwrap().status, 200);
    restore();
    while fetch(&client).as_deref() != Some(&layer.digest) {}
    assert!(served.says().contains("is available again"));
}

#[test]
fn a_bundle_that_must_not_be_used_is_not_served() {
    let scene = Scene::with_images();
    let bytes = std::fs::read(scene.create("b.tar")).unwrap();
    std::fs::write(scene.path("short.tar"), &bytes[..bytes.len() - 512]).unwrap();
    scene.bundle(["key", "generate", "key-other"]).succeeds();
    let serve = |arguments: &[&str]| {
        let all = ["serve", "--listen", "127.0.0.1:0"].iter().chain(arguments);
        scene.bundle(all)
    };
    serve(&["b.tar", "--trust", "key-other.pub"]).ends_with(3).says("is not signed by a trusted key");
    serve(&["short.tar", "--trust", "key.pub"]).ends_with(3).says("bundle is truncated");
    serve(&["b.tar", "short.tar", "--trust", "key.pub"]).ends_with(3).says("short.tar: bundle is truncated");
    serve(&["key", "--trust", "key.pub"]).ends_with(3).says("this is not a bundle");
    serve(&["none.tar", "--trust", "key.pub"]).ends_with(2).says("none.tar cannot be opened");
    serve(&["b.tar"]).ends_with(2).says("--trust");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    scene
        .bundle(["serve", "b.tar", "--trust", "key.pub", "--listen", &address])
        .ends_with(2)
        .says("choose another port");
    scene
        .bundle(["serve", "b.tar", "--trust", "key.pub", "--listen", "nowhere"])
        .ends_with(2)
        .says("nowhere cannot be listened on");
}

#[test]
fn a_key_without_the_project_cache_has_no_say_in_the_names_of_others() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let host = scene.source.host();
    scene
        .bundle([
            "create",
            &format!("{host}/team/app:1"),
            "--project",
            "tenant-a",
            "--key",
            "key",
            "-o",
            "b.tar",
        ])
        .succeeds();
    std::fs::write(
        scene.path("trust.yaml"),
        "keys:\n- {name: ops, file: key.pub, projects: [\"tenant-*\"]}\n",
    )
    .unwrap();
    let narrow = Served::with(&scene, &["b.tar", "--trust", "trust.yaml"]);
    assert!(narrow.greeting.contains("under the names of its targets only"), "{}", narrow.greeting);
    let status = |served: &Served, path: &str| served.client().get(path).unwrap().status;
    assert_eq!(status(&narrow, "/v2/tenant-a/app/manifests/1"), 200);
    let mirrored = format!("/v2/team/app/manifests/1?ns={host}");
    assert_eq!(status(&narrow, &mirrored), 404);
    assert_eq!(status(&narrow, "/v2/team/app/manifests/1"), 404);
    let wide = Served::start(&scene, "b.tar");
    assert_eq!(status(&wide, &mirrored), 200);
}

#[test]
fn of_two_bundles_of_a_stream_the_later_sequence_is_served() {
    let scene = Scene::empty();
    let reference = format!("{}/team/app:1", scene.source.host());
    let mut digests = Vec::new();
    for sequence in ["1", "2"] {
        let image = ImageSpec::oci().layer(LayerSpec::new(1, 1000)).label("sequence", sequence).build();
        scene.source.client().push("team/app", "1", &image).unwrap();
        let output = format!("{sequence}.tar");
        scene
            .bundle(["create", &reference, "--sequence", sequence, "--key", "key", "-o", &output])
            .succeeds();
        digests.push(image.digest);
    }
    let tagged = |served: &Served| served.client().manifest("team/app", "1").unwrap().unwrap().digest;
    for bundles in [["1.tar", "2.tar"], ["2.tar", "1.tar"]] {
        let served = Served::with(&scene, &[bundles[0], bundles[1], "--trust", "key.pub"]);
        assert_eq!(tagged(&served), digests[1]);
        assert!(served.greeting.contains("is that of 2.tar, not that of 1.tar"), "{}", served.greeting);
        // The content of the other bundle's tag is available by its digest.
        assert!(served.client().manifest("team/app", &digests[0]).unwrap().is_some());
    }
}

#[test]
fn a_password_is_asked_for_and_tls_is_spoken() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene
        .shell(
            "htpasswd -BbnC 4 puller 'pass:word' > users && \
             openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=test \
               -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout tls.key -out tls.crt",
        )
        .succeeds();
    let arguments = [
        "b.tar",
        "--trust",
        "key.pub",
        "--auth",
        "users",
        "--tls-cert",
        "tls.crt",
        "--tls-key",
        "tls.key",
        "--json",
    ];
    let served = Served::with(&scene, &arguments);
    let host = served.host();
    let curl = |more: &str| {
        scene.shell(&format!("curl -s -o out -w '%{{http_code}}' --cacert tls.crt {more} https://{host}/v2/"))
    };
    assert_eq!(curl("-D head").succeeds().stdout, "401");
    let head = std::fs::read_to_string(scene.path("head")).unwrap().to_lowercase();
    assert!(head.contains("www-authenticate: basic realm="), "{head}");
    for (user, status) in [("puller:pass:word", "200"), ("puller:pass", "401"), ("other:pass:word", "401")] {
        assert_eq!(curl(&format!("-u {user}")).succeeds().stdout, status, "{user}");
    }
    assert_eq!(
        scene.shell(&format!("curl -s https://{host}/v2/")).code,
        Some(60),
        "no authority of this machine signed it"
    );
    scene
        .shell(&format!(
            "mkdir certs && cp tls.crt certs/ca.crt && skopeo copy --src-cert-dir certs --src-creds puller:pass:word \
             --insecure-policy -q --all docker://{host}/team/multi:1 dir:copy"
        ))
        .succeeds();
    let log = std::fs::read_to_string(scene.path("access")).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["user"] == "puller" && line["status"] == 200), "{log}");
    assert!(!log.contains("pass:word") && !log.contains("cHVsbGVy"), "a password is in the log");
    let (code, rest) = served.stop();
    assert_eq!(code, Some(0), "{rest}");
    for (arguments, text) in [
        (vec!["--auth", "users", "--listen", "0.0.0.0:0"], "passwords would cross the network unencrypted"),
        (vec!["--auth", "b.tar", "--listen", "127.0.0.1:0"], "b.tar"),
        (vec!["--tls-cert", "tls.crt"], "--tls-key"),
        (vec!["--tls-cert", "tls.key", "--tls-key", "tls.key"], "tls.key has no certificate"),
        (vec!["--tls-cert", "tls.crt", "--tls-key", "tls.crt"], "tls.crt has no private key"),
    ] {
        let all = ["serve", "b.tar", "--trust", "key.pub"].into_iter().chain(arguments);
        scene.bundle(all).ends_with(2).says(text);
    }
}

#[test]
fn what_is_being_sent_is_finished_before_the_server_stops() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 40 << 20).uncompressed()).build();
    scene.source.client().push("team/big", "1", &image).unwrap();
    let reference = format!("{}/team/big:1", scene.source.host());
    scene.bundle(Scene::create_arguments(&[reference], "b.tar")).succeeds();
    let mut served = Served::start(&scene, "b.tar");
    let layer = image.blobs.last().unwrap();
    let mut download = served.client().download(&format!("/v2/team/big/blobs/{}", layer.digest)).unwrap();
    let mut bytes = vec![0; 1 << 20];
    download.read_exact(&mut bytes).unwrap();
    let idle = TcpStream::connect(served.host()).unwrap();
    served.terminate();
    assert!(served.says().contains("finishing what is being sent"));
    while TcpStream::connect(served.host()).is_ok() {}
    download.read_to_end(&mut bytes).unwrap();
    assert_eq!(sha256(&bytes), layer.digest);
    drop(idle);
    let (code, _) = served.stopped();
    assert_eq!(code, Some(0));
}
