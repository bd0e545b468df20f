//! How far an account reaches: what anybody who holds it can pull.
//! Takes a Harbor and the account it is spoken to with; gives the projects beside the mirrored images'.

use bundle_harbor::{Account, Harbor};
use bundle_oci::ProjectName;
use bundle_registry::Error;

/// The projects that an account of a Harbor can pull from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The project `cache` and public ones.
    CacheOnly,
    /// Private projects beside `cache`, by name.
    Projects(Vec<ProjectName>),
    /// Everything: it is an administrator's.
    Everything,
    /// Nothing: Harbor does not accept it.
    Nothing,
}

impl Reach {
    /// Asks Harbor what the account of its client reaches.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn of(harbor: &Harbor) -> Result<Self, Error> {
        match harbor.account().await? {
            Account::Administrator(_) => return Ok(Self::Everything),
            Account::Nobody => return Ok(Self::Nothing),
            Account::User(_) | Account::Robot => {}
        }
        let mut projects = harbor.private_projects().await?;
        projects.retain(|project| !project.is_cache());
        projects.sort_unstable();
        Ok(if projects.is_empty() { Self::CacheOnly } else { Self::Projects(projects) })
    }
}
