//! One request and its answer: credentials, one challenge, timeouts, bounded bodies. Takes a
//! [`Request`], gives a response or the error that its answer stands for.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::{Bytes, BytesMut};
use reqwest::{Method, RequestBuilder, Response, Url};

use crate::answer::{is_web_page, parse_retry_after, title};
use crate::challenge::Challenge;
use crate::limits::SCHEME_TIME;
use crate::line::trace::Asked;
use crate::lock::lock;
use crate::token::{Authorization, Scope};
use crate::{Answer, Client, Error, Limits, ProxyProblem, RateLimit, proxy, redirect};

/// An answer, and who gave it after all redirects.
pub(crate) struct Received {
    pub(crate) response: Response,
    /// The host, with its port.
    pub(crate) sender: String,
    /// Whether the request carried no credentials.
    pub(crate) anonymous: bool,
}

/// How fast a body comes: what counts is the time that it was waited for.
#[derive(Default)]
pub(crate) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Whether the least rate is kept so far.
    fn keeps_up(&mut self, waited: Duration, bytes: usize, limits: &Limits) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < limits.stall {
            return true;
        }
        let least = u128::from(limits.least_rate) * self.waited.as_millis() / 1000;
        let enough = u128::from(self.bytes) >= least;
        *self = Self::default();
        enough
    }
}

/// A request that may be sent a second time with better credentials.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) registry: &'a Registry,
    /// The path with its slash at the start, and the query.
    pub(crate) path: String,
    pub(crate) scope: Scope,
    pub(crate) doing: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// Whether it may be answered from elsewhere.
    pub(crate) follows: bool,
}

