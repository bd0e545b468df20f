//! Mistakes of tired people, and the terminal's output. One line a mistake: the command, its exit code, and
//! what it must say.

use crate::scene::Scene;

#[test]
fn mistakes_are_told_before_any_work() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    std::fs::write(scene.path("list.txt"), "nginx:1.25\nnginx:\nfoo/Bar\n").unwrap();
    std::fs::write(scene.path("good.txt"), "nginx:1.25\nredis:7\n").unwrap();
    std::fs::write(scene.path("bad.yaml"), "projects:\n  cach: {}\n").unwrap();
    std::fs::write(scene.path("two.txt"), "a/app:1\nb/app:1\n").unwrap();
    std::fs::write(scene.path("wanted.lock"), "projects: {cache: {images: [nginx]}}\n").unwrap();
    scene.shell("cp key key-open && chmod 644 key-open && mkfifo fifo").succeeds();
    scene.shell("BUNDLE_KEY_PASSPHRASE=a $BUNDLE key generate --encrypt key-sealed").succeeds();
    for (arguments, code, text) in [
        ("create nginx -o x.tar", 2, "--key <FILE>|--sign-command <COMMAND>"),
        ("create nginx --sign-command true -o x.tar", 2, "--public-key <FILE>"),
        ("create nginx --key fifo -o x.tar", 2, "key fifo cannot be read: it is not a regular file"),
        ("create nginx --key /dev/zero -o x.tar", 2, "it is not a regular file"),
        ("create nginx --key key -o x.tar --ca-file fifo", 2, "it is not a regular file"),
        ("create nginx --key key -o x.tar --ca-file /dev/zero", 2, "it is not a regular file"),
        ("create nginx --key missing -o x.tar", 2, "`bundle key generate missing` makes a new key"),
        ("create nginx --key key-open -o x.tar", 2, "hint: chmod 600 key-open"),
        ("create nginx --key key.pub -o x.tar", 2, "this is a public key, where the private one belongs"),
        ("create nginx --key key -o b.tar", 2, "b.tar exists already"),
        ("create nginx --key key -o x.tar/", 2, "x.tar/ names no file"),
        ("create --key key -o x.tar", 2, "nothing to carry"),
        ("create --images list.txt --key key -o x.tar", 2, "list.txt:2: 'nginx:': tag has 0 characters"),
        (
            "create --images list.txt --key key -o x.tar",
            2,
            "list.txt:3: 'foo/Bar': repository name must be lower case",
        ),
        ("create -f bad.yaml --key key -o x.tar", 2, "bad.yaml:2:3: "),
        ("create --images two.txt --project platform --key key -o x.tar", 2, "platform/app:1 would be both"),
        (
            "create nginx --key key -o x.tar --mirror docker.io=https://a.example",
            2,
            "mirror must be HOST=HOST/PREFIX, without https://",
        ),
        (
            "create nginx --key key -o x.tar --mirror docker.io=a.example --mirror docker.io=b.example",
            2,
            "docker.io is given two mirrors",
        ),
        ("lock -f wanted.lock", 2, "wanted.lock exists and is not a lockfile; it is not overwritten"),
        ("lock nginx -o list.txt", 2, "choose another name with -o"),
        ("create https://nginx --key key -o x.tar", 2, "hint: did you mean 'nginx'?"),
        ("create godo.txt --key key -o x.tar", 2, "'godo.txt' is not an image, and there is no such file"),
        (
            "import b.tar --to http://127.0.0.1:1/v2/ --trust key.pub",
            2,
            "/v2 is the path of the registry's API",
        ),
        ("create nginx --key key.pub -o x.tar", 2, "hint: name the private key: the file without .pub"),
        ("create good.txt --key key -o x.tar", 2, "hint: did you mean --images good.txt?"),
        ("create bad.yaml --key key -o x.tar", 2, "hint: did you mean -f bad.yaml?"),
        ("import list.txt --to 127.0.0.1:1 --trust key.pub", 3, "error: list.txt: this is not a bundle"),
        ("inspect list.txt --unverified", 3, "hint: check the file name;"),
        ("create -f good.txt --key key -o x.tar", 2, "hint: give a list with --images"),
        ("create nginx --key key --locked -o x.tar", 2, "make it with `bundle lock`"),
        ("create nginx --key key --platform linux -o x.tar", 2, "platform must be OS/ARCHITECTURE"),
        ("import b.tar --to 127.0.0.1:1 --trust key", 2, "use the .pub file"),
        (
            "import b.tar --to ftp://127.0.0.1 --trust key.pub",
            2,
            "must be a host, https://HOST or http://HOST",
        ),
        (
            "import b.tar --to https://h.example/Harbor --trust key.pub",
            2,
            "path after the host: repository name must be lower case",
        ),
        ("import b.tar --to https://u:secret@h.example --trust key.pub", 2, "has a user name and password"),
        ("import b.tar --to 127.0.0.1:1 --trust missing", 2, "missing cannot be read"),
        ("import missing.tar --to 127.0.0.1:1 --trust key.pub", 2, "missing.tar cannot be opened"),
        ("import list.txt --to 127.0.0.1:1 --trust key.pub", 3, "this is not a bundle"),
        ("import b.tar --to 127.0.0.1:1 --trust key.pub --retries 0", 4, "127.0.0.1:1 cannot be reached"),
        ("import b.tar --to 127.0.0.1:1 --trust fifo", 2, "it is not a regular file"),
        ("import fifo --to 127.0.0.1:1 --trust key.pub", 2, "it is not a regular file"),
        ("verify fifo --trust key.pub", 2, "it is not a regular file"),
        ("verify b.tar --trust key.pub -j 65", 2, "65 is not in 1..=64"),
        ("inspect fifo", 2, "it is not a regular file"),
        ("inspect .", 2, "it is not a regular file"),
        ("key show fifo", 2, "it is not a regular file"),
        ("verify b.tar", 2, "no key is trusted"),
        ("verify b.tar", 2, "--trust <PUBKEY|FILE>"),
        ("import b.tar --to 127.0.0.1:1 --trust key.pub --allow-rollback", 2, "--reason"),
        ("create nginx --key key -o x.tar --expires 0d", 2, "must be after the creation time"),
        ("key generate key", 2, "key exists already; a key is never overwritten"),
        ("inspect b.tar", 0, "NOT VERIFIED"),
    ] {
        eprintln!("bundle {arguments}");
        scene.bundle(arguments.split(' ')).ends_with(code).says(text);
    }
    scene
        .shell("BUNDLE_KEY_PASSPHRASE= $BUNDLE key generate --encrypt key-empty")
        .ends_with(2)
        .says("an empty passphrase protects nothing");
    scene
        .shell("setsid --wait $BUNDLE create nginx --key key-sealed -o x.tar")
        .ends_with(2)
        .says("taken from BUNDLE_KEY_PASSPHRASE");
    scene
        .shell("HTTPS_PROXY=::secret:: $BUNDLE create nginx --key key -o x.tar")
        .ends_with(2)
        .says("HTTPS_PROXY is not the address of a proxy");
    let files = scene.files();
    assert!(!files.iter().any(|name| name.contains("x.tar")), "{files:?}");
}

