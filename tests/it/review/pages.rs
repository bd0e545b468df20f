//! The page for approval in a real browser: on a phone, on a screen and on paper.
//! Takes the report of two real bundles; gives what people see. The pictures stay in the build's directory.

use super::nights::Nights;
use crate::browser::Browser;

/// A phone, and a screen.
const WIDTHS: [u32; 2] = [375, 1280];

#[test]
fn the_page_for_approval_is_readable_on_a_phone_on_a_screen_and_on_paper() {
    let Some(browser) = Browser::find() else { return };
    let nights = Nights::new();
    let page = nights.written("report.html");
    for width in WIDTHS {
        browser.picture(&page, (width, 3000), &format!("report-{width}"));
        let looks = browser.looks(&page, width);
        assert_eq!(looks.width, f64::from(width));
        looks.are_readable();
        let row = |words: &[&str]| {
            let fits = |row: &&String| words.iter().all(|word| row.contains(word));
            let found = looks.rows.iter().find(fits);
            found.unwrap_or_else(|| panic!("{width}: no row has {words:?}: {:#?}", looks.rows))
        };
        row(&["web", "1.27.0 → 1.27.1", "updated", "linux/amd64", "lost: linux/arm64"]);
        row(&["cache", "7.2", "gone"]);
        row(&["a-name-that-goes-on-", "2026.11.24-build.1234", "new"]);
        row(&["big", "new", "882.3 KiB"]);
        row(&["app", "1.0.0", "new"]);
        row(&["signed:1", "unchanged", "sha256:"]);
        assert!(looks.colours.len() >= 4, "{:?}", looks.colours);
        assert_eq!(
            looks.stops,
            ["Skip to the changes", "Changes", "Sizes", "Contents", "Approval"],
            "the Tab key goes through the page from its top to its end"
        );
    }
    let sheets = browser.print(&page, "report");
    assert!((1..=4).contains(&sheets), "{sheets}");
}

#[test]
fn a_thousand_images_fit_on_a_phone_and_on_paper() {
    let Some(browser) = Browser::find() else { return };
    let nights = Nights::new();
    let page = nights.written("report.html");
    // The rows of the real report, many times.
    let (before, rest) = page.split_once("<tbody>\n").unwrap();
    let (rows, after) = rest.split_once("</tbody>").unwrap();
    let many =
        format!("{before}<tbody>\n{}</tbody>{after}", rows.repeat(1000 / rows.matches("<tr").count() + 1));
    let looks = browser.looks(&many, WIDTHS[0]);
    assert!(looks.scroll_width <= looks.width && looks.outside.is_empty(), "{:?}", looks.outside);
    assert!(looks.rows.len() > 1000);
    let sheets = browser.print(&many, "many");
    assert!(sheets > 10, "{sheets}");
}
