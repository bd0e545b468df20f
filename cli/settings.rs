//! One order of settings for every command: option, environment variable, config.yaml, default. Takes the
//! environment and the files, gives clap's definition of the arguments with what they say as defaults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bundle_input::{SettingsError, SettingsFile};
use bundle_oci::Printable;
use clap::{Arg, ArgAction, Command};

use crate::environment as variables;
use crate::environment::{BUNDLE_CONFIG, HOME, Variable, XDG_CONFIG_HOME};
use crate::exit::{Failure, Id};
use crate::output::name;

/// The configuration of the machine.
const SYSTEM: &str = "/etc/bundle/config.yaml";

/// An option that can be set once for all commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Its key in config.yaml.
    pub(crate) key: &'static str,
    /// Its environment variable.
    pub(crate) variable: Variable,
    /// Its option, without the dashes.
    pub(crate) option: &'static str,
    /// The start of the option's value name, where options of one name differ.
    value: &'static str,
    /// The commands that have such an option and do not take the setting.
    not: &'static [&'static str],
    /// Options in whose presence the setting does not count.
    unless: &'static [&'static str],
    /// Whether it has several values, in the variable separated by commas.
    pub(crate) list: bool,
}

const fn setting(key: &'static str, variable: Variable, option: &'static str) -> Setting {
    Setting { key, variable, option, value: "", not: &[], unless: &[], list: false }
}

/// All settings, in the order of the reference.
pub(crate) const ALL: [Setting; 19] = [
    Setting {
        value: "URL|HOST",
        not: &["bundle stream show", "bundle stream repair"],
        unless: &["--config"],
        ..setting("to", variables::BUNDLE_TO, "to")
    },
    setting("registryKind", variables::BUNDLE_REGISTRY_KIND, "registry-kind"),
    Setting {
        not: &["bundle mirror-config"],
        ..setting("credentials", variables::BUNDLE_CREDENTIALS, "credentials")
    },
    Setting {
        value: "PUBKEY|FILE",
        unless: &["--config", "--unverified"],
        ..setting("trust", variables::BUNDLE_TRUST, "trust")
    },
    setting("trustStore", variables::BUNDLE_TRUST_STORE, "trust-store"),
    Setting {
        not: &["bundle trust rotate"],
        unless: &["--sign-command", "--dry-run"],
        ..setting("key", variables::BUNDLE_KEY, "key")
    },
    setting("receiptKey", variables::BUNDLE_RECEIPT_KEY, "receipt-key"),
    setting("site", variables::BUNDLE_SITE, "site"),
    setting("state", variables::BUNDLE_STATE, "state"),
    setting("caFile", variables::BUNDLE_CA_FILE, "ca-file"),
    Setting {
        not: &["bundle mirror-config"],
        list: true,
        ..setting("plainHttp", variables::BUNDLE_PLAIN_HTTP, "plain-http")
    },
    Setting { list: true, ..setting("mirrors", variables::BUNDLE_MIRROR, "mirror") },
    setting("jobs", variables::BUNDLE_JOBS, "jobs"),
    setting("stallTimeout", variables::BUNDLE_STALL_TIMEOUT, "stall-timeout"),
    setting("retries", variables::BUNDLE_RETRIES, "retries"),
    setting("waitForLimit", variables::BUNDLE_WAIT_FOR_LIMIT, "wait-for-limit"),
    setting("cache", variables::BUNDLE_CACHE, "cache"),
    setting("logFormat", variables::BUNDLE_LOG_FORMAT, "log-format"),
    setting("logFile", variables::BUNDLE_LOG_FILE, "log-file"),
];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An environment variable.
    Variable(&'static str),
    /// A line of a file, from 1.
    File(PathBuf, u64),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(variable) => f.write_str(variable),
            Self::File(path, line) => write!(f, "{}:{line}", Printable(&path.to_string_lossy())),
        }
    }
}

/// A setting that is set, and where.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// The setting.
    pub(crate) setting: Setting,
    /// Its value, or the values of a list.
    pub(crate) values: Vec<OsString>,
    /// Where they come from.
    pub(crate) source: Source,
}

