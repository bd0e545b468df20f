//! Which program is run with which arguments, for Trivy, Grype, and a program of the user's own.
//! Takes the user's choice; gives the scanner's identity, and the findings of one image.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle_oci::Digest;
use serde::{Deserialize, Serialize};

use super::login::Login;
use super::process::{Run, ScanError};
use crate::{Findings, Limits, SbomForm, grype, trivy};

/// A kind of scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScannerKind {
    /// Trivy, 0.56 or later.
    Trivy,
    /// Grype, 0.85 or later.
    Grype,
    /// `COMMAND REFERENCE` prints Trivy's JSON, and `COMMAND --version` a text that changes with the program and its
    /// database.
    Command(PathBuf),
}

/// A scanner.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// Which one.
    pub kind: ScannerKind,
    /// The directory of its database: Trivy's cache directory, or Grype's database directory.
    pub database: Option<PathBuf>,
    /// Statements on what does not affect an image (OpenVEX, CSAF, CycloneDX).
    pub vex: Option<PathBuf>,
    /// The longest time for one image.
    pub timeout: Duration,
    /// The login at the server of the images.
    pub login: Option<Login>,
}

/// What findings depend on beside the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Identity {
    /// The program's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// When its database was made, as it says itself; none if a COMMAND says all in its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The digest of the VEX file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vex: Option<Digest>,
}

/// Why a scanner cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ScannerError {
    /// A file or directory that was named.
    #[error("{} cannot be read", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It does not say which version it is.
    #[error("'{name}' does not say its version")]
    Version {
        /// The program.
        name: String,
        /// Why.
        source: ScanError,
    },
    /// What it says of its version is not in its own form.
    #[error("'{name}' says its version in a form that is not known")]
    Form {
        /// The program.
        name: String,
    },
    /// It makes no SBOMs.
    #[error("'{name}' makes no SBOMs")]
    NoSboms {
        /// The program.
        name: String,
    },
    /// It has no database.
    #[error("'{name}' has no vulnerability database{}", place(.directory.as_deref()))]
    NoDatabase {
        /// The program.
        name: String,
        /// Where it was looked for.
        directory: Option<PathBuf>,
    },
}

fn place(directory: Option<&Path>) -> String {
    directory.map(|directory| format!(" in {}", directory.display())).unwrap_or_default()
}

impl Scanner {
    /// The same with absolute paths: it runs in a directory of its own.
    ///
    /// # Errors
    /// Something that was named does not exist.
    pub fn absolute(mut self) -> Result<Self, ScannerError> {
        let named = |path: &mut PathBuf| match path.canonicalize() {
            Ok(absolute) => {
                *path = absolute;
                Ok(())
            }
            Err(source) => Err(ScannerError::File { path: path.clone(), source }),
        };
        self.database.as_mut().map(named).transpose()?;
        self.vex.as_mut().map(named).transpose()?;
        if let ScannerKind::Command(program) = &mut self.kind
            && program.components().count() > 1
        {
            named(program)?;
        }
        Ok(self)
    }

    /// The program's name for people.
    pub fn name(&self) -> String {
        match &self.kind {
            ScannerKind::Trivy => "trivy".to_owned(),
            ScannerKind::Grype => "grype".to_owned(),
            ScannerKind::Command(program) => {
                program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
            }
        }
    }

