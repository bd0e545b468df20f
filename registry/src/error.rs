use std::fmt;
use std::time::Duration;

use bundle_oci::{Digest, ManifestError, Printable};

use crate::CredentialError;

/// What kept a registry from doing what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// The host that was asked.
        host: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The connection's certificate is not trusted.
    #[error("{host} has a certificate that is not trusted: {reason}")]
    Certificate {
        /// The host that was asked.
        host: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// A host that speaks plain HTTP was asked for HTTPS.
    #[error("{host} does not speak HTTPS")]
    PlainHttp {
        /// The host that was asked.
        host: String,
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
    /// The registry's answer breaks the specification or contradicts itself.
    #[error("{host} misbehaves: {what}")]
    Misbehaved {
        /// The host that was asked.
        host: String,
        /// What it did.
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
    #[error("{host} sends its users for a token to {}, which is not asked: {why}", Printable(.realm))]
    Realm {
        /// The host that was asked.
        host: String,
        /// The token service.
        realm: String,
        /// Why not.
        why: &'static str,
    },
    /// A manifest that cannot be used.
    #[error("{host} has {what}, which cannot be used")]
    Manifest {
        /// The host that was asked.
        host: String,
        /// Which manifest.
        what: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// Content that its digest does not describe.
    #[error("{host} sent bytes for {expected} whose digest is {found}")]
    WrongContent {
        /// The host that was asked.
        host: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// Credentials are configured and cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The bytes to be sent cannot be had.
    #[error("the bytes to be sent cannot be read")]
    Source(#[source] std::io::Error),
    /// The client could not be set up.
    #[error("connections cannot be set up")]
    Setup(#[source] reqwest::Error),
}

/// An answer other than the one that was hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The host that was asked.
    pub host: String,
    /// What it was asked to do, after "to".
    pub doing: String,
    /// The HTTP status.
    pub status: u16,
    /// The code of the first error in the body (distribution-spec §Error Codes).
    pub code: Option<String>,
    /// The message of the first error in the body.
    pub message: Option<String>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the request carried no credentials.
    pub anonymous: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.status {
            401 if self.anonymous => "asks for credentials",
            401 => "does not accept the credentials",
            403 => "does not allow it",
            404 => "does not have it",
            409 => "has a conflict with it",
            412 => "refuses it because of a rule",
            413 => "finds it too large",
            429 => "is asked too often",
            500.. => "failed",
            _ => "refused",
        };
        write!(f, "{} {meaning} when asked to {} (HTTP {}", self.host, self.doing, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {}", Printable(code))?;
        }
        f.write_str(")")?;
        match &self.message {
            Some(message) => write!(f, ": {}", Printable(message)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Answer {}

impl Error {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Stalled { .. } | Self::WrongContent { .. } => true,
            Self::Misbehaved { .. } => true,
            Self::Answer(answer) => matches!(answer.status, 408 | 429 | 500 | 502..=504),
            Self::Certificate { .. }
            | Self::PlainHttp { .. }
            | Self::Redirect { .. }
            | Self::Realm { .. }
            | Self::Manifest { .. }
            | Self::Credentials(_)
            | Self::Source(_)
            | Self::Setup(_) => false,
        }
    }

    /// The HTTP status, if the registry answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// How long the registry asks to wait before the next attempt.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer(answer) => answer.retry_after,
            _ => None,
        }
    }

    /// Sorts a failed exchange by what the user can do about it.
    pub(crate) fn from_exchange(host: &str, error: reqwest::Error) -> Self {
        // Presigned addresses carry secrets in their query.
        let error = error.without_url();
        let mut chain = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(current) = cause {
            chain.push_str(&current.to_string());
            chain.push('\n');
            cause = current.source();
        }
        let host = host.to_owned();
        if chain.contains("InvalidContentType") || chain.contains("corrupt message") {
            return Self::PlainHttp { host };
        }
        if let Some(at) = chain.find("invalid peer certificate") {
            let reason = chain[at..].lines().next().unwrap_or_default();
            let reason = reason.trim_start_matches("invalid peer certificate: ");
            let reason = if reason.contains("UnknownIssuer") {
                "its issuer is unknown".to_owned()
            } else if reason.contains("Expired") {
                "it has expired".to_owned()
            } else if reason.contains("NotValidForName") || reason.contains("not valid for") {
                "it is for another name".to_owned()
            } else {
                reason.to_owned()
            };
            return Self::Certificate { host, reason };
        }
        Self::Unreachable { host, source: error }
    }
}
