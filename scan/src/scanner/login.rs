//! The login of one scan at the server of the images: nobody else on the machine has it.
//! Takes the server's address and random bytes of the system; gives variables for a scanner's environment.

use std::ffi::OsString;
use std::fmt;
use std::io;

use super::command::ScannerKind;

/// A user and a password for one server and one run.
#[derive(Clone)]
pub struct Login {
    authority: String,
    password: String,
}

/// The user of all scans.
const USER: &str = "bundle-scan";

impl Login {
    /// A new one at the server `authority` (HOST:PORT).
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random(authority: &str) -> io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let password = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { authority: authority.to_owned(), password })
    }

    /// The user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// In the words of a scanner. Arguments can be read by everybody on the machine, an environment only by the user.
    pub(super) fn variables(&self, kind: &ScannerKind) -> Vec<(&'static str, OsString)> {
        let (user, password) = match kind {
            // trivy, pkg/flag/registry_flags.go.
            ScannerKind::Trivy => ("TRIVY_USERNAME", "TRIVY_PASSWORD"),
            // anchore/grype, README.md §Configuration: registry.auth.
            ScannerKind::Grype => ("GRYPE_REGISTRY_AUTH_USERNAME", "GRYPE_REGISTRY_AUTH_PASSWORD"),
            ScannerKind::Command(_) => ("BUNDLE_SCAN_USERNAME", "BUNDLE_SCAN_PASSWORD"),
        };
        let mut variables = vec![(user, USER.into()), (password, self.password.clone().into())];
        if *kind == ScannerKind::Grype {
            variables.push(("GRYPE_REGISTRY_AUTH_AUTHORITY", self.authority.clone().into()));
        }
        variables
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_login_is_another_and_is_in_no_log() {
        let (one, other) = (Login::random("127.0.0.1:5").unwrap(), Login::random("127.0.0.1:5").unwrap());
        assert_eq!(one.password().len(), 64);
        assert_ne!(one.password(), other.password());
        assert_eq!(format!("{one:?}"), "Login(127.0.0.1:5)");
        let names: Vec<&str> = one.variables(&ScannerKind::Grype).iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            ["GRYPE_REGISTRY_AUTH_USERNAME", "GRYPE_REGISTRY_AUTH_PASSWORD", "GRYPE_REGISTRY_AUTH_AUTHORITY"]
        );
    }
}