    /// Asks the program for its version and its database.
    ///
    /// # Errors
    /// Any [`ScannerError`].
    pub async fn identity(&self, limits: &Limits) -> Result<Identity, ScannerError> {
        let name = self.name();
        let vex = match &self.vex {
            Some(path) => {
                let failed = |source| ScannerError::File { path: path.clone(), source };
                Some(Digest::of(&bundle_os::read(path, limits.vex).map_err(failed)?))
            }
            None => None,
        };
        let (version, database) = match &self.kind {
            ScannerKind::Trivy => {
                let mut arguments: Vec<OsString> = ["version", "--format", "json"].map(Into::into).into();
                arguments.extend(self.trivy_directory());
                trivy_identity(&self.ask(arguments, limits).await?)
            }
            ScannerKind::Grype => {
                let version = self.ask(["version", "-o", "json"].map(Into::into).into(), limits).await?;
                let status = self.ask(["db", "status", "-o", "json"].map(Into::into).into(), limits).await;
                // It fails if there is no database, or one that it cannot use.
                grype_identity(&version, status.as_deref().unwrap_or_default())
            }
            ScannerKind::Command(_) => {
                let said = self.ask(vec!["--version".into()], limits).await?;
                let text = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
                (Some(text).filter(|text| !text.is_empty()), None)
            }
        };
        let Some(version) = version else { return Err(ScannerError::Form { name }) };
        if database.is_none() && !matches!(self.kind, ScannerKind::Command(_)) {
            return Err(ScannerError::NoDatabase { name, directory: self.database.clone() });
        }
        Ok(Identity { name, version: crate::finding::cut(&version, limits), database, vex })
    }

    /// Scans one image.
    ///
    /// # Errors
    /// Any [`ScanError`].
    pub async fn scan(&self, reference: &str, limits: &Limits) -> Result<Findings, ScanError> {
        let bytes = self.run(self.arguments(reference), limits.output, limits).output().await?;
        Ok(match self.kind {
            ScannerKind::Grype => grype::parse(&bytes, limits)?,
            ScannerKind::Trivy | ScannerKind::Command(_) => trivy::parse(&bytes, limits)?,
        })
    }

    /// Makes an SBOM of one image.
    ///
    /// # Errors
    /// Any [`ScanError`] but of its form, which is for the caller to see.
    pub async fn sbom(&self, reference: &str, form: SbomForm, limits: &Limits) -> Result<Vec<u8>, ScanError> {
        self.run(self.sbom_arguments(reference, form), limits.sbom, limits).output().await
    }

    /// Whether it can make SBOMs at all.
    ///
    /// # Errors
    /// [`ScannerError::NoSboms`].
    pub fn makes_sboms(&self) -> Result<(), ScannerError> {
        match self.kind {
            ScannerKind::Grype => Err(ScannerError::NoSboms { name: self.name() }),
            ScannerKind::Trivy | ScannerKind::Command(_) => Ok(()),
        }
    }

    async fn ask(&self, arguments: Vec<OsString>, limits: &Limits) -> Result<Vec<u8>, ScannerError> {
        let asked = self.run(arguments, limits.identity, limits).output().await;
        asked.map_err(|source| ScannerError::Version { name: self.name(), source })
    }

    fn run(&self, arguments: Vec<OsString>, output: u64, limits: &Limits) -> Run {
        let program = match &self.kind {
            ScannerKind::Trivy => PathBuf::from("trivy"),
            ScannerKind::Grype => PathBuf::from("grype"),
            ScannerKind::Command(program) => program.clone(),
        };
        let variables = self.variables();
        Run { program, arguments, variables, timeout: self.timeout, output, message: limits.message }
    }

    fn trivy_directory(&self) -> Vec<OsString> {
        let directory = self.database.iter();
        directory.flat_map(|directory| ["--cache-dir".into(), directory.clone().into_os_string()]).collect()
    }

    /// Trivy's arguments for output of this form, without what it has to look at.
    fn trivy_arguments(&self, form: &str) -> Vec<OsString> {
        // The cache in memory, for that on disk has one user at a time (trivy, docs/configuration/cache.md).
        let mut arguments: Vec<OsString> = [
            "image",
            "--format",
            form,
            "--quiet",
            "--image-src",
            "remote",
            "--insecure",
            "--offline-scan",
            "--skip-db-update",
            "--skip-java-db-update",
            "--cache-backend",
            "memory",
        ]
        .map(Into::into)
        .into();
        arguments.extend(self.trivy_directory());
        arguments.extend(["--timeout".into(), format!("{}s", self.timeout.as_secs().max(1)).into()]);
        arguments
    }