/// What the environment and the files say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The settings, each from the strongest place that has it.
    pub(crate) values: Vec<Value>,
    /// The files with credentials by host, and where they are named.
    pub(crate) credentials: BTreeMap<String, (PathBuf, Source)>,
    /// The files that were looked for, the strongest first, and whether they exist.
    pub(crate) files: Vec<(PathBuf, bool)>,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// The settings of this run.
pub(crate) fn current() -> &'static Settings {
    SETTINGS.get_or_init(Settings::default)
}

/// No settings, for a description of the options.
pub(crate) fn none() -> &'static Settings {
    static NONE: Settings = Settings { values: Vec::new(), credentials: BTreeMap::new(), files: Vec::new() };
    &NONE
}

/// Why the settings of this run could not be read.
static BROKEN: OnceLock<String> = OnceLock::new();

/// No settings, for a command that helps to find out why they cannot be read.
pub(crate) fn without(why: String) -> &'static Settings {
    BROKEN.get_or_init(|| why);
    none()
}

/// Why the settings could not be read, if they could not.
pub(crate) fn broken() -> Option<&'static str> {
    BROKEN.get().map(String::as_str)
}

/// The files of settings, the strongest first.
fn places() -> Vec<PathBuf> {
    match variables::path(BUNDLE_CONFIG) {
        Some(none) if none.as_os_str() == "none" => Vec::new(),
        Some(path) => vec![path],
        None => {
            let set = |variable| variables::path(variable).filter(|path| path.is_absolute());
            let base = set(XDG_CONFIG_HOME).or_else(|| Some(set(HOME)?.join(".config")));
            let own = base.map(|base| base.join("bundle/config.yaml"));
            own.into_iter().chain([PathBuf::from(SYSTEM)]).collect()
        }
    }
}

/// Reads the environment and the files, once.
///
/// # Errors
/// A file cannot be used, or BUNDLE_CONFIG names one that does not exist.
pub(crate) fn read() -> Result<&'static Settings, Failure> {
    let mut settings = Settings::default();
    for setting in ALL {
        let value = variables::value(setting.variable).filter(|value| !value.is_empty());
        if let Some(value) = value {
            let source = Source::Variable(setting.variable.name);
            settings.values.push(Value { setting, values: split(value, setting.list), source });
        }
    }
    for path in places() {
        let file = SettingsFile::load(&path).map_err(Failure::from)?;
        if file.is_none() && variables::path(BUNDLE_CONFIG).is_some() {
            let text = format!("{} does not exist, and BUNDLE_CONFIG names it", name(&path));
            return Err(Failure::text(Id::FileUnreadable, text));
        }
        settings.files.push((path.clone(), file.is_some()));
        settings.add(&path, file.unwrap_or_default());
    }
    Ok(SETTINGS.get_or_init(|| settings))
}

fn split(value: OsString, list: bool) -> Vec<OsString> {
    match value.to_str() {
        Some(text) if list => text.split(',').map(|part| part.trim().into()).collect(),
        _ => vec![value],
    }
}

impl Settings {
    /// Adds a file that is weaker than what is known.
    fn add(&mut self, path: &Path, file: SettingsFile) {
        for found in file.settings {
            let Some(setting) = ALL.into_iter().find(|setting| setting.key == found.key) else { continue };
            if self.values.iter().any(|known| known.setting.key == found.key) {
                continue;
            }
            let values = found.values.into_iter().map(OsString::from).collect();
            let source = Source::File(path.to_owned(), found.line);
            self.values.push(Value { setting, values, source });
        }
        for (host, (file, line)) in file.credentials {
            let source = Source::File(path.to_owned(), line);
            self.credentials.entry(host).or_insert((file, source));
        }
    }

    /// The value of a setting, if it is set.
    pub(crate) fn of(&self, key: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.setting.key == key)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match &error {
            SettingsError::Input(_) => Self::new(Id::FileInvalid, &error),
            SettingsError::Exposed { directory, .. } => Self::new(Id::FileOpenToAll, &error)
                .hint(format!("look at what is in the file, then chmod o-w {}", name(directory))),
            SettingsError::NotOurs { path, .. } => Self::new(Id::FileOpenToAll, &error)
                .hint(format!("look at what is in {}, then chown and chmod it", name(path))),
        }
    }
}

