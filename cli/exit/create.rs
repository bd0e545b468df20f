//! The sources of a bundle, and writing it.
//! Takes the errors of `bundler`, gives identifiers and hints.

use bundle_bundler::{
    AssembleError, BaseError, ConfigError, CreateError, EverySiteError, ExpiresError, FetchCause, FieldError,
    InventoryError, ItemError, LocalBlame, LocalCause, LocalError, OutputError, ParseChartSourceError,
    PlanError, ProgramError, Reason, ReferrerOutcome, Request, ResolveCause, ResolveError, ResolveErrors,
    Salvage, TagCause, TagErrors,
};

use super::import::{damage_id, medium_id};
use super::registry::{SCHEMA_1, registry_id, source_hint};
use super::{Failure, Id, chain};
use crate::output::name;
use bundle_input::TextError;
use bundle_oci::ManifestError;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::new(Id::FileInvalid, &error);
        match error {
            ConfigError::NewerLock(_) => Self::new(Id::NewerVersion, &error)
                .hint("use the newer program that wrote it, or make it again with `bundle lock`"),
            ConfigError::NotALock(_) => failure.hint("choose another name with -o"),
            // `-f nginx:1.27`, as other programs name images.
            ConfigError::Text(TextError::Read { ref path, .. })
                if path.symlink_metadata().is_err()
                    && path.extension().is_none_or(|end| end != "yaml" && end != "yml") =>
            {
                failure.hint(
                    "a file such as bundle.yaml is meant; images are named without an option, or in a list",
                )
            }
            ConfigError::IsAList(_) => failure.hint("give a list with --images"),
            ConfigError::Version { .. } => failure.hint("update the program, or write version: 1"),
            ConfigError::Field { error: FieldError::SecretHere, .. } => {
                failure.hint("store the login with `bundle login`, and name its file")
            }
            ConfigError::Field { error: FieldError::Item(ItemError::Host(_)), .. } => failure.hint(NEW_NAME),
            ConfigError::Field { error: FieldError::ChartSource(ParseChartSourceError::Login), .. } => {
                failure.hint("remove the login from the address, and store it with `bundle login`")
            }
            ConfigError::Field { error: FieldError::NoPlatform, .. } => {
                failure.hint("leave the field out to carry all platforms")
            }
            ConfigError::List(error) => error.into(),
            ConfigError::NamedList { source, .. } if matches!(*source, ConfigError::List(_)) => {
                Self { hint: Self::from(*source).hint, ..failure }
            }
            _ => failure,
        }
    }
}

impl From<AssembleError> for Failure {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::NoLock(_) => {
                Self::new(Id::FileUnreadable, &error).hint("make it with `bundle lock`")
            }
            AssembleError::Config(error) => error.into(),
            AssembleError::Charts(error) => error.into(),
            AssembleError::Local(error) => error.into(),
            AssembleError::Conflict(error) => error.into(),
            AssembleError::Tags(errors) => errors.into(),
            AssembleError::NothingLeft(_) => Self::new(Id::ImageMissing, &error)
                .hint("is the registry whole, and does the account see its repositories?"),
            AssembleError::Resolve(error) => error.into(),
            AssembleError::Chart(_) => Self::new(Id::Failed, &error),
            AssembleError::Plan(error) => error.into(),
        }
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Platform { .. } => {
                Self::new(Id::Usage, &error).hint("give the path of one: --with-program=PATH")
            }
            ProgramError::Read { .. } => Self::new(Id::FileUnreadable, &error),
            ProgramError::NotExecutable(_) | ProgramError::Name(_) => Self::new(Id::Usage, &error),
        }
    }
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        Self { id: local_id(&error), lines: vec![chain(&error)], hint: local_hint(&error) }
    }
}

fn local_id(error: &LocalError) -> Id {
    match (&error.cause, error.cause.blame()) {
        (LocalCause::Web(error), _) => registry_id(error),
        (_, LocalBlame::Unreadable) => Id::FileUnreadable,
        (_, LocalBlame::Damaged) => Id::Damaged,
        (_, LocalBlame::Asked) => Id::Usage,
        (_, LocalBlame::Limit) => Id::LimitReached,
        (_, LocalBlame::Space) => Id::NoSpace,
        (_, LocalBlame::Server) => Id::Network,
    }
}

