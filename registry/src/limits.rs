use std::time::Duration;

/// Every bound on what a registry may ask of its client, in sizes, counts and times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To open a connection. A dead host must not hold up the others.
    pub connect: Duration,
    /// From a request to the head of its answer.
    pub answer: Duration,
    /// Without a byte in the middle of a blob, in either direction. Never a limit on the whole.
    pub stall: Duration,
    /// From the last byte of an upload to its answer: registries on object storage copy the blob
    /// before they answer.
    pub commit: Duration,
    /// Attempts without progress before giving up.
    pub attempts: usize,
    /// The first wait between attempts; it doubles each time, with jitter.
    pub backoff: Duration,
    /// The longest wait between attempts, whatever `Retry-After` says.
    pub longest_wait: Duration,
    /// The bytes of an error's body, a token's answer, or a list of tags.
    pub body: usize,
    /// Pages of a list. A `Link` header could lead round in a circle.
    pub pages: usize,
    /// Redirects of one request.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            commit: Duration::from_secs(15 * 60),
            attempts: 6,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(120),
            body: 4 << 20,
            pages: 100,
            redirects: 5,
        }
    }
}