/// Puts the names of the variables into the help of the options, and what is set as their defaults.
pub(crate) fn apply(command: Command, settings: &'static Settings) -> Command {
    let options: Vec<String> = std::env::args_os()
        .skip(1)
        .take_while(|word| word != "--")
        .filter_map(|word| Some(word.to_str()?.split('=').next()?.to_owned()))
        .collect();
    let path = command.get_name().to_owned();
    below(command, &path, settings, &options)
}

fn below(command: Command, path: &str, settings: &'static Settings, options: &[String]) -> Command {
    let command = command.mut_args(|arg| with_setting(arg, path, settings, options));
    // A key that is set once signs, so that none need be named.
    let signs = settings.of("key").is_some_and(|key| counts(&key.setting, options));
    let grouped = command.get_groups().any(|group| group.get_id() == "signer");
    let command = match signs && grouped {
        true => command.mut_group("signer", |group| group.required(false)),
        false => command,
    };
    command.mut_subcommands(|command| {
        let path = format!("{path} {}", command.get_name());
        below(command, &path, settings, options)
    })
}

/// Whether a setting counts beside these options.
fn counts(setting: &Setting, options: &[String]) -> bool {
    !setting.unless.iter().any(|unless| options.iter().any(|option| option == unless))
}

fn with_setting(arg: Arg, path: &str, settings: &'static Settings, options: &[String]) -> Arg {
    let Some(setting) = ALL.into_iter().find(|setting| takes(&arg, path, setting)) else { return arg };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let arg = arg.help(format!("{help} [env: {}]", setting.variable.name));
    match settings.of(setting.key) {
        // Defaults never conflict with what is said on the command line.
        Some(value) if counts(&setting, options) => {
            let values = value.values.iter().map(OsString::as_os_str);
            arg.required(false).default_values(values).hide_default_value(true)
        }
        _ => arg,
    }
}

/// Whether an option of a command takes a setting.
fn takes(arg: &Arg, path: &str, setting: &Setting) -> bool {
    let value = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    arg.get_long() == Some(setting.option) && value.starts_with(setting.value) && !setting.not.contains(&path)
}

/// A variable whose value is not UTF-8, of a setting that must be.
pub(crate) fn not_utf8() -> Option<String> {
    let odd = |known: &&Value| known.values.iter().any(|value| value.to_str().is_none());
    current().values.iter().find(odd).map(|known| format!("{}: {}", known.source, known.setting.key))
}

/// Why the values of a setting cannot be used, in the words of its option.
pub(crate) fn refusal(command: &Command, value: &Value) -> Option<String> {
    let path = command.get_name().to_owned();
    let Value { setting, values, .. } = value;
    let arg = option_of(command, &path, setting)?;
    let parser = arg.get_value_parser().clone();
    let option = Arg::new("value").long(setting.option).value_parser(parser).action(ArgAction::Append);
    let options = values.iter().map(|value| {
        let mut option = OsString::from(format!("--{}=", setting.option));
        option.push(value);
        option
    });
    let arguments = [OsString::from("bundle")].into_iter().chain(options);
    let error = Command::new("bundle").arg(option).try_get_matches_from(arguments).err()?;
    let text = error.render().to_string();
    Some(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
}

/// The first option of any command that takes a setting.
fn option_of(command: &Command, path: &str, setting: &Setting) -> Option<Arg> {
    command.get_arguments().find(|arg| takes(arg, path, setting)).cloned().or_else(|| {
        command
            .get_subcommands()
            .find_map(|command| option_of(command, &format!("{path} {}", command.get_name()), setting))
    })
}

/// The place that a wrong value of an option comes from, if it is not the command line: `option` is as clap shows
/// it, `--jobs <N>`.
pub(crate) fn blame(option: &str, value: &str) -> Option<String> {
    let long = option.split([' ', '=', '[']).next()?.strip_prefix("--")?;
    let found = current().values.iter().find(|known| {
        known.setting.option == long && known.values.iter().any(|each| each.to_str() == Some(value))
    })?;
    Some(format!("{}: {}", found.source, found.setting.key))
}
