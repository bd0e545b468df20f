//! Why a registry did not do what it was asked: one enum, sorted by who must act and whether a
//! retry may help. Takes failed exchanges and answers, gives [`Error`].

use std::path::PathBuf;
use std::time::Duration;

use bundle_oci::{Digest, ManifestError, ParseRepositoryError, Printable};

use crate::answer::{Answer, Refusal};
use crate::limits::LIMIT_POLL;
use crate::{AddressError, CredentialError, Limits};

/// The error of a request to a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("{host} cannot be reached: {}", innermost(.cause))]
    Unreachable {
        /// The host that was asked.
        host: String,
        /// The network's error.
        cause: reqwest::Error,
    },
    /// The name has no address.
    #[error("{host} is not found: {cause}")]
    UnknownHost {
        /// The host that was asked.
        host: String,
        /// The resolver's error.
        cause: String,
    },
    /// The proxy that the environment names did not pass a request on.
    #[error("the proxy {proxy} {problem}, asked for {host}")]
    Proxy {
        /// The proxy's address, without its login.
        proxy: String,
        /// The host that was to be asked.
        host: String,
        /// The error.
        problem: ProxyProblem,
    },
    /// Both sides speak TLS and do not agree.
    #[error("{host} ends the TLS handshake: {reason}")]
    Handshake {
        /// The host that was asked.
        host: String,
        /// The alert, or what cannot be agreed on.
        reason: String,
    },
    /// The connection's certificate is not trusted.
    #[error("{host} has a certificate that is not trusted: {problem}")]
    Certificate {
        /// The host that was asked.
        host: String,
        /// The fault of the certificate.
        problem: CertificateProblem,
    },
    /// A host that speaks plain HTTP was asked for HTTPS.
    #[error("{host} does not speak HTTPS")]
    PlainHttp {
        /// The host that was asked.
        host: String,
    },
    /// A host that speaks HTTPS was asked for plain HTTP.
    #[error("{host} speaks HTTPS, not plain HTTP")]
    HttpsOnly {
        /// The host that was asked.
        host: String,
    },
    /// A host that answers, but not as a registry does.
    #[error("{host} is not a registry (HTTP {status})")]
    NotARegistry {
        /// The host that was asked.
        host: String,
        /// The HTTP status of its answer to `/v2/`.
        status: u16,
    },
    /// A web page where none belongs: what a captive portal, a login or an error page sends.
    #[error("{host} sends a web page when asked to {doing}{}", titled(.title))]
    WebPage {
        /// The host that answered, after redirects.
        host: String,
        /// The request, as a verb after "to".
        doing: String,
        /// The page's title.
        title: Option<String>,
    },
    /// The answer is of a kind or size that no further attempt changes.
    #[error("{host} {what}")]
    Unusable {
        /// The host that was asked.
        host: String,
        /// The content sent.
        what: String,
    },
    /// Bytes come, and so few that they would never end.
    #[error("{host} sends less than {least} bytes per second")]
    Slow {
        /// The host that was asked.
        host: String,
        /// The least rate, in bytes per second.
        least: u64,
    },
    /// A repository's name that the path below the registry makes invalid.
    #[error("{path} is not a valid repository name on {host}")]
    Path {
        /// The registry.
        host: String,
        /// The name.
        path: String,
        /// The cause.
        source: ParseRepositoryError,
    },
    /// The user's `registries.conf` blocks it.
    #[error("{host} is blocked for {what} by registries.conf")]
    Blocked {
        /// The registry.
        host: String,
        /// The repository that was asked for.
        what: String,
    },
    /// No byte came or went for too long.
    #[error("{host} sent nothing for {} seconds", .waited.as_secs())]
    Stalled {
        /// The host that was asked.
        host: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The registry answered, but not with what was asked for.
    #[error(transparent)]
    Answer(Box<Answer>),
    /// A token service refused, and was not shown the credentials because they are for another
    /// host.
    #[error(
        "{host} names the token service {}, which refuses requests without credentials; those for {host} are not sent there",
        Printable(.realm)
    )]
    Withheld {
        /// The registry.
        host: String,
        /// The token service's host.
        realm: String,
        /// How the token service refused.
        #[source]
        answer: Box<Answer>,
    },
    /// The registry's answer breaks the specification or contradicts itself.
    #[error("{host} misbehaves: {what}")]
    Misbehaved {
        /// The host that was asked.
        host: String,
        /// The faulty behaviour.
        what: String,
    },
    /// The answer leads somewhere that is not followed.
    #[error("{host} redirects to {}, which is not followed: {why}", Printable(.to))]
    Redirect {
        /// The host that was asked.
        host: String,
        /// Where it redirects, without the query, which may hold a secret.
        to: String,
        /// Why not.
        why: &'static str,
    },
    /// A token service that must not be asked.
    #[error("{host} names the token service {}, which is not used: {why}", Printable(.realm))]
    Realm {
        /// The host that was asked.
        host: String,
        /// The token service.
        realm: String,
        /// Why not.
        why: &'static str,
    },
    /// An address that a manifest names for a layer, and that is not asked.
    #[error("{}, which the image names for the layer, is not used: {why}", Printable(.address))]
    LayerAddress {
        /// The address, without login and query.
        address: String,
        /// Why not.
        why: &'static str,
    },
    /// A layer that is marked non-distributable, and that neither the registry nor an address that
    /// the image names for it gives.
    #[error("{}", foreign(.tried, .last))]
    Foreign {
        /// The earlier errors, the registry's first.
        tried: Vec<Error>,
        /// The last error.
        last: Box<Error>,
    },
    /// An address that is not asked.
    #[error("{} is not used: {why}", Printable(.address))]
    Address {
        /// The address, without login and query.
        address: String,
        /// Why not.
        why: AddressError,
    },
    /// A file that is larger than it may be.
    #[error("{} has more than {limit} bytes", Printable(.address))]
    FileSize {
        /// The address, without login and query.
        address: String,
        /// The limit.
        limit: usize,
    },
    /// A manifest that cannot be used.
    #[error("{host} has {what}, which cannot be used")]
    Manifest {
        /// The host that was asked.
        host: String,
        /// Which manifest.
        what: String,
        /// The cause.
        source: ManifestError,
    },
    /// Content that its digest does not describe.
    #[error("{host} sent bytes for {expected} whose digest is {found}")]
    WrongContent {
        /// The host that was asked.
        host: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of the content.
        found: Digest,
    },
    /// Something on the way ended the requests of an upload again and again.
    #[error("{host}, or a proxy in front of it, closed an upload after {} seconds", .after.as_secs())]
    Cut {
        /// The registry.
        host: String,
        /// After how long.
        after: Duration,
        /// How the last attempt failed.
        #[source]
        cause: Box<Error>,
    },
    /// Credentials are configured and cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The bytes to be sent cannot be had.
    #[error("the bytes to be sent cannot be read")]
    Source(#[source] std::io::Error),
    /// Somebody asked the client to end.
    #[error("interrupted")]
    Interrupted,
    /// The client could not be set up.
    #[error("connections cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// A certificate or key for one registry cannot be used.
    #[error("{} cannot be used: {why}", .path.display())]
    HostCertificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The certificates that are trusted cannot be used.
    #[error("the trusted certificates cannot be used")]
    Certificates(#[source] rustls::Error),
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// No trusted authority issued it; its file may be given.
    #[error("its issuer is unknown")]
    UnknownIssuer,
    /// This system trusts no authority at all, and none was given.
    #[error("this machine has no CA certificates")]
    NoAuthorities,
    /// Its time is over, or a clock is wrong.
    #[error("it has expired")]
    Expired,
    /// Its time has not come, or a clock is wrong.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It was issued for other names.
    #[error("it is for another name")]
    WrongName,
    /// It is an authority's, and itself not known: self-signed.
    #[error("it is signed by itself")]
    SelfSigned,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// A failure of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProblem {
    /// No connection to the proxy itself.
    #[error("cannot be reached ({0})")]
    Unreachable(String),
    /// HTTP 407: it wants a user and password, and was shown none.
    #[error("asks for credentials (HTTP 407)")]
    Credentials,
    /// HTTP 407: it was shown a user and password.
    #[error("does not accept the user and password of its address (HTTP 407)")]
    Login,
    /// HTTP 407: it takes only logins of these schemes, which this client does not speak.
    #[error("accepts only {0} logins (HTTP 407)")]
    Schemes(String),
    /// It answered, and made no connection.
    #[error("does not connect")]
    Refused,
}

/// The party that must act on an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The network, or a host that is down: try again later.
    Unreachable,
    /// The trust in the connection: a certificate, missing HTTPS or the reverse.
    Tls,
    /// The registry answered and refused.
    Refused(Refusal),
    /// The registry breaks the specification, or sends what was not asked for.
    Misbehaved,
    /// We refuse to go where the registry sends us.
    NotFollowed,
    /// This side: credentials, the source of an upload, the set-up.
    Local,
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::UnknownHost { .. }
            | Self::Stalled { .. }
            | Self::Slow { .. }
            | Self::WrongContent { .. }
            | Self::Misbehaved { .. } => true,
            Self::Cut { .. } => false,
            Self::Proxy { problem, .. } => match problem {
                ProxyProblem::Unreachable(_) | ProxyProblem::Refused => true,
                ProxyProblem::Credentials | ProxyProblem::Login | ProxyProblem::Schemes(_) => false,
            },
            Self::Answer(answer) | Self::Withheld { answer, .. } => {
                matches!(answer.status, 408 | 429 | 499 | 500 | 502..=504)
            }
            Self::Certificate { .. }
            | Self::Handshake { .. }
            | Self::PlainHttp { .. }
            | Self::HttpsOnly { .. }
            | Self::NotARegistry { .. }
            | Self::WebPage { .. }
            | Self::Unusable { .. }
            | Self::Blocked { .. }
            | Self::Path { .. }
            | Self::Redirect { .. }
            | Self::Realm { .. }
            | Self::Address { .. }
            | Self::LayerAddress { .. }
            | Self::Foreign { .. }
            | Self::FileSize { .. }
            | Self::Manifest { .. }
            | Self::Credentials(_)
            | Self::Source(_)
            | Self::Interrupted
            | Self::Setup(_)
            | Self::HostCertificates { .. }
            | Self::Certificates(_) => false,
        }
    }

    /// Returns the party that must act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Unreachable { .. }
            | Self::UnknownHost { .. }
            | Self::Proxy { .. }
            | Self::Cut { .. }
            | Self::Slow { .. }
            | Self::Stalled { .. } => Blame::Unreachable,
            Self::Certificate { .. }
            | Self::Handshake { .. }
            | Self::PlainHttp { .. }
            | Self::HttpsOnly { .. } => Blame::Tls,
            Self::Answer(answer) => Blame::Refused(answer.refusal()),
            Self::Withheld { .. } => Blame::Refused(Refusal::Unauthorized),
            Self::NotARegistry { .. }
            | Self::WebPage { .. }
            | Self::Unusable { .. }
            | Self::Misbehaved { .. }
            | Self::FileSize { .. }
            | Self::Manifest { .. }
            | Self::WrongContent { .. } => Blame::Misbehaved,
            Self::Foreign { last, .. } => last.blame(),
            Self::Redirect { .. }
            | Self::Realm { .. }
            | Self::Address { .. }
            | Self::LayerAddress { .. }
            | Self::Blocked { .. } => Blame::NotFollowed,
            Self::Path { .. }
            | Self::Credentials(_)
            | Self::Source(_)
            | Self::Interrupted
            | Self::Setup(_)
            | Self::HostCertificates { .. }
            | Self::Certificates(_) => Blame::Local,
        }
    }

    /// The HTTP status, if the registry answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// Whether the registry itself says that there is no such repository or manifest, in the words of the
    /// specification or of Harbor and Quay. A 404 without them may be a proxy's whose registry is down.
    pub fn says_not_found(&self) -> bool {
        const WORDS: [&str; 4] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "TAG_EXPIRED"];
        match self {
            Self::Answer(answer) => {
                let code = answer.code.as_deref();
                answer.status == 404
                    && !answer.from_token_service
                    && code.is_some_and(|code| WORDS.contains(&code))
            }
            _ => false,
        }
    }

    /// How the registry refused, if it answered.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Answer(answer) => Some(answer.refusal()),
            _ => None,
        }
    }

    /// How long the registry asks to wait before the next attempt.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer(answer) | Self::Withheld { answer, .. } => answer.retry_after,
            _ => None,
        }
    }

    /// How long until a rate limit that is used up may answer again, if this is one.
    pub(crate) fn limit_wait(&self) -> Option<Duration> {
        let (Self::Answer(answer) | Self::Withheld { answer, .. }) = self else { return None };
        if answer.refusal() != Refusal::RateLimited {
            return None;
        }
        let used_up = answer.rate_limit.filter(|limit| limit.remaining == 0);
        let window = used_up.and_then(|limit| limit.window).map(|window| window.min(LIMIT_POLL));
        answer.retry_after.or(window)
    }

    pub(crate) fn misbehaved(host: &str, what: impl Into<String>) -> Self {
        Self::Misbehaved { host: host.to_owned(), what: what.into() }
    }

    pub(crate) fn unusable(host: &str, what: impl Into<String>) -> Self {
        Self::Unusable { host: host.to_owned(), what: what.into() }
    }

    /// Whether this is how a request ends that something on the way has cut: Traefik closes the
    /// connection or says 499, nginx 408, others 502 or 504.
    pub(crate) fn is_cut(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Stalled { .. } => true,
            Self::Answer(answer) => matches!(answer.status, 408 | 499 | 502 | 504),
            _ => false,
        }
    }

    /// Whether the registry found other bytes than were sent.
    pub(crate) fn is_wrong_digest(&self) -> bool {
        matches!(self, Self::Answer(answer) if answer.code.as_deref() == Some("DIGEST_INVALID"))
    }

    /// Whether a registry refuses to say if something is there, so that only the push itself shows
    /// it: Quay answers 401 for a repository that the push would make, Artifactory 403 for a tag
    /// that is absent, others 405 for any HEAD.
    pub fn is_refused_lookup(&self) -> bool {
        match self {
            Self::Answer(answer) => {
                !answer.from_token_service && matches!(answer.status, 400 | 401 | 403 | 405 | 501)
            }
            _ => false,
        }
    }

    /// Sorts a failed exchange by what the user can do about it. `proxy` is the one that it went
    /// through.
    pub(crate) fn from_exchange(
        host: &str,
        error: reqwest::Error,
        proxy: Option<String>,
        limits: &Limits,
    ) -> Self {
        // Presigned addresses carry secrets in their query.
        let encrypted = error.url().is_none_or(|url| url.scheme() == "https");
        let error = error.without_url();
        let mut chain = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(current) = cause {
            chain.push_str(&current.to_string());
            chain.push('\n');
            cause = current.source();
        }
        let host = host.to_owned();
        if let Some(proxy) = proxy {
            let problem = if chain.contains("proxy authorization required") {
                Some(ProxyProblem::Credentials)
            } else if error.is_timeout() && error.is_connect() {
                Some(ProxyProblem::Unreachable(format!("no answer for {} seconds", limits.connect.as_secs())))
            } else if chain.contains("tcp connect error") || error.is_dns() {
                Some(ProxyProblem::Unreachable(innermost(&error)))
            } else if chain.contains("tunnel error") || chain.contains("SOCKS error") {
                Some(ProxyProblem::Refused)
            } else {
                None
            };
            if let Some(problem) = problem {
                return Self::Proxy { proxy, host, problem };
            }
        }
        if error.is_timeout() {
            return Self::Stalled { host, waited: limits.connect };
        }
        if error.is_dns() {
            return Self::UnknownHost { host, cause: innermost(&error) };
        }
        // The errors of rustls and hyper arrive as text only: the versions of their types are
        // reqwest's own affair.
        if encrypted && (chain.contains("InvalidContentType") || chain.contains("corrupt message")) {
            return Self::PlainHttp { host };
        }
        if let Some(at) = chain.find("invalid peer certificate") {
            let problem = chain[at..].lines().next().unwrap_or_default();
            return Self::Certificate { host, problem: CertificateProblem::from_text(problem) };
        }
        // A fatal alert, or versions and ciphers that do not meet: the next handshake ends alike.
        for sign in ["received fatal alert: ", "peer is incompatible: "] {
            if let Some(at) = chain.find(sign) {
                let reason = chain[at + sign.len()..].lines().next().unwrap_or_default();
                return Self::Handshake { host, reason: reason.to_owned() };
            }
        }
        Self::Unreachable { host, cause: error }
    }
}

