//! The page for people at the root of `bundle serve`.
//! Takes served bundles; reads the page as a browser without script gets it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bundle_test_servers::{Check, Client, Response};

use crate::browser::Browser;
use crate::scene::Scene;
use crate::serve::served::Served;

fn page(client: &Client, path: &str) -> String {
    let response: Response = client.get(path).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = response.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let text = response.text();
    assert!(
        !text.contains("<script")
            && !text.contains("src=")
            && !text.contains("http:")
            && !text.contains("https:"),
        "{text}"
    );
    text
}

#[test]
fn the_root_shows_each_bundle_and_how_each_image_is_pulled() {
    let (scene, served) = Served::all_images();
    let text = page(&served.client(), "/");
    let (host, source) = (served.host(), scene.source.host().replace(':', "_"));
    for promised in [
        format!("<h1>Bundles on {host}</h1>"),
        "1 bundle: 3 images, 1 chart, ".to_owned(),
        "b.tar</td>".to_owned(),
        "key.pub".to_owned(),
        ">readable<".to_owned(),
        format!("docker pull {host}/cache/{source}/team/multi:1\n"),
        format!("ctr image pull --plain-http {host}/cache/{source}/team/multi:1\n"),
        format!("crictl pull {host}/cache/{source}/team/multi:1<"),
        format!("helm pull oci://{host}/cache/{source}/charts/app --version 1.0.0 --plain-http<"),
        "linux/amd64, linux/arm64".to_owned(),
        "signature, sbom".to_owned(),
    ] {
        assert!(text.contains(&promised), "{promised} in {text}");
    }
    // Signatures are in the row of their image.
    assert!(!text.contains(".sig"), "{text}");
    assert!(text.contains(">0 of "), "{text}");
    served.client().check_complete(Check::Hash).unwrap();
    assert!(!page(&served.client(), "/").contains(">0 of "), "blobs that were read are verified");
}

#[test]
fn a_search_and_its_pages_give_each_image_once_without_a_script() {
    let (_scene, served) = Served::all_images();
    let found = page(&served.client(), "/?q=TEAM+sign");
    assert!(found.contains("1 to 1 of 1 for") && found.contains("team/signed:1"), "{found}");
    assert!(!found.contains("team/multi:1"), "{found}");
    let (mut path, mut names) = ("/?n=1".to_owned(), Vec::new());
    loop {
        let text = page(&served.client(), &path);
        assert_eq!(text.matches("<summary>").count(), 1, "{text}");
        let name = text.split("class=\"name\">").nth(2).unwrap().split('\n').next().unwrap();
        names.push(name.rsplit_once('/').unwrap().1.to_owned());
        let Some((front, _)) = text.split_once("\" rel=\"next\"") else { break };
        path = front.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&").replace("#images", "");
    }
    assert_eq!(names, ["app:1.0.0", "docker:1", "multi:1", "signed:1"]);
    let nothing = page(&served.client(), "/?q=no-such-image");
    assert!(nothing.contains("Nothing was found"), "{nothing}");
}

#[test]
fn what_a_visitor_sends_is_text_and_never_markup() {
    let (_scene, served) = Served::all_images();
    let text = page(&served.client(), "/?q=%22%3E%3Cb%3Ehello&last=%3Ci%3E&n=0");
    assert!(text.contains("&quot;&gt;&lt;b&gt;hello") && !text.contains("<b>"), "{text}");
    // A name of a host that can be none is not repeated.
    let mut stream = TcpStream::connect(served.host()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\"><b>\r\nConnection: close\r\n\r\n").unwrap();
    let mut raw = String::new();
    stream.read_to_string(&mut raw).unwrap();
    assert!(raw.contains("Bundles on REGISTRY") && !raw.contains("<b>"), "{raw}");
    let head = served.client().head("/").unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn who_needs_a_password_to_pull_needs_it_for_the_page() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.shell("htpasswd -cbB -C 4 users node one 2>/dev/null").succeeds();
    let served = Served::with(&scene, &["b.tar", "--trust", "key.pub", "--auth", "users"]);
    assert_eq!(served.client().get("/").unwrap().status, 401);
    let text = page(&served.client().with_basic("node", "one"), "/");
    assert!(text.contains(&format!("docker login {}", served.host())), "{text}");
    assert!(text.contains("ctr image pull --plain-http --user USER:PASSWORD "), "{text}");
}

#[test]
fn the_page_is_readable_on_a_phone_on_a_screen_and_on_paper() {
    let Some(browser) = Browser::find() else { return };
    let (scene, served) = Served::all_images();
    let html = page(&served.client(), "/");
    for width in [375, 1280] {
        browser.picture(&html, (width, 2000), &format!("serve-{width}"));
        let looks = browser.looks(&html, width);
        assert_eq!(looks.width, f64::from(width));
        looks.are_readable();
        for words in [
            ["b.tar", "key.pub", "readable"],
            ["team/multi:1", "linux/amd64, linux/arm64", "KiB"],
            ["charts/app:1.0.0", "chart", "B"],
        ] {
            let fits = |row: &String| words.iter().all(|word| row.contains(word));
            assert!(looks.rows.iter().any(fits), "{width}: no row has {words:?}: {:#?}", looks.rows);
        }
        let each = ["How to pull it"; 4];
        let (before, after) = (["Skip to the images"], ["/metrics"]);
        let search = ["Part of a name, of a tag, of a digest or of where it came from", "Search"];
        assert_eq!(looks.stops, [&before[..], &search, &each, &after].concat());
    }
    // With all commands open, and for a name that goes on and on.
    let host = scene.source.host().replace(':', "_");
    let long = html.replace("<details>", "<details open>").replace(&host, &"a-name-that-goes-on-".repeat(9));
    browser.picture(&long, (375, 3000), "serve-open-375");
    browser.looks(&long, 375).are_readable();
    assert_eq!(browser.print(&html, "serve"), 1);
}