    /// The arguments of a run that makes an SBOM.
    fn sbom_arguments(&self, reference: &str, form: SbomForm) -> Vec<OsString> {
        let mut arguments = match (&self.kind, form) {
            (ScannerKind::Trivy, SbomForm::Spdx) => self.trivy_arguments("spdx-json"),
            (ScannerKind::Trivy, SbomForm::CycloneDx) => self.trivy_arguments("cyclonedx"),
            (ScannerKind::Grype | ScannerKind::Command(_), _) => vec!["--sbom".into(), form.as_str().into()],
        };
        arguments.push(reference.into());
        arguments
    }

    /// The arguments of a scan.
    fn arguments(&self, reference: &str) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = match &self.kind {
            ScannerKind::Trivy => {
                let mut arguments = self.trivy_arguments("json");
                arguments.extend(["--scanners", "vuln"].map(Into::into));
                arguments
            }
            ScannerKind::Grype => ["-o", "json", "--quiet"].map(Into::into).into(),
            ScannerKind::Command(_) => return vec![reference.into()],
        };
        if let Some(vex) = &self.vex {
            arguments.extend(["--vex".into(), vex.clone().into_os_string()]);
        }
        arguments.push(match self.kind {
            ScannerKind::Grype => format!("registry:{reference}").into(),
            _ => reference.into(),
        });
        arguments
    }

    /// Variables that keep a scanner from the network, and say where its database is.
    fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables: Vec<(&'static str, OsString)> = Vec::new();
        match &self.kind {
            // Options of newer versions only, which older ones would refuse as arguments.
            ScannerKind::Trivy => variables.extend([
                ("TRIVY_SKIP_VERSION_CHECK", "true".into()),
                ("TRIVY_DISABLE_TELEMETRY", "true".into()),
            ]),
            // Grype's settings as variables (anchore/grype, README.md §Configuration). Behind a gap, a database may
            // be older than five days; its date is in the result.
            ScannerKind::Grype => {
                variables.extend([
                    ("GRYPE_DB_AUTO_UPDATE", "false".into()),
                    ("GRYPE_DB_VALIDATE_AGE", "false".into()),
                    ("GRYPE_CHECK_FOR_APP_UPDATE", "false".into()),
                    ("GRYPE_REGISTRY_INSECURE_USE_HTTP", "true".into()),
                ]);
                let directory = self.database.iter();
                variables.extend(directory.map(|it| ("GRYPE_DB_CACHE_DIR", it.clone().into_os_string())));
            }
            ScannerKind::Command(_) => {
                let directory =
                    self.database.iter().map(|it| ("BUNDLE_SCAN_DB", it.clone().into_os_string()));
                let vex = self.vex.iter().map(|it| ("BUNDLE_SCAN_VEX", it.clone().into_os_string()));
                variables.extend(directory.chain(vex));
            }
        }
        variables.extend(self.login.iter().flat_map(|login| login.variables(&self.kind)));
        variables
    }
}

