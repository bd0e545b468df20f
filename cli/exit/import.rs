//! Reading a bundle, and delivering it.
//! Takes the errors of `format` and `importer`, gives identifiers and hints.

use bundle_format::{
    Damage, FORMAT_VERSION, FileError, MediumError, StatementError, TrustError, VOLUMES_VERSION,
    VolumeIndexError,
};
use bundle_importer::{
    Cause, ConfirmError, Crowded, DeliveryError, HistoryError, OpenError, ProveError, PushError, StateError,
};
use bundle_registry::Refusal;

use super::registry::{registry_hint, registry_id};
use super::trust::countersignature_id;
use super::{Failure, Id, NAMED, chain};

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let id = match &error {
            OpenError::Open(error) => medium_id(error),
            OpenError::Missing(_) => Id::VolumeMissing,
            OpenError::Countersignature(error) => countersignature_id(error),
            OpenError::Trust(error) => trust_id(error),
            OpenError::Damage(damage) => damage_id(damage),
        };
        if let OpenError::Missing(missing) = &error {
            let mut lines: Vec<String> =
                missing.iter().map(|path| format!("{} is missing", path.display())).collect();
            lines.push(chain(&error));
            let hint =
                "put all volumes into one directory, or import one after the other with --partial".to_owned();
            return Self { id, lines, hint: Some(hint) };
        }
        let hint = match &error {
            OpenError::Damage(bundle_format::Damage::Truncated { .. }) => {
                Some("copy the file again; the medium may have been full or removed too early".to_owned())
            }
            OpenError::Damage(Damage::PipedManifests(_)) => {
                Some("write the bundle to a file, and name that".to_owned())
            }
            OpenError::Trust(bundle_format::TrustError::Stranger { .. }) => {
                Some("compare `bundle key show` on both sides; never import a bundle to find out".to_owned())
            }
            OpenError::Trust(bundle_format::TrustError::TooFew { .. }) => Some(
                "have another person sign it with `bundle sign`, and put the signature file beside the bundle"
                    .to_owned(),
            ),
            OpenError::Trust(bundle_format::TrustError::Expired(_)) => Some(
                "check this machine's clock; to import it anyway: --allow-rollback --reason TEXT"
                    .to_owned(),
            ),
            OpenError::Damage(Damage::NoBase(_)) => Some(NO_BASE.to_owned()),
            OpenError::Damage(Damage::WrongBase(_)) => Some(WRONG_BASE.to_owned()),
            _ if id == Id::NewerVersion => Some(NEWER.to_owned()),
            OpenError::Damage(Damage::NotABundle) => Some(ANOTHER_FILE.to_owned()),
            OpenError::Damage(Damage::Promise(_)) => Some(NOT_AS_SAID.to_owned()),
            OpenError::Damage(_) if matches!(id, Id::Damaged | Id::Truncated) => Some(COPY_AGAIN.to_owned()),
            _ => None,
        };
        Self { id, lines: vec![chain(&error)], hint }
    }
}

/// The hint for a newer program's file.
pub(super) const NEWER: &str = "install a version of `bundle` that is at least that of the side that made the file; `bundle --version` prints it";

/// The hint for a compact bundle without its bases.
const NO_BASE: &str = "name a directory with the earlier bundles (--base-dir DIR), or import it where the layers of \
     before are; if they are gone there, ask for a bundle that was made without --base";

/// The hint for a base that is not what it should be.
const WRONG_BASE: &str = "the registry, or the directory of --base-dir, has a damaged layer: replace it there, or ask for a \
     bundle that was made without --base";

/// The hint for damaged bytes.
const COPY_AGAIN: &str = "copy the damaged files again from where they were made; `create --parity` makes \
     bundles that survive some damage";

/// The hint for a signed statement that is false.
const NOT_AS_SAID: &str =
    "the signed statement is false: do not use the bundle, and ask its signer how it was made";

/// The hint for a file that is not a bundle.
const ANOTHER_FILE: &str = "check the file name; `bundle create -o FILE` writes bundles, and an empty file was not copied \
     completely";

impl From<bundle_importer::RepairError> for Failure {
    fn from(error: bundle_importer::RepairError) -> Self {
        use bundle_importer::RepairError as E;
        let (id, hint) = match error {
            E::Open(error) => return error.into(),
            E::NoParity(_) => (
                Id::Failed,
                Some("only a bundle made with `create --parity` can be repaired; copy it again otherwise"),
            ),
            E::UselessParity { .. } => (Id::Damaged, Some(COPY_AGAIN)),
            E::Exists(_) => (Id::OutputExists, Some("choose another name with -o")),
            E::Shards(_) => (Id::OutputUnsuitable, None),
            E::Space { .. } => (Id::NoSpace, Some("make room, or choose another place with -o")),
            E::Beside(_) | E::Io { .. } => (Id::FileSystem, None),
        };
        Self { id, lines: vec![chain(&error)], hint: hint.map(str::to_owned) }
    }
}

