//! Events of the server, for an access log or a console. This module prints nothing. Takes requests and
//! troubles through [`Observer`], gives nothing.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A receiver of the server's events: an access log, a console.
pub trait Observer: Send + Sync {
    /// Something happened. This is called by the tasks that send; it must not block.
    fn event(&self, event: &Event<'_>);
}

/// Something that happened. Texts are as clients sent them.
#[derive(Debug)]
pub enum Event<'a> {
    /// An answer came to its end.
    Answered(&'a Access),
    /// A bundle's medium cannot be read any more.
    Lost {
        /// The bundle.
        bundle: &'a str,
        /// The operating system's error.
        error: &'a io::Error,
    },
    /// A bundle's medium is there again.
    Found {
        /// The bundle.
        bundle: &'a str,
    },
    /// A bundle's medium gives other bytes than those that were signed. They were not sent.
    Damaged {
        /// The bundle.
        bundle: &'a str,
        /// Where the blob begins that has them.
        byte: u64,
    },
    /// No connection can be taken at the moment.
    Refused(&'a io::Error),
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Access {
    /// The client's address.
    pub peer: SocketAddr,
    /// As whom, if a password was asked for and was right.
    pub user: Option<String>,
    /// The method.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// The header `User-Agent`.
    pub agent: String,
    /// The status of the answer.
    pub status: u16,
    /// The bytes of content that were handed to the connection.
    pub bytes: u64,
    /// How it ended.
    pub ending: Ending,
    /// From the head of the request to the end of the answer.
    pub took: Duration,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of it was handed to the connection.
    Complete,
    /// The client went away, or took nothing for too long.
    Left,
    /// The bundle could not be read to the end, or is damaged. The client has got less than it was
    /// promised.
    Broken,
}

/// Hears nothing.
#[cfg(test)]
pub(crate) struct Deaf;

#[cfg(test)]
impl Observer for Deaf {
    fn event(&self, _: &Event<'_>) {}
}
