//! The page for people at the root: which bundles are served, how their media are, and what can be pulled, with the
//! commands for it. Takes the shelf and a search; gives HTML that needs no script and nothing from elsewhere.

use std::fmt::Write as _;

use bundle_format::Kind;
use bundle_oci::{ByteCount, Html, Registry};
use url::form_urlencoded;

use crate::limits::PAGE_ROWS;
use crate::offer::{Found, Offer};
use crate::proof::State;
use crate::route::Query;
use crate::shelf::{Held, Shelf};

const STYLE: &str = include_str!("page.css");

/// So many notes are of use to a reader.
const NOTES: usize = 20;

/// How the visitor came in, which commands must do, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    /// The server speaks TLS.
    pub(crate) tls: bool,
    /// The visitor had to give a password.
    pub(crate) login: bool,
}

/// What the page shows.
pub(crate) struct Page<'a> {
    pub(crate) shelf: &'a Shelf,
    pub(crate) query: &'a Query,
    /// The host by which the visitor calls this server, if that can be one.
    pub(crate) host: Option<Registry>,
    pub(crate) door: Door,
}

impl Page<'_> {
    /// What a browser may do with the page: should a name ever escape its escaping, nothing runs and nothing loads.
    pub(crate) const POLICY: &'static str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'";

    /// The page.
    pub(crate) fn html(&self) -> String {
        let mut page = String::new();
        let host = self.host();
        put(
            &mut page,
            format_args!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <title>Bundles on {host}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
                 <a class=\"skip\" href=\"#images\">Skip to the images</a>\n<main>\n<header>\n\
                 <h1>Bundles on {host}</h1>\n",
                host = Html(&host)
            ),
        );
        put(&mut page, format_args!("<p class=\"soft\">{}</p>\n</header>\n", self.summary()));
        self.bundles(&mut page);
        self.offers(&mut page);
        page.push_str(
            "<footer class=\"small soft\"><p>This registry can only be read. Its numbers for Prometheus: \
             <a href=\"/metrics\">/metrics</a>.</p></footer>\n</main>\n</body>\n</html>\n",
        );
        page
    }

    fn host(&self) -> String {
        self.host.as_ref().map_or_else(|| "REGISTRY".to_owned(), |host| host.as_str().to_owned())
    }

    fn summary(&self) -> String {
        let catalog = &self.shelf.catalog;
        let kinds: Vec<_> =
            catalog.offers().kinds().into_iter().map(|(kind, count)| counted(count, kind.as_str())).collect();
        let (blobs, bytes) = catalog.size();
        let bundles = counted(self.shelf.bundles().len(), "bundle");
        format!("{bundles}: {}{} in {}", list(&kinds), ByteCount(bytes), counted(blobs, "blob"))
    }

    fn bundles(&self, page: &mut String) {
        page.push_str("<section aria-labelledby=\"bundles\">\n<h2 id=\"bundles\">Bundles</h2>\n");
        if self.shelf.bundles().is_empty() {
            page.push_str("<p>No bundle is served now.</p>\n</section>\n");
            return;
        }
        page.push_str("<table role=\"table\">\n");
        heads(page, &["Bundle", "Stream", "Created", "Signed by", "Medium", "Blobs verified"]);
        for held in self.shelf.bundles() {
            row(page, held);
        }
        page.push_str(
            "</tbody>\n</table>\n<p class=\"small soft\">Signatures and manifests were verified before a bundle was \
             served. A layer is verified when it is first read, and no layer is ever served to its end that is not \
             the signed one.</p>\n",
        );
        let notes = self.shelf.catalog.notes();
        if !notes.is_empty() {
            page.push_str("<ul>\n");
            notes
                .iter()
                .take(NOTES)
                .for_each(|note| put(page, format_args!("<li>{}</li>\n", Html(&note.to_string()))));
            page.push_str("</ul>\n");
        }
        page.push_str("</section>\n");
    }

    fn offers(&self, page: &mut String) {
        let words = self.query.q.as_deref().unwrap_or_default();
        let most = self.query.n.unwrap_or(usize::MAX).clamp(1, PAGE_ROWS);
        let found = self.shelf.catalog.offers().search(words, self.query.last.as_deref(), most);
        put(
            page,
            format_args!(
                "<section aria-labelledby=\"images\">\n<h2 id=\"images\" tabindex=\"-1\">Images and charts</h2>\n\
                 <form role=\"search\" action=\"/\" method=\"get\">\n\
                 <label for=\"q\">Part of a name, of a tag, of a digest or of where it came from</label>\n\
                 <input id=\"q\" name=\"q\" type=\"search\" maxlength=\"200\" value=\"{}\">\n\
                 <button>Search</button>\n</form>\n",
                Html(words)
            ),
        );
        put(page, format_args!("<p role=\"status\">{}</p>\n", shown(&found, words)));
        if self.door.login {
            let login = format!("docker login {}", self.host());
            put(page, format_args!("<p>Log in first: <code>{}</code></p>\n", Html(&login)));
        }
        if !found.offers.is_empty() {
            page.push_str("<table role=\"table\">\n");
            heads(page, &["Name", "Kind", "Platforms", "Attached", "Size"]);
            for (name, offer) in &found.offers {
                self.offer(page, name, offer);
            }
            page.push_str("</tbody>\n</table>\n");
        }
        let place = found.before + found.offers.len();
        let next = found.offers.last().filter(|_| place < found.total).map(|(name, _)| *name);
        if found.before > 0 || next.is_some() {
            page.push_str("<nav aria-label=\"Pages\">");
            if found.before > 0 {
                put(page, format_args!("<a href=\"{}\">First page</a>", self.link(words, None)));
            }
            if let Some(next) = next {
                put(
                    page,
                    format_args!("<a href=\"{}\" rel=\"next\">Next page</a>", self.link(words, Some(next))),
                );
            }
            page.push_str("</nav>\n");
        }
        page.push_str("</section>\n");
    }

    fn link(&self, words: &str, last: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !words.is_empty() {
            query.append_pair("q", words);
        }
        if let Some(n) = self.query.n {
            query.append_pair("n", &n.to_string());
        }
        if let Some(last) = last {
            query.append_pair("last", last);
        }
        format!("/?{}#images", query.finish().replace('&', "&amp;"))
    }

    fn offer(&self, page: &mut String, name: &str, offer: &Offer) {
        let platforms: Vec<String> = offer.platforms.iter().map(ToString::to_string).collect();
        let attached: Vec<&str> =
            self.shelf.catalog.offers().attached(offer.digest).iter().map(|kind| kind.as_str()).collect();
        let commands: Vec<String> =
            self.commands(offer).iter().map(|command| Html(command).to_string()).collect();
        let bundle = self.shelf.bundles().get(offer.bundle as usize).map_or("", |held| file(held));
        put(
            page,
            format_args!(
                "<tr role=\"row\"><td role=\"cell\" class=\"name\">{}\n<details><summary>How to pull it</summary>\
                 <pre>{}</pre>\n<p class=\"small soft\">{}<br>from {}, in {}</p></details></td>",
                Html(name),
                commands.join("\n"),
                Html(&offer.digest.to_string()),
                Html(&offer.source),
                Html(bundle)
            ),
        );
        cell(page, "Kind", "", offer.kind.as_str());
        cell(page, "Platforms", "", &dash(platforms.join(", ")));
        cell(page, "Attached", "", &dash(attached.join(", ")));
        cell(page, "Size", "num", &ByteCount(offer.size).to_string());
        page.push_str("</tr>\n");
    }

    /// The commands that pull an offer, one a line.
    fn commands(&self, offer: &Offer) -> Vec<String> {
        let repository = format!("{}/{}", self.host(), offer.repository);
        let name = match &offer.tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => format!("{repository}@{}", offer.digest),
        };
        let plain = |flag: &'static str| if self.door.tls { "" } else { flag };
        let user = |flag: &'static str| if self.door.login { flag } else { "" };
        match (offer.kind, &offer.tag) {
            (Kind::Image, _) => vec![
                format!("docker pull {name}"),
                format!("ctr image pull {}{}{name}", plain("--plain-http "), user("--user USER:PASSWORD ")),
                format!("crictl pull {}{name}", user("--creds USER:PASSWORD ")),
            ],
            (Kind::Chart, Some(tag)) => vec![format!(
                "helm pull oci://{repository} --version {}{}",
                // Helm writes a version's plus as an underscore in tags.
                tag.as_str().replace('_', "+"),
                plain(" --plain-http")
            )],
            _ => vec![format!("oras pull {}{name}", plain("--plain-http "))],
        }
    }
}

