//! The stable identifiers of errors, each with its exit code. An identifier never gets another meaning.
//! `docs/reference/exit-codes.md` is made from this table.

use crate::ExitCode;

/// Why a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorId {
    /// The program failed for a reason that has no identifier of its own.
    Failed,
    /// The operating system refused to read or write a file.
    FileSystem,
    /// There is not enough disk space.
    NoSpace,
    /// The operating system refused a thread, a file descriptor or memory.
    Resources,
    /// The work is larger than a limit of the program or of the format.
    LimitReached,
    /// A command that the program ran failed, such as a signing command or kubectl.
    CommandFailed,
    /// Nothing that was read knows what was searched for, and all of it could be read.
    FoundNowhere,
    /// An argument is wrong.
    Usage,
    /// A configuration file, list or values file is wrong. The message names the place.
    FileInvalid,
    /// A file that was named does not exist or cannot be read.
    FileUnreadable,
    /// A key, credential or trust file can be read or written by others.
    FileOpenToAll,
    /// The output exists already, and the program does not overwrite it.
    OutputExists,
    /// The bundle cannot be written there: the name, the file system or the volume size does not fit.
    OutputUnsuitable,
    /// Another run of the program writes there.
    Busy,
    /// A key file is not a usable key of the kind that is needed.
    KeyInvalid,
    /// The passphrase of a private key is missing or wrong.
    Passphrase,
    /// No trusted key is known, or the trust store cannot be found.
    NoTrustedKey,
    /// Two images would get the same name at the destination.
    TargetConflict,
    /// A chart cannot be rendered or read as it was asked for.
    ChartInput,
    /// The bundle does not have the image or chart that was named.
    NotInBundle,
    /// Credentials or a credential file cannot be used.
    Credentials,
    /// The bundle, receipt or signature is not trusted for a reason that has no identifier of its own.
    NotTrusted,
    /// No trusted key made the signature, or the content was changed after it was signed.
    UnknownSigner,
    /// Fewer keys signed than the trust policy requires.
    TooFewSignatures,
    /// A key that signed is revoked.
    KeyRevoked,
    /// A key that signed is not allowed to: the bundle is outside its validity period, projects or streams.
    KeyScope,
    /// The bundle ends too early.
    Truncated,
    /// Bytes of a bundle, volume, receipt or chart are not what was signed, or break the format.
    Damaged,
    /// The clock of this machine is wrong, so that no time in a signature, key or certificate can be judged.
    Clock,
    /// The network or a registry failed for a reason that has no identifier of its own.
    Network,
    /// A host does not answer, or the connection broke and retries did not help.
    Unreachable,
    /// A host name cannot be resolved.
    UnknownHost,
    /// An HTTP proxy refused or failed.
    Proxy,
    /// The TLS certificate of a host is not accepted, or TLS failed.
    Certificate,
    /// A host speaks HTTP where HTTPS is required, or the reverse.
    PlainHttp,
    /// The registry does not accept the account, or the account lacks a right.
    Unauthorized,
    /// The registry has no such image, chart or repository.
    NotFound,
    /// The registry limits the number of requests.
    RateLimited,
    /// The registry answered with an error.
    RegistryRefused,
    /// The registry gave an answer that breaks the protocol, or other content than its digest.
    RegistryBroken,
    /// Components of Harbor are not healthy.
    Unhealthy,
    /// A policy refused for a reason that has no identifier of its own.
    Policy,
    /// A tag exists at the destination with a different digest.
    TagExists,
    /// A tag is immutable at the destination.
    TagImmutable,
    /// A quota of the destination is exceeded, or would be.
    Quota,
    /// The destination is in read-only mode.
    ReadOnly,
    /// The account lacks rights in a project, or the project cannot be made or changed.
    MissingRights,
    /// Several preflight checks failed. The report names each.
    Preflight,
    /// A host or address is blocked by the policy of this machine or of the network.
    Blocked,
    /// Harbor blocks the pull of delivered images because of vulnerabilities.
    ImagesBlocked,
    /// Findings of a scan block images of the bundle.
    ScanBlocked,
    /// A node's files are not as they should be.
    NodeDeviates,
    /// A pull secret is missing in the cluster, or is of another type or for another host.
    PullSecret,
    /// Something is missing for a reason that has no identifier of its own.
    Incomplete,
    /// A volume of the bundle is missing.
    VolumeMissing,
    /// Blobs of the base bundle are missing at the destination or in the bundle.
    BaseMissing,
    /// bundle.lock lacks an image, or a locked digest is gone at the source.
    LockOutdated,
    /// An image that a chart names is missing at the registry or in the bundle, or all images are.
    ImageMissing,
    /// No tag of a repository matches a pattern or a range of versions.
    NoTagMatches,
    /// Something changed while the command ran, such as a tag that another client moved.
    Changed,
    /// The destination differs from the receipt.
    Drift,
    /// A scan did not end in time.
    ScanMissing,
    /// An image of the bundle could not be scanned.
    ScanFailed,
    /// Other shards or runs still have work to do.
    SharesMissing,
    /// A newer program made this file. Update the program.
    NewerVersion,
    /// The bundle is older than the newest one of its stream, or its number is taken (rollback protection).
    Stale,
    /// The bundle is past its own expiry.
    Expired,
}

