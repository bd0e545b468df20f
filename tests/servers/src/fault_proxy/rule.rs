//! Which requests are to go wrong, how, and how often.
//! Takes rules in their order; gives what happens to one request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::http::{RequestHead, Response};

/// One kind of misbehaviour for the requests that match.
#[derive(Clone, Debug)]
pub struct Rule {
    matcher: Matcher,
    fault: Fault,
    after: usize,
    times: usize,
}

impl Rule {
    /// A rule for every request that matches.
    pub fn new(matcher: Matcher, fault: Fault) -> Rule {
        Rule { matcher, fault, after: 0, times: usize::MAX }
    }

    /// Only for the first that matches.
    pub fn once(self) -> Rule {
        self.times(1)
    }

    /// Only for the first `n` that match.
    pub fn times(self, n: usize) -> Rule {
        Rule { times: n, ..self }
    }

    /// Lets the first `n` that match pass.
    pub fn after(self, n: usize) -> Rule {
        Rule { after: n, ..self }
    }
}

type Predicate = dyn Fn(&RequestHead) -> bool + Send + Sync;

/// Which requests a rule is for.
#[derive(Clone, Default)]
pub struct Matcher {
    method: Option<String>,
    path: Option<String>,
    predicate: Option<Arc<Predicate>>,
}

impl Matcher {
    /// Every request.
    pub fn any() -> Matcher {
        Matcher::default()
    }

    /// Requests with `part` in path and query.
    pub fn path(part: &str) -> Matcher {
        Matcher { path: Some(part.to_owned()), ..Matcher::any() }
    }

    /// Requests of that method with `part` in path and query.
    pub fn new(method: &str, part: &str) -> Matcher {
        Matcher { method: Some(method.to_owned()), ..Matcher::path(part) }
    }

    /// Matches only the requests for which the closure returns true.
    pub fn and(self, predicate: impl Fn(&RequestHead) -> bool + Send + Sync + 'static) -> Matcher {
        Matcher { predicate: Some(Arc::new(predicate)), ..self }
    }

    fn matches(&self, head: &RequestHead) -> bool {
        self.method.as_ref().is_none_or(|method| *method == head.method)
            && self.path.as_ref().is_none_or(|part| head.path_and_query.contains(part.as_str()))
            && self.predicate.as_ref().is_none_or(|predicate| predicate(head))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Matcher { method, path, predicate } = self;
        write!(f, "{method:?} {path:?}{}", if predicate.is_some() { " and a predicate" } else { "" })
    }
}

/// A closure that answers requests in the upstream's place.
type Answer = dyn Fn(&RequestHead) -> Option<Response> + Send + Sync;

/// The fault. Offsets and counts are of body bytes.
#[derive(Clone)]
pub enum Fault {
    /// Answers so, without asking upstream; the request's body is read first.
    Status(Response),
    /// Answers with an HTML page of that status, as a proxy or a login portal does.
    Html(u16),
    /// Answers with a redirect.
    Redirect {
        /// `Location`.
        url: String,
        /// 301, 302, 303, 307 or 308.
        code: u16,
    },
    /// Answers what the closure returns; with `None` the next rule is tried.
    Answer(Arc<Answer>),

    /// Closes the connection after that many bytes of the response; the declared length stays.
    ResetAfter(u64),
    /// Stops sending after that many bytes of the response until released; holds the connection.
    StallAfter(u64),
    /// Changes the lowest bit of the response's byte at that offset.
    WrongBytes {
        /// From the body's first byte.
        at: u64,
    },
    /// Appends that many zero bytes, and declares them.
    LongerBy(u64),
    /// Leaves that many of the last bytes out, and declares what is left.
    ShorterBy(u64),
    /// Declares that many bytes more (or fewer) than it sends, then closes the connection.
    LyingLength(i64),
    /// Declares no length and sends zero bytes after the response's until the client closes.
    EndlessBody,

    /// Closes both connections after that many bytes of the request.
    ResetUploadAfter(u64),
    /// Stops reading after that many bytes of the request until released; holds both connections.
    StallUploadAfter(u64),
    /// Lets upstream answer, and closes the client's connection instead of passing the answer on.
    SwallowResponse,

    /// A modifier: leaves a response header out; `Content-Length` becomes chunked.
    DropHeader(String),
    /// A modifier: replaces a response header.
    SetHeader(String, String),
    /// A modifier: takes `Range` and `If-Range` from the request, so that upstream answers 200.
    IgnoreRange,
    /// A modifier: waits before the response.
    Delay(Duration),
    /// A modifier: sends the response's body a byte at a time, with this pause before each: a server that is
    /// never silent and never done.
    Drip(Duration),
    /// A modifier: sends the response's body at no more than so many bytes per second, as a slow line does.
    Rate(u64),
    /// A modifier: keeps the request from being dealt with until released.
    Hold,
}

