//! `bundle diff` in the terminal: the same model as the report, as a table.
//! Takes two bundles of one stream; gives what it says of them, in either order.

use super::nights::Nights;

#[test]
fn a_difference_is_a_table_with_one_row_for_old_and_new_tag() {
    let nights = Nights::new();
    let ran = nights.scene.bundle(["diff", "monday.tar", "tuesday.tar", "--trust", "key.pub"]).succeeds();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let head = lines.iter().position(|line| line.starts_with("CHANGE ")).unwrap();
    for (name, column) in ["IMAGE", "TAG", "NEW", "SIZE", "PLATFORMS"].iter().zip(1..) {
        assert_eq!(lines[head].split_whitespace().nth(column), Some(*name), "{}", lines[head]);
    }
    let web = lines.iter().position(|line| line.contains("1.27.0 -> 1.27.1")).unwrap();
    assert!(lines[web].starts_with("updated "), "{}", lines[web]);
    assert!(lines[web].ends_with("linux/amd64"), "{}", lines[web]);
    assert_eq!(lines[web + 1].trim(), "lost platforms: linux/arm64");
    for (change, part) in [("gone", "/team/cache"), ("new", "platform/big"), ("new", "platform/app")] {
        assert!(
            lines.iter().any(|line| line.starts_with(&format!("{change} ")) && line.contains(part)),
            "{change} {part}: {}",
            ran.stdout
        );
    }
    assert!(
        !ran.stdout.contains("NOT VERIFIED") && !ran.stdout.contains("platform/signed"),
        "{}",
        ran.stdout
    );
    assert!(lines.last().unwrap().starts_with("1 updated, 3 new, 1 gone, 1 unchanged; "), "{}", ran.stdout);
    let json = nights.scene.bundle(["diff", "monday.tar", "tuesday.tar", "--json"]).succeeds().json();
    assert_eq!(json["summary"]["updated"], 1);
    assert_eq!(json["rows"].as_array().unwrap().len(), 5);
}

#[test]
fn the_later_bundle_named_first_is_noticed() {
    let nights = Nights::new();
    let turned = nights.scene.bundle(["diff", "tuesday.tar", "monday.tar"]).succeeds();
    assert!(turned.stderr.contains("the first file is the later one"), "{}", turned.stderr);
    assert!(turned.stdout.contains("gained platforms: linux/arm64"), "{}", turned.stdout);
    let right = nights.scene.bundle(["diff", "monday.tar", "tuesday.tar"]).succeeds();
    assert!(!right.stderr.contains("the later one"), "{}", right.stderr);
    nights
        .scene
        .bundle(["report", "monday.tar", "--since", "tuesday.tar", "--trust", "key.pub"])
        .succeeds()
        .says("BACKWARDS");
}