#[test]
fn an_unknown_tag_is_told_with_those_that_there_are() {
    let scene = Scene::with_images();
    let reference = format!("{}/team/multi:2", scene.source.host());
    scene
        .bundle(["create", &reference, "--key", "key", "-o", "x.tar"])
        .ends_with(4)
        .says("has no such image; there are the tags 1");
}

#[test]
fn a_lock_is_replaced_whole_or_goes_down_a_pipe() {
    let scene = Scene::with_images();
    let reference = format!("{}/team/multi:1", scene.source.host());
    let piped = scene.bundle(["lock", &reference, "-o", "-"]).succeeds().says("locked 1 artifact");
    assert!(piped.stdout.starts_with("# Written by `bundle lock`"), "{}", piped.stdout);
    std::fs::write(scene.path("victim"), "precious").unwrap();
    scene.shell("ln -s victim bundle.lock.new && ln -s victim l.lock.new").succeeds();
    for _ in 0..2 {
        scene.bundle(["lock", &reference]).succeeds();
    }
    assert_eq!(std::fs::read_to_string(scene.path("bundle.lock")).unwrap(), piped.stdout);
    assert_eq!(std::fs::read_to_string(scene.path("victim")).unwrap(), "precious");
    // A lock with a merge conflict is made again.
    std::fs::write(scene.path("bundle.lock"), format!("{}<<<<<<< ours\n", piped.stdout)).unwrap();
    scene.bundle(["lock", &reference]).succeeds();
    assert!(!scene.files().iter().any(|name| name.starts_with(".bundle")), "{:?}", scene.files());
}

