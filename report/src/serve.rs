//! One line of the access log of `serve`.
//! Takes one request and how it ended, gives a line.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

/// `serve`: one request. With --json, each is one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AccessReport {
    /// When it ended.
    pub time: String,
    /// The client's address and port.
    pub peer: String,
    /// The user; null without a password.
    pub user: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path that was asked for.
    pub target: String,
    /// The HTTP status.
    pub status: u16,
    /// The bytes of the body that were sent.
    pub bytes: u64,
    /// complete, left (the client went away) or broken.
    pub ending: String,
    /// How long it took.
    pub seconds: f64,
    /// The client's User-Agent.
    pub agent: String,
}

impl AccessReport {
    /// The line for people. `host` is the client's address without its port.
    pub fn line(&self, host: &str) -> String {
        format!(
            "{} {host} {} \"{} {}\" {} {} {} {:.3}s \"{}\"",
            self.time,
            self.user.as_deref().map_or("-".to_owned(), |user| Printable(user).to_string()),
            self.method,
            Printable(&self.target),
            self.status,
            self.bytes,
            self.ending,
            self.seconds,
            Printable(&self.agent)
        )
    }
}