impl ErrorId {
    /// All of them, by exit code.
    pub const ALL: [Self; 67] = [
        Self::Failed,
        Self::FileSystem,
        Self::NoSpace,
        Self::Resources,
        Self::LimitReached,
        Self::CommandFailed,
        Self::FoundNowhere,
        Self::Usage,
        Self::FileInvalid,
        Self::FileUnreadable,
        Self::FileOpenToAll,
        Self::OutputExists,
        Self::OutputUnsuitable,
        Self::Busy,
        Self::KeyInvalid,
        Self::Passphrase,
        Self::NoTrustedKey,
        Self::TargetConflict,
        Self::ChartInput,
        Self::NotInBundle,
        Self::Credentials,
        Self::NotTrusted,
        Self::UnknownSigner,
        Self::TooFewSignatures,
        Self::KeyRevoked,
        Self::KeyScope,
        Self::Truncated,
        Self::Damaged,
        Self::Clock,
        Self::Network,
        Self::Unreachable,
        Self::UnknownHost,
        Self::Proxy,
        Self::Certificate,
        Self::PlainHttp,
        Self::Unauthorized,
        Self::NotFound,
        Self::RateLimited,
        Self::RegistryRefused,
        Self::RegistryBroken,
        Self::Unhealthy,
        Self::Policy,
        Self::TagExists,
        Self::TagImmutable,
        Self::Quota,
        Self::ReadOnly,
        Self::MissingRights,
        Self::Preflight,
        Self::Blocked,
        Self::ImagesBlocked,
        Self::ScanBlocked,
        Self::NodeDeviates,
        Self::PullSecret,
        Self::Incomplete,
        Self::VolumeMissing,
        Self::BaseMissing,
        Self::LockOutdated,
        Self::ImageMissing,
        Self::NoTagMatches,
        Self::Changed,
        Self::Drift,
        Self::ScanMissing,
        Self::ScanFailed,
        Self::SharesMissing,
        Self::NewerVersion,
        Self::Stale,
        Self::Expired,
    ];