fn local_hint(error: &LocalError) -> Option<String> {
    let hint = match &error.cause {
        LocalCause::Web(error) => return source_hint(error),
        LocalCause::NoName => {
            "give it one: `docker-archive:FILE => NAME:TAG`, or as: NAME:TAG in bundle.yaml"
        }
        LocalCause::Several(_) => "name one of them: docker-archive:FILE:NAME:TAG",
        LocalCause::NoImage { .. } => "leave the name out to carry all of them",
        LocalCause::Missing(_) => {
            "choose the platforms that were saved with --platform or platforms:, or save the image again"
        }
        LocalCause::WebContent { .. } => {
            "if this file is the right one, correct its sha256 below 'files:'; if not, find out who changed it at the server"
        }
        LocalCause::Spool(_) => "set TMPDIR to a directory with more room, or unpack the archive first",
        LocalCause::Lacks { .. } => {
            "docker-archive: is for docker save, oci-archive: for an OCI layout in a tar archive, oci: for one in a directory"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl From<bundle_bundler::ListError> for Failure {
    fn from(error: bundle_bundler::ListError) -> Self {
        let failure = Self::new(Id::FileInvalid, &error);
        match error.lines.iter().any(|bad| matches!(bad.error, ItemError::Host(_))) {
            true => failure.hint(NEW_NAME),
            false => failure,
        }
    }
}

/// For a source whose host cannot be a part of a name in the project `cache`.
const NEW_NAME: &str = "give the image a name of its own: `reference => new-name`";

impl From<bundle_bundler::Conflict> for Failure {
    fn from(error: bundle_bundler::Conflict) -> Self {
        let of_chart = |request: &Request| request.reasons.iter().any(Reason::is_of_chart);
        let hint = if of_chart(&error.first) || of_chart(&error.second) {
            "in the project cache, images keep their host and path; or leave one out with exclude"
        } else {
            "give one of them another name: `reference => new-name`"
        };
        Self::new(Id::TargetConflict, &error).hint(hint)
    }
}

impl From<ResolveErrors> for Failure {
    fn from(errors: ResolveErrors) -> Self {
        let mut lines: Vec<String> = errors.0.iter().map(|error| chain(error)).collect();
        lines.push(format!("{errors}; nothing was written"));
        let ids = errors.0.iter().map(|error| match &error.cause {
            ResolveCause::Registry(error) | ResolveCause::Referrer { source: error, .. } => {
                registry_id(error)
            }
            ResolveCause::NotFound { .. } => Id::NotFound,
            ResolveCause::Local(error) => local_id(error),
            ResolveCause::Manifest { .. } | ResolveCause::TooDeep => Id::RegistryBroken,
            ResolveCause::Platform { .. } | ResolveCause::NotLocked => Id::Usage,
            ResolveCause::TwoDigests { .. }
            | ResolveCause::TwoMeanings { .. }
            | ResolveCause::TwoSources { .. } => Id::TargetConflict,
            ResolveCause::Required(_) | ResolveCause::Unsigned(_) => Id::Policy,
            ResolveCause::TooMuch(_) | ResolveCause::Platforms { .. } | ResolveCause::TooManyArtifacts(_) => {
                Id::LimitReached
            }
            ResolveCause::Gone(_) | ResolveCause::LastGone(_) | ResolveCause::LocalGone { .. } => {
                Id::LockOutdated
            }
        });
        let id = ids.max_by_key(|id| id.code()).unwrap_or(Id::Failed);
        let of_chart = |error: &ResolveError| error.reasons.iter().any(Reason::is_of_chart);
        let hint = errors.0.iter().find_map(|error| match &error.cause {
            ResolveCause::NotFound { .. } if of_chart(error) => Some(
                "give the chart another image with set or values, or leave this one out with exclude"
                    .to_owned(),
            ),
            ResolveCause::NotFound { .. } | ResolveCause::LastGone(_) => Some(WITHOUT.to_owned()),
            ResolveCause::Registry(error) => source_hint(error),
            ResolveCause::Referrer { source, .. } if source.status() == Some(404) => {
                Some("--no-referrers omits all referrers".to_owned())
            }
            ResolveCause::Referrer { source, .. } => source_hint(source),
            ResolveCause::TwoDigests { .. } => {
                Some("give both the same platforms, or make two bundles".to_owned())
            }
            ResolveCause::TwoMeanings { .. } => {
                Some("leave one of them out, or give one another name: `reference => new-name`".to_owned())
            }
            ResolveCause::Required(ReferrerOutcome::Split) => Some(
                "carry all platforms of the image: platforms: all, signedIndexes: whole or --keep-signed-indexes"
                    .to_owned(),
            ),
            ResolveCause::Required(_) => {
                Some("referrers: carry or leave in bundle.yaml makes an exception for one image".to_owned())
            }
            ResolveCause::Unsigned(_) => Some(
                "compare the rule's signer with what the publisher says; action: warn in bundle.yaml carries the image \
                 nevertheless"
                    .to_owned(),
            ),
            ResolveCause::TooMuch(_) => Some("make several bundles of fewer images each".to_owned()),
            ResolveCause::Manifest { source: ManifestError::Schema1, .. } => Some(SCHEMA_1.to_owned()),
            ResolveCause::Local(error) => local_hint(error),
            ResolveCause::TwoSources { .. } => {
                Some("give one of them another name: `reference => new-name`".to_owned())
            }
            ResolveCause::NotLocked | ResolveCause::Gone(_) | ResolveCause::LocalGone { .. } => {
                Some("run `bundle lock` to resolve the references again".to_owned())
            }
            _ => None,
        });
        Self { id, lines, hint }
    }
}

/// For an image that is gone, or a choice of tags that comes to nothing.
const WITHOUT: &str =
    "missing: keep-last or skip in bundle.yaml, or --missing, makes the bundle without it and reports it";

impl From<TagErrors> for Failure {
    fn from(errors: TagErrors) -> Self {
        let mut lines: Vec<String> = errors.0.iter().map(|error| chain(error)).collect();
        lines.push(format!("{errors}; nothing was written"));
        let ids = errors.0.iter().map(|error| match &error.cause {
            TagCause::Registry(error) => registry_id(error),
            TagCause::NoRepository(_) => Id::NotFound,
            TagCause::NoMatch { .. } => Id::NoTagMatches,
            TagCause::TooMany { .. } | TagCause::TooManyListed(_) => Id::LimitReached,
            TagCause::NotLocked => Id::Usage,
        });
        let id = ids.max_by_key(|id| id.code()).unwrap_or(Id::Failed);
        let hint = errors.0.iter().find_map(|error| match &error.cause {
            TagCause::Registry(error) => source_hint(error),
            TagCause::NoRepository(_) | TagCause::NoMatch { .. } => Some(WITHOUT.to_owned()),
            TagCause::TooMany { .. } => Some(
                "narrow the pattern, exclude variants such as *-alpine, take the newest (newest: N), or allow more \
                 with maxTags: N"
                    .to_owned(),
            ),
            TagCause::TooManyListed(_) => Some("name the tags one by one".to_owned()),
            TagCause::NotLocked => Some("run `bundle lock` to resolve the references again".to_owned()),
        });
        Self { id, lines, hint }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Pipe { .. } => Self::new(Id::LimitReached, &error).hint("write a file with -o FILE"),
            PlanError::Graph(_) | PlanError::Statement(_) => Self::new(Id::LimitReached, &error),
            PlanError::Promise(_) => Self::new(Id::Damaged, &error),
        }
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        let (id, hint) = match &error {
            OutputError::NoName(_) => (Id::OutputUnsuitable, Some("name a file with -o".to_owned())),
            OutputError::Exists(path) => {
                (Id::OutputExists, Some(format!("remove {} or choose another name with -o", name(path))))
            }
            OutputError::OtherStatement(path) => (
                Id::OutputExists,
                Some(format!(
                    "write a lockfile with `bundle lock`, and run all shards with --locked; or remove {} to begin anew",
                    name(path)
                )),
            ),
            OutputError::OtherShard { .. } => (
                Id::OutputExists,
                Some(
                    "run all shards with the same --base; remove the files of those that are wrong"
                        .to_owned(),
                ),
            ),
            OutputError::Busy(_) => {
                (Id::Busy, Some("wait for it, or choose another name with -o".to_owned()))
            }
            OutputError::Space { .. } => {
                (Id::NoSpace, Some("make room, or choose another place with -o".to_owned()))
            }
            OutputError::TooLarge { .. } => (
                Id::OutputUnsuitable,
                Some("cut it into volumes with --volume-size fat32, or use exFAT or ext4".to_owned()),
            ),
            OutputError::TooManyVolumes { .. }
            | OutputError::SmallVolumes(_)
            | OutputError::Parity { .. } => {
                (Id::OutputUnsuitable, Some("choose larger ones with --volume-size".to_owned()))
            }
            OutputError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                (Id::FileSystem, Some("create the directory, or choose another place with -o".to_owned()))
            }
            OutputError::Io { .. } | OutputError::Beside(_) | OutputError::Pipe(_) => (Id::FileSystem, None),
        };
        Self { id, lines: vec![chain(&error)], hint }
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Output(error) => error.into(),
            CreateError::Fetch { ref source, kept, .. } => {
                let again = match kept {
                    // It would fail again.
                    Salvage::Fetched if at_source(source) => {
                        "the fetched data is kept; when the source is right, run the same command again to resume"
                    }
                    Salvage::Fetched => "the fetched data is kept; run the same command again to resume",
                    Salvage::Nothing => {
                        "the written output is not a valid bundle; run the same command again"
                    }
                };
                let (id, hint) = match source {
                    FetchCause::Registry(error) => (registry_id(error), source_hint(error)),
                    FetchCause::Local(error) => (local_id(error), local_hint(error)),
                    FetchCause::NoOrigin(_) => (Id::Failed, None),
                };
                let hint = match hint {
                    Some(hint) => format!("{hint}\n{again}"),
                    None => again.to_owned(),
                };
                Self { id, lines: vec![chain(&error)], hint: Some(hint) }
            }
            CreateError::Stopped(_) | CreateError::Task(_) => Self::new(Id::Failed, &error),
        }
    }
}

