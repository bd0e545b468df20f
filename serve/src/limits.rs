//! The bounds on what clients may ask of the server: connections, sizes, times.
//! Takes nothing; each number has the attack that it stops.

use std::time::Duration;

/// The size in bytes of an htpasswd file, which is read into memory.
pub(crate) const USERS_FILE: u64 = 1 << 20;

/// The size in bytes of a certificate chain or of a key, which are read into memory.
pub(crate) const IDENTITY_FILE: u64 = 1 << 20;

/// Right passwords that are remembered; more users than that pay for each request.
pub(crate) const REMEMBERED_PASSWORDS: usize = 4096;

/// The bytes of descriptors on one page of referrers. Their annotations can be of any length.
pub(crate) const REFERRERS_PAGE: usize = 1 << 20;

/// Rows on one page for people, and the characters of what they search for.
pub(crate) const PAGE_ROWS: usize = 200;
pub(crate) const SEARCH: usize = 200;

/// Every bound on what clients may ask of the server, in counts, sizes and times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. More wait in the kernel's queue, so that memory has an end.
    pub connections: usize,
    /// Connections at once of one client address, or of one /64 of IPv6. More are closed at once, so that
    /// one client cannot keep the places of the others.
    pub client_connections: usize,
    /// Passwords of one client address that are hashed or wait for it. More wait for each other and not
    /// before those of other clients.
    pub client_passwords: usize,
    /// For the handshake of TLS. A client that only connects must not keep a place.
    pub handshake: Duration,
    /// For the head of a request, from the end of the one before. Half-open and idle connections
    /// end here; clients open another one.
    pub head: Duration,
    /// The bytes of a request's head, which also bound its target; and of an answer, those that
    /// wait for the connection while more are read.
    pub head_bytes: usize,
    /// The fields in a request's head.
    pub headers: usize,
    /// How long a client may leave an answer standing while it takes less than
    /// [`Limits::progress`]. Never a limit on the whole.
    pub stall: Duration,
    /// The bytes that count as progress.
    pub progress: u64,
    /// The bytes of blobs in memory, for all answers together: the more there are, the smaller are
    /// the steps of each.
    pub in_flight: usize,
    /// Reads of the media at once. A disk gains nothing from more.
    pub reads: usize,
    /// The names on one page of a list.
    pub page: usize,
    /// Passwords that are hashed at once: bcrypt is made to cost time.
    pub passwords: usize,
    /// From the wish to stop to the end of the last answer.
    pub grace: Duration,
    /// Bundles of followed directories that are served at once: each keeps files open.
    pub bundles: usize,
    /// Blobs of these, each counted once: their names and places are in memory, 4 KiB for each with all that is
    /// needed for a moment when one catalog takes another's place.
    pub blobs: usize,
    /// Bundles in followed directories, valid or not. A directory of a million files must not fill the
    /// memory.
    pub candidates: usize,
    /// How far ahead of this machine's clock a bundle may have been made, in seconds, as `import` has it: a signer
    /// chooses the time, and of two streams the later one has a tag.
    pub ahead: i64,
    /// Between two attempts to find a medium again that went away, or a blob that was damaged.
    pub again: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            connections: 4096,
            client_connections: 512,
            client_passwords: 2,
            handshake: Duration::from_secs(15),
            head: Duration::from_secs(30),
            head_bytes: 16 << 10,
            headers: 64,
            stall: Duration::from_secs(60),
            progress: 64 << 10,
            in_flight: 32 << 20,
            reads: processors.clamp(2, 16),
            page: 1000,
            passwords: processors.clamp(1, 8),
            grace: Duration::from_secs(60),
            bundles: 128,
            blobs: 50_000,
            candidates: 1024,
            ahead: 24 * 60 * 60,
            again: Duration::from_secs(2),
        }
    }
}