impl From<bundle_importer::PlanError> for Failure {
    fn from(error: bundle_importer::PlanError) -> Self {
        match error {
            bundle_importer::PlanError::Registry(error) => error.into(),
            bundle_importer::PlanError::Crowded(error) => error.into(),
            bundle_importer::PlanError::Base { ref lacking, ref base, .. } => {
                let mut lines: Vec<String> = lacking
                    .iter()
                    .take(NAMED)
                    .map(|target| {
                        format!("{target} cannot be imported: blobs of its base bundle are missing")
                    })
                    .collect();
                if lacking.len() > NAMED {
                    lines.push(format!("and {} more", lacking.len() - NAMED));
                }
                lines.push(format!("{error}; nothing was written"));
                let base: Vec<String> = base.iter().map(ToString::to_string).collect();
                let hint = format!(
                    "import its base bundle first: {}; or create a bundle without --base",
                    base.join(", ")
                );
                Self { id: Id::BaseMissing, lines, hint: Some(hint) }
            }
        }
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let again = "no tag was moved; run the same command again to resume";
        match &error {
            PushError::Blob { source, .. } | PushError::Manifest { source, .. } => {
                // Harbor and others say 412 or 409 for a tag that must not move.
                let id = match source.status() {
                    Some(409 | 412) => Id::TagImmutable,
                    _ => registry_id(source),
                };
                let hint = match registry_hint(source) {
                    _ if source.refusal() == Some(Refusal::ImmutableTag) => {
                        "change the registry's rule for immutable tags, or leave the image out of the bundle"
                            .to_owned()
                    }
                    Some(hint) => format!("{hint}; then run the same command again to resume"),
                    None => "run the same command again to resume".to_owned(),
                };
                Self { id, lines: vec![chain(&error)], hint: Some(hint) }
            }
            PushError::Incomplete { source, .. } => {
                let hint = "no tag was moved; make the bundle with --include-foreign, put the layers into the registry by other \
                            means, leave the image out of the bundle, or go on without it with --keep-going";
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: Some(hint.to_owned()) }
            }
            PushError::Foreign { source, .. } => {
                let hint = "no tag was moved; have the registry accept addresses of such layers (docker-registry: \
                            validation.manifests.urls.allow), leave the image out of the bundle, or go on without it \
                            with --keep-going";
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: Some(hint.to_owned()) }
            }
            PushError::Damage(Damage::NoBase(_)) => {
                Self::new(Id::BaseMissing, &error).hint(format!("no tag was moved; {NO_BASE}"))
            }
            PushError::Damage(Damage::WrongBase(_)) => {
                Self::new(Id::BaseMissing, &error).hint(format!("no tag was moved; {WRONG_BASE}"))
            }
            PushError::Damage(_) => Self::new(Id::Damaged, &error)
                .hint("no tag was moved; copy the file again, or make it again on the connected side"),
            PushError::Gone { .. } => Self::new(Id::Changed, &error).hint(again),
            PushError::Moved { .. } => Self::new(Id::Changed, &error)
                .hint("find out who else pushes there, and run the import again"),
            PushError::NotAttached { .. } => Self::new(Id::Incomplete, &error)
                .hint("every tag is set; run the same command again, and look at the artifact in Harbor"),
            PushError::Scratch(_) => {
                Self::new(Id::FileSystem, &error).hint("choose another place with --scratch DIRECTORY")
            }
            PushError::Task(_) => Self::new(Id::Failed, &error).hint(again),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        use std::io::ErrorKind::{AlreadyExists, InvalidInput};
        match error.source.kind() {
            AlreadyExists | InvalidInput => {
                Self::new(Id::OutputExists, &error).hint("choose another name, or remove what has this one")
            }
            _ => Self::new(Id::FileSystem, &error),
        }
    }
}

impl From<ConfirmError> for Failure {
    fn from(error: ConfirmError) -> Self {
        let again = "everything was pushed, but there is no receipt; run the same command again";
        match &error {
            ConfirmError::Registry { source, .. } => {
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: registry_hint(source) }
            }
            ConfirmError::Changed { .. } => Self::new(Id::Changed, &error).hint(again),
        }
    }
}

/// The identifier of a bundle that is not trusted, though its bytes may be right.
pub(super) fn trust_id(error: &TrustError) -> Id {
    match error {
        TrustError::Stranger { .. } => Id::UnknownSigner,
        TrustError::TooFew { .. } => Id::TooFewSignatures,
        TrustError::TooMany { .. } => Id::NotTrusted,
        TrustError::Revoked(_) => Id::KeyRevoked,
        TrustError::KeyTime { .. } | TrustError::Scope { .. } | TrustError::Stream { .. } => Id::KeyScope,
        TrustError::Expired(_) => Id::Expired,
        TrustError::Statement(error) => statement_id(error),
    }
}

