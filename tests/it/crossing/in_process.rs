//! The library's create in this process, against a real registry: what it plans, what it writes, and the same
//! bytes as the program's.

use std::sync::Arc;

use bundle_bundler::{
    Asked, Assembled, Assembly, Config, Confirm, Notice, Pins, PolicyOverride, Shape, Sink, StatementHead,
    create,
};
use bundle_format::Limits;
use bundle_registry::{Client, CredentialStore, Silent};
use bundle_test_servers::{ImageSpec, LayerSpec, sha256};
use bundle_trust::{Signer, load_private};

use crate::scene::{CREATED, Scene};

#[test]
fn the_library_makes_the_same_bundle_as_the_program_and_says_the_same_in_values() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 10_000)).build();
    client.push("team/app", "1", &image).unwrap();
    let file = scene.path("bundle.yaml");
    let wanted = format!(
        "name: nightly\nplatforms: [linux/amd64, linux/arm64]\nprojects:\n  cache:\n    images: [\"{host}/team/app:1\"]\n"
    );
    std::fs::write(&file, wanted).unwrap();
    let ran = scene.bundle([
        "create",
        "--key",
        "key",
        "--sequence",
        "7",
        "--created",
        CREATED,
        "-o",
        "program.tar",
    ]);
    let said = ran.succeeds().stderr;

    let mut asked = Asked::from(Config::load(&file).unwrap());
    // The program names the file as it was given: beside it.
    for request in &mut asked.requests {
        request.reasons = vec![bundle_bundler::Reason::File { name: "bundle.yaml".to_owned(), line: 5 }];
    }
    let registries = Client::builder().credentials(CredentialStore::default()).build().unwrap();
    let head = StatementHead {
        stream: asked.stream.clone().unwrap(),
        sequence: 7.try_into().unwrap(),
        created: CREATED.parse().unwrap(),
        expires: None,
        previous: None,
    };
    let assembly = Assembly {
        client: &registries,
        lock: None,
        earlier: None,
        pins: Pins::Prefer,
        overrule: PolicyOverride::default(),
        confirm: Confirm::Ask,
        jobs: 2,
        referrers_max_age: std::time::Duration::ZERO,
    };
    let signer =
        Signer::Key(load_private(&scene.path("key"), |_| panic!("the key has no passphrase")).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in ["first.tar", "second.tar"] {
        let (path, asked) = (scene.path(name), asked.clone());
        let written = runtime.block_on(async {
            let Assembled { plan, notices, .. } = assembly.plan(asked, &head, &Silent).await.unwrap();
            let [Notice::MissingPlatforms { missing, .. }] = notices.as_slice() else {
                panic!("one notice is expected: {notices:?}")
            };
            assert_eq!(missing[0].to_string(), "linux/arm64");
            assert!(said.contains(&notices[0].to_string()), "{said}");
            let signature = signer.sign(plan.statement_bytes()).unwrap();
            plan.fits_pipe(&Limits::V1).unwrap();
            let sink = Sink::file(&path, Shape::default()).unwrap();
            create(&registries, Arc::new(plan), &signature, sink, 2, Arc::new(Silent)).await.unwrap();
            std::fs::read(&path).unwrap()
        });
        assert_eq!(sha256(&written), sha256(&std::fs::read(scene.path("program.tar")).unwrap()), "{name}");
    }
}
