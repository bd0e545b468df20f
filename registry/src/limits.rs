//! Every bound of this crate on sizes, counts and times, with its reason: those that callers may
//! set in [`Limits`], the others as constants.

use std::time::Duration;

/// Every bound on what a registry may ask of its client, in sizes, counts and times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To open a connection. A dead host must not hold up the others.
    pub connect: Duration,
    /// How long a request waits for those before it, where a registry does not take so many at once. It is
    /// made then nevertheless: they may be waiting for it.
    pub turn: Duration,
    /// From a request to the head of its answer.
    pub answer: Duration,
    /// Without a byte in the middle of a blob, in either direction. Never a limit on the whole.
    pub stall: Duration,
    /// The least rate of a body in either direction, in bytes per second, over [`Limits::stall`]: a byte
    /// every few seconds never stalls and never ends. It matters most for small bodies.
    pub least_rate: u64,
    /// Bytes per second that a registry is given to take in a blob between its last byte and the
    /// answer, on top of [`Limits::stall`]: registries on object storage copy it, and a proxy in
    /// front may pass it on only then.
    pub commit_rate: u64,
    /// How long one request of an upload should take. Ingresses end requests after 60 seconds and
    /// more (Traefik 3's `readTimeout`, nginx' `client_body_timeout`); a third of that leaves room
    /// for a line that slows down.
    pub piece_time: Duration,
    /// The largest blob, in bytes, that is sent by one PUT over a line of unknown speed.
    pub whole_upload: u64,
    /// The first piece over a line of unknown speed, in bytes. Amazon's registry takes none below
    /// 5 MiB but the last.
    pub first_piece: u64,
    /// The smallest piece, in bytes. Below it, most of the time goes into round trips.
    pub smallest_piece: u64,
    /// The bytes that are kept in memory of what can be read only once until the registry has them:
    /// the largest piece, but for [`Limits::trial_piece`] and [`Limits::quick_upload`].
    pub held_piece: u64,
    /// The first bytes, at most, of a blob that can be read only once, as long as no request of so many has
    /// arrived: all of them are kept, so that what ends long requests costs nothing but time.
    pub trial_piece: u64,
    /// How long one request may take, in whole seconds, that sends more of what can be read only once
    /// than is kept of it, over a line on which nothing ever broke: the line may become many times
    /// slower before anything ends the request.
    pub quick_upload: Duration,
    /// The least bytes per second of a line over which that is done. Over others, the waiting between
    /// pieces does not count.
    pub quick_rate: u64,
    /// Retries without progress before giving up.
    pub attempts: usize,
    /// Retries with a host that has not answered once: more often a wrong name than a bad line.
    pub first_attempts: usize,
    /// Retries of one blob altogether, with progress or without.
    pub attempts_in_all: usize,
    /// The bytes of a blob that count as progress between two failures: a registry that sends one
    /// byte for each connection makes none.
    pub progress: u64,
    /// How often a blob is fetched anew because its bytes have another digest.
    pub restarts: usize,
    /// The first wait between attempts; it doubles each time, with jitter.
    pub backoff: Duration,
    /// The longest wait between attempts, even with a longer `Retry-After`.
    pub longest_wait: Duration,
    /// How long a rate limit is waited for altogether, where a registry asks for a longer wait than
    /// [`Limits::longest_wait`]; such a limit ends the run otherwise, for no retry ends it sooner.
    pub limit_wait: Duration,
    /// The bytes of all contents that are kept across runs.
    pub cache: u64,
    /// The bytes of a token service's answer, or of one page of a list.
    pub body: usize,
    /// The bytes of an error's body. Some proxies answer with whole web pages.
    pub error_body: usize,
    /// The bytes of a token, which goes into the head of every request.
    pub token: usize,
    /// Pages of a list. A `Link` header could lead round in a circle.
    pub pages: usize,
    /// Tags of one repository.
    pub tags: usize,
    /// Referrers of one manifest.
    pub referrers: usize,
    /// Redirects of one request.
    pub redirects: usize,
}