/// Whether the source itself is wrong, on this machine or in what is said of it.
fn at_source(cause: &FetchCause) -> bool {
    match cause {
        FetchCause::Local(error) => !matches!(error.cause.blame(), LocalBlame::Server | LocalBlame::Space),
        FetchCause::Registry(_) | FetchCause::NoOrigin(_) => false,
    }
}

impl From<InventoryError> for Failure {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Receipt(error) => error.into(),
            InventoryError::Lock(error) => error.into(),
            InventoryError::Bundle { source: bundle_format::Damage::Read(_), .. } => {
                Self::new(Id::FileSystem, &error)
            }
            InventoryError::Bundle { ref source, .. } => Self::new(damage_id(source), &error),
            InventoryError::Stranger(_) => Self::new(Id::UnknownSigner, &error),
            InventoryError::Medium(ref medium) => Self::new(medium_id(medium), &error),
            InventoryError::Target { .. } | InventoryError::Unknown(_) => Self::new(Id::FileInvalid, &error),
        }
    }
}

impl From<BaseError> for Failure {
    fn from(error: BaseError) -> Self {
        match error {
            BaseError::Inventory(error) => error.into(),
            BaseError::OnlyShort(ref short) => {
                let hint = format!("name the bundle or lock as well: --base {short}=FILE");
                Self::new(Id::Usage, &error).hint(hint)
            }
            BaseError::Short(_) => Self::new(Id::Usage, &error).hint("ask for it to be read out again"),
            BaseError::Other { .. } => Self::new(Id::Usage, &error),
        }
    }
}

impl From<EverySiteError> for Failure {
    fn from(error: EverySiteError) -> Self {
        match error {
            EverySiteError::Inventory(error) => error.into(),
            EverySiteError::Directory { .. } => Self::new(Id::FileSystem, &error),
            EverySiteError::NoSite(_) => Self::new(Id::Usage, &error)
                .hint("put each site's receipts in a directory of its own there, as *.json with *.json.sig"),
            EverySiteError::NoReceipt(_) => Self::new(Id::Usage, &error)
                .hint("send it a whole bundle, without --base-sites, or remove its directory"),
            EverySiteError::NotAReceipt(_) => Self::new(Id::FileInvalid, &error),
            EverySiteError::Stream { .. } => {
                Self::new(Id::Usage, &error).hint("keep one directory for each stream")
            }
        }
    }
}

impl From<ExpiresError> for Failure {
    fn from(error: ExpiresError) -> Self {
        Self::new(Id::Usage, &error)
    }
}