fn row(page: &mut String, held: &Held) {
    let summary = &held.summary;
    let (mut proven, mut failed) = (0, 0);
    for proof in held.proofs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values() {
        match proof.state() {
            State::Proven => proven += 1,
            State::Failed(_) => failed += 1,
            State::Unknown | State::Reading(_) => {}
        }
    }
    put(page, format_args!("<tr role=\"row\"><td role=\"cell\" class=\"name\">{}</td>", Html(file(held))));
    cell(page, "Stream", "", &format!("{}, sequence {}", summary.stream, summary.sequence));
    cell(page, "Created", "", &held.created.to_string());
    cell(page, "Signed by", "", &summary.signers.join(", "));
    let (class, health) = match held.medium.is_good() {
        true => ("good", "readable"),
        false => ("bad", "gone or changed: put it back"),
    };
    cell(page, "Medium", class, health);
    let (class, verified) = match failed {
        0 => ("", format!("{proven} of {}", held.blobs)),
        _ => ("bad", format!("{proven} of {}, {failed} damaged", held.blobs)),
    };
    cell(page, "Blobs verified", class, &verified);
    page.push_str("</tr>\n");
}

/// The name of a bundle's file. Where it lies is nobody's business but the operator's.
fn file(held: &Held) -> &str {
    let name = &held.summary.name;
    name.rsplit_once('/').map_or(name.as_str(), |(_, file)| file)
}

fn heads(page: &mut String, names: &[&str]) {
    page.push_str("<thead><tr role=\"row\">");
    for name in names {
        let class = if *name == "Size" { " class=\"num\"" } else { "" };
        put(page, format_args!("<th role=\"columnheader\" scope=\"col\"{class}>{name}</th>"));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

fn cell(page: &mut String, head: &str, class: &str, text: &str) {
    let text = Html(text);
    put(page, format_args!("<td role=\"cell\" data-head=\"{head}\" class=\"{class}\">{text}</td>"));
}

/// Which of how many are shown.
fn shown(found: &Found<'_>, words: &str) -> String {
    let about =
        if words.is_empty() { String::new() } else { format!(" for \u{201c}{}\u{201d}", Html(words)) };
    match (found.total, found.offers.len()) {
        (0, _) => format!("Nothing was found{about}."),
        (total, 0) => format!("{total} found{about}, and none after these."),
        (total, count) => format!("{} to {} of {total}{about}", found.before + 1, found.before + count),
    }
}

fn dash(text: String) -> String {
    if text.is_empty() { "\u{2013}".to_owned() } else { text }
}

fn counted(count: usize, name: &str) -> String {
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

/// `2 images, 1 chart, `
fn list(items: &[String]) -> String {
    items.iter().fold(String::new(), |list, item| format!("{list}{item}, "))
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = page.write_fmt(text);
}