impl Request<'_> {
    /// Lets the registry redirect it. The content must be checked by its digest, or harmless.
    pub(crate) fn following(mut self) -> Self {
        self.follows = true;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

impl Client {
    /// A request for a path below `/v2/`. `doing` completes "asked to …".
    pub(crate) fn request<'a>(
        &self,
        method: Method,
        registry: &'a Registry,
        path: &str,
        scope: Scope,
        doing: impl Into<String>,
    ) -> Request<'a> {
        Request {
            method,
            registry,
            path: format!("/v2/{path}"),
            scope,
            doing: doing.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            follows: false,
        }
    }

    /// Sends a request and takes one of these statuses for success. Redirects are followed where
    /// the request allows it.
    pub(crate) async fn expect(&self, request: Request<'_>, statuses: &[u16]) -> Result<Received, Error> {
        let mut received = self.authorized(&request).await?;
        if request.follows && !statuses.contains(&received.response.status().as_u16()) {
            received = self.follow(&request, received).await?;
        }
        if statuses.contains(&received.response.status().as_u16()) {
            return Ok(received);
        }
        let Received { response, sender, anonymous } = received;
        Err(self.refusal(&sender, &request.doing, anonymous, response).await)
    }

    /// Follows redirects, under the rules of [`redirect::check`]. Credentials stay with the host
    /// that they are for: a target below `/v2/` that asks for some is answered with its own.
    pub(crate) async fn follow(
        &self,
        request: &Request<'_>,
        mut received: Received,
    ) -> Result<Received, Error> {
        let mut hops = 0;
        while is_redirect(&received.response) {
            let Some(to) = location(&received.response).filter(|to| !to.is_empty()) else {
                return Err(Error::unusable(&received.sender, "redirects and does not say where"));
            };
            let host = received.sender.clone();
            let refuse = |why| Error::Redirect { host, to: self.mask(shown(&to)), why };
            let from = received.response.url();
            let url: Url = match from.join(&to) {
                Ok(url) => url,
                Err(_) => return Err(refuse("it is not an address")),
            };
            if let Err(why) = redirect::check(from, &url, self.may_be_plain(&url)) {
                return Err(refuse(why));
            }
            if hops == self.inner.limits.redirects {
                return Err(refuse("there were too many redirects before"));
            }
            hops += 1;
            let rest = self.inner.limits.error_body;
            let drained = self.body(&received.sender, received.response, rest).await;
            // A body that is read to its end leaves a reusable connection.
            drop(drained);
            received = self.ask_target(request, url).await?;
        }
        Ok(received)
    }

    /// Asks an address that a manifest of the request's registry names for its content, as if the registry
    /// redirected there.
    pub(crate) async fn ask_address(&self, request: &Request<'_>, address: &str) -> Result<Received, Error> {
        let registry = request.registry;
        let from = format!("{}://{}{}", self.scheme(registry).await, registry.endpoint(), request.path);
        let from: Url =
            from.parse().map_err(|_| Error::misbehaved(registry.as_str(), "its address is not one"))?;
        let refused = |why| Error::LayerAddress { address: self.mask(shown(address)), why };
        let url: Url = address.parse().map_err(|_| refused("it is not an address"))?;
        redirect::check(&from, &url, self.may_be_plain(&url)).map_err(refused)?;
        self.ask_target(request, url).await
    }

    /// Asks where a registry redirected to.
    async fn ask_target(&self, request: &Request<'_>, url: Url) -> Result<Received, Error> {
        let sender = authority(&url);
        let target: Option<(Registry, Scope)> =
            repository_of(&url).and_then(|repository| Some((sender.parse().ok()?, Scope::pull(&repository))));
        let Some((registry, scope)) = target else {
            let response = self.exchange(request, &sender, &url, &Authorization::none(), true).await?;
            return Ok(Received { response, sender, anonymous: true });
        };
        let first = self.authorization(&registry, &scope, None).await?;
        let response = self.exchange(request, &sender, &url, &first, true).await?;
        if response.status() != 401 {
            return Ok(Received { response, sender, anonymous: first.anonymous });
        }
        if let Some(challenge) = challenge_of(&response) {
            self.inner.auth.challenged(&registry, challenge);
        }
        let second = self.authorization(&registry, &scope, first.header.as_ref()).await?;
        if second.header == first.header {
            return Ok(Received { response, sender, anonymous: first.anonymous });
        }
        let _ = self.body(&sender, response, self.inner.limits.error_body).await;
        let response = self.exchange(request, &sender, &url, &second, true).await?;
        Ok(Received { response, sender, anonymous: second.anonymous })
    }

    /// Sends a request; answers one challenge.
    pub(crate) async fn authorized(&self, request: &Request<'_>) -> Result<Received, Error> {
        let registry = request.registry;
        let sender = registry.to_string();
        let address = format!("{}://{}{}", self.scheme(registry).await, registry.endpoint(), request.path);
        let url: Url =
            address.parse().map_err(|_| Error::misbehaved(registry.as_str(), "its address is not one"))?;
        let first = self.authorization(registry, &request.scope, None).await?;
        let response = self.exchange(request, &sender, &url, &first, false).await?;
        if response.status() != 401 {
            return Ok(Received { response, sender, anonymous: first.anonymous });
        }
        match challenge_of(&response) {
            Some(challenge) => self.inner.auth.challenged(registry, challenge),
            // A token may be older than the project (Harbor 2.15), for any answer.
            None if first.header.is_none() => {
                return Ok(Received { response, sender, anonymous: first.anonymous });
            }
            None => {}
        }
        let second = self.authorization(registry, &request.scope, first.header.as_ref()).await?;
        if second.header == first.header {
            return Ok(Received { response, sender, anonymous: first.anonymous });
        }
        // A body that is read to its end leaves a reusable connection.
        let _ = self.body(&sender, response, self.inner.limits.error_body).await;
        let response = self.exchange(request, &sender, &url, &second, false).await?;
        Ok(Received { response, sender, anonymous: second.anonymous })
    }

    async fn exchange(
        &self,
        request: &Request<'_>,
        host: &str,
        url: &Url,
        authorization: &Authorization,
        redirected: bool,
    ) -> Result<Response, Error> {
        let http = if redirected { self.elsewhere(url)? } else { self.http(url)? };
        let mut builder = http.request(request.method.clone(), url.clone());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(header) = &authorization.header {
            builder = builder.header("Authorization", header);
        }
        if matches!(request.method, Method::PUT | Method::POST | Method::PATCH) {
            builder = builder.header("Content-Length", request.body.len()).body(request.body.clone());
        }
        self.send(host, builder).await
    }

    /// Waits for the head of an answer, and before that until the host takes one more request.
    pub(crate) async fn send(&self, host: &str, request: RequestBuilder) -> Result<Response, Error> {
        let sent = self.inner.stop.unless(self.send_and_wait(host, request)).await;
        sent.unwrap_or(Err(Error::Interrupted))
    }

    async fn send_and_wait(&self, host: &str, request: RequestBuilder) -> Result<Response, Error> {
        let waited = self.inner.limits.answer;
        let pass = self.inner.passes.enter(host, &self.inner.limits).await;
        let asked = Instant::now();
        let (asking, http, request) = Asked::of(request);
        let sending = async { http.execute(request?).await };
        match tokio::time::timeout(waited, sending).await {
            Ok(Ok(mut response)) => {
                self.log_answer(host, &asking, &response, asked.elapsed());
                pass.answered(response.status().as_u16());
                // A successful answer keeps its connection until all of it is read. After a refusal, other
                // registries are asked while this answer still exists.
                if response.status().is_success() {
                    response.extensions_mut().insert(Arc::new(pass));
                }
                let mut answered = lock(&self.inner.answered);
                if !answered.contains(host) {
                    answered.insert(host.to_owned());
                }
                drop(answered);
                let took = asked.elapsed();
                lock(&self.inner.round_trips)
                    .entry(host.to_owned())
                    .and_modify(|least| *least = took.min(*least))
                    .or_insert(took);
                match self.inner.proxies.proxy_for(response.url()) {
                    // A proxy's own answer: there was no tunnel.
                    Some(proxy) if response.status() == 407 => {
                        let asked = response.headers().get_all("Proxy-Authenticate").iter();
                        let asked: Vec<&str> = asked.filter_map(|header| header.to_str().ok()).collect();
                        let problem = proxy::login_problem(proxy, &asked);
                        Err(Error::Proxy { proxy: proxy::shown(proxy), host: host.to_owned(), problem })
                    }
                    _ => Ok(response),
                }
            }
            Ok(Err(error)) => {
                let target = error.url().cloned();
                let mut error = self.failed(host, error);
                if let (Error::Unreachable { cause, .. }, Some(target)) = (&error, &target) {
                    let cause = bundle_oci::chain(cause);
                    if !cause.contains("tcp connect error")
                        && let Some(mistaken) = self.mistaken_scheme(host, target).await
                    {
                        return Err(mistaken);
                    }
                    // The server is no HTTP server: SSH, or another service.
                    let signs = ["invalid HTTP version parsed", "unexpected message from connection"];
                    if signs.iter().any(|sign| cause.contains(sign)) {
                        return Err(Error::unusable(host, "answers with something else than HTTP"));
                    }
                }
                if let Error::Proxy { problem: problem @ ProxyProblem::Credentials, .. } = &mut error
                    && let Some(target) = target
                    && let Some(proxy) = self.inner.proxies.proxy_for(&target)
                {
                    // The proxy's answer has more than the HTTP client returns.
                    let wants =
                        tokio::time::timeout(self.inner.limits.connect, proxy::asks_for(proxy, &target));
                    let wants = wants.await.ok().flatten().unwrap_or_default();
                    let wants: Vec<&str> = wants.iter().map(String::as_str).collect();
                    *problem = proxy::login_problem(proxy, &wants);
                }
                self.log_failure(host, &asking, &error, asked.elapsed());
                Err(error)
            }
            Err(_) => {
                let error = Error::Stalled { host: host.to_owned(), waited };
                self.log_failure(host, &asking, &error, asked.elapsed());
                Err(error)
            }
        }
    }

    /// The next piece of a body.
    pub(crate) async fn piece(
        &self,
        host: &str,
        response: &mut Response,
        pace: &mut Pace,
    ) -> Result<Option<Bytes>, Error> {
        let limits = &self.inner.limits;
        let waited = limits.stall;
        let asked = Instant::now();
        let piece = self.inner.stop.unless(tokio::time::timeout(waited, response.chunk())).await;
        match piece.ok_or(Error::Interrupted)? {
            Ok(Ok(piece)) => {
                let length = piece.as_ref().map_or(0, Bytes::len);
                let enough = piece.is_none() || pace.keeps_up(asked.elapsed(), length, limits);
                let slow = || Error::Slow { host: host.to_owned(), least: limits.least_rate };
                enough.then_some(piece).ok_or_else(slow)
            }
            Ok(Err(error)) => Err(self.failed(host, error)),
            Err(_) => Err(Error::Stalled { host: host.to_owned(), waited }),
        }
    }

    /// Whether a host that has not answered yet and ends connections without a word speaks the other one of
    /// HTTP and HTTPS: not all say so, as those of Go and nginx do. It is asked without credentials.
    async fn mistaken_scheme(&self, host: &str, url: &Url) -> Option<Error> {
        let answered = lock(&self.inner.answered).contains(host);
        if answered || self.inner.proxies.proxy_for(url).is_some() {
            return None;
        }
        let encrypted = url.scheme() == "https";
        let port = url.port_or_known_default()?;
        let scheme = if encrypted { "http" } else { "https" };
        let other: Url = format!("{scheme}://{}:{port}/v2/", url.host_str()?).parse().ok()?;
        let sent = self.elsewhere(&other).ok()?.get(other).send();
        let answer = match tokio::time::timeout(SCHEME_TIME, sent).await.ok()? {
            Ok(_) => None,
            Err(error) => Some(self.failed(host, error)),
        };
        let host = host.to_owned();
        match (encrypted, answer) {
            (true, None) => Some(Error::PlainHttp { host }),
            (false, None | Some(Error::Certificate { .. } | Error::Handshake { .. })) => {
                Some(Error::HttpsOnly { host })
            }
            _ => None,
        }
    }

    /// An exchange that failed, as what the user can do about it.
    pub(crate) fn failed(&self, host: &str, error: reqwest::Error) -> Error {
        let proxy = error.url().and_then(|url| self.proxy_of(url));
        Error::from_exchange(host, error, proxy, &self.inner.limits)
    }

    /// The proxy through which an address is asked, without its login.
    fn proxy_of(&self, url: &Url) -> Option<String> {
        self.inner.proxies.proxy_for(url).map(proxy::shown)
    }

    /// Takes note of what a registry says of its rate limit.
    pub(crate) fn note_rate_limit(&self, registry: &Registry, response: &Response) {
        if let Some(limit) = rate_limit_of(response) {
            lock(&self.inner.rate_limits).insert(registry.clone(), limit);
        }
    }

    /// A server's text without what it was sent of credentials.
    pub(crate) fn mask(&self, text: String) -> String {
        self.inner.auth.sent.mask(text)
    }

    /// The title of a web page without what its server was sent of credentials.
    pub(crate) fn masked_title(&self, page: &[u8]) -> Option<String> {
        title(page).map(|text| self.mask(text))
    }

    /// Reads a body of at most `limit` bytes, which must come at the least rate.
    pub(crate) async fn body(
        &self,
        host: &str,
        mut response: Response,
        limit: usize,
    ) -> Result<BytesMut, Error> {
        refuse_encoding(host, &response)?;
        let mut body = BytesMut::new();
        let mut pace = Pace::default();
        while let Some(piece) = self.piece(host, &mut response, &mut pace).await? {
            if piece.len() > limit - body.len() {
                return Err(Error::unusable(
                    host,
                    format!("sends more than {limit} bytes where less belongs"),
                ));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Makes an error of an answer.
    pub(crate) async fn refusal(
        &self,
        host: &str,
        doing: &str,
        anonymous: bool,
        response: Response,
    ) -> Error {
        if response.status().is_redirection() {
            let why = "this request is not sent to another address";
            return match location(&response).filter(|to| !to.is_empty()) {
                Some(to) => Error::Redirect { host: host.to_owned(), to: self.mask(shown(&to)), why },
                None => Error::unusable(
                    host,
                    format!("answers with HTTP {} when asked to {doing}", response.status().as_u16()),
                ),
            };
        }
        if response.status().is_success() {
            return Error::misbehaved(
                host,
                format!("it answers with HTTP {} when asked to {doing}", response.status().as_u16()),
            );
        }
        let encrypted = response.url().scheme() == "https";
        let content_type = content_type(&response);
        let portal = is_portal(response.status().as_u16());
        let answer = self.answer(host, doing, anonymous, response).await;
        // Messages of Go's net/http and nginx, in text or as a title.
        let says = |words: &str| answer.message.as_ref().is_some_and(|text| text.contains(words));
        if !encrypted && answer.status == 400 && (says("to an HTTPS server") || says("to HTTPS port")) {
            return Error::HttpsOnly { host: host.to_owned() };
        }
        if portal && is_web_page(content_type.as_deref(), b"") {
            return Error::WebPage { host: host.to_owned(), doing: doing.to_owned(), title: answer.message };
        }
        if anonymous
            && matches!(answer.status, 401 | 403)
            && let Some(missing) = self.inner.auth.missing_store(host)
        {
            return Error::Credentials(missing);
        }
        Error::Answer(answer)
    }

    /// Reads what a registry has to say to its refusal.
    pub(crate) async fn answer(
        &self,
        host: &str,
        doing: &str,
        anonymous: bool,
        mut response: Response,
    ) -> Box<Answer> {
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("Retry-After").and_then(|text| parse_retry_after(text, SystemTime::now()));
        let request_id = header("X-Request-Id").filter(|id| id.len() <= 128).map(str::to_owned);
        let rate_limit = rate_limit_of(&response);
        let mut body = Vec::new();
        let mut pace = Pace::default();
        // A body that is too long or breaks off still says something at its start.
        while let Ok(Some(piece)) = self.piece(host, &mut response, &mut pace).await {
            let room = self.inner.limits.error_body.saturating_sub(body.len());
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if room <= piece.len() {
                break;
            }
        }
        let answer = Answer::new(host, doing, status, anonymous, &body);
        let masked = |text: Option<String>| text.map(|text| self.mask(text));
        Box::new(Answer {
            retry_after,
            rate_limit,
            request_id: masked(request_id),
            code: masked(answer.code),
            message: masked(answer.message),
            more: answer.more.into_iter().map(|text| self.mask(text)).collect(),
            ..answer
        })
    }
}

/// Digests describe bytes as they are stored.
pub(crate) fn refuse_encoding(host: &str, response: &Response) -> Result<(), Error> {
    match response.headers().get("Content-Encoding") {
        Some(encoding) if encoding != "identity" => {
            Err(Error::misbehaved(host, "it compresses the transfer, which it was not asked to"))
        }
        _ => Ok(()),
    }
}

/// The `Location` header as text.
pub(crate) fn location(response: &Response) -> Option<String> {
    response.headers().get("Location")?.to_str().ok().map(str::to_owned)
}

/// The digest that a registry says its content has.
pub(crate) fn announced(response: &Response) -> Option<Digest> {
    response.headers().get("Docker-Content-Digest")?.to_str().ok()?.parse().ok()
}

/// The type that the answer says it has.
pub(crate) fn content_type(response: &Response) -> Option<String> {
    response.headers().get("Content-Type")?.to_str().ok().map(str::to_owned)
}

fn rate_limit_of(response: &Response) -> Option<RateLimit> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    RateLimit::read(header("RateLimit-Limit"), header("RateLimit-Remaining"))
}

fn is_redirect(response: &Response) -> bool {
    matches!(response.status().as_u16(), 301..=303 | 307 | 308)
}

/// Whether a web page with this status comes from something before the registry: RFC 6585's 511,
/// and pages of logins. Registries themselves answer 401 and 404 with pages, too.
fn is_portal(status: u16) -> bool {
    status == 511
}

fn challenge_of(response: &Response) -> Option<Challenge> {
    let headers = response.headers().get_all("WWW-Authenticate").iter();
    Challenge::best(headers.filter_map(|header| header.to_str().ok()))
}

/// Host and port of an address, as a registry is named.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// The repository that an address below `/v2/` is about.
fn repository_of(url: &Url) -> Option<RepositoryName> {
    let path = url.path().strip_prefix("/v2/")?;
    let ends = ["/manifests/", "/blobs/", "/tags/list", "/referrers/"];
    let end = ends.into_iter().filter_map(|word| path.rfind(word)).max()?;
    path[..end].parse().ok()
}

/// An address without what may be a secret: its login and its query.
pub(crate) fn shown(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let authority = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
    match address[authority..end].rfind('@') {
        Some(at) if authority > 0 => format!("{}…{}", &address[..authority], &address[authority + at..]),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_logins_and_queries() {
        for (address, expected) in [
            ("https://u:p@a.example/x?token=t", "https://…@a.example/x"),
            ("https://u:p@q@a.example/x", "https://…@a.example/x"),
            ("https://a.example/x@y", "https://a.example/x@y"),
            ("https://a.example/x", "https://a.example/x"),
            ("u@a", "u@a"),
        ] {
            assert_eq!(shown(address), expected);
        }
    }

    #[test]
    fn addresses_below_v2_name_their_repository() {
        for (address, repository) in [
            ("https://r.example/v2/a/b/manifests/v1", Some("a/b")),
            ("https://r.example/v2/a/manifests/b/blobs/sha256:1?x=/manifests/", Some("a/manifests/b")),
            ("https://r.example/v2/a/tags/list?n=1", Some("a")),
            ("https://r.example/storage/a/blobs/1", None),
            ("https://r.example/v2/", None),
        ] {
            let found = repository_of(&address.parse().unwrap());
            assert_eq!(found.as_ref().map(RepositoryName::as_str), repository, "{address}");
        }
    }

    #[test]
    fn what_keeps_up_the_least_rate_goes_on_and_what_drips_does_not() {
        let limits = Limits { stall: Duration::from_secs(60), least_rate: 100, ..Limits::default() };
        let mut pace = Pace::default();
        for _ in 0..100 {
            assert!(pace.keeps_up(Duration::from_secs(10), 1000, &limits));
        }
        let mut pace = Pace::default();
        let kept = (0..60).take_while(|_| pace.keeps_up(Duration::from_secs(2), 1, &limits)).count();
        assert_eq!(kept, 29);
    }
}
