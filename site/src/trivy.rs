//! The vulnerability databases for Trivy that a bundle carries.
//! Takes a statement, gives the repositories' names and values for Harbor's chart.

use bundle_format::{Statement, Target};
use bundle_oci::Registry;

/// Where a bundle puts the vulnerability databases of Trivy, Harbor's scanner. They are OCI artifacts
/// like any other, and are listed like images: `ghcr.io/aquasecurity/trivy-db:2` and
/// `ghcr.io/aquasecurity/trivy-java-db:1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrivyDatabases {
    /// The database itself.
    pub vulnerabilities: Option<Target>,
    /// The index of Java archives.
    pub java: Option<Target>,
}

impl TrivyDatabases {
    /// Finds them by their names.
    pub fn of(statement: &Statement) -> Self {
        let find = |name: &str| {
            let named = |target: &&Target| target.repository.last_component() == name && target.tag.is_some();
            statement.artifacts.iter().map(|artifact| &artifact.target).find(named).cloned()
        };
        Self { vulnerabilities: find("trivy-db"), java: find("trivy-java-db") }
    }

    /// Whether there are no databases.
    pub fn is_empty(&self) -> bool {
        self.vulnerabilities.is_none() && self.java.is_none()
    }

    /// The databases of several bundles: of each, the first that there is.
    pub fn or(self, other: Self) -> Self {
        Self {
            vulnerabilities: self.vulnerabilities.or(other.vulnerabilities),
            java: self.java.or(other.java),
        }
    }

    /// The settings for the table `trivy` of Harbor's chart (harbor-helm 1.19).
    pub fn settings(&self, host: &Registry) -> Vec<(&'static str, TrivySetting)> {
        let mut settings =
            vec![("skipUpdate", TrivySetting::Is(false)), ("offlineScan", TrivySetting::Is(true))];
        for (field, target) in [(DATABASE, &self.vulnerabilities), (JAVA_DATABASE, &self.java)] {
            settings.extend(target.as_ref().map(|target| {
                (field, TrivySetting::From(format!("{host}/{}/{}", target.project, target.repository)))
            }));
        }
        if self.java.is_none() {
            settings.push(("skipJavaDBUpdate", TrivySetting::Is(true)));
        }
        settings
    }

    /// Values of Harbor's chart that point its scanner at them.
    pub fn values(&self, host: &Registry) -> String {
        let mut text = format!("# For Harbor's chart. {PUBLIC}\ntrivy:\n");
        for (field, setting) in self.settings(host) {
            match setting {
                TrivySetting::Is(is) => text.push_str(&format!("  {field}: {is}\n")),
                TrivySetting::From(place) => text.push_str(&format!("  {field}:\n    - \"{place}\"\n")),
            }
        }
        for (field, target) in [(DATABASE, &self.vulnerabilities), (JAVA_DATABASE, &self.java)] {
            if target.is_none() {
                text.push_str(&format!("  # no database for {field} in this bundle\n"));
            }
        }
        text
    }
}

/// One of Trivy's settings in Harbor's chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrivySetting {
    /// A switch of the chart.
    Is(bool),
    /// A repository to fetch a database from; the chart takes a list of them.
    From(String),
}

const DATABASE: &str = "dbRepository";
const JAVA_DATABASE: &str = "javaDBRepository";

/// The condition for the scanner to fetch them, as a comment in YAML.
pub const PUBLIC: &str = "\
The scanner fetches the databases without an account, so their project must be
# public: give them one of their own in bundle.yaml, and 'access: public' for it in harbor.yaml.";
