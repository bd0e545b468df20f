use std::error::Error;
use std::process::ExitCode;

use bundle_bundler::{
    BaseError, ChartCause, ChartErrors, ConfigError, CreateError, ExpiresError, InventoryError, Kept,
    KeyFileError, OutputError, PlanError, ReceiptFileError, Request, ResolveCause, ResolveError,
    ResolveErrors, SignError,
};
use bundle_chart::{IngressError, LoadCause, OverlayError, RenderError};
use bundle_format::{FileError, KeyError, MediumError};
use bundle_importer::node::{LoginError, NoMirror, WriteError};
use bundle_importer::{
    BootstrapError, ChoiceError, ConfirmError, CountersignatureError, DeliveryError, Diagnosis, ExtractError,
    HarborFileError, MemoryError, Obstacle, OpenError, PushError, SeedError, StateError, TrustFileError,
    TrustStoreError, ValuesError,
};
use bundle_oci::{Printable, Registry};
use bundle_registry::{AddressError, CertificateProblem, CredentialError, Error as RegistryError, Refusal};
use bundle_serve::{IdentityError, StoreError, UsersError};
use bundle_sync::{ExportError, ImportJobError, ItemError, LockError, SyncConfigError};

use crate::harbor_text;
use crate::output::{name, tell};

/// What the exit code says. Stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    Failed = 1,
    Usage = 2,
    NotTrusted = 3,
    Network = 4,
    Policy = 5,
    Incomplete = 6,
}

/// Of what can be thousands, a person reads so many lines.
const MOST_NAMED: usize = 20;

pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  usage: an argument or a file of yours is wrong
  3  the bundle is not trusted, or is damaged
  4  network or registry; trying again may help
  5  refused by a policy, such as a tag that must not move
  6  incomplete: something that is needed is not here yet";

/// An error on its way to a person.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    lines: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, error: &dyn Error) -> Self {
        Self { code, lines: vec![chain(error)], hint: None }
    }

    pub(crate) fn text(code: Code, text: impl Into<String>) -> Self {
        Self { code, lines: vec![text.into()], hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What stands in the way of an import into a Harbor.
    pub(crate) fn obstacles(obstacles: &[Obstacle], host: &str) -> Self {
        let nobody = obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Nobody));
        let mut lines: Vec<String> = obstacles.iter().map(harbor_text::what_is_wrong).collect();
        lines.push("nothing was written".to_owned());
        let mut hints: Vec<String> = Vec::new();
        for hint in obstacles.iter().map(|obstacle| harbor_text::advice(obstacle, host)) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        let code = if nobody { Code::Network } else { Code::Policy };
        Self { code, lines, hint: Some(hints.join("\n")) }
    }

    /// What stands in the way, after it was shown with what to do.
    pub(crate) fn refused(obstacles: &[Obstacle]) -> Self {
        let Self { code, .. } = Self::obstacles(obstacles, "");
        let number = obstacles.len();
        let what = if number == 1 { "one thing stands" } else { "several things stand" };
        Self { code, lines: vec![format!("{what} in the way of an import")], hint: None }
    }

    /// Says of which file the first line tells.
    pub(crate) fn of(mut self, path: &std::path::Path) -> Self {
        if let Some(line) = self.lines.first_mut() {
            let name = Printable(&path.to_string_lossy()).to_string();
            if !line.starts_with(&name) {
                *line = format!("{name}: {line}");
            }
        }
        self
    }

    /// The exit code that it ends with.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The first thing that is wrong.
    pub(crate) fn first_line(&self) -> &str {
        self.lines.first().and_then(|text| text.lines().next()).unwrap_or_default()
    }

    /// The same with another code.
    pub(crate) fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Puts a bundle's name before what is wrong with it.
    pub(crate) fn about(mut self, name: &str) -> Self {
        if let Some(line) = self.lines.first_mut() {
            *line = format!("{}: {line}", Printable(name));
        }
        self
    }

    /// Says two things with the code of the first.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.lines.extend(other.lines);
        self.hint = match (self.hint, other.hint) {
            (Some(one), Some(other)) if !one.contains(&other) => Some(format!("{one}\n{other}")),
            (one, other) => one.or(other),
        };
        self
    }

    pub(crate) fn report(self) -> ExitCode {
        for line in self.lines.iter().flat_map(|text| text.lines()) {
            tell(&format!("error: {line}"));
        }
        for hint in self.hint.iter().flat_map(|hint| hint.lines()) {
            tell(&format!("hint: {hint}"));
        }
        ExitCode::from(self.code as u8)
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let next = current.to_string();
        // Some libraries repeat the cause in their own message.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = current.source();
    }
    text.lines().map(|line| Printable(line).to_string()).collect::<Vec<_>>().join("\n")
}