impl Limits {
    /// The longest wait for the answer to an upload of so many bytes, all of which are sent.
    pub(crate) fn commit(&self, size: u64) -> Duration {
        self.stall + Duration::from_secs(size / self.commit_rate.max(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            turn: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            least_rate: 512,
            commit_rate: 4 << 20,
            piece_time: Duration::from_secs(20),
            whole_upload: 32 << 20,
            first_piece: 8 << 20,
            smallest_piece: 256 << 10,
            held_piece: 8 << 20,
            trial_piece: 24 << 20,
            quick_upload: Duration::from_secs(5),
            quick_rate: 32 << 20,
            attempts: 6,
            first_attempts: 2,
            attempts_in_all: 100,
            progress: 64 << 10,
            restarts: 2,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(120),
            limit_wait: Duration::ZERO,
            cache: 512 << 20,
            body: 4 << 20,
            error_body: 64 << 10,
            token: 64 << 10,
            pages: 100,
            tags: 100_000,
            referrers: 10_000,
            redirects: 5,
        }
    }
}

/// How often a registry whose rate limit is used up is asked again, when it does not say how long
/// to wait: Docker Hub's window of six hours slides.
pub(crate) const LIMIT_POLL: Duration = Duration::from_secs(15 * 60);
/// Pages of lists that are read at once, of all registries: each may be as large as [`Limits::body`], and
/// takes several times that once parsed.
pub(crate) const LISTS_AT_ONCE: usize = 4;
/// A file of trusted certificates, in bytes: those of all public authorities together have a
/// quarter of a MiB.
pub(crate) const LARGEST_CA_FILE: u64 = 4 << 20;
/// Files of one registry's directory of certificates.
pub(crate) const MOST_HOST_FILES: usize = 64;
/// A `registries.conf`, in bytes.
pub(crate) const LARGEST_ROUTES_FILE: u64 = 1 << 20;
/// Files in one `registries.conf.d`.
pub(crate) const MOST_ROUTES_FILES: usize = 256;
/// Registries in all of these files: each repository is compared with all of them.
pub(crate) const MOST_ROUTES: usize = 4096;
/// A credential file, in bytes. People's files have a few KiB.
pub(crate) const LARGEST_CREDENTIAL_FILE: u64 = 1 << 20;
/// How long a credential helper may take. A helper that waits for an unseen window never ends.
pub(crate) const HELPER_TIME: Duration = Duration::from_secs(30);
/// A credential helper's output, in bytes: a user name and a token.
pub(crate) const HELPER_OUTPUT: u64 = 64 << 10;
/// A `WWW-Authenticate` header, in bytes. A registry sends it before it has shown anything.
pub(crate) const LONGEST_CHALLENGE: usize = 8 << 10;
/// An `Authorization` header, in bytes. No server accepts a longer one.
pub(crate) const LONGEST_HEADER: usize = 128 << 10;
/// Digests of one answer that says what content is missing. More than a manifest has layers are
/// no help to anyone.
pub(crate) const MOST_MISSING: usize = 256;
/// The bytes of a blob that are handed to a connection at once: small enough that a slow one takes
/// them before it counts as stalled.
pub(crate) const PIECE: usize = 64 << 10;
/// A variable that names a proxy or its exceptions, in bytes.
pub(crate) const LONGEST_PROXY_VARIABLE: usize = 8 << 10;
/// Exceptions from a proxy: each request is compared with all of them.
pub(crate) const MOST_PROXY_EXCEPTIONS: usize = 4096;
/// How long a host that ended a connection is asked whether it speaks the other one of HTTP and HTTPS.
pub(crate) const SCHEME_TIME: Duration = Duration::from_secs(3);
/// The head of a proxy's refusal, in bytes.
pub(crate) const LONGEST_PROXY_HEAD: usize = 8 << 10;
/// The name of a scheme of a login, in bytes, and how many of them are named: what a proxy sends is shown to people.
pub(crate) const LONGEST_SCHEME: usize = 32;
pub(crate) const MOST_SCHEMES: usize = 4;
/// Errors of one answer that are shown. A registry could send thousands.
pub(crate) const MOST_ERRORS: usize = 16;
/// The bytes of one error's message or detail that are shown.
pub(crate) const LONGEST_MESSAGE: usize = 1024;
/// Tokens that are remembered so that no error shows one that a server sends back: one for each
/// repository of a large import.
pub(crate) const MOST_SENT: usize = 4096;
/// The breaks of uploads after which larger pieces are hardly tried again: after 2 to the power of so
/// many that arrived.
pub(crate) const MOST_BREAKS: u32 = 16;
/// The fewest bytes of an upload that say how fast a line is, unless they took a second: fewer
/// measure its delay.
pub(crate) const SMALLEST_SAMPLE: u64 = 1 << 20;
/// Requests to one host at once: more than callers ever make.
pub(crate) const MOST_AT_ONCE: usize = 1024;
/// The requests for each of those at once that a registry must take before there is one more, after it has
/// refused some; twice as many each time that one more was too many.
pub(crate) const FIRST_GROWTH: usize = 4;
/// The most of these.
pub(crate) const MOST_GROWTH: usize = 256;
/// How long a refusal of a request by its head alone is waited for: what gives one does so at once.
pub(crate) const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// Bytes per second of an upload that only takes its time: more than any server's least rate for a body, less than any line's.
pub(crate) const HELD_PIECE: usize = 1 << 10;
/// The characters of a request's path that the log shows: longer ones are no registry's.
pub(crate) const LOGGED_PATH: usize = 512;