/// All errors for a layer that no address provides, in the order of the requests.
fn foreign(tried: &[Error], last: &Error) -> String {
    let mut said: Vec<String> = tried.iter().chain([last]).map(|error| bundle_oci::chain(error)).collect();
    if tried.is_empty() {
        said.push("the image names no address for the layer, which is marked non-distributable".to_owned());
    }
    said.join("; ")
}

/// A title after a colon.
fn titled(title: &Option<String>) -> String {
    title.as_ref().map(|title| format!(": '{}'", Printable(title))).unwrap_or_default()
}

/// The system's own message, without those of the HTTP client's layers.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl CertificateProblem {
    fn from_text(text: &str) -> Self {
        let text = text.trim_start_matches("invalid peer certificate: ");
        if text.contains("UnknownIssuer") {
            Self::UnknownIssuer
        } else if text.contains("NoAuthorities") {
            Self::NoAuthorities
        } else if text.contains("CaUsedAsEndEntity") {
            Self::SelfSigned
        } else if text.contains("not valid yet") || text.contains("NotValidYet") {
            Self::NotYetValid
        } else if text.to_lowercase().contains("expired") {
            Self::Expired
        } else if text.contains("not valid for name") || text.contains("NotValidForName") {
            Self::WrongName
        } else {
            Self::Other(text.to_owned())
        }
    }
}