    /// The identifier, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::FileSystem => "file-system",
            Self::NoSpace => "no-space",
            Self::Resources => "resources",
            Self::LimitReached => "limit-reached",
            Self::CommandFailed => "command-failed",
            Self::FoundNowhere => "found-nowhere",
            Self::Usage => "usage",
            Self::FileInvalid => "file-invalid",
            Self::FileUnreadable => "file-unreadable",
            Self::FileOpenToAll => "file-open-to-all",
            Self::OutputExists => "output-exists",
            Self::OutputUnsuitable => "output-unsuitable",
            Self::Busy => "busy",
            Self::KeyInvalid => "key-invalid",
            Self::Passphrase => "passphrase",
            Self::NoTrustedKey => "no-trusted-key",
            Self::TargetConflict => "target-conflict",
            Self::ChartInput => "chart-input",
            Self::NotInBundle => "not-in-bundle",
            Self::Credentials => "credentials",
            Self::NotTrusted => "not-trusted",
            Self::UnknownSigner => "unknown-signer",
            Self::TooFewSignatures => "too-few-signatures",
            Self::KeyRevoked => "key-revoked",
            Self::KeyScope => "key-scope",
            Self::Expired => "expired",
            Self::Stale => "stale",
            Self::NewerVersion => "newer-version",
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
            Self::Clock => "clock",
            Self::Network => "network",
            Self::Unreachable => "unreachable",
            Self::UnknownHost => "unknown-host",
            Self::Proxy => "proxy",
            Self::Certificate => "certificate",
            Self::PlainHttp => "plain-http",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::RegistryRefused => "registry-refused",
            Self::RegistryBroken => "registry-broken",
            Self::Unhealthy => "unhealthy",
            Self::Policy => "policy",
            Self::TagExists => "tag-exists",
            Self::TagImmutable => "tag-immutable",
            Self::Quota => "quota",
            Self::ReadOnly => "read-only",
            Self::MissingRights => "missing-rights",
            Self::Preflight => "preflight",
            Self::Blocked => "blocked",
            Self::ImagesBlocked => "images-blocked",
            Self::ScanBlocked => "scan-blocked",
            Self::NodeDeviates => "node-deviates",
            Self::PullSecret => "pull-secret",
            Self::Incomplete => "incomplete",
            Self::VolumeMissing => "volume-missing",
            Self::BaseMissing => "base-missing",
            Self::LockOutdated => "lock-outdated",
            Self::ImageMissing => "image-missing",
            Self::NoTagMatches => "no-tag-matches",
            Self::Changed => "changed",
            Self::Drift => "drift",
            Self::ScanMissing => "scan-missing",
            Self::ScanFailed => "scan-failed",
            Self::SharesMissing => "shares-missing",
        }
    }

    /// The exit code.
    pub const fn code(self) -> ExitCode {
        match self {
            Self::Failed
            | Self::FileSystem
            | Self::NoSpace
            | Self::Resources
            | Self::LimitReached
            | Self::CommandFailed
            | Self::FoundNowhere => ExitCode::Failed,
            Self::Usage
            | Self::FileInvalid
            | Self::FileUnreadable
            | Self::FileOpenToAll
            | Self::OutputExists
            | Self::OutputUnsuitable
            | Self::Busy
            | Self::KeyInvalid
            | Self::Passphrase
            | Self::NoTrustedKey
            | Self::TargetConflict
            | Self::ChartInput
            | Self::NotInBundle
            | Self::Credentials => ExitCode::Usage,
            Self::NotTrusted
            | Self::UnknownSigner
            | Self::TooFewSignatures
            | Self::KeyRevoked
            | Self::KeyScope
            | Self::Truncated
            | Self::Damaged
            | Self::Clock => ExitCode::NotTrusted,
            Self::Network
            | Self::Unreachable
            | Self::UnknownHost
            | Self::Proxy
            | Self::Certificate
            | Self::PlainHttp
            | Self::Unauthorized
            | Self::NotFound
            | Self::RateLimited
            | Self::RegistryRefused
            | Self::RegistryBroken
            | Self::Unhealthy => ExitCode::Network,
            Self::Policy
            | Self::TagExists
            | Self::TagImmutable
            | Self::Quota
            | Self::ReadOnly
            | Self::MissingRights
            | Self::Preflight
            | Self::Blocked
            | Self::ImagesBlocked
            | Self::ScanBlocked => ExitCode::Policy,
            Self::NodeDeviates
            | Self::PullSecret
            | Self::Incomplete
            | Self::VolumeMissing
            | Self::BaseMissing
            | Self::LockOutdated
            | Self::ImageMissing
            | Self::NoTagMatches
            | Self::Changed
            | Self::Drift
            | Self::ScanMissing
            | Self::ScanFailed
            | Self::SharesMissing => ExitCode::Incomplete,
            Self::NewerVersion => ExitCode::NewerVersion,
            Self::Stale | Self::Expired => ExitCode::Stale,
        }
    }

    /// Its meaning, in one sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "The program failed for a reason that has no identifier of its own.",
            Self::FileSystem => "The operating system refused to read or write a file.",
            Self::NoSpace => "There is not enough disk space.",
            Self::Resources => "The operating system refused a thread, a file descriptor or memory.",
            Self::LimitReached => "The work is larger than a limit of the program or of the format.",
            Self::CommandFailed => {
                "A command that the program ran failed, such as a signing command or kubectl."
            }
            Self::FoundNowhere => {
                "Nothing that was read knows what was searched for, and all of it could be read."
            }
            Self::Usage => "An argument is wrong.",
            Self::FileInvalid => {
                "A configuration file, list or values file is wrong. The message names the place."
            }
            Self::FileUnreadable => "A file that was named does not exist or cannot be read.",
            Self::FileOpenToAll => "A key, credential or trust file can be read or written by others.",
            Self::OutputExists => "The output exists already, and the program does not overwrite it.",
            Self::OutputUnsuitable => {
                "The bundle cannot be written there: the name, the file system or the volume size does not fit."
            }
            Self::Busy => "Another run of the program writes there.",
            Self::KeyInvalid => "A key file is not a usable key of the kind that is needed.",
            Self::Passphrase => "The passphrase of a private key is missing or wrong.",
            Self::NoTrustedKey => "No trusted key is known, or the trust store cannot be found.",
            Self::TargetConflict => "Two images would get the same name at the destination.",
            Self::ChartInput => "A chart cannot be rendered or read as it was asked for.",
            Self::NotInBundle => "The bundle does not have the image or chart that was named.",
            Self::Credentials => "Credentials or a credential file cannot be used.",
            Self::NotTrusted => {
                "The bundle, receipt or signature is not trusted for a reason that has no identifier of its own."
            }
            Self::UnknownSigner => {
                "No trusted key made the signature, or the content was changed after it was signed."
            }
            Self::TooFewSignatures => "Fewer keys signed than the trust policy requires.",
            Self::KeyRevoked => "A key that signed is revoked.",
            Self::KeyScope => {
                "A key that signed is not allowed to: the bundle is outside its validity period, projects or streams."
            }
            Self::Expired => "The bundle is past its own expiry.",
            Self::Stale => {
                "The bundle is older than the newest one of its stream, or its number is taken (rollback protection)."
            }
            Self::NewerVersion => "A newer program made this file. Update the program.",
            Self::Truncated => "The bundle ends too early.",
            Self::Damaged => {
                "Bytes of a bundle, volume, receipt or chart are not what was signed, or break the format."
            }
            Self::Clock => {
                "The clock of this machine is wrong, so that no time in a signature, key or certificate can be judged."
            }
            Self::Network => {
                "The network or a registry failed for a reason that has no identifier of its own."
            }
            Self::Unreachable => "A host does not answer, or the connection broke and retries did not help.",
            Self::UnknownHost => "A host name cannot be resolved.",
            Self::Proxy => "An HTTP proxy refused or failed.",
            Self::Certificate => "The TLS certificate of a host is not accepted, or TLS failed.",
            Self::PlainHttp => "A host speaks HTTP where HTTPS is required, or the reverse.",
            Self::Unauthorized => "The registry does not accept the account, or the account lacks a right.",
            Self::NotFound => "The registry has no such image, chart or repository.",
            Self::RateLimited => "The registry limits the number of requests.",
            Self::RegistryRefused => "The registry answered with an error.",
            Self::RegistryBroken => {
                "The registry gave an answer that breaks the protocol, or other content than its digest."
            }
            Self::Unhealthy => "Components of Harbor are not healthy.",
            Self::Policy => "A policy refused for a reason that has no identifier of its own.",
            Self::TagExists => "A tag exists at the destination with a different digest.",
            Self::TagImmutable => "A tag is immutable at the destination.",
            Self::Quota => "A quota of the destination is exceeded, or would be.",
            Self::ReadOnly => "The destination is in read-only mode.",
            Self::MissingRights => {
                "The account lacks rights in a project, or the project cannot be made or changed."
            }
            Self::Preflight => "Several preflight checks failed. The report names each.",
            Self::Blocked => "A host or address is blocked by the policy of this machine or of the network.",
            Self::ImagesBlocked => "Harbor blocks the pull of delivered images because of vulnerabilities.",
            Self::ScanBlocked => "Findings of a scan block images of the bundle.",
            Self::NodeDeviates => "A node's files are not as `mirror-config` would write them.",
            Self::PullSecret => {
                "A pull secret is missing in the cluster, or is of another type or for another host."
            }
            Self::Incomplete => "Something is missing for a reason that has no identifier of its own.",
            Self::VolumeMissing => "A volume of the bundle is missing.",
            Self::BaseMissing => "Blobs of the base bundle are missing at the destination or in the bundle.",
            Self::LockOutdated => "bundle.lock lacks an image, or a locked digest is gone at the source.",
            Self::ImageMissing => {
                "An image that a chart names is missing at the registry or in the bundle, or all images are."
            }
            Self::NoTagMatches => "No tag of a repository matches a pattern or a range of versions.",
            Self::Changed => {
                "Something changed while the command ran, such as a tag that another client moved."
            }
            Self::Drift => "The destination differs from the receipt.",
            Self::ScanMissing => "A scan did not end in time.",
            Self::ScanFailed => "An image of the bundle could not be scanned.",
            Self::SharesMissing => "Other shards or runs still have work to do.",
        }
    }
}

/// The identifier of an error that is known by its exit code alone.
impl From<ExitCode> for ErrorId {
    fn from(code: ExitCode) -> Self {
        match code {
            // A success has no error, so an error with its code is a failure without a cause.
            ExitCode::Done | ExitCode::Failed => Self::Failed,
            ExitCode::Usage => Self::Usage,
            ExitCode::NotTrusted => Self::NotTrusted,
            ExitCode::Network => Self::Network,
            ExitCode::Policy => Self::Policy,
            ExitCode::Incomplete => Self::Incomplete,
            ExitCode::NewerVersion => Self::NewerVersion,
            ExitCode::Stale => Self::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_identifier_is_there_once_and_in_the_order_of_its_code() {
        let names: HashSet<&str> = ErrorId::ALL.iter().map(|id| id.as_str()).collect();
        assert_eq!(names.len(), ErrorId::ALL.len());
        let codes: Vec<u8> = ErrorId::ALL.iter().map(|id| id.code().number()).collect();
        assert!(codes.is_sorted() && !codes.contains(&0), "{codes:?}");
        for code in &ExitCode::ALL[1..] {
            assert_eq!(ErrorId::from(*code).code(), *code);
        }
    }
}