/// A newer program's statement is no damage.
pub(super) fn statement_id(error: &StatementError) -> Id {
    match error {
        StatementError::Version(version) => version_id(*version, FORMAT_VERSION),
        _ => Id::Damaged,
    }
}

/// A document with a version that this program does not read. Only a later one is a newer program's.
pub(super) fn version_id(version: u64, ours: u32) -> Id {
    if version > u64::from(ours) { Id::NewerVersion } else { Id::Damaged }
}

/// The error's identifier for a bundle's bytes.
pub(super) fn damage_id(damage: &Damage) -> Id {
    match damage.itself() {
        Damage::Read(_) => Id::FileSystem,
        Damage::Truncated { .. } => Id::Truncated,
        Damage::Statement(error) => statement_id(error),
        Damage::PipedManifests(_) => Id::LimitReached,
        Damage::NoBase(_) | Damage::WrongBase(_) => Id::BaseMissing,
        _ => Id::Damaged,
    }
}

pub(super) fn medium_id(error: &MediumError) -> Id {
    match error {
        MediumError::Open { .. } => Id::FileUnreadable,
        MediumError::Compressed { source: bundle_format::CompressedError::Read(_), .. } => Id::FileSystem,
        MediumError::Index { source: VolumeIndexError::Version(version), .. } => {
            version_id(*version, VOLUMES_VERSION)
        }
        MediumError::Compact { source: bundle_format::CompactError::Io(_), .. } => Id::FileSystem,
        MediumError::Compressed { .. }
        | MediumError::Compact { .. }
        | MediumError::Index { .. }
        | MediumError::OtherIndex(_)
        | MediumError::OtherSet { .. }
        | MediumError::VolumeSize { .. } => Id::Damaged,
        MediumError::NoIndex(_) | MediumError::NoVolume(_) => Id::VolumeMissing,
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match &error {
            StateError::Write(foreign)
                if matches!(
                    foreign.source.kind(),
                    std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::InvalidInput
                ) =>
            {
                Self::new(Id::OutputExists, &error).hint("choose another place with --state FILE")
            }
            StateError::Io { .. } | StateError::Write(_) => {
                Self::new(Id::FileSystem, &error).hint("choose another place with --state FILE")
            }
            StateError::Version { .. } => {
                Self::new(Id::NewerVersion, &error).hint("use the newer program that wrote it")
            }
        }
    }
}

impl From<ProveError> for Failure {
    fn from(error: ProveError) -> Self {
        match error {
            ProveError::Wrong { .. } | ProveError::Manifest { .. } => Self::new(Id::Damaged, &error).hint(
                "the registry lost or changed its own storage: repair it, remove what is damaged there, and import again",
            ),
            ProveError::Registry { ref source, .. } => {
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: registry_hint(source) }
            }
        }
    }
}

impl From<Crowded> for Failure {
    fn from(error: Crowded) -> Self {
        Self::new(Id::NotTrusted, &error).hint(
            "find out who pushed them, and remove these tags from the registry: `bundle stream show STREAM --to HOST \
             --receipt-key FILE` names them; then import again",
        )
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Rollback(_) => Self::new(Id::Stale, &error)
                .hint("to import an older bundle on purpose: --allow-rollback --reason TEXT"),
            HistoryError::State(error) => error.into(),
            HistoryError::Crowded(error) => error.into(),
            HistoryError::Sign(error) => error.into(),
            HistoryError::Registry(error) => error.into(),
            HistoryError::Record { ref source, .. } => {
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: registry_hint(source) }
            }
        }
    }
}

impl From<MediumError> for Failure {
    fn from(error: MediumError) -> Self {
        let failure = Self::new(medium_id(&error), &error);
        if failure.is(Id::NewerVersion) { failure.hint(NEWER) } else { failure }
    }
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::History(error) => error.into(),
            DeliveryError::Prove(error) => error.into(),
            DeliveryError::Future { .. } => Self::new(Id::Policy, &error)
                .hint("set the clock right; to import it nevertheless: --allow-future"),
            DeliveryError::Plan(error) => error.into(),
            DeliveryError::Interrupted => Self::new(Id::Failed, &error),
            DeliveryError::Findings { findings, host } => Self::findings(&findings, host.as_str()),
            DeliveryError::Prepare(error) => error.into(),
            DeliveryError::Push { error, cause, host } => {
                let mut failure = Self::from(error);
                if let Some(cause) = cause {
                    failure.lines.push(cause.to_string());
                    failure.hint = Some(match cause {
                        Cause::AccountGone => {
                            "enable it, or give another with --credentials FILE; then run the same command again to resume".to_owned()
                        }
                        Cause::ProjectGone(project) | Cause::RightsGone { project, .. } => format!(
                            "have an administrator run: bundle harbor bootstrap --to {host} --project {project}; then run the same command again to resume"
                        ),
                    });
                }
                failure
            }
            DeliveryError::Confirmation(error) => error.into(),
            DeliveryError::Confirm(error) => error.into(),
        }
    }
}
