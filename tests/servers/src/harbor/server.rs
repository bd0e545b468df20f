//! The way of a request through Harbor's core: session, names, identity, read-only mode, and then the part
//! that answers it (Harbor `core/middlewares/middlewares.go`).

use std::io::Read;
use std::sync::{Mutex, OnceLock};

use super::access::Identity;
use super::answer::{Answer, Code, Refusal};
use super::description::Description;
use super::request::Request;
use super::state::State;
use super::store::Store;
use super::{HarborRequest, api, lock, page, registry, token};
use crate::fault_proxy::{Served, Service};
use crate::http::RequestHead;

/// Below it is the API that the description describes.
pub(super) const API: &str = "/api/v2.0";

/// The one thing that all requests share.
pub(super) struct Core {
    pub(super) state: Mutex<State>,
    pub(super) store: Store,
    pub(super) log: Mutex<Vec<HarborRequest>>,
    /// `host:port`, known once the listener is.
    pub(super) host: OnceLock<String>,
    pub(super) description: Option<&'static Description>,
    /// Answers that the description does not allow.
    pub(super) violations: Mutex<Vec<String>>,
}

impl Service for Core {
    fn serve(&self, head: &RequestHead, body: &mut dyn Read) -> Served {
        let request = Request::new(head);
        let identity = lock(&self.state).identify(&request);
        let name = lock(&self.state).name_of(&identity);
        let mut answer = self.answer(&request, &identity, body);
        self.decorate(&request, &mut answer);
        if let Some(description) = self.description
            && let Err(violation) = description.check(head, &answer)
        {
            lock(&self.violations).push(violation);
        }
        let path_and_query = head.path_and_query.clone();
        lock(&self.log).push(HarborRequest {
            method: head.method.clone(),
            path_and_query,
            user_agent: request.user_agent().to_owned(),
            identity: name,
            status: answer.status,
        });
        answer.into_served()
    }
}

impl Core {
    fn answer(&self, request: &Request<'_>, identity: &Identity, body: &mut dyn Read) -> Answer {
        if let Err(refusal) = self.admit(request) {
            return refusal.into();
        }
        match request.path.as_str() {
            path if path == "/v2" || path.starts_with("/v2/") => {
                registry::answer(self, request, identity, body)
            }
            path if path.starts_with(API) => api::answer(self, request, identity, body),
            "/service/token" => match request.method() {
                "GET" => lock(&self.state).give_token(request, identity),
                _ => token::no_oauth(),
            },
            path if path.starts_with(registry::STORAGE) => registry::serve_storage(self, request),
            "/" | "/status" => page::status(self),
            "/requests" => page::requests(self),
            _ => Refusal::not_found("The resource does not exist.").into(),
        }
    }

    /// Refuses a request before any part of Harbor handles it.
    fn admit(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let safe = matches!(request.method(), "GET" | "HEAD" | "OPTIONS");
        if !safe && carries_session(request) {
            // gorilla/csrf, which the API is exempt from only as long as no session is sent.
            return Err(Refusal::new(Code::Forbidden, "CSRF token invalid"));
        }
        if let Some(target) = registry::Target::parse(&request.path) {
            target.check_names(request)?;
        }
        let exempt = match request.method() {
            "PUT" => request.path.starts_with("/api/v2.0/configurations"),
            "POST" => request.path.starts_with("/service/token"),
            _ => safe,
        };
        if !exempt && lock(&self.state).config.read_only {
            return Err(Refusal::new(
                Code::Denied,
                "The system is in read only mode. Any modification is prohibited.",
            ));
        }
        Ok(())
    }

    /// Headers that every answer has.
    fn decorate(&self, request: &Request<'_>, answer: &mut Answer) {
        let number = lock(&self.state).next_id();
        let id = request.header("x-request-id").map_or_else(|| format!("request-{number}"), str::to_owned);
        answer.headers.set("X-Request-Id", id);
        if !carries_session(request) {
            answer.headers.set("Set-Cookie", format!("sid={number:032x}; Path=/; HttpOnly"));
        }
        if request.path.starts_with("/v2") {
            answer.headers.set("Docker-Distribution-Api-Version", "registry/2.0");
        }
    }

    pub(super) fn host(&self) -> &str {
        self.host.get().map_or("", String::as_str)
    }

    /// `http://` and the name under which the client reached the double.
    pub(super) fn url(&self, request: &Request<'_>) -> String {
        format!("http://{}", request.host(self.host()))
    }
}

/// A browser's session cookie, which clients with a cookie jar send back.
fn carries_session(request: &Request<'_>) -> bool {
    request
        .head
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
        .flat_map(|(_, value)| value.split(';'))
        .any(|cookie| cookie.trim().starts_with("sid="))
}
