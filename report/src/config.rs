//! The report of `config show`.
//! Takes settings with their places, gives a model in which no secret is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::Report;

/// `config show`: each setting, and where it comes from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigReport {
    /// The files of settings, the strongest first.
    pub files: Vec<SettingsFileEntry>,
    /// The settings, in the order of the reference.
    pub settings: Vec<SettingEntry>,
    /// The files with credentials, by host.
    pub credentials: Vec<CredentialsEntry>,
    /// The other variables of the program that are set, without their values, which may be secrets.
    pub variables: Vec<String>,
    /// The variables that begin with BUNDLE_ and that the program does not know.
    pub unknown: Vec<VariableEntry>,
}

/// A file of settings.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SettingsFileEntry {
    /// The file.
    pub file: String,
    /// Whether it exists.
    pub exists: bool,
}

/// A setting.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SettingEntry {
    /// Its key in config.yaml.
    pub key: String,
    /// Its option, which takes precedence.
    pub option: String,
    /// Its environment variable.
    pub variable: String,
    /// Its value, or the values of a list. Empty for the default.
    pub values: Vec<String>,
    /// environment, file or default.
    pub source: String,
    /// The variable, or the file and its line; null for the default.
    pub place: Option<String>,
    /// Why its value cannot be used. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A file with credentials.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CredentialsEntry {
    /// The host that the credentials are for.
    pub host: String,
    /// The file, which is not read.
    pub file: String,
    /// The file and line that name it.
    pub place: String,
}

/// A variable that the program does not know.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VariableEntry {
    /// Its name.
    pub name: String,
    /// The variable that may be meant; null if none is close.
    pub nearest: Option<String>,
}

impl Report for ConfigReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for SettingsFileEntry { file, exists } in &self.files {
            text.push_str(&format!("{file}{}\n", if *exists { "" } else { " (does not exist)" }));
        }
        for each in &self.settings {
            let value = if each.values.is_empty() { "-".to_owned() } else { each.values.join(", ") };
            let place = each.place.as_deref().unwrap_or("default");
            let refused = each.refused.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            text.push_str(&format!("{:<14} {value}  [{place}]{refused}\n", each.key));
        }
        for each in &self.credentials {
            text.push_str(&format!(
                "{:<14} {} for {}  [{}]\n",
                "credentials", each.file, each.host, each.place
            ));
        }
        if !self.variables.is_empty() {
            text.push_str(&format!("also set: {}\n", self.variables.join(", ")));
        }
        for each in &self.unknown {
            let meant =
                each.nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            text.push_str(&format!("{} is not a variable of this program{meant}\n", each.name));
        }
        text
    }
}
