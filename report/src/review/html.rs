//! A report for approval as one HTML page that needs nothing else: no script, no font, no picture from outside.
//! Takes the model, gives the page. Every text of the bundle is escaped here, for a terminal and for HTML.

use std::fmt::Write as _;

use bundle_oci::Html;

use super::html_findings::verdict;
use super::model::{ReviewReport, ReviewRow, is_of_signature, short, with_short_digests};
use super::written::ReviewForm;
use crate::Bytes;

/// Its look, on screens and on paper.
const STYLE: &str = include_str!("style.css");

/// So many images have a bar of their own; the others are one line.
const MOST_BARS: usize = 25;

/// So many licences of one image are in its row.
const MOST_LICENCES: usize = 6;

/// So many requesters of one image are in its row.
const MOST_REQUESTERS: usize = 3;

impl ReviewReport {
    /// The report as an HTML page. The same report is the same page, byte for byte.
    pub fn html(&self) -> String {
        let mut page = String::new();
        let title = text(&format!("Approval report: {}", self.title()));
        page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        // Should a text ever escape its escaping, the browser runs and loads nothing.
        page.push_str(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n",
        );
        page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        page.push_str("<meta name=\"referrer\" content=\"no-referrer\">\n");
        put(&mut page, format_args!("{}\n", ReviewForm::Html.mark(&text(&self.statement))));
        put(&mut page, format_args!("<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n"));
        page.push_str("<body>\n<a class=\"skip\" href=\"#changes\">Skip to the changes</a>\n");
        page.push_str("<div class=\"page\">\n");
        self.head(&mut page);
        page.push_str("<main>\n");
        self.changes(&mut page);
        self.findings(&mut page);
        self.sizes(&mut page);
        self.contents(&mut page);
        self.approval(&mut page);
        page.push_str("</main>\n");
        self.foot(&mut page);
        page.push_str("</div>\n</body>\n</html>\n");
        page
    }