#[test]
fn one_image_for_two_choices_of_platforms_is_told_with_both_places() {
    let scene = Scene::with_images();
    let wanted = |platform: &str| {
        let reference = format!("{}/team/multi:1", scene.source.host());
        format!("\n    images: [{{ref: '{reference}', platforms: [{platform}]}}]\n")
    };
    let (amd64, arm64) = (wanted("linux/amd64"), wanted("linux/arm64"));
    std::fs::write(scene.path("bundle.yaml"), format!("projects:\n  cache:{amd64}  platform:{arm64}"))
        .unwrap();
    scene.bundle(["create", "--key", "key", "-o", "x.tar"]).ends_with(2).says(
        "(bundle.yaml:5): it would be carried for linux/arm64 and, because of bundle.yaml:3, for linux/amd64",
    );
    std::fs::write(scene.path("bundle.yaml"), format!("projects:\n  cache:{amd64}  platform:{amd64}"))
        .unwrap();
    scene.bundle(["create", "--key", "key", "-o", "x.tar"]).succeeds();
}

#[test]
fn a_result_that_nobody_gets_is_no_success_and_words_to_nobody_are_no_harm() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.shell("$BUNDLE inspect b.tar >/dev/full").ends_with(1).says("the result cannot be written");
    scene.shell("$BUNDLE inspect b.tar --json >/dev/full").ends_with(1);
    scene.shell("$BUNDLE inspect b.tar | true").succeeds();
    scene.shell("$BUNDLE inspect missing.tar 2>/dev/full").ends_with(2);
    let reference = format!("{}/team/multi:1", scene.source.host());
    scene.shell(&format!("$BUNDLE create {reference} --key key -o c.tar 2>/dev/full")).succeeds();
    scene
        .shell(&format!("$BUNDLE create {reference} --key key --json -o - >/dev/null"))
        .says("\"statement\":");
}

#[test]
fn no_name_of_a_file_commands_a_terminal() {
    let scene = Scene::with_images();
    let b = scene.create("b.tar");
    let name = "\u{1b}[31m\u{202e}\n.tar";
    std::fs::copy(b, scene.path(name)).unwrap();
    std::fs::write(scene.path("\u{1b}.txt"), "no bundle").unwrap();
    std::fs::write(scene.path("\u{1b}.yaml"), "no: yaml").unwrap();
    for arguments in [
        vec!["verify", name, "--trust", "key.pub"],
        vec!["inspect", name],
        vec!["inspect", "\u{1b}.txt"],
        vec!["inspect", "\u{1b}"],
        vec!["verify", "\u{1b}.txt", "--trust", "key.pub"],
        vec!["verify", name, "--trust", "\u{1b}.yaml"],
        vec!["create", "nginx", "--key", "\u{1b}", "-o", "x.tar"],
        vec!["create", "nginx", "--key", "key", "-o", name],
        vec!["create", "-f", "\u{1b}.yaml", "--key", "key", "-o", "x.tar"],
    ] {
        let ran = scene.bundle(&arguments);
        let hostile = |text: &str| text.contains(['\u{1b}', '\u{202e}']);
        assert!(!hostile(&ran.stdout) && !hostile(&ran.stderr), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn on_a_terminal_the_result_has_a_line_of_its_own() {
    let scene = Scene::with_images();
    let reference = format!("{}/team/multi:1", scene.source.host());
    let create = format!("$BUNDLE create {reference} --key key -o b.tar");
    let transcript = scene.shell(&format!("script -qec '{create}' /dev/null")).succeeds().stdout;
    let result = transcript.split(['\n', '\r']).find(|line| line.contains("deduplicated")).unwrap();
    // The bar is taken off the screen first, with sequences of an escape, digits and a letter.
    let mut shown = result;
    while let Some(sequence) = shown.strip_prefix("\u{1b}[") {
        shown = sequence
            .trim_start_matches(|letter: char| !letter.is_ascii_alphabetic())
            .get(1..)
            .unwrap_or_default();
    }
    assert!(shown.starts_with(|first: char| first.is_ascii_digit()), "{transcript:?}");
}

#[test]
fn a_full_disk_is_found_before_anything_is_fetched() {
    let scene = Scene::empty();
    let big =
        bundle_test_servers::ImageSpec::oci().layer(bundle_test_servers::LayerSpec::new(1, 8 << 20)).build();
    scene.source.client().push("team/big", "1", &big).unwrap();
    let mount = scene.shell("mkdir small && mount -t tmpfs -o size=2m none small");
    if mount.code != Some(0) {
        bundle_test_needs::missing("the right to mount a small file system");
        return;
    }
    let reference = format!("{}/team/big:1", scene.source.host());
    let ran = scene.bundle(["create", &reference, "--key", "key", "-o", "small/b.tar"]);
    scene.shell("umount small").succeeds();
    ran.ends_with(1).says("MiB, and 2.0 MiB are free").says("make room");
}
