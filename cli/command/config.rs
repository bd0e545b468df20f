//! `config`: the settings of this machine and user, and where each comes from.
//! Takes the environment and the files that were read, gives a report without secrets.

use bundle_input::nearest;
use bundle_oci::hide_logins;
use bundle_report::{ConfigReport, CredentialsEntry, SettingEntry, SettingsFileEntry, VariableEntry};
use clap::CommandFactory;

use crate::environment;
use crate::exit::{Code, Failure};
use crate::output::{self, name};
use crate::settings::{self, ALL, Source};

#[derive(clap::Subcommand)]
pub(crate) enum Config {
    /// Show each setting, its value, and where it comes from: a variable, a line of a file, or the default
    Show,
}

impl Config {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self::Show = self;
        let report = report();
        output::report(&report)?;
        match report.settings.iter().filter(|entry| entry.refused.is_some()).count() {
            0 => Ok(()),
            1 => Err(Failure::text(Code::Usage, "1 setting cannot be used")),
            many => Err(Failure::text(Code::Usage, format!("{many} settings cannot be used"))),
        }
    }
}

/// The settings of this run.
pub(crate) fn report() -> ConfigReport {
    let current = settings::current();
    let command = crate::Arguments::command();
    let entry = |setting: settings::Setting| {
        let value = current.of(setting.key);
        let (source, place) = match value.map(|value| &value.source) {
            None => ("default", None),
            Some(source @ Source::Variable(_)) => ("environment", Some(source.to_string())),
            Some(source @ Source::File(..)) => ("file", Some(source.to_string())),
        };
        let texts = value.map(|value| &value.values).into_iter().flatten();
        SettingEntry {
            key: setting.key.to_owned(),
            option: format!("--{}", setting.option),
            variable: setting.variable.name.to_owned(),
            values: texts.map(|text| hide_logins(&text.to_string_lossy()).into_owned()).collect(),
            source: source.to_owned(),
            place,
            refused: value
                .and_then(|value| settings::refusal(&command, value))
                .map(|text| hide_logins(&text).into_owned()),
        }
    };
    let credentials = current.credentials.iter().map(|(host, (path, source))| CredentialsEntry {
        host: host.clone(),
        file: name(path),
        place: source.to_string(),
    });
    let is_setting = |name: &str| ALL.iter().any(|setting| setting.variable.name == name);
    let set =
        |variable: &&environment::Variable| environment::value(**variable).is_some_and(|it| !it.is_empty());
    let others = environment::ALL.iter().filter(|variable| !is_setting(variable.name)).filter(set);
    let known: Vec<&'static str> = environment::ALL.iter().map(|variable| variable.name).collect();
    let unknown = environment::names("BUNDLE_").into_iter().filter(|name| !known.contains(&name.as_str()));
    ConfigReport {
        files: current
            .files
            .iter()
            .map(|(path, exists)| SettingsFileEntry { file: name(path), exists: *exists })
            .collect(),
        settings: ALL.into_iter().map(entry).collect(),
        credentials: credentials.collect(),
        variables: others.map(|variable| variable.name.to_owned()).collect(),
        unknown: unknown
            .map(|name| VariableEntry { nearest: nearest(&name, &known).map(str::to_owned), name })
            .collect(),
    }
}