    fn changes_title(&self) -> &'static str {
        if self.since.is_some() { "Changes" } else { "Images" }
    }

    fn head(&self, page: &mut String) {
        page.push_str("<header>\n<p class=\"kicker\">Approval report</p>\n");
        put(page, format_args!("<h1>{}</h1>\n", text(&self.title())));
        for warning in self.warnings() {
            put(page, format_args!("<p class=\"warning\" role=\"alert\">{}.</p>\n", text(&warning)));
        }
        put(page, format_args!("<p class=\"headline\"><strong>{}</strong></p>\n", text(&self.headline())));
        if let Some(since) = &self.since {
            put(
                page,
                format_args!(
                    "<p class=\"muted\">Compared with {}; {} unchanged.</p>\n",
                    text(&since.title()),
                    self.summary.unchanged
                ),
            );
        }
        let attention = self.attention();
        if !attention.is_empty() {
            page.push_str(
                "<section class=\"attention\" aria-labelledby=\"look\"><h2 id=\"look\">Look at</h2>\n<ul>\n",
            );
            attention.iter().for_each(|point| put(page, format_args!("<li>{}</li>\n", text(point))));
            page.push_str("</ul></section>\n");
        }
        page.push_str("<dl>\n");
        let mut fact =
            |name: &str, value: String| put(page, format_args!("<dt>{name}</dt><dd>{value}</dd>\n"));
        let mono = |value: &str| format!("<span class=\"mono\">{}</span>", text(value));
        fact("File", text(&self.file));
        fact("Statement", mono(&self.statement));
        let signers = self.signers.iter().map(|signer| {
            format!("{}<br><span class=\"mono\">{}</span>", text(&signer.name), text(&signer.fingerprint))
        });
        let signers: Vec<String> = signers.collect();
        fact("Signed by", if signers.is_empty() { "nobody known".to_owned() } else { signers.join("<br>") });
        fact("Created", text(&self.created));
        fact("Expires", self.expires.as_deref().map_or("never".to_owned(), text));
        if let Some(since) = &self.since {
            fact("Compared with", format!("{}<br>{}", text(&since.title()), mono(&since.digest)));
        }
        fact("Contents", text(&self.kinds()));
        fact("Size, plain", format!("{} in {} blobs", Bytes(self.blob_bytes), self.blobs));
        match self.compact_size {
            Some(compact) => fact("Size, compact", Bytes(compact).to_string()),
            None => fact("Size, compact", "not compact".to_owned()),
        }
        if let Some(bytes) = self.summary.dropped_bytes.filter(|_| self.since.is_some()) {
            fact("No longer used", Bytes(bytes).to_string());
        }
        if self.requires > 0 {
            let base: Vec<String> = self.base.iter().map(|base| text(&base.name)).collect();
            fact(
                "Delta",
                format!(
                    "the registry must have {} blobs ({}) from {}",
                    self.requires,
                    Bytes(self.required_bytes),
                    base.join(", ")
                ),
            );
        }
        if let Some(scan) = &self.scan {
            let by = match &scan.signer {
                Some(key) => format!("signed by {}", mono(key)),
                None => "not verified".to_owned(),
            };
            fact(
                "Scan",
                format!("{}<br>{} {}<br>{by}", text(&scan.summary()), text(&scan.file), mono(&scan.digest)),
            );
        }
        page.push_str("</dl>\n<nav aria-label=\"Sections\"><ul>\n");
        put(page, format_args!("<li><a href=\"#changes\">{}</a></li>\n", self.changes_title()));
        let findings = self.scan.as_ref().map(|_| ("findings", "Findings"));
        let others = [("sizes", "Sizes"), ("contents", "Contents"), ("approval", "Approval")];
        for (id, name) in findings.into_iter().chain(others) {
            put(page, format_args!("<li><a href=\"#{id}\">{name}</a></li>\n"));
        }
        page.push_str("</ul></nav>\n</header>\n");
    }

    fn changes(&self, page: &mut String) {
        put(
            page,
            format_args!(
                "<section aria-labelledby=\"changes\">\n<h2 id=\"changes\" tabindex=\"-1\">{}</h2>\n",
                self.changes_title()
            ),
        );
        let projects = self.changed_by_project();
        if projects.is_empty() {
            page.push_str("<p>Nothing differs.</p>\n");
        } else if self.since.is_some() {
            page.push_str(
                "<p class=\"muted small\">New bytes are those that the earlier one does not have; bytes that several \
                 images need count for each of them. What is gone is no longer in the bundle; an import deletes \
                 nothing.</p>\n",
            );
        }
        for (project, rows) in projects {
            put(page, format_args!("<h3>Project {}</h3>\n", text(project)));
            page.push_str("<table role=\"table\" class=\"changes\">\n<thead><tr role=\"row\">");
            let mut heads = vec![
                ("Image, requested by", ""),
                ("Change", " class=\"word\""),
                ("Platforms", " class=\"words\""),
            ];
            if self.since.is_none() {
                heads.remove(1);
            } else {
                heads.push(("New", " class=\"num\""));
            }
            heads.extend([
                ("Size", " class=\"num\""),
                ("Upstream signature", " class=\"words\""),
                ("SBOM, licences", " class=\"words\""),
            ]);
            if self.scan.is_some() {
                heads.push(("Findings", " class=\"words\""));
            }
            for (head, class) in heads {
                put(page, format_args!("<th scope=\"col\" role=\"columnheader\"{class}>{head}</th>"));
            }
            page.push_str("</tr></thead>\n<tbody>\n");
            rows.iter().for_each(|row| self.row(page, row));
            page.push_str("</tbody></table>\n");
        }
        page.push_str("</section>\n");
    }

    fn row(&self, page: &mut String, row: &ReviewRow) {
        page.push_str("<tr role=\"row\"><th scope=\"row\" role=\"rowheader\" class=\"name\">");
        put(
            page,
            format_args!(
                "<b>{}</b><span class=\"tags\">{}</span>",
                text(&row.repository),
                text(&row.tags("→"))
            ),
        );
        for lack in row.lacks.iter().filter(|lack| !is_of_signature(lack)) {
            put(page, format_args!("<span class=\"lacks\">{}</span>", text(lack)));
        }
        let mut why: Vec<String> =
            row.requested_by.iter().take(MOST_REQUESTERS).map(|why| text(why)).collect();
        if row.requested_by.len() > MOST_REQUESTERS {
            why.push(format!("and {} more", row.requested_by.len() - MOST_REQUESTERS));
        }
        if !why.is_empty() {
            put(page, format_args!("<span class=\"why\">{}</span>", why.join("<br>")));
        }
        page.push_str("</th>");
        if self.since.is_some() {
            let class = row.change.as_str();
            let word = if class == "attached" { "signatures or SBOMs" } else { class };
            put(
                page,
                format_args!(
                    "<td role=\"cell\" data-label=\"Change\"><span class=\"change {}\">{}</span></td>",
                    text(class),
                    text(word)
                ),
            );
        }
        let mut platforms = row.platforms.iter().map(|it| text(it)).collect::<Vec<_>>().join("<br>");
        for (class, word, list) in
            [("lost", "lost", &row.lost_platforms), ("gained", "gained", &row.gained_platforms)]
        {
            if !list.is_empty() {
                let _ =
                    write!(platforms, "<span class=\"{class}\">{word}: {}</span>", text(&list.join(", ")));
            }
        }
        cell(page, "", "Platforms", &platforms);
        if self.since.is_some() {
            let new = row.new_bytes.filter(|_| row.digest_after.is_some());
            cell(
                page,
                " class=\"num\"",
                "New",
                &new.map(|bytes| Bytes(bytes).to_string()).unwrap_or_default(),
            );
        }
        cell(page, " class=\"num\"", "Size", &Bytes(row.size).to_string());
        let marked = |word: String, none: bool| match none {
            true => format!("<span class=\"none\">{word}</span>"),
            false => word,
        };
        let is_image = row.kind.as_deref().is_none_or(|kind| kind == "image");
        let signature = row.signature().map(|word| {
            let none = (word == "none" && is_image) || word.starts_with("not verified");
            marked(text(&with_short_digests(&word)), none)
        });
        cell(page, "", "Signature", &signature.unwrap_or_default());
        let mut sbom = row.sbom().unwrap_or_default().to_owned();
        let licences = row.licences.iter().flat_map(|licences| licences.words(MOST_LICENCES));
        let licences = licences.map(|word| text(&word)).collect::<Vec<_>>().join(", ");
        if !licences.is_empty() {
            let _ = write!(sbom, "<span class=\"why\">{licences}</span>");
        }
        cell(page, "", "SBOM", &sbom);
        if self.scan.is_some() {
            cell(page, "", "Findings", &row.scan.as_ref().map(verdict).unwrap_or_default());
        }
        page.push_str("</tr>\n");
    }

    fn sizes(&self, page: &mut String) {
        page.push_str("<section aria-labelledby=\"sizes\">\n<h2 id=\"sizes\">Sizes</h2>\n");
        let costs = self.costs();
        let (Some(largest), false) = (costs.first().map(|cost| cost.size), self.blob_bytes == 0) else {
            page.push_str("<p>The sizes of images are not known.</p>\n</section>\n");
            return;
        };
        let own: u64 = costs.iter().map(|cost| cost.own).sum();
        let shared = self.blob_bytes.saturating_sub(own);
        let of_all = |bytes: u64| percent(bytes, self.blob_bytes);
        put(
            page,
            format_args!(
                "<svg class=\"bar whole\" role=\"img\" aria-label=\"{} belong to one image each, {} to several\">\
                 <rect class=\"own\" width=\"{}%\" height=\"100%\"/><rect class=\"shared\" x=\"{}%\" width=\"{}%\" height=\"100%\"/></svg>\n",
                Bytes(own),
                Bytes(shared),
                of_all(own),
                of_all(own),
                of_all(shared)
            ),
        );
        put(
            page,
            format_args!(
                "<p class=\"legend\"><span>{}{} alone: without the image, the bundle is smaller by so much</span>\
                 <span>{}{} shared with other images</span></p>\n",
                key("own"),
                Bytes(own),
                key("shared"),
                Bytes(shared)
            ),
        );
        page.push_str("<table role=\"table\" class=\"sizes\">\n<thead><tr role=\"row\">");
        for (head, class) in [
            ("Image", ""),
            ("", " class=\"pic\""),
            ("Alone", " class=\"num\""),
            ("Shared", " class=\"num\""),
            ("Size", " class=\"num\""),
        ] {
            let name =
                if head.is_empty() { "<span class=\"muted\">Share of the largest</span>" } else { head };
            put(page, format_args!("<th scope=\"col\" role=\"columnheader\"{class}>{name}</th>"));
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        for cost in costs.iter().take(MOST_BARS) {
            let (own, shared) = (cost.own, cost.size.saturating_sub(cost.own));
            put(
                page,
                format_args!(
                    "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\" class=\"name\">{}",
                    text(&cost.name)
                ),
            );
            if cost.names > 1 {
                put(
                    page,
                    format_args!(
                        "<span class=\"why\">and {} more names of the same content</span>",
                        cost.names - 1
                    ),
                );
            }
            put(
                page,
                format_args!(
                    "</th><td role=\"cell\"><svg class=\"bar\" aria-hidden=\"true\"><rect class=\"own\" width=\"{}%\" height=\"100%\"/>\
                     <rect class=\"shared\" x=\"{}%\" width=\"{}%\" height=\"100%\"/></svg></td>",
                    percent(own, largest),
                    percent(own, largest),
                    percent(shared, largest)
                ),
            );
            for (label, bytes) in [("Alone", own), ("Shared", shared), ("Size", cost.size)] {
                cell(page, " class=\"num\"", label, &Bytes(bytes).to_string());
            }
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody></table>\n");
        if costs.len() > MOST_BARS {
            let rest: u64 = costs[MOST_BARS..].iter().map(|cost| cost.own).sum();
            put(
                page,
                format_args!(
                    "<p class=\"muted\">{} smaller ones have {} alone together.</p>\n",
                    costs.len() - MOST_BARS,
                    Bytes(rest)
                ),
            );
        }
        page.push_str("</section>\n");
    }

    fn contents(&self, page: &mut String) {
        page.push_str("<section aria-labelledby=\"contents\">\n<h2 id=\"contents\">Contents</h2>\n");
        page.push_str(
            "<p class=\"muted small\">Everything that an import of this bundle writes, with whole digests. Signatures, \
             attestations and SBOMs stand below what they are attached to.</p>\n",
        );
        page.push_str("<table role=\"table\" class=\"changes\">\n<thead><tr role=\"row\">");
        let word = if self.since.is_some() { "Change" } else { "Kind" };
        for (head, class) in
            [("Target", ""), (word, " class=\"word\""), ("Digest and source", " class=\"digest\"")]
        {
            put(page, format_args!("<th scope=\"col\" role=\"columnheader\"{class}>{head}</th>"));
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            let Some(digest) = &row.digest_after else { continue };
            put(
                page,
                format_args!(
                    "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\" class=\"name\">{}</th>",
                    text(&row.target())
                ),
            );
            let (label, word) = match self.since {
                Some(_) => ("Change", row.change.as_str()),
                None => ("Kind", row.kind.as_deref().unwrap_or_default()),
            };
            put(
                page,
                format_args!(
                    "<td role=\"cell\" data-label=\"{label}\"><span class=\"small {}\">{}</span></td>",
                    text(&row.change),
                    text(word)
                ),
            );
            let mut whole = format!("<span class=\"mono\">{}</span>", text(digest));
            if let Some(source) = &row.source {
                let _ = write!(whole, "<span class=\"why\">from {}</span>", text(source));
            }
            for attached in row.attached.iter().flatten() {
                let _ = write!(
                    whole,
                    "<span class=\"why\">{} <span class=\"mono\">{}</span></span>",
                    text(&attached.kind),
                    text(&attached.digest)
                );
            }
            if row.attached_more > 0 {
                let _ = write!(whole, "<span class=\"why\">and {} more attached</span>", row.attached_more);
            }
            put(page, format_args!("<td role=\"cell\" class=\"digest\"><div>{whole}</div></td></tr>\n"));
        }
        page.push_str("</tbody></table>\n</section>\n");
    }

    fn approval(&self, page: &mut String) {
        page.push_str(
            "<section class=\"approval\" aria-labelledby=\"approval\">\n<h2 id=\"approval\">Approval</h2>\n",
        );
        page.push_str(
            "<div class=\"form\"><div class=\"wide choice\"><b><i class=\"box\"></i>Approved</b>\
             <b><i class=\"box\"></i>Approved with conditions</b><b><i class=\"box\"></i>Rejected</b></div>\n\
             <div><span>Ticket</span></div><div><span>Date</span></div>\
             <div><span>Name</span></div><div><span>Signature</span></div>\
             <div class=\"wide\"><span>Remarks</span></div></div>\n",
        );
        put(
            page,
            format_args!(
                "<p>To approve with a key, sign the bundle together with this report. The command hashes every byte of \
                 the bundle first, and <code>bundle verify</code> then names this report and its digest:</p>\n\
                 <pre>bundle sign {} --key KEY --trust TRUST --report REPORT</pre>\n</section>\n",
                text(&quoted_for_shell(&self.file))
            ),
        );
    }

    fn foot(&self, page: &mut String) {
        let checked = match self.verified {
            true => {
                "Checked: the signature, the frame and the manifests. The content is hashed by bundle verify, \
                     bundle sign and bundle import"
            }
            false => "Checked: nothing but the form",
        };
        put(
            page,
            format_args!(
                "<footer><p class=\"muted small\">Made by bundle {} from the statement {}. {checked}.</p></footer>\n",
                env!("CARGO_PKG_VERSION"),
                text(&short(&self.statement)),
            ),
        );
    }

    /// What each content costs, the most expensive first. Names of one digest are one content.
    fn costs(&self) -> Vec<Cost> {
        let mut costs: std::collections::BTreeMap<&str, Cost> = std::collections::BTreeMap::new();
        for row in &self.rows {
            let (Some(digest), Some(own)) = (&row.digest_after, row.own_size) else { continue };
            let tag = row.tag_after.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let cost = costs.entry(digest).or_insert_with(|| Cost {
                name: format!("{}{tag}", row.name()),
                names: 0,
                own,
                size: row.size,
            });
            cost.names += 1;
        }
        let mut costs: Vec<Cost> = costs.into_values().collect();
        costs.sort_by(|one, other| (other.size, other.own, &one.name).cmp(&(one.size, one.own, &other.name)));
        costs
    }
}

/// The sizes of one content.
struct Cost {
    name: String,
    names: usize,
    own: u64,
    size: u64,
}

pub(super) fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = page.write_fmt(text);
}