fn registry_code(error: &RegistryError) -> Code {
    match error {
        RegistryError::Answer(answer) => match answer.refusal() {
            Refusal::Quota | Refusal::ReadOnly => Code::Policy,
            _ => Code::Network,
        },
        RegistryError::Source(_) | RegistryError::Setup(_) | RegistryError::Certificates(_) => Code::Failed,
        RegistryError::Credentials(_) | RegistryError::Address { .. } => Code::Usage,
        RegistryError::Unreachable { .. }
        | RegistryError::Certificate { .. }
        | RegistryError::PlainHttp { .. }
        | RegistryError::HttpsOnly { .. }
        | RegistryError::NotARegistry { .. }
        | RegistryError::Withheld { .. }
        | RegistryError::Stalled { .. }
        | RegistryError::Misbehaved { .. }
        | RegistryError::Redirect { .. }
        | RegistryError::Realm { .. }
        | RegistryError::FileSize { .. }
        | RegistryError::Manifest { .. }
        | RegistryError::WrongContent { .. } => Code::Network,
    }
}

fn registry_hint(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Address { address, why: AddressError::Plain } => {
            let host = address.split('/').nth(2).unwrap_or_default();
            Some(format!("if that is meant to be so, allow it with --plain-http {}", Printable(host)))
        }
        RegistryError::Certificate { host, problem } => match problem {
            CertificateProblem::UnknownIssuer => {
                Some("give the certificate of the registry's authority with --ca-file FILE".to_owned())
            }
            CertificateProblem::SelfSigned => {
                Some(format!("if it is {host}'s own certificate, give that file with --ca-file FILE"))
            }
            CertificateProblem::Expired | CertificateProblem::NotYetValid => Some(format!(
                "is this machine's clock right? If it is, whoever runs {host} must renew the certificate"
            )),
            CertificateProblem::WrongName => {
                Some(format!("ask for {host} by the name that its certificate is for"))
            }
            CertificateProblem::Other(_) => None,
        },
        RegistryError::HttpsOnly { host } => Some(match host.parse::<Registry>() {
            Ok(registry) if registry.is_loopback() => {
                "give the certificate of the registry's authority with --ca-file FILE: \
                 without one, registries on this machine are asked without encryption"
                    .to_owned()
            }
            _ => format!("leave out --plain-http {host}"),
        }),
        RegistryError::PlainHttp { host } => {
            Some(format!("if that is meant to be so, allow it with --plain-http {host}"))
        }
        RegistryError::NotARegistry { host, .. } => {
            Some(format!("is {host} the registry's host and port? It must answer to /v2/"))
        }
        RegistryError::Answer(answer) if answer.refusal() == Refusal::Quota => {
            Some("raise the project's quota, or remove what nobody needs from it".to_owned())
        }
        RegistryError::Answer(answer) if answer.refusal() == Refusal::ReadOnly => {
            Some("wait for the backup or the like that it is for, or have an administrator end it".to_owned())
        }
        RegistryError::Answer(answer) => match answer.status {
            401 | 403 if answer.anonymous => Some(format!(
                "log in with `docker login {0}` or `skopeo login {0}`, or name a file of credentials in REGISTRY_AUTH_FILE",
                answer.host
            )),
            401 => Some(format!("log in again at {}; the password or token may have expired", answer.host)),
            403 => Some("the account lacks a right that this needs".to_owned()),
            404 => Some(
                "is the name right, and may this account see it? Some registries say this to strangers"
                    .to_owned(),
            ),
            429 => Some(format!("wait and try again, or log in at {} for a higher limit", answer.host)),
            _ => None,
        },
        RegistryError::Unreachable { host, .. } => {
            Some(format!("is {host} right and up? Behind a proxy, set HTTPS_PROXY"))
        }
        _ => None,
    }
}

/// The hint for a registry that is read from, of which there may be a mirror.
fn source_hint(error: &RegistryError) -> Option<String> {
    let hint = registry_hint(error)?;
    Some(match error {
        RegistryError::Unreachable { .. } => format!("{hint}; where only a mirror is reached, use --mirror"),
        _ => hint,
    })
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        let hint = match &error {
            CredentialError::Open { path, .. } => Some(format!("chmod 600 {}", name(path))),
            _ => None,
        };
        Self { code: Code::Usage, lines: vec![chain(&error)], hint }
    }
}

