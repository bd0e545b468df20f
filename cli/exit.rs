use std::error::Error;
use std::process::ExitCode;

use bundle_bundler::{
    ChartCause, ChartErrors, ConfigError, CreateError, KeyFileError, OutputError, PlanError, Request,
    ResolveCause, ResolveError, ResolveErrors, SignError,
};
use bundle_chart::{LoadCause, RenderError};
use bundle_importer::{OpenError, PushError, TrustFileError};
use bundle_oci::Printable;
use bundle_registry::{AddressError, Error as RegistryError};

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

    pub(crate) fn report(self) -> ExitCode {
        for line in self.lines.iter().flat_map(|text| text.lines()) {
            eprintln!("error: {line}");
        }
        if let Some(hint) = self.hint {
            eprintln!("hint: {hint}");
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
        RegistryError::Source(_) | RegistryError::Setup(_) => Code::Failed,
        RegistryError::Credentials(_) | RegistryError::Address { .. } => Code::Usage,
        RegistryError::Unreachable { .. }
        | RegistryError::Certificate { .. }
        | RegistryError::PlainHttp { .. }
        | RegistryError::HttpsOnly { .. }
        | RegistryError::NotARegistry { .. }
        | RegistryError::Withheld { .. }
        | RegistryError::Stalled { .. }
        | RegistryError::Answer(_)
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
        RegistryError::Certificate { .. } => {
            Some("give the certificate of the registry's authority with --ca-file FILE".to_owned())
        }
        RegistryError::PlainHttp { host } => {
            Some(format!("if that is meant to be so, allow it with --plain-http {host}"))
        }
        RegistryError::NotARegistry { host, .. } => {
            Some(format!("is {host} the registry's host and port? It must answer to /v2/"))
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
        RegistryError::Unreachable { host, .. } => Some(format!(
            "is {host} right and up? Behind a proxy, set HTTPS_PROXY; for a mirror use --mirror"
        )),
        _ => None,
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self { code: registry_code(&error), lines: vec![chain(&error)], hint: registry_hint(&error) }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::Usage, &error)
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
            KeyFileError::Open { path, .. } => Some(format!("chmod 600 {}", path.display())),
            KeyFileError::Read { path, .. } if path.symlink_metadata().is_err() => {
                Some(format!("make a key with `bundle key generate {}`", path.display()))
            }
            _ => None,
        };
        Self { code: Code::Usage, lines: vec![chain(&error)], hint }
    }
}

impl From<TrustFileError> for Failure {
    fn from(error: TrustFileError) -> Self {
        let hint = match &error {
            TrustFileError::Key { source: bundle_format::KeyError::PrivateForPublic, .. } => {
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
            ResolveCause::Registry(error) => registry_code(error),
            ResolveCause::NotFound { .. } | ResolveCause::Manifest { .. } | ResolveCause::TooDeep => {
                Code::Network
            }
            ResolveCause::Platform { .. } | ResolveCause::NotLocked => Code::Usage,
            ResolveCause::Gone(_) => Code::Incomplete,
        });
        let code = codes.max().unwrap_or(Code::Failed);
        let of_chart = |error: &ResolveError| error.reasons.iter().any(|reason| reason.starts_with("chart "));
        let hint = errors.0.iter().find_map(|error| match &error.cause {
            ResolveCause::NotFound { .. } if of_chart(error) => Some(
                "give the chart another image with set or values, or leave this one out with exclude"
                    .to_owned(),
            ),
            ResolveCause::Registry(error) => registry_hint(error),
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
        ChartCause::Registry(error) => registry_hint(error),
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
        Self::new(Code::Failed, &error)
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        let (code, hint) = match &error {
            OutputError::Exists(path) => {
                (Code::Usage, Some(format!("remove {} or choose another name with -o", path.display())))
            }
            OutputError::Busy(_) => {
                (Code::Usage, Some("wait for it, or choose another name with -o".to_owned()))
            }
            OutputError::Space { .. } => {
                (Code::Failed, Some("make room, or choose another place with -o".to_owned()))
            }
            OutputError::TooLarge { .. } => (
                Code::Usage,
                Some("use exFAT or ext4, or write to a pipe that splits: -o - | split".to_owned()),
            ),
            OutputError::Io { .. } => (Code::Failed, None),
        };
        Self { code, lines: vec![chain(&error)], hint }
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Output(error) => error.into(),
            CreateError::Fetch { ref source, .. } => Self {
                code: registry_code(source),
                lines: vec![chain(&error)],
                hint: Some("what was fetched is kept; run the same command again to go on".to_owned()),
            },
            CreateError::Pipe(_) | CreateError::NoOrigin(_) | CreateError::Task(_) => {
                Self::new(Code::Failed, &error)
            }
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let code = match &error {
            OpenError::Open { .. } => Code::Usage,
            OpenError::Trust(_) => Code::NotTrusted,
            OpenError::Damage(bundle_format::Damage::Read(_)) => Code::Failed,
            OpenError::Damage(_) => Code::NotTrusted,
        };
        let hint = match &error {
            OpenError::Damage(bundle_format::Damage::Truncated { .. }) => {
                Some("copy the file again; the medium may have been full or removed too early".to_owned())
            }
            OpenError::Trust(bundle_format::TrustError::Stranger { .. }) => {
                Some("compare `bundle key show` on both sides; never import a bundle to find out".to_owned())
            }
            _ => None,
        };
        Self { code, lines: vec![chain(&error)], hint }
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
            bundle_importer::PlanError::Base { .. } => {
                Self::new(Code::Incomplete, &error).hint("import the bundle that this one builds on first")
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
                    Some(hint) => format!("{hint}; then run the same command again to go on"),
                    None => "run the same command again to go on".to_owned(),
                };
                Self { code, lines: vec![chain(&error)], hint: Some(hint) }
            }
            PushError::Damage(_) => Self::new(Code::NotTrusted, &error)
                .hint("no tag was moved; copy the file again, or make it again on the connected side"),
            PushError::Moved { .. } => Self::new(Code::Incomplete, &error)
                .hint("find out who else pushes there, and run the import again"),
            PushError::Task(_) => Self::new(Code::Failed, &error).hint(again),
        }
    }
}
