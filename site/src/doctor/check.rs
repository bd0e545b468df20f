//! A check and how it ended: passed, with a warning, failed, or not run and why.
//! Facts only; what to do about them is the command's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bundle_format::Timestamp;
use bundle_importer::Finding;
use bundle_oci::{ByteCount, Printable};
use bundle_registry::{CertificateTimes, Error};
use bundle_trust::TrustStoreError;

use crate::KubectlError;

/// One check.
#[derive(Debug)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// The subject of the check: a host, a project, a file, a secret.
    pub about: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// The name of a check. The names are for machines, too, and never get another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckName {
    /// A host's name has addresses.
    Name,
    /// The addresses take connections.
    Connection,
    /// The connection's certificate is trusted.
    Certificate,
    /// The clock here is that of the registry.
    Clock,
    /// It is a registry, or a Harbor.
    Registry,
    /// Harbor's version.
    Version,
    /// Harbor's components.
    Health,
    /// The account is known.
    Account,
    /// The account may import into the projects.
    Projects,
    /// The exceptions in harbor.yaml count, and are Harbor's.
    Exceptions,
    /// The free space of Harbor.
    Storage,
    /// How large a request may be.
    RequestSize,
    /// How long a request may take.
    RequestTime,
    /// The bundle can be opened and is trusted.
    Bundle,
    /// There is room on a disk.
    Space,
    /// Only its owner reads a file with a secret.
    SecretFile,
    /// Keys are trusted, and for how long.
    Trust,
    /// The cluster answers.
    Cluster,
    /// A namespace has its pull secret.
    PullSecret,
    /// Pods find a host where it is found here.
    PodName,
    /// A node's files.
    Node,
    /// A node finds a host where it is found here.
    NodeName,
}

impl CheckName {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Registry => "registry",
            Self::Version => "version",
            Self::Health => "health",
            Self::Account => "account",
            Self::Projects => "projects",
            Self::Exceptions => "exceptions",
            Self::Storage => "storage",
            Self::RequestSize => "request-size",
            Self::RequestTime => "request-time",
            Self::Bundle => "bundle",
            Self::Space => "space",
            Self::SecretFile => "secret-file",
            Self::Trust => "trust",
            Self::Cluster => "cluster",
            Self::PullSecret => "pull-secret",
            Self::PodName => "pod-name",
            Self::Node => "node",
            Self::NodeName => "node-name",
        }
    }

    /// The check of something, with how it ended.
    pub fn of(self, about: impl ToString, outcome: Outcome) -> Check {
        Check { name: self, about: about.to_string(), outcome }
    }
}

/// How a check ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is as it should be; what was found.
    Passed(String),
    /// It works, with a warning.
    Warned(Trouble),
    /// It does not work.
    Failed(Trouble),
    /// It was not run.
    NotRun(Skipped),
}