impl From<HarborFileError> for Failure {
    fn from(error: HarborFileError) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<SeedError> for Failure {
    fn from(error: SeedError) -> Self {
        let again = "nothing was pushed yet; run the same command again to go on";
        match &error {
            SeedError::Harbor { source, .. } => {
                let hint = registry_hint(source).unwrap_or_else(|| again.to_owned());
                Self { code: registry_code(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            SeedError::NotKept { .. } => Self::new(Code::Network, &error).hint(again),
            SeedError::Rights { project, .. } => Self::new(Code::Policy, &error).hint(format!(
                "have an administrator run `bundle harbor bootstrap --project {project}`, which gives the importer's account its rights"
            )),
            SeedError::ProxyCache(_) => {
                Self::new(Code::Policy, &error).hint("someone made it just now; give it another name")
            }
        }
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Seed(error) => error.into(),
            BootstrapError::File(error) => error.into(),
            BootstrapError::Robot { ref source, .. } => {
                let again = "run the same command again to go on";
                let hint = registry_hint(source).unwrap_or_else(|| again.to_owned());
                Self { code: registry_code(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            BootstrapError::NoRobot(_) => {
                Self::new(Code::Usage, &error).hint("make it with `bundle harbor bootstrap`")
            }
            BootstrapError::Random(_) => Self::new(Code::Failed, &error),
            BootstrapError::Kubectl { ref path, .. } => {
                let hint =
                    format!("the old secret no longer works; run: kubectl apply -f {}", path.display());
                Self::new(Code::Failed, &error).hint(hint)
            }
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self { code: registry_code(&error), lines: vec![chain(&error)], hint: registry_hint(&error) }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::new(Code::Usage, &error);
        match error {
            ConfigError::NotALock(_) => failure.hint("choose another name with -o"),
            _ => failure,
        }
    }
}

impl From<bundle_bundler::ListError> for Failure {
    fn from(error: bundle_bundler::ListError) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<bundle_bundler::Conflict> for Failure {
    fn from(error: bundle_bundler::Conflict) -> Self {
        let of_chart = |request: &Request| request.reasons.iter().any(|reason| reason.starts_with("chart "));
        let hint = if of_chart(&error.first) || of_chart(&error.second) {
            "in the project cache, images keep their host and path; or leave one out with exclude"
        } else {
            "give one of them another name: `reference => new-name`"
        };
        Self::new(Code::Usage, &error).hint(hint)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let hint = match &error {
            KeyFileError::Open { path, .. } => Some(format!("chmod 600 {}", name(path))),
            KeyFileError::Key { source: KeyError::NeedsPassphrase | KeyError::WrongPassphrase, .. } => {
                Some("without a terminal, the passphrase is taken from BUNDLE_KEY_PASSPHRASE".to_owned())
            }
            KeyFileError::Key { path, source: KeyError::Encryption } => Some(format!(
                "encrypt it anew, with a current OpenSSL: openssl pkcs8 -topk8 -in {0} -out {0}.new",
                name(path)
            )),
            KeyFileError::Read { path, .. } if path.symlink_metadata().is_err() => {
                Some(format!("make a key with `bundle key generate {}`", name(path)))
            }
            _ => None,
        };
        let code = match &error {
            KeyFileError::Write { .. } => Code::Failed,
            KeyFileError::Read { .. }
            | KeyFileError::Exists(_)
            | KeyFileError::Open { .. }
            | KeyFileError::Key { .. } => Code::Usage,
        };
        Self { code, lines: vec![chain(&error)], hint }
    }
}

impl From<TrustFileError> for Failure {
    fn from(error: TrustFileError) -> Self {
        let hint = match &error {
            TrustFileError::Key { source: KeyError::PrivateForPublic, .. } => {
                Some("use the .pub file; the private key stays on the connected side".to_owned())
            }
            _ => None,
        };
        Self { code: Code::Usage, lines: vec![chain(&error)], hint }
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        Self::new(Code::Failed, &error)
    }
}

impl From<ResolveErrors> for Failure {
    fn from(errors: ResolveErrors) -> Self {
        let mut lines: Vec<String> = errors.0.iter().map(|error| chain(error)).collect();
        lines.push(format!("{errors}; nothing was written"));
        let codes = errors.0.iter().map(|error| match &error.cause {
            ResolveCause::Registry(error) | ResolveCause::Referrer { source: error, .. } => {
                registry_code(error)
            }
            ResolveCause::NotFound { .. } | ResolveCause::Manifest { .. } | ResolveCause::TooDeep => {
                Code::Network
            }
            ResolveCause::Platform { .. } | ResolveCause::NotLocked | ResolveCause::TwoDigests { .. } => {
                Code::Usage
            }
            ResolveCause::TooMuch(_) => Code::Failed,
            ResolveCause::Gone(_) => Code::Incomplete,
        });
        let code = codes.max().unwrap_or(Code::Failed);
        let of_chart = |error: &ResolveError| error.reasons.iter().any(|reason| reason.starts_with("chart "));
        let hint = errors.0.iter().find_map(|error| match &error.cause {
            ResolveCause::NotFound { .. } if of_chart(error) => Some(
                "give the chart another image with set or values, or leave this one out with exclude"
                    .to_owned(),
            ),
            ResolveCause::Registry(error) => source_hint(error),
            ResolveCause::Referrer { source, .. } if source.status() == Some(404) => {
                Some("--no-referrers leaves behind whatever is attached".to_owned())
            }
            ResolveCause::Referrer { source, .. } => source_hint(source),
            ResolveCause::TwoDigests { .. } => {
                Some("give both the same platforms, or make two bundles".to_owned())
            }
            ResolveCause::TooMuch(_) => Some("make several bundles of fewer images each".to_owned()),
            ResolveCause::NotLocked | ResolveCause::Gone(_) => {
                Some("run `bundle lock` to resolve the references again".to_owned())
            }
            _ => None,
        });
        Self { code, lines, hint }
    }
}

impl From<ChartErrors> for Failure {
    fn from(errors: ChartErrors) -> Self {
        let mut lines: Vec<String> = errors.0.iter().map(|error| chain(error)).collect();
        if errors.0.len() > 1 {
            lines.push(errors.to_string());
        }
        let code = errors.0.iter().map(|error| chart_code(&error.cause)).max().unwrap_or(Code::Failed);
        let hint = errors.0.iter().find_map(|error| chart_hint(&error.cause));
        Self { code, lines, hint }
    }
}

fn chart_code(cause: &ChartCause) -> Code {
    match cause {
        ChartCause::Registry(error) | ChartCause::Confirm { error, .. } => registry_code(error),
        ChartCause::Load(error) => load_code(&error.cause),
        ChartCause::Digest { .. } => Code::NotTrusted,
        ChartCause::Index(_) | ChartCause::NoChart | ChartCause::NoVersion { .. } | ChartCause::NoContent => {
            Code::Network
        }
        ChartCause::Dependency { cause, .. } => chart_code(cause),
        ChartCause::Changed { .. } | ChartCause::NoRepository => Code::Incomplete,
        ChartCause::Text(_)
        | ChartCause::Alias(_)
        | ChartCause::Beside(_)
        | ChartCause::Source { .. }
        | ChartCause::Render { .. }
        | ChartCause::NoImage
        | ChartCause::Place { .. }
        | ChartCause::NotLocked => Code::Usage,
        ChartCause::Pack(_) | ChartCause::Task(_) => Code::Failed,
    }
}

/// What is wrong with the bytes is nobody's usage.
fn load_code(cause: &LoadCause) -> Code {
    match cause {
        LoadCause::Read(_) | LoadCause::NotAFile | LoadCause::Escape | LoadCause::Ignore(_) => Code::Usage,
        LoadCause::Gzip(_)
        | LoadCause::Tar(_)
        | LoadCause::Path
        | LoadCause::PathText
        | LoadCause::OutsideBase
        | LoadCause::FileSize(_)
        | LoadCause::ArchiveSize(_)
        | LoadCause::Unpacked(_)
        | LoadCause::Files(_)
        | LoadCause::Depth(_)
        | LoadCause::Empty
        | LoadCause::NoMetadata
        | LoadCause::Metadata(_)
        | LoadCause::Yaml(_)
        | LoadCause::Encoding(_)
        | LoadCause::NoMap => Code::NotTrusted,
    }
}

fn chart_hint(cause: &ChartCause) -> Option<String> {
    match cause {
        ChartCause::Registry(error) => source_hint(error),
        ChartCause::Confirm { image, .. } => {
            Some(format!("try again; or, if it is none, leave it out: exclude: ['{image}']"))
        }
        ChartCause::Render { error, .. } => match &**error {
            RenderError::Template { wanted: Some(value), .. } => {
                Some(format!("give the chart that value in bundle.yaml: set: ['{}=…']", Printable(value)))
            }
            RenderError::KubeVersion { wanted, .. } => {
                Some(format!("say for which Kubernetes it is: kubeVersion, within {}", Printable(wanted)))
            }
            RenderError::Library => Some("name the charts that use it instead".to_owned()),
            _ => None,
        },
        ChartCause::NoImage => Some("if that is right, say so with allowEmpty: true".to_owned()),
        ChartCause::NotLocked | ChartCause::Changed { .. } => {
            Some("run `bundle lock` to look into the charts again".to_owned())
        }
        ChartCause::Dependency { cause, .. } => match &**cause {
            ChartCause::Alias(_) | ChartCause::Beside(_) | ChartCause::NoRepository => {
                Some("put it into the chart with `helm dependency build`, and pack the chart".to_owned())
            }
            cause => chart_hint(cause),
        },
        _ => None,
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let failure = Self::new(Code::Failed, &error);
        match error {
            PlanError::Pipe { .. } => failure.hint("write a file with -o FILE"),
            PlanError::Graph(_) | PlanError::Statement(_) => failure,
        }
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        let (code, hint) = match &error {
            OutputError::NoName(_) => (Code::Usage, Some("name a file with -o".to_owned())),
            OutputError::Exists(path) => {
                (Code::Usage, Some(format!("remove {} or choose another name with -o", name(path))))
            }
            OutputError::Busy(_) => {
                (Code::Usage, Some("wait for it, or choose another name with -o".to_owned()))
            }
            OutputError::Space { .. } => {
                (Code::Failed, Some("make room, or choose another place with -o".to_owned()))
            }
            OutputError::TooLarge { .. } => (
                Code::Usage,
                Some("cut it into volumes with --volume-size fat32, or use exFAT or ext4".to_owned()),
            ),
            OutputError::TooManyVolumes { .. } => {
                (Code::Usage, Some("choose larger ones with --volume-size".to_owned()))
            }
            OutputError::Io { .. } | OutputError::Beside(_) => (Code::Failed, None),
        };
        Self { code, lines: vec![chain(&error)], hint }
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Output(error) => error.into(),
            CreateError::Fetch { ref source, kept, .. } => {
                let again = match kept {
                    Kept::Fetched => "what was fetched is kept; run the same command again to go on",
                    Kept::Nothing => "what was written is no bundle; run the same command again",
                };
                let hint = match source_hint(source) {
                    Some(hint) => format!("{hint}\n{again}"),
                    None => again.to_owned(),
                };
                Self { code: registry_code(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            CreateError::Pipe(_) | CreateError::NoOrigin(_) | CreateError::Task(_) => {
                Self::new(Code::Failed, &error)
            }
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let code = match &error {
            OpenError::Open(error) => medium_code(error),
            OpenError::Missing(_) => Code::Incomplete,
            OpenError::Countersignature(error) => countersignature_code(error),
            OpenError::Trust(_) => Code::NotTrusted,
            OpenError::Damage(damage) => match damage.itself() {
                bundle_format::Damage::Read(_) => Code::Failed,
                _ => Code::NotTrusted,
            },
        };
        if let OpenError::Missing(missing) = &error {
            let mut lines: Vec<String> =
                missing.iter().map(|path| format!("{} is missing", path.display())).collect();
            lines.push(chain(&error));
            let hint = "bring them together, or take one after the other with --partial".to_owned();
            return Self { code, lines, hint: Some(hint) };
        }
        let hint = match &error {
            OpenError::Damage(bundle_format::Damage::Truncated { .. }) => {
                Some("copy the file again; the medium may have been full or removed too early".to_owned())
            }
            OpenError::Trust(bundle_format::TrustError::Stranger { .. }) => {
                Some("compare `bundle key show` on both sides; never import a bundle to find out".to_owned())
            }
            OpenError::Trust(bundle_format::TrustError::TooFew { .. }) => Some(
                "let another person sign it with `bundle sign`, and bring the signature beside the bundle"
                    .to_owned(),
            ),
            OpenError::Trust(bundle_format::TrustError::Expired(_)) => Some(
                "is this machine's clock right? To import it anyway: --allow-rollback --reason TEXT"
                    .to_owned(),
            ),
            _ => None,
        };
        Self { code, lines: vec![chain(&error)], hint }
    }
}

impl From<ChoiceError> for Failure {
    fn from(error: ChoiceError) -> Self {
        let failure = Self::new(Code::Usage, &error);
        match error {
            ChoiceError::NoImage(_) => failure.hint("`bundle inspect` shows what there is"),
            ChoiceError::Reference { .. } | ChoiceError::NoChart { .. } => failure,
        }
    }
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        let failure = |code| Self::new(code, &error);
        match &error {
            ExtractError::Exists(_) => failure(Code::Usage)
                .hint("nothing is overwritten: remove it, or choose another place with --to"),
            ExtractError::Pipe => failure(Code::Usage),
            ExtractError::Space { .. } => {
                failure(Code::Failed).hint("make room, or choose another place with --to")
            }
            ExtractError::Io { .. } | ExtractError::Damage(bundle_format::Damage::Read(_)) => {
                failure(Code::Failed)
            }
            ExtractError::Damage(_) | ExtractError::Chart { .. } => failure(Code::NotTrusted),
            ExtractError::Absent { .. } => failure(Code::Incomplete)
                .hint("take it from the bundle that this one builds on, or from a full one"),
            ExtractError::Names(_) => failure(Code::NotTrusted)
                .hint("name them as they are called at your registry, with --registry HOST"),
        }
    }
}

impl From<ValuesError> for Failure {
    fn from(error: ValuesError) -> Self {
        let failure = |code| Self::new(code, &error);
        match error {
            ValuesError::Extract(error) => error.into(),
            ValuesError::NoChart { .. } => failure(Code::Incomplete).hint(
                "name one of those with --chart; or list it in bundle.yaml, below charts, so that it travels with its images",
            ),
            ValuesError::SeveralCharts(_) => failure(Code::Usage).hint("say which with --chart NAME:VERSION"),
            ValuesError::Load(ref error) => failure(load_code(&error.cause)),
            ValuesError::Overlay(ref cause) | ValuesError::Ingress(IngressError::Overlay(ref cause)) => {
                let hint = match cause {
                    OverlayError::Render(RenderError::Template { wanted: Some(value), .. }) => {
                        Some(format!("give the chart that value: --set {}=…", Printable(value)))
                    }
                    OverlayError::Render(RenderError::KubeVersion { wanted, .. }) => {
                        Some(format!("say for which Kubernetes it is: --kube-version, within {}", Printable(wanted)))
                    }
                    OverlayError::Render(RenderError::Library) => {
                        Some("name the charts that use it instead".to_owned())
                    }
                    OverlayError::Render(_) | OverlayError::Trials(_) | OverlayError::Limit(_) => None,
                };
                Self { hint, ..failure(Code::Usage) }
            }
            ValuesError::Ingress(IngressError::None) => {
                failure(Code::Usage).hint("switch it on with -f or --set, or leave --ingress-host out")
            }
            ValuesError::Ingress(IngressError::Several(_) | IngressError::NoValue(_)) => {
                failure(Code::Usage).hint("give the hosts with -f or --set, and leave --ingress-host out")
            }
            ValuesError::Absent { .. } => failure(Code::Incomplete).hint(
                "name the bundle that has them too; or carry them: give the chart in bundle.yaml the values that you give it here",
            ),
            ValuesError::Unmapped { .. } => failure(Code::Incomplete).hint(
                "with --keep-unmapped they keep their names, and nodes find them by `bundle mirror-config`",
            ),
        }
    }
}

impl From<NoMirror> for Failure {
    fn from(error: NoMirror) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match &error {
            WriteError::Exists(_) => Self::new(Code::Usage, &error).hint("remove it, or choose another -o"),
            WriteError::Io { .. } => Self::new(Code::Failed, &error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = |code| Self::new(code, &error);
        match &error {
            StoreError::Base { .. } => {
                failure(Code::Incomplete).hint("serve the bundle that this one builds on beside it")
            }
            StoreError::Random(_) => failure(Code::Failed),
        }
    }
}

impl From<UsersError> for Failure {
    fn from(error: UsersError) -> Self {
        let failure = Self::new(Code::Usage, &error);
        match error {
            UsersError::Line { .. } => failure.hint("make lines with `htpasswd -B`"),
            _ => failure,
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<bundle_importer::PlanError> for Failure {
    fn from(error: bundle_importer::PlanError) -> Self {
        match error {
            bundle_importer::PlanError::Registry(error) => error.into(),
            bundle_importer::PlanError::Conflicts(ref conflicts) => {
                let mut lines: Vec<String> = conflicts
                    .iter()
                    .map(|conflict| {
                        format!(
                            "{} is {} there, and {} in the bundle",
                            conflict.target, conflict.registry, conflict.bundle
                        )
                    })
                    .collect();
                lines.push(format!("{error}; nothing was written"));
                let hint = "move the tags with --on-existing-tag overwrite, or leave them with --on-existing-tag skip";
                Self { code: Code::Policy, lines, hint: Some(hint.to_owned()) }
            }
            bundle_importer::PlanError::Base { ref lacking, ref base, .. } => {
                let mut lines: Vec<String> = lacking
                    .iter()
                    .take(MOST_NAMED)
                    .map(|target| format!("{target} cannot be delivered: a part of it is not there"))
                    .collect();
                if lacking.len() > MOST_NAMED {
                    lines.push(format!("and {} more", lacking.len() - MOST_NAMED));
                }
                lines.push(format!("{error}; nothing was written"));
                let base: Vec<String> = base.iter().map(ToString::to_string).collect();
                let hint = format!(
                    "bring the bundle that this one builds on, and import it first: {}; or make a bundle without --base",
                    base.join(", ")
                );
                Self { code: Code::Incomplete, lines, hint: Some(hint) }
            }
        }
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let again = "no tag was moved; run the same command again to go on";
        match &error {
            PushError::Blob { source, .. } | PushError::Manifest { source, .. } => {
                // Harbor and others say 412 or 409 for a tag that must not move.
                let code = match source.status() {
                    Some(409 | 412) => Code::Policy,
                    _ => registry_code(source),
                };
                let hint = match registry_hint(source) {
                    _ if source.refusal() == Some(Refusal::ImmutableTag) => {
                        "change the registry's rule for immutable tags, or leave the image out of the bundle"
                            .to_owned()
                    }
                    Some(hint) => format!("{hint}; then run the same command again to go on"),
                    None => "run the same command again to go on".to_owned(),
                };
                Self { code, lines: vec![chain(&error)], hint: Some(hint) }
            }
            PushError::Damage(_) => Self::new(Code::NotTrusted, &error)
                .hint("no tag was moved; copy the file again, or make it again on the connected side"),
            PushError::Gone { .. } => Self::new(Code::Incomplete, &error).hint(again),
            PushError::Moved { .. } => Self::new(Code::Incomplete, &error)
                .hint("find out who else pushes there, and run the import again"),
            PushError::NotAttached { .. } => Self::new(Code::Incomplete, &error)
                .hint("every tag is set; run the same command again, and look at the artifact in Harbor"),
            PushError::Spool(_) => {
                Self::new(Code::Failed, &error).hint("choose another place with --spool DIRECTORY")
            }
            PushError::Task(_) => Self::new(Code::Failed, &error).hint(again),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(Code::Failed, &error)
    }
}

impl From<ConfirmError> for Failure {
    fn from(error: ConfirmError) -> Self {
        let again = "everything was pushed, but there is no receipt; run the same command again";
        match &error {
            ConfirmError::Registry { source, .. } => {
                Self { code: registry_code(source), lines: vec![chain(&error)], hint: registry_hint(source) }
            }
            ConfirmError::Changed { .. } => Self::new(Code::Incomplete, &error).hint(again),
        }
    }
}

impl From<ReceiptFileError> for Failure {
    fn from(error: ReceiptFileError) -> Self {
        use bundle_format::ReceiptError;
        let code = match &error {
            ReceiptFileError::Read { .. } => Code::Usage,
            ReceiptFileError::SignatureLength { .. } | ReceiptFileError::Receipt { .. } => Code::NotTrusted,
        };
        let hint = match &error {
            ReceiptFileError::Read { path, .. } if path.extension().is_some_and(|end| end == "sig") => {
                Some("bring the signature too: it is the file beside the receipt")
            }
            ReceiptFileError::Receipt { source: ReceiptError::Signature, .. } => {
                Some("compare `bundle key show` on both sides")
            }
            _ => None,
        };
        Self { code, lines: vec![chain(&error)], hint: hint.map(str::to_owned) }
    }
}

fn medium_code(error: &MediumError) -> Code {
    match error {
        MediumError::Open { .. } => Code::Usage,
        MediumError::Compressed { source: bundle_format::CompressedError::Read(_), .. } => Code::Failed,
        MediumError::Compressed { .. }
        | MediumError::Index { .. }
        | MediumError::OtherIndex(_)
        | MediumError::OtherSet { .. }
        | MediumError::VolumeSize { .. } => Code::NotTrusted,
        MediumError::NoIndex(_) | MediumError::NoVolume(_) => Code::Incomplete,
    }
}

fn countersignature_code(error: &CountersignatureError) -> Code {
    match error {
        CountersignatureError::Read { .. } => Code::Usage,
        CountersignatureError::Length(_) | CountersignatureError::TooMany(_) => Code::NotTrusted,
    }
}

impl From<CountersignatureError> for Failure {
    fn from(error: CountersignatureError) -> Self {
        Self::new(countersignature_code(&error), &error)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let hint = match &error {
            StateError::Io { .. } | StateError::Write(_) => "choose another place with --state FILE",
            StateError::Version { .. } => "use the newer program that wrote it",
        };
        Self::new(Code::Failed, &error).hint(hint)
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Rollback(_) => Self::new(Code::NotTrusted, &error)
                .hint("to go back on purpose: --allow-rollback --reason TEXT"),
            MemoryError::State(error) => error.into(),
            MemoryError::Registry(error) => error.into(),
            MemoryError::Record { ref source, .. } => {
                Self { code: registry_code(source), lines: vec![chain(&error)], hint: registry_hint(source) }
            }
        }
    }
}

impl From<TrustStoreError> for Failure {
    fn from(error: TrustStoreError) -> Self {
        match error {
            TrustStoreError::File(error) => error.into(),
            TrustStoreError::Open { ref path, .. } => {
                let hint = format!("chmod o-w {}, and look at what is in it", path.display());
                Self::new(Code::Usage, &error).hint(hint)
            }
            TrustStoreError::Rotation(_) => Self::new(Code::NotTrusted, &error),
            TrustStoreError::Known(_)
            | TrustStoreError::NameTaken(_)
            | TrustStoreError::Unknown { .. }
            | TrustStoreError::Key(_) => Self::new(Code::Usage, &error),
            TrustStoreError::Serialize(_) | TrustStoreError::Write(_) => Self::new(Code::Failed, &error),
        }
    }
}

impl From<InventoryError> for Failure {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Receipt(error) => error.into(),
            InventoryError::Lock(error) => error.into(),
            InventoryError::Bundle { source: bundle_format::Damage::Read(_), .. } => {
                Self::new(Code::Failed, &error)
            }
            InventoryError::Bundle { .. } | InventoryError::Stranger(_) => {
                Self::new(Code::NotTrusted, &error)
            }
            InventoryError::Medium(ref medium) => Self::new(medium_code(medium), &error),
            InventoryError::Target { .. } | InventoryError::Unknown(_) => Self::new(Code::Usage, &error),
        }
    }
}

impl From<BaseError> for Failure {
    fn from(error: BaseError) -> Self {
        match error {
            BaseError::Inventory(error) => error.into(),
            BaseError::OnlyShort(ref short) => {
                let hint = format!("name the bundle or lock as well: --base {short}=FILE");
                Self::new(Code::Usage, &error).hint(hint)
            }
            BaseError::Short(_) => Self::new(Code::Usage, &error).hint("let it be read out again"),
            BaseError::Other { .. } => Self::new(Code::Usage, &error),
        }
    }
}

impl From<MediumError> for Failure {
    fn from(error: MediumError) -> Self {
        Self::new(medium_code(&error), &error)
    }
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Memory(error) => error.into(),
            DeliveryError::Plan(error) => error.into(),
            DeliveryError::Obstacles { obstacles, host } => Self::obstacles(&obstacles, host.as_str()),
            DeliveryError::Seed(error) => error.into(),
            DeliveryError::Push { error, diagnosis, host } => {
                let mut failure = Self::from(error);
                if let Some(diagnosis) = diagnosis {
                    failure.lines.push(diagnosis.to_string());
                    failure.hint = Some(match diagnosis {
                        Diagnosis::AccountGone => {
                            "enable it, or give another with --credentials FILE; then run the same command again to go on".to_owned()
                        }
                        Diagnosis::ProjectGone(project) | Diagnosis::RightsGone { project, .. } => format!(
                            "have an administrator run: bundle harbor bootstrap --to {host} --project {project}; then run the same command again to go on"
                        ),
                    });
                }
                failure
            }
            DeliveryError::Harbor(error) => error.into(),
            DeliveryError::Confirm(error) => error.into(),
        }
    }
}

impl From<ExpiresError> for Failure {
    fn from(error: ExpiresError) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<SyncConfigError> for Failure {
    fn from(error: SyncConfigError) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        Self::new(Code::Failed, &error)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Lock(error) => error.into(),
            ExportError::Config(error) => error.into(),
            ExportError::Conflict(error) => error.into(),
            ExportError::Key(error) => error.into(),
            ExportError::Charts(error) => error.into(),
            ExportError::Resolve(error) => error.into(),
            ExportError::Plan(error) => error.into(),
            ExportError::Expires(error) => error.into(),
            ExportError::Output(error) => in_outbox(error),
            ExportError::Sign(error) => error.into(),
            ExportError::Create(CreateError::Output(error)) => in_outbox(error),
            ExportError::Create(error) => error.into(),
            ExportError::Sequence { .. } => Self::new(Code::Failed, &error)
                .hint("a receipt, or what the job remembers, has the last number that there is; find out who made it, or begin a new stream"),
            ExportError::Ledger(_) | ExportError::Outbox(_) | ExportError::Chart(_) => {
                Self::new(Code::Failed, &error)
            }
        }
    }
}

/// A job has no options that say where its files are: `sync.yaml` does.
fn in_outbox(error: OutputError) -> Failure {
    let hint = match &error {
        OutputError::Space { .. } => Some("make room, or name another outbox in sync.yaml"),
        OutputError::Exists(_) => Some("remove it; the next run writes it anew"),
        OutputError::TooLarge { .. } => Some("volumeSize: fat32 in sync.yaml cuts it into volumes"),
        OutputError::TooManyVolumes { .. } => Some("choose a larger volumeSize in sync.yaml"),
        OutputError::NoName(_) | OutputError::Busy(_) | OutputError::Io { .. } | OutputError::Beside(_) => {
            None
        }
    };
    let mut failure = Failure::from(error);
    failure.hint = hint.map(str::to_owned);
    failure
}

impl From<ImportJobError> for Failure {
    fn from(error: ImportJobError) -> Self {
        Self::new(Code::Failed, &error)
    }
}

impl From<ItemError> for Failure {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::Open(error) => error.into(),
            ItemError::Delivery(error) => error.into(),
            ItemError::State(error) => error.into(),
            ItemError::Sign(error) => error.into(),
            ItemError::Receipt(error) => error.into(),
            ItemError::Stream(_) => Self::new(Code::NotTrusted, &error)
                .hint("bring it to its site, or name the stream in sync.yaml"),
            ItemError::Part => Self::new(Code::Incomplete, &error),
        }
    }
}
