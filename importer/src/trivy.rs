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

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.vulnerabilities.is_none() && self.java.is_none()
    }

    /// Values of Harbor's chart (harbor-helm 1.19) that point its scanner at them.
    pub fn values(&self, host: &Registry) -> String {
        let mut text = "\
# For Harbor's chart. The scanner fetches the databases without an account, so their project must be
# public: give them one of their own in bundle.yaml, and 'access: public' for it in harbor.yaml.
trivy:
  skipUpdate: false
  offlineScan: true
"
        .to_owned();
        let mut entry = |field: &str, target: &Option<Target>| match target {
            Some(target) => {
                text.push_str(&format!(
                    "  {field}:\n    - \"{host}/{}/{}\"\n",
                    target.project, target.repository
                ));
            }
            None => text.push_str(&format!("  # no database for {field} in this bundle\n")),
        };
        entry("dbRepository", &self.vulnerabilities);
        entry("javaDBRepository", &self.java);
        if self.java.is_none() {
            text.push_str("  skipJavaDBUpdate: true\n");
        }
        text
    }
}
