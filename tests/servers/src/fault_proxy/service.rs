//! A server of this process behind the proxy, which is then its listener.
//! It takes a head and a body, and gives an answer that the proxy writes.

use std::io::Read;

use crate::http::{Headers, RequestHead};

/// Answers requests; called from the thread of the client's connection.
pub(crate) trait Service: Send + Sync {
    /// The answer to a request. An error of `body` is a connection that broke; what is left of it after an
    /// answer is read and thrown away.
    fn serve(&self, head: &RequestHead, body: &mut dyn Read) -> Served;
}

/// A response whose body is read as it is sent.
pub(crate) struct Served {
    pub(crate) status: u16,
    /// Without framing fields.
    pub(crate) headers: Headers,
    /// Bytes of the body; for `HEAD`, of the body that `GET` would have.
    pub(crate) length: u64,
    pub(crate) body: Box<dyn Read>,
}