/// What `trivy version --format json` says (trivy, pkg/version/version.go and pkg/types/version.go).
fn trivy_identity(bytes: &[u8]) -> (Option<String>, Option<String>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Said {
        version: String,
        #[serde(rename = "VulnerabilityDB", default)]
        database: Option<Database>,
        #[serde(rename = "JavaDB", default)]
        java: Option<Database>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Database {
        updated_at: String,
    }

    let Ok(said) = serde_json::from_slice::<Said>(bytes) else { return (None, None) };
    let database = said.database.map(|it| match said.java {
        Some(java) => format!("{}, Java {}", it.updated_at, java.updated_at),
        None => it.updated_at,
    });
    (Some(said.version), database)
}

/// What `grype version -o json` and `grype db status -o json` say (anchore/grype, cmd/grype/cli/commands).
fn grype_identity(version: &[u8], status: &[u8]) -> (Option<String>, Option<String>) {
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    #[derive(Deserialize)]
    struct Status {
        built: String,
    }

    let version = serde_json::from_slice::<Version>(version).ok().map(|it| it.version);
    (version, serde_json::from_slice::<Status>(status).ok().map(|it| it.built))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(kind: ScannerKind) -> Scanner {
        let (database, vex) = (Some("/db".into()), Some("/v.json".into()));
        Scanner { kind, database, vex, timeout: Duration::from_secs(90), login: None }
    }

    fn words(scanner: &Scanner) -> String {
        let arguments = scanner.arguments("127.0.0.1:5/a/b@sha256:0");
        arguments.iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_scanner_is_asked_in_its_own_way_and_kept_from_the_network() {
        let trivy = words(&scanner(ScannerKind::Trivy));
        assert!(trivy.starts_with("image --format json "), "{trivy}");
        assert!(trivy.contains(" --offline-scan --skip-db-update "), "{trivy}");
        assert!(
            trivy.ends_with(
                " --cache-dir /db --timeout 90s --scanners vuln --vex /v.json 127.0.0.1:5/a/b@sha256:0"
            ),
            "{trivy}"
        );
        let grype = words(&scanner(ScannerKind::Grype));
        assert_eq!(grype, "-o json --quiet --vex /v.json registry:127.0.0.1:5/a/b@sha256:0");
        let command = scanner(ScannerKind::Command("/opt/my-scan".into()));
        assert_eq!(
            (words(&command).as_str(), command.name().as_str()),
            ("127.0.0.1:5/a/b@sha256:0", "my-scan")
        );
    }

    #[test]
    fn an_sbom_is_asked_for_in_each_scanners_own_way() {
        let words = |kind, form| {
            let arguments = scanner(kind).sbom_arguments("h/a@sha256:0", form);
            arguments.iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        let trivy = words(ScannerKind::Trivy, SbomForm::Spdx);
        assert!(
            trivy.starts_with("image --format spdx-json ") && trivy.ends_with(" h/a@sha256:0"),
            "{trivy}"
        );
        assert!(words(ScannerKind::Trivy, SbomForm::CycloneDx).starts_with("image --format cyclonedx "));
        let command = words(ScannerKind::Command("x".into()), SbomForm::CycloneDx);
        assert_eq!(command, "--sbom cyclonedx h/a@sha256:0");
        assert!(matches!(scanner(ScannerKind::Grype).makes_sboms(), Err(ScannerError::NoSboms { .. })));
    }

    #[test]
    fn versions_and_dates_of_databases_are_read() {
        // As the tests of Trivy's own command have it (trivy, pkg/commands/app_test.go).
        let said =
            br#"{"Version":"0.74.0","VulnerabilityDB":{"Version":2,"NextUpdate":"2026-11-30T06:00:00Z",
            "UpdatedAt":"2026-11-29T06:00:00Z","DownloadedAt":"2026-11-29T08:00:00Z"}}"#;
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(trivy_identity(said), (some("0.74.0"), some("2026-11-29T06:00:00Z")));
        assert_eq!(trivy_identity(br#"{"Version":"0.74.0"}"#), (some("0.74.0"), None));
        assert_eq!(trivy_identity(b"Version: 0.74.0"), (None, None));
        let status =
            br#"{"schemaVersion":"v6.1.2","built":"2026-11-29T04:00:00Z","path":"/db/6","valid":true}"#;
        let version = br#"{"application":"grype","version":"0.121.0"}"#;
        assert_eq!(grype_identity(version, status), (some("0.121.0"), some("2026-11-29T04:00:00Z")));
        assert_eq!(grype_identity(version, b""), (some("0.121.0"), None));
    }
}
