//! The environment variables that the program knows: one table, from which the code reads and
//! docs/reference/environment.md is made. No other file of `cli/` asks the environment.

use std::ffi::OsString;
use std::path::PathBuf;

/// An environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: &'static str,
    /// Which commands read it.
    pub(crate) readers: &'static str,
    /// Its meaning, and the default.
    pub(crate) meaning: &'static str,
}

macro_rules! variables {
    ($($constant:ident = $readers:literal, $meaning:literal;)*) => {
        $(pub(crate) const $constant: Variable =
            Variable { name: stringify!($constant), readers: $readers, meaning: $meaning };)*

        /// All of them, in the order of the page.
        pub(crate) const ALL: &[Variable] = &[$($constant),*];
    };
}

variables! {
    BUNDLE_USERNAME = "import, sync import, harbor, doctor",
        "User name of the account at the destination. Needs BUNDLE_PASSWORD. --credentials takes precedence; without both, the account of `docker login` is used.";
    BUNDLE_PASSWORD = "import, sync import, harbor, doctor",
        "Password of the account at the destination. Needs BUNDLE_USERNAME.";
    BUNDLE_KEY_PASSPHRASE = "create, key, scan, sign, trust rotate, import --receipt-key, sync",
        "Passphrase of the private key, or of the key that `key generate --encrypt` makes. Without it, the program asks on the terminal.";
    BUNDLE_LOG = "all commands",
        "What is logged on standard error, as `-v` (info) and `-vv` (debug) do: off, error, warn, info or debug, for all parts or for some: `registry=debug,importer=info`. The parts are registry, bundler, importer, harbor, serve and sync. -v takes precedence.";
    BUNDLE_CONFIG = "all commands",
        "Configuration file that replaces /etc/bundle/config.yaml and the user's, or `none` to read no configuration.";
    BUNDLE_TO = "import, harbor, doctor",
        "Registry to import into. --to takes precedence.";
    BUNDLE_REGISTRY_KIND = "import",
        "Kind of that registry: auto, harbor or plain.";
    BUNDLE_CREDENTIALS = "import, sync import, harbor, doctor",
        "File with the account at the destination. --credentials takes precedence.";
    BUNDLE_TRUST = "all commands that verify",
        "Public key or trust.yaml that bundles are verified with. --trust takes precedence.";
    BUNDLE_KEY = "create, prune, scan, sign",
        "Private key that signs bundles, results of scans and records of removals. --key and --sign-command take precedence.";
    BUNDLE_RECEIPT_KEY = "import, stream",
        "Private key of the site. --receipt-key takes precedence.";
    BUNDLE_SITE = "import",
        "Name of the site in receipts. --site takes precedence.";
    BUNDLE_STATE = "import, stream",
        "File with the newest bundle of each stream. --state takes precedence.";
    BUNDLE_CA_FILE = "all commands that reach a registry",
        "PEM file with certificate authorities, besides the system's. --ca-file takes precedence.";
    BUNDLE_PLAIN_HTTP = "all commands that reach a registry",
        "Registries that are asked with plain HTTP, separated by commas. --plain-http takes precedence.";
    BUNDLE_MIRROR = "create, images, lock, sync export",
        "Mirrors as HOST=HOST/PREFIX, separated by commas. --mirror takes precedence.";
    BUNDLE_JOBS = "all commands with --jobs",
        "Number of parallel transfers. --jobs takes precedence.";
    BUNDLE_STALL_TIMEOUT = "all commands that reach a registry",
        "Seconds without data after which a connection is retried. --stall-timeout takes precedence.";
    BUNDLE_RETRIES = "all commands that reach a registry",
        "Retries without progress. --retries takes precedence.";
    BUNDLE_WAIT_FOR_LIMIT = "all commands that reach a registry",
        "The longest time that a rate limit is waited for. --wait-for-limit takes precedence.";
    BUNDLE_CACHE = "all commands with --cache",
        "Directory of cached manifests. --cache takes precedence.";
    BUNDLE_LOG_FORMAT = "all commands",
        "Form of what is printed on standard error: text or json. --log-format takes precedence.";
    BUNDLE_LOG_FILE = "all commands",
        "File that the log is appended to. --log-file takes precedence.";
    BUNDLE_TRUST_STORE = "all commands that verify",
        "File of the trust store, or `none` to ignore its revocations. --trust-store takes precedence. Default: bundle/trust.yaml below XDG_CONFIG_HOME.";
    SOURCE_DATE_EPOCH = "create",
        "Creation time of the bundle in seconds since 1970, for reproducible bundles. --created takes precedence. Default: now.";
    DOCKER_CONFIG = "all commands that reach a registry",
        "Directory of Docker's config.json with credentials. Default: ~/.docker.";
    REGISTRY_AUTH_FILE = "all commands that reach a registry",
        "File with credentials in Docker's form, as Podman and Skopeo use it. If it is set, no other credential file is read.";
    XDG_RUNTIME_DIR = "all commands that reach a registry",
        "containers/auth.json below it has credentials, as Podman writes them.";
    HTTPS_PROXY = "all commands that reach a registry",
        "URL of the proxy for HTTPS requests; user and password may be in it. Also in lower case.";
    HTTP_PROXY = "all commands that reach a registry",
        "URL of the proxy for HTTP requests. Also in lower case.";
    ALL_PROXY = "all commands that reach a registry",
        "URL of the proxy for requests that the other two do not name. Also in lower case.";
    NO_PROXY = "all commands that reach a registry",
        "Hosts, domains and networks that are reached without a proxy, separated by commas. Also in lower case.";
    SSL_CERT_FILE = "all commands that reach a registry",
        "PEM file that replaces the system's certificate authorities. --ca-file adds to them.";
    SSL_CERT_DIR = "all commands that reach a registry",
        "Directory of PEM files that replaces the system's certificate authorities.";
    HELM_REPOSITORY_CONFIG = "create, images, lock, sync export",
        "Helm's repositories.yaml with the names of chart repositories. Default: helm/repositories.yaml below XDG_CONFIG_HOME.";
    HELM_CONFIG_HOME = "create, images, lock, sync export",
        "Directory of Helm's configuration. Default: helm below XDG_CONFIG_HOME.";
    XDG_CONFIG_HOME = "all commands",
        "Directory of the user's configuration: bundle/trust.yaml, and Helm's and Podman's files. Default: ~/.config.";
    XDG_CACHE_HOME = "scan",
        "Directory of the user's caches: bundle/scans (results of scanners), and Trivy's and Grype's databases. Default: ~/.cache.";
    XDG_STATE_HOME = "import, sync import",
        "Directory of the user's state: bundle/state.json (rollback protection) and bundle/spool. Default: ~/.local/state.";
    HOME = "all commands",
        "Home directory, below which the defaults of the other variables are.";
    TERM = "all commands",
        "If it is empty or dumb, progress is shown as lines even on a terminal.";
    NO_COLOR = "all commands",
        "If set, help and errors have no colours. Meaning is never in colour only.";
}

/// The value of a variable, if it is set and is text.
pub(crate) fn text(variable: Variable) -> Option<String> {
    std::env::var(variable.name).ok()
}

/// The value of a variable, if it is set.
pub(crate) fn value(variable: Variable) -> Option<OsString> {
    std::env::var_os(variable.name)
}

/// The names of all variables that begin with this.
pub(crate) fn names(prefix: &str) -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

/// The value of a variable that a library asks for by name, in capital or small letters. Variables outside
/// the table are never set.
pub(crate) fn lookup(name: &str) -> Option<String> {
    let known = ALL.iter().any(|variable| variable.name.eq_ignore_ascii_case(name));
    known.then(|| std::env::var(name).ok()).flatten()
}

/// As [`lookup`], for paths, which need not be text.
pub(crate) fn path(variable: Variable) -> Option<PathBuf> {
    value(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_table_is_read() {
        assert_eq!(lookup("HOME"), std::env::var("HOME").ok());
        assert!(std::env::var("PATH").is_ok() && lookup("PATH").is_none());
    }
}