impl Fault {
    /// [`Fault::Status`] with a body in the distribution-spec's error form.
    pub fn status(code: u16) -> Fault {
        Fault::Status(Response::error(code, "UNKNOWN", "made up by the fault proxy"))
    }

    fn is_modifier(&self) -> bool {
        matches!(
            self,
            Fault::DropHeader(_)
                | Fault::SetHeader(..)
                | Fault::IgnoreRange
                | Fault::Delay(_)
                | Fault::Drip(_)
                | Fault::Rate(_)
                | Fault::Hold
        )
    }

    /// The answer given in the upstream's place, if this fault gives one.
    pub(super) fn answer(&self, head: &RequestHead) -> Option<Response> {
        match self {
            Fault::Status(response) => Some(response.clone()),
            Fault::Html(status) => Some(
                Response::new(*status)
                    .with_header("Content-Type", "text/html; charset=utf-8")
                    .with_body("<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>Not what you asked for</h1></body></html>\n"),
            ),
            Fault::Redirect { url, code } => Some(Response::new(*code).with_header("Location", url)),
            Fault::Answer(answer) => answer(head),
            _ => None,
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status(response) => write!(f, "Status({})", response.status),
            Fault::Html(status) => write!(f, "Html({status})"),
            Fault::Redirect { url, code } => write!(f, "Redirect({code} {url})"),
            Fault::Answer(_) => f.write_str("Answer"),
            Fault::ResetAfter(n) => write!(f, "ResetAfter({n})"),
            Fault::StallAfter(n) => write!(f, "StallAfter({n})"),
            Fault::Drip(pause) => write!(f, "Drip({pause:?})"),
            Fault::Rate(rate) => write!(f, "Rate({rate})"),
            Fault::WrongBytes { at } => write!(f, "WrongBytes({at})"),
            Fault::LongerBy(n) => write!(f, "LongerBy({n})"),
            Fault::ShorterBy(n) => write!(f, "ShorterBy({n})"),
            Fault::LyingLength(delta) => write!(f, "LyingLength({delta})"),
            Fault::EndlessBody => f.write_str("EndlessBody"),
            Fault::ResetUploadAfter(n) => write!(f, "ResetUploadAfter({n})"),
            Fault::StallUploadAfter(n) => write!(f, "StallUploadAfter({n})"),
            Fault::SwallowResponse => f.write_str("SwallowResponse"),
            Fault::DropHeader(name) => write!(f, "DropHeader({name})"),
            Fault::SetHeader(name, value) => write!(f, "SetHeader({name}: {value})"),
            Fault::IgnoreRange => f.write_str("IgnoreRange"),
            Fault::Delay(by) => write!(f, "Delay({by:?})"),
            Fault::Hold => f.write_str("Hold"),
        }
    }
}

/// A rule in force.
pub(super) struct ActiveRule {
    rule: Rule,
    to_pass: AtomicUsize,
    left: AtomicUsize,
}

impl ActiveRule {
    pub(super) fn new(rule: Rule) -> ActiveRule {
        ActiveRule { to_pass: AtomicUsize::new(rule.after), left: AtomicUsize::new(rule.times), rule }
    }

    fn take(&self) -> bool {
        let one_less = |n: usize| match n {
            usize::MAX => Some(n),
            n => n.checked_sub(1),
        };
        if self.to_pass.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return false;
        }
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}

/// The rules' effect on one request.
#[derive(Default)]
pub(super) struct Behaviour {
    pub(super) modifiers: Vec<Fault>,
    pub(super) fault: Option<Fault>,
    pub(super) answer: Option<Response>,
}

impl Behaviour {
    pub(super) fn choose(rules: &[Arc<ActiveRule>], head: &RequestHead) -> Behaviour {
        let mut behaviour = Behaviour::default();
        for active in rules {
            let fault = &active.rule.fault;
            let decided = behaviour.fault.is_some() || behaviour.answer.is_some();
            if !active.rule.matcher.matches(head) || (decided && !fault.is_modifier()) || !active.take() {
                continue;
            }
            if fault.is_modifier() {
                behaviour.modifiers.push(fault.clone());
                continue;
            }
            behaviour.answer = fault.answer(head);
            if !matches!(fault, Fault::Answer(_)) {
                behaviour.fault = Some(fault.clone());
            }
        }
        behaviour
    }
}
