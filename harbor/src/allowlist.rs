//! CVE allowlists: vulnerabilities that a policy against vulnerable images overlooks, until a moment (Harbor's
//! `src/pkg/allowlist`). Takes a project, or the whole system, and gives or sets its list.

use std::collections::BTreeSet;
use std::fmt;

use bundle_oci::ProjectName;
use bundle_registry::{Error, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Harbor;

/// A list of vulnerabilities that are overlooked. Harbor knows one moment for a whole list, from which on nothing of it
/// counts (its `pkg/allowlist/models/cve_allowlist.go`, IsExpired).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist {
    /// Their names, such as `CVE-2026-1234`.
    pub items: BTreeSet<String>,
    /// The moment from which on the list counts for nothing, in seconds since 1970; none for never.
    pub expires_at: Option<i64>,
}

#[derive(Default, Deserialize)]
pub(crate) struct WireAllowlist {
    #[serde(default)]
    items: Option<Vec<WireItem>>,
    #[serde(default)]
    expires_at: Option<i64>,
}

#[derive(Deserialize)]
struct WireItem {
    #[serde(default)]
    cve_id: String,
}

impl From<WireAllowlist> for Allowlist {
    fn from(wire: WireAllowlist) -> Self {
        let items = wire.items.unwrap_or_default().into_iter().map(|item| item.cve_id);
        Self { items: items.collect(), expires_at: wire.expires_at }
    }
}

impl Allowlist {
    fn wire(&self) -> Value {
        let items: Vec<Value> = self.items.iter().map(|id| json!({"cve_id": id})).collect();
        match self.expires_at {
            Some(at) => json!({"items": items, "expires_at": at}),
            None => json!({"items": items}),
        }
    }
}

/// Which list counts in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowlistSource {
    /// The system's. A project without a word about it uses this one (Harbor's `pkg/project/models`,
    /// ReuseSysCVEAllowlist).
    System,
    /// The project's own.
    Project,
}

impl fmt::Display for AllowlistSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "the system's",
            Self::Project => "the project's own",
        })
    }
}

impl Harbor {
    /// Gives a project a list of its own, which counts instead of the system's. Its other metadata stays.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to update the project.
    pub async fn set_allowlist(&self, project: &ProjectName, list: &Allowlist) -> Result<(), Error> {
        let body = json!({"metadata": {"reuse_sys_cve_allowlist": "false"}, "cve_allowlist": list.wire()});
        let doing = format!("set the CVE allowlist of the project {project}");
        self.call(Method::Put, &format!("/projects/{project}"), &doing, Some(&body)).await.map(drop)
    }

    /// The system's list.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn system_allowlist(&self) -> Result<Allowlist, Error> {
        let found: WireAllowlist =
            self.get("/system/CVEAllowlist", "show the system's CVE allowlist").await?;
        Ok(found.into())
    }

    /// Sets the system's list.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 for all but administrators.
    pub async fn set_system_allowlist(&self, list: &Allowlist) -> Result<(), Error> {
        let doing = "set the system's CVE allowlist";
        self.call(Method::Put, "/system/CVEAllowlist", doing, Some(&list.wire())).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_as_it_was_written() {
        let items = BTreeSet::from(["CVE-2026-1".to_owned(), "CVE-2026-2".to_owned()]);
        for list in [Allowlist { items, expires_at: Some(1_800_000_000) }, Allowlist::default()] {
            let wire: WireAllowlist = serde_json::from_value(list.wire()).unwrap();
            assert_eq!(Allowlist::from(wire), list);
        }
        let null: WireAllowlist = serde_json::from_value(json!({"items": null, "expires_at": null})).unwrap();
        assert_eq!(Allowlist::from(null), Allowlist::default());
    }
}