/// Why a check was not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// An earlier check failed that this one needs.
    #[error("{0} did not pass")]
    After(&'static str),
    /// The host is asked through a proxy, which does it.
    #[error("it is asked through the proxy {0}")]
    Proxy(String),
    /// The connection has no certificate.
    #[error("plain HTTP")]
    PlainHttp,
    /// The host does not say what time it has.
    #[error("the answers have no date")]
    NoDate,
    /// No account was given.
    #[error("no account was given")]
    NoAccount,
    /// Only an administrator may read it.
    #[error("Harbor tells administrators only")]
    NoAdministrator,
    /// The images are not on the disk that Harbor knows.
    #[error("Harbor keeps images in {}, and cannot say how full that is", Printable(.0))]
    Elsewhere(String),
    /// Not requested, because it takes long or needs an option.
    #[error("not asked for")]
    NotAsked,
    /// The answer is not a registry's, and does not show what was asked.
    #[error("the answer is HTTP {0}, which is no registry's to this request")]
    Answered(u16),
    /// The program for it is not there.
    #[error("{0} is not on the PATH")]
    NoProgram(&'static str),
    /// There is no cluster to be asked.
    #[error("no cluster: {}", Printable(.0))]
    NoCluster(String),
}

/// A fault.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A host did not do what it was asked.
    #[error(transparent)]
    Registry(#[from] Error),
    /// None of the addresses takes connections.
    #[error("no connection: {}", refused(.0))]
    Unanswered(Vec<(SocketAddr, std::io::Error)>),
    /// Some of the addresses take none, so that one in so many tries fails.
    #[error("some of its addresses take no connections: {}", refused(.0))]
    Partly(Vec<(SocketAddr, std::io::Error)>),
    /// The certificate is not trusted.
    #[error("{error}{}", good_when(.times))]
    Certificate {
        /// Why not.
        error: Error,
        /// Its times, as far as they are known.
        times: CertificateTimes,
    },
    /// The certificate ends soon.
    #[error("the certificate ends at {at}, in {days} days")]
    Ends {
        /// When.
        at: Timestamp,
        /// In how many days from now.
        days: u64,
    },
    /// The clock here is not that of the registry.
    #[error("the clock here is {} {} that of the registry", span(*.off), if *.ahead { "ahead of" } else { "behind" })]
    Clock {
        /// By how much.
        off: Duration,
        /// Whether the clock here is ahead.
        ahead: bool,
    },
    /// A version with which the program was not tried.
    #[error("Harbor {}, and this program was tried with {oldest} to {newest}", Printable(.version))]
    Version {
        /// The version that Harbor reports.
        version: String,
        /// The oldest that was tried.
        oldest: String,
        /// The newest that was tried.
        newest: String,
    },
    /// Components of Harbor that are not healthy.
    #[error("Harbor is not healthy: {}", Printable(.0))]
    Unhealthy(String),
    /// A finding that prevents an import.
    #[error("{0}")]
    Finding(Finding),
    /// Exceptions that are over, or end soon.
    #[error("exceptions {}: {}", if *.over { "have expired" } else { "end soon" }, .exceptions.join(", "))]
    Exceptions {
        /// Which, with owner and last day.
        exceptions: Vec<String>,
        /// Whether they are over already.
        over: bool,
    },
    /// Exceptions or retention rules of Harbor that are not those of harbor.yaml.
    #[error("{0}")]
    Undone(String),
    /// Less is free than the bundle has.
    #[error("{} free, and the bundle has {}", ByteCount(*.free), ByteCount(*.needed))]
    Room {
        /// The free space, in bytes.
        free: u64,
        /// The space that may be needed, in bytes.
        needed: u64,
    },
    /// Something before the registry refuses a request of this size.
    #[error("a request of {} is refused by its size (HTTP 413)", ByteCount(*.0))]
    RequestSize(u64),
    /// Something before the registry ended an upload.
    #[error("an upload was ended after {} seconds", .after.as_secs())]
    RequestTime {
        /// After how long.
        after: Duration,
        /// How.
        source: Box<Error>,
    },
    /// A file or directory that cannot be looked at.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file with a secret, which others can read.
    #[error("{} can be read by others (mode {mode:04o})", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The trust store cannot be used, or is empty.
    #[error(transparent)]
    Store(#[from] TrustStoreError),
    /// Fewer keys are good now than must sign.
    #[error("{good} of the trusted keys can sign now, and {needed} must")]
    TooFewKeys {
        /// How many are neither revoked nor outside their time.
        good: usize,
        /// How many must sign.
        needed: usize,
    },
    /// A key whose time ends soon.
    #[error("the key '{}' may sign until {at}, for {days} more days", Printable(.name))]
    KeyEnds {
        /// The name of the key.
        name: String,
        /// When.
        at: Timestamp,
        /// In how many days from now.
        days: u64,
    },
    /// The cluster, or `kubectl`.
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
    /// A namespace that is to have a secret and is not there.
    #[error("there is no namespace {0}")]
    NoNamespace(String),
    /// A secret that is not there.
    #[error("there is no such secret")]
    NoSecret,
    /// A secret of another type than pods pull with.
    #[error("it is of the type {}, and pods pull with kubernetes.io/dockerconfigjson", Printable(.0))]
    SecretType(String),
    /// A secret for other hosts.
    #[error("it is for {}, and images are at {host}", Printable(.found))]
    SecretHost {
        /// The hosts that it is for.
        found: String,
        /// The registry's host, as pods name it.
        host: String,
    },
    /// The output of `kubectl` is not an object.
    #[error("kubectl printed something else than JSON of it")]
    NoObject,
    /// A host that others find elsewhere.
    #[error("it is {there} there, and {here} here")]
    OtherAddress {
        /// Its addresses for the others.
        there: String,
        /// Its addresses here.
        here: String,
    },
    /// A host that is known here by a file alone.
    #[error("it is known here by /etc/hosts, and CoreDNS does not name it: pods may not find it")]
    PodsDoNotKnow,
    /// A node's file.
    #[error("{0}")]
    NodeFile(String),
}

/// Addresses with what the network says.
fn refused(refused: &[(SocketAddr, std::io::Error)]) -> String {
    let said: Vec<String> = refused.iter().map(|(address, error)| format!("{address} ({error})")).collect();
    said.join(", ")
}

/// The time that a certificate is not good for, and the time that it is here.
fn good_when(times: &CertificateTimes) -> String {
    let said = match (times.not_before, times.not_after) {
        (Some(before), _) => timestamp(before).map(|at| format!("not before {at}")),
        (None, Some(after)) => timestamp(after).map(|at| format!("not after {at}")),
        (None, None) => None,
    };
    said.map(|said| format!(" ({said}; the clock here says {})", Timestamp::now())).unwrap_or_default()
}

/// A time for people.
pub(super) fn timestamp(at: std::time::SystemTime) -> Option<Timestamp> {
    let seconds = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Timestamp::from_unix(i64::try_from(seconds).ok()?).ok()
}

/// `90 seconds`, `3 hours`, `40 days`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=599 => format!("{seconds} seconds"),
        600..=7199 => format!("{} minutes", seconds / 60),
        7200..=172_799 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_says_by_how_much_and_which_way() {
        for (seconds, ahead, expected) in [
            (90, true, "the clock here is 90 seconds ahead of that of the registry"),
            (7100, false, "the clock here is 118 minutes behind that of the registry"),
            (40 * 86_400, false, "the clock here is 40 days behind that of the registry"),
        ] {
            let off = Duration::from_secs(seconds);
            assert_eq!(Trouble::Clock { off, ahead }.to_string(), expected);
        }
    }
}
