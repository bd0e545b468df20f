//! Compares the memory of parsed manifests, as the system counts it (`VmRSS`), with [`Manifest::weight`]: a
//! reader with a budget cannot keep to it if the estimate is too small. Takes manifests of each shape that is
//! small in bytes and large in memory; alone in its program, so that nothing else takes memory meanwhile.

use bundle_oci::{Manifest, MediaType};

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// A manifest of as many of these as fit into 4 MiB, and no more than are read.
fn filled(before: &str, each: impl Fn(usize) -> String, after: &str) -> String {
    let mut text = before.to_owned();
    for at in 0..99_000 {
        let next = each(at);
        if text.len() + next.len() + after.len() + 1 > Manifest::LARGEST {
            break;
        }
        if at > 0 {
            text.push(',');
        }
        text.push_str(&next);
    }
    text + after
}

#[test]
fn no_manifest_takes_more_memory_than_its_weight() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let config = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":2}}"#);
    let image = format!(r#"{{"schemaVersion":2,"config":{config},"layers":["#);
    let annotated = format!(r#"{{"schemaVersion":2,"config":{config},"subject":{config},"annotations":{{"#);
    let index = r#"{"schemaVersion":2,"manifests":["#;
    let child = format!(r#""mediaType":"{}","digest":"{digest}","size":2"#, MediaType::IMAGE_MANIFEST);
    let layer = |media_type: &str, more: &str| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":2{more}}}"#)
    };
    let (images, indexes) = (MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX);
    let common = "application/vnd.oci.image.layer.v1.tar";
    let (noted, addressed) = (r#","annotations":{"":""}"#, r#","urls":["a","b","c"]"#);
    let versioned = |at: usize| {
        let platform = r#""os":"a","architecture":"b","variant":"c","os.version":"#;
        format!(r#"{{{child},"platform":{{{platform}"{at}"}}}}"#)
    };
    for (shape, media_type, text) in [
        ("layers", images, filled(&image, |_| layer(common, ""), "]}")),
        ("layers of odd types", images, filled(&image, |at| layer(&format!("a/b{at}"), ""), "]}")),
        ("layers with one annotation", images, filled(&image, |_| layer("a/b", noted), "]}")),
        ("layers with addresses", images, filled(&image, |_| layer("a/b", addressed), "]}")),
        ("annotations", images, filled(&annotated, |at| format!(r#""{at}kkkkkkkkkkk":"""#), "}}")),
        ("children", indexes, filled(index, |_| format!("{{{child}}}"), "]}")),
        ("children with platforms", indexes, filled(index, versioned, "]}")),
    ] {
        let media_type: MediaType = media_type.parse().unwrap();
        // The first leaves room behind that the others use.
        let first = Manifest::parse(text.as_bytes(), &media_type).unwrap();
        let before = resident();
        let kept: Vec<Manifest> =
            (0..4).map(|_| Manifest::parse(text.as_bytes(), &media_type).unwrap()).collect();
        let took = resident().saturating_sub(before);
        let said: u64 = kept.iter().map(|manifest| manifest.weight() + size_of::<Manifest>() as u64).sum();
        println!(
            "{shape}: {} bytes, {} MiB for four, and they say {} MiB",
            text.len(),
            took >> 20,
            said >> 20
        );
        // Temporary memory of parsing leaves holes.
        assert!(took <= said + said / 10 + (8 << 20), "{shape}: {took} bytes, and {said} are said");
        assert!(said < 400 << 20, "{shape}: the estimate is of no use");
        drop((first, kept));
    }
}
