//! The findings of a scan on the page for approval: each image that deserves a look, and exceptions with their owners.
//! Takes the model, gives a section of the page; nothing without a scan.

use super::findings::{RowScan, verdicts_text};
use super::html::{cell, put, text};
use super::model::ReviewReport;

/// Findings that are named for an image.
const MOST_NAMED: usize = 5;

/// The verdict and the counts of an image, in its row.
pub(super) fn verdict(scan: &RowScan) -> String {
    let counts = scan.counts_text();
    let counts = if counts.is_empty() && scan.unrecognised { "no package known".to_owned() } else { counts };
    // A number stays beside its word.
    let counts = text(&counts).replace(' ', "&nbsp;").replace(",&nbsp;", ", ");
    format!("<span class=\"change {0}\">{0}</span> {counts}", text(&scan.verdict)).trim_end().to_owned()
}

impl ReviewReport {
    /// The section.
    pub(super) fn findings(&self, page: &mut String) {
        let Some(scan) = &self.scan else { return };
        page.push_str("<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n");
        put(page, format_args!("<p><strong>{}</strong></p>\n", text(&verdicts_text(&self.rows))));
        put(
            page,
            format_args!(
                "<p class=\"muted small\">All images of the bundle were {}. What is unchanged is listed, too: new \
                 databases know more of it.</p>\n",
                text(&scan.summary())
            ),
        );
        self.found_images(page);
        self.exceptions(page);
        page.push_str("</section>\n");
    }

    fn found_images(&self, page: &mut String) {
        let found = self.found();
        if found.is_empty() {
            page.push_str("<p>Nothing in the images speaks against them.</p>\n");
            return;
        }
        page.push_str("<table role=\"table\" class=\"changes\">\n<thead><tr role=\"row\">");
        for (head, class) in
            [("Image", ""), ("Verdict", " class=\"words\""), ("What speaks against it", " class=\"digest\"")]
        {
            put(page, format_args!("<th scope=\"col\" role=\"columnheader\"{class}>{head}</th>"));
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        for (row, scan) in found {
            put(
                page,
                format_args!(
                    "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\" class=\"name\">{}</th>",
                    text(&row.target())
                ),
            );
            cell(page, "", "Verdict", &verdict(scan));
            let notes: Vec<String> = scan.notes(MOST_NAMED).iter().map(|note| text(note)).collect();
            cell(page, "", "Against it", &notes.join("<br>"));
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody></table>\n");
    }

    fn exceptions(&self, page: &mut String) {
        let Some(scan) = self.scan.as_ref().filter(|it| !it.exceptions.is_empty() || !it.expired.is_empty())
        else {
            return;
        };
        page.push_str(
            "<h3>Exceptions</h3>\n<table role=\"table\" class=\"changes\">\n<thead><tr role=\"row\">",
        );
        for (head, class) in
            [("Vulnerability, images", ""), ("Last day", " class=\"words\""), ("Owner", ""), ("Reason", "")]
        {
            put(page, format_args!("<th scope=\"col\" role=\"columnheader\"{class}>{head}</th>"));
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        let used = scan.exceptions.iter().map(|used| {
            let mut images: Vec<String> = used.images.iter().map(|image| text(image)).collect();
            if used.images_more > 0 {
                images.push(format!("and {} more", used.images_more));
            }
            (&used.exception, images.join("<br>"), "")
        });
        let expired = scan.expired.iter().map(|it| (it, text(&it.image), " (over: it counts for nothing)"));
        for (exception, images, over) in used.chain(expired) {
            put(
                page,
                format_args!(
                    "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\" class=\"name\"><b>{}</b>\
                     <span class=\"why\">{images}</span></th>",
                    text(&exception.vulnerability)
                ),
            );
            cell(page, "", "Last day", &format!("{}{over}", text(&exception.expires)));
            cell(page, "", "Owner", &text(&exception.owner));
            cell(page, "", "Reason", &text(&exception.reason));
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody></table>\n");
        if scan.exceptions_more > 0 {
            put(page, format_args!("<p class=\"muted\">And {} more exceptions.</p>\n", scan.exceptions_more));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::testing::{report, scanned};

    #[test]
    fn each_image_has_its_verdict_and_each_exception_its_owner_and_its_last_day() {
        let page = scanned().html();
        let row = page.lines().find(|line| line.contains("<b>nginx</b>")).unwrap();
        assert!(
            row.contains("<span class=\"change blocked\">blocked</span> 1&nbsp;critical, 2&nbsp;medium, 1&nbsp;excepted"),
            "{row}"
        );
        let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}: {page}"));
        assert!(at("1 image is blocked by findings (high and graver blocks)") < at("id=\"changes\""));
        assert!(
            at("1 blocked, 1 failed, 0 warned, 1 allowed")
                < at("CVE-2026-1 critical in &lt;script&gt;ssl 3.0, mended in 3.1")
        );
        assert!(page.contains("the scan has nothing on it"));
        assert!(page.contains("<div>2026-12-31</div>") && page.contains("=owner &lt;b&gt;"));
        assert!(page.contains("2026-11-01 (over: it counts for nothing)"));
        assert!(!page.contains("<script") && !page.contains("CVE-2026-3"));
        assert!(!report().html().contains("indings"), "without a scan there is no word of one");
    }

    #[test]
    fn a_scan_that_nobody_signed_is_said_first() {
        let mut report = scanned();
        report.scan.as_mut().unwrap().signer = None;
        let page = report.html();
        let at = |part: &str| page.find(part).unwrap();
        assert!(at("NOT VERIFIED: no key was checked for the result of the scan") < at("class=\"headline\""));
    }
}
