//! Lists that come in pages (tags, referrers). Takes the path of a page, gives its content and the
//! path of the next one on the same registry.

use bundle_oci::{Manifest, Registry};
use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;

use crate::answer::is_web_page;
use crate::mask::SHORTEST_IN_LISTS;
use crate::token::Scope;
use crate::transport::{Received, content_type};
use crate::{Client, Error};

/// One page of a list.
pub(crate) struct Page<T> {
    pub(crate) body: T,
    /// The path of the next page below `/v2/`.
    pub(crate) next: Option<String>,
}

impl Client {
    /// Fetches one page of a list.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        host: &Registry,
        path: &str,
        scope: Scope,
        what: &str,
    ) -> Result<Page<T>, Error> {
        let doing = format!("list {what}");
        let request = self.request(Method::GET, host, path, scope, doing.clone());
        let request = request.header("Accept", "*/*").following();
        let Received { response, sender, .. } = self.expect(request, &[200]).await?;
        let next = if sender == host.as_str() {
            next_page(host, &response)?
        } else {
            // The redirect is for this list, so its next page is asked for in the same way.
            next_link_of(&response).and_then(|target| with_query(path, response.url(), target))
        };
        let content_type = content_type(&response);
        // The semaphore is never closed.
        let _slot = self.inner.lists.acquire().await;
        let body = self.body(&sender, response, self.inner.limits.body).await?;
        let body = self.inner.auth.sent.mask_body(body.freeze(), SHORTEST_IN_LISTS);
        if is_web_page(content_type.as_deref(), &body) {
            return Err(Error::WebPage { host: sender, doing, title: self.masked_title(&body) });
        }
        let invalid = |_| Error::unusable(&sender, format!("sends a list of {what} that is not valid"));
        Manifest::check_names(&body).map_err(invalid)?;
        Ok(Page { body: serde_json::from_slice(&body).map_err(invalid)?, next })
    }
}

/// The path with the query of another address.
fn with_query(path: &str, asked: &Url, target: &str) -> Option<String> {
    let url = asked.join(target).ok()?;
    let path = path.split('?').next().unwrap_or_default();
    Some(format!("{path}?{}", url.query()?))
}

fn next_link_of(response: &Response) -> Option<&str> {
    let headers = response.headers().get_all("Link").iter();
    headers.filter_map(|header| header.to_str().ok()).find_map(next_link)
}

fn next_page(host: &Registry, response: &Response) -> Result<Option<String>, Error> {
    let Some(target) = next_link_of(response) else {
        return Ok(None);
    };
    let leads_away = || Error::misbehaved(host.as_str(), "the next page of its list is on another host");
    below(response.url(), target).map(Some).ok_or_else(leads_away)
}

/// The target of the link to the next page, of all the links in a header (RFC 8288 §3).
fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        // A link ends at a comma, unless that is in quotes.
        let mut quoted = false;
        let ends = |letter| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        };
        let (parameters, more) = after.split_at(after.find(ends).unwrap_or(after.len()));
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        rest = more;
    }
}

/// Whether a link's parameter says that it leads to the next page; one link may have several relations.
fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

/// The path below `/v2/`. Behind a proxy that ends TLS, registries name themselves with the wrong scheme, so
/// only the name of the host is compared; the same connection is used.
fn below(asked: &Url, target: &str) -> Option<String> {
    let url = asked.join(target).ok()?;
    if url.host_str() != asked.host_str() {
        return None;
    }
    let path = url.path().strip_prefix("/v2/")?;
    Some(url.query().map_or(path.to_owned(), |query| format!("{path}?{query}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_of_the_same_registry() {
        let asked: Url = "https://r.example/v2/a/tags/list?n=2".parse().unwrap();
        for (header, path) in [
            ("</v2/a/tags/list?last=x&n=1000>; rel=\"next\"", Some("a/tags/list?last=x&n=1000")),
            ("<http://r.example/v2/a/tags/list?last=x>;rel=next", Some("a/tags/list?last=x")),
            ("<list?last=x>; rel = next", Some("a/tags/list?last=x")),
            ("<?last=x>; rel=next", Some("a/tags/list?last=x")),
            ("<https://evil.example/v2/a/tags/list?last=x>;rel=next", None),
            ("</service/token>; rel=next", None),
            ("</v2/../service/token>; rel=next", None),
            ("</v2/a/tags/list>; rel=\"prev\"", None),
            (
                "</v2/a/tags/list?p=1>; rel=\"prev\", </v2/a/tags/list?last=x>; rel=\"next\"",
                Some("a/tags/list?last=x"),
            ),
            ("</v2/a/tags/list?last=x>; rel=\"next last\"", Some("a/tags/list?last=x")),
            ("</v2/a/tags/list?last=x,y>; title=\"a, b\"; REL=Next", Some("a/tags/list?last=x,y")),
            ("</v2/a/tags/list?p=1>; rel=\"prev\", <", None),
            ("nonsense", None),
        ] {
            let found = next_link(header).and_then(|target| below(&asked, target));
            assert_eq!(found.as_deref(), path, "{header}");
        }
    }
}