pub(super) fn cell(page: &mut String, class: &str, label: &str, html: &str) {
    if html.is_empty() {
        put(page, format_args!("<td role=\"cell\"{class}></td>"));
    } else {
        put(page, format_args!("<td role=\"cell\"{class} data-label=\"{label}\"><div>{html}</div></td>"));
    }
}

/// A square of the picture's colour.
fn key(class: &str) -> String {
    format!(
        "<svg class=\"key\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"100%\" height=\"100%\"/></svg>"
    )
}

/// Per cent with one decimal, at most 100.
fn percent(part: u64, whole: u64) -> String {
    format!("{:.1}", (part as f64 * 100.0 / whole.max(1) as f64).min(100.0))
}

/// Untrusted text in HTML, between tags and in attributes with double quotes.
pub(super) fn text(untrusted: &str) -> String {
    Html(untrusted).to_string()
}

/// A file's name as one word of a command line.
fn quoted_for_shell(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@%+".contains(c);
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::testing::report;
    use super::*;

    #[test]
    fn no_text_of_a_bundle_is_markup() {
        let page = report().html();
        for hostile in ["<script", "<b>\u{202e}", "\u{202e}"] {
            assert!(!page.contains(hostile), "{hostile}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.contains("incomplete: &lt;b&gt;\\u{202e}x"));
    }

    #[test]
    fn a_page_needs_nothing_from_outside_and_is_the_same_each_time() {
        let page = report().html();
        assert_eq!(page, report().html());
        for word in ["http://", "https://", "url(", "@import", "<script", "<link", "<img", "src="] {
            assert!(!page.replace("&quot;http://x", "").contains(word), "{word}");
        }
    }

    #[test]
    fn old_and_new_tag_are_in_one_row_and_what_was_lost_is_beside_them() {
        let page = report().html();
        let row = page.lines().find(|line| line.contains("<b>nginx</b>")).unwrap();
        for part in [
            "1.27.0 → 1.27.1",
            "lost: linux/arm64",
            "updated",
            "carried, not checked",
            "bundle.yaml:3",
            "2.0 MiB",
            "yes<span class=\"why\">MIT, &lt;b&gt;a|b, none for 1 of 5 packages</span>",
        ] {
            assert!(row.contains(part), "{part}: {row}");
        }
        assert!(page.contains("1 updated, 1 new, 1 gone, 2.4 MiB"));
        assert_eq!(page.matches("<b>same</b>").count(), 0, "what is unchanged is under Contents only");
        assert!(page.contains("cache/same:1"));
    }

    #[test]
    fn names_of_one_content_are_one_bar() {
        let report = report();
        assert_eq!(report.costs().len(), 1);
        assert_eq!(report.costs()[0].names, 3);
        assert_eq!((percent(1, 3), percent(5, 0)), ("33.3".to_owned(), "100.0".to_owned()));
    }

    #[test]
    fn a_command_line_can_be_copied_with_any_file_name() {
        assert_eq!(quoted_for_shell("nightly-1.tar"), "nightly-1.tar");
        assert_eq!(quoted_for_shell("a b';x"), "'a b'\\'';x'");
    }
}
