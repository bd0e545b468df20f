//! The points in which a project is not as `harbor.yaml` says, and the exceptions in it that are over. Takes a project
//! as it is and its settings; a default is a floor, and what is stated is made exactly so.

use std::fmt;

use bundle_format::Timestamp;
use bundle_harbor::{
    Access, Allowlist, AllowlistSource, Harbor, ImmutableRule, Prevention, RetentionPolicy, StorageLimit,
};
use bundle_importer::Note;
use bundle_oci::ProjectName;
use bundle_registry::Error;

use crate::{
    Exceptions, HarborSettings, LiveProject, Setting, TagPattern, WantedProject, exceptions, retention,
};

/// A point in which a project is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Pull access without an account.
    Access {
        /// As it is.
        is: Access,
        /// As it should be.
        should: Access,
    },
    /// Whether images are scanned when they are pushed.
    AutoScan {
        /// As it should be; it is the other.
        should: bool,
    },
    /// Which images may not be pulled.
    Prevention {
        /// As it is.
        is: Prevention,
        /// As it should be.
        should: Prevention,
    },
    /// How much may be stored.
    Quota {
        /// As it is.
        is: StorageLimit,
        /// As it should be.
        should: StorageLimit,
    },
    /// Tags that could still be moved.
    ImmutableTags(TagPattern),
    /// Vulnerabilities that are overlooked.
    Exceptions {
        /// The list that counts.
        source: AllowlistSource,
        /// The project's own list, if it counts.
        is: Allowlist,
        /// As it should be: a list of its own.
        should: Allowlist,
    },
    /// What Harbor itself keeps of the tags.
    Retention {
        /// As it is.
        is: RetentionPolicy,
        /// As it should be.
        should: RetentionPolicy,
    },
}

impl Difference {
    /// Whether imports go on where this account may not change it. Exceptions end by themselves and with them the list
    /// of the next day is another, and retention is Harbor's work after an import.
    pub(crate) fn can_wait(&self) -> bool {
        matches!(self, Self::Exceptions { .. } | Self::Retention { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access { is, should } => write!(f, "access is {is}, should be {should}"),
            Self::AutoScan { should: true } => f.write_str("automatic scan is off, should be on"),
            Self::AutoScan { should: false } => f.write_str("automatic scan is on, should be off"),
            Self::Prevention { is, should } => {
                write!(f, "prevention of pulls is {is}, should be {should}")
            }
            Self::Quota { is, should } => write!(f, "quota is {is}, should be {should}"),
            Self::ImmutableTags(pattern) => write!(f, "tags {} are not immutable", pattern.as_str()),
            Self::Exceptions { source: AllowlistSource::System, should, .. } => {
                write!(f, "exceptions are the system's, should be {}", exceptions::text(should))
            }
            Self::Exceptions { source: AllowlistSource::Project, is, should } => {
                write!(f, "exceptions are {}, should be {}", exceptions::text(is), exceptions::text(should))
            }
            Self::Retention { is, should } => {
                write!(f, "retention is {}; should be {}", retention::text(is), retention::text(should))
            }
        }
    }
}

/// The differences between a project and its settings. A default is a floor: it makes a project stricter, and
/// never less strict than someone has made it by hand.
pub(crate) fn differences(live: &LiveProject, wanted: &WantedProject, now: Timestamp) -> Vec<Difference> {
    let is = live.project.policy;
    let mut differences = Vec::new();
    let access = match wanted.access {
        Setting::Stated(should) => should,
        Setting::Default(should) => should.min(is.access),
    };
    if access != is.access {
        differences.push(Difference::Access { is: is.access, should: access });
    }
    let auto_scan = match wanted.auto_scan {
        Setting::Stated(should) => should,
        Setting::Default(should) => should || is.auto_scan,
    };
    if auto_scan != is.auto_scan {
        differences.push(Difference::AutoScan { should: auto_scan });
    }
    let prevention = match wanted.prevention {
        Setting::Default(should) if is.prevention.strictness() >= should.strictness() => is.prevention,
        Setting::Stated(should) | Setting::Default(should) => should,
    };
    if prevention != is.prevention {
        differences.push(Difference::Prevention { is: is.prevention, should: prevention });
    }
    if let (Some(should), Some(storage)) = (wanted.quota, live.storage)
        && should != storage.limit
    {
        differences.push(Difference::Quota { is: storage.limit, should });
    }
    for pattern in &wanted.immutable_tags {
        let rule = ImmutableRule::for_tags(pattern.as_str());
        if !live.immutable.as_ref().is_some_and(|rules| rules.contains(&rule)) {
            differences.push(Difference::ImmutableTags(pattern.clone()));
        }
    }
    if let Some(wanted) = &wanted.exceptions {
        let (source, is, should) =
            (live.project.allowlist_source, live.project.allowlist.clone(), wanted.allowlist(now));
        if source == AllowlistSource::System || is != should {
            differences.push(Difference::Exceptions { source, is, should });
        }
    }
    // What this account may not read it may not change either.
    if let (Some(wanted), Some(is)) = (&wanted.retention, &live.retention) {
        let should = wanted.policy(is.id);
        if !retention::is_same(is, &should) {
            differences.push(Difference::Retention { is: is.clone(), should });
        }
    }
    differences
}

/// The difference between the system's list and the settings, if someone chose it.
///
/// # Errors
/// Any [`Error`].
pub(crate) async fn system_difference(
    harbor: &Harbor,
    settings: &HarborSettings,
) -> Result<Option<Difference>, Error> {
    let Some(wanted) = &settings.system_exceptions else { return Ok(None) };
    let (is, should) = (harbor.system_allowlist().await?, wanted.allowlist(Timestamp::now()));
    // The system's is its own list.
    let source = AllowlistSource::Project;
    Ok((is != should).then_some(Difference::Exceptions { source, is, should }))
}

/// The exceptions in `harbor.yaml` that are over, in these projects and in the system.
pub fn expired<'a>(
    settings: &HarborSettings,
    projects: impl IntoIterator<Item = &'a ProjectName>,
    now: Timestamp,
) -> Vec<Note> {
    let note = |project: Option<&ProjectName>, exceptions: &Exceptions| {
        let all = exceptions.expired(now).map(|exception| Note::ExceptionExpired {
            project: project.cloned(),
            exception: exception.to_string(),
        });
        all.collect::<Vec<_>>()
    };
    let mut notes: Vec<Note> = projects
        .into_iter()
        .filter_map(|project| Some(note(Some(project), settings.wanted(project).exceptions.as_ref()?)))
        .flatten()
        .collect();
    notes.extend(settings.system_exceptions.iter().flat_map(|exceptions| note(None, exceptions)));
    notes
}

/// The exceptions and rules of a project that is made.
pub(crate) fn new_lists(wanted: &WantedProject, now: Timestamp) -> Vec<Difference> {
    let exceptions = wanted.exceptions.as_ref().map(|wanted| Difference::Exceptions {
        source: AllowlistSource::System,
        is: Allowlist::default(),
        should: wanted.allowlist(now),
    });
    let retention = wanted.retention.as_ref().map(|wanted| wanted.policy(None));
    let retention = retention.filter(|policy| !policy.rules.is_empty());
    let retention = retention.map(|should| Difference::Retention { is: RetentionPolicy::default(), should });
    exceptions.into_iter().chain(retention).collect()
}

/// Differences in words.
pub(crate) fn texts(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(Difference::to_string).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use bundle_harbor::{Policy, Project, Rights, Severity, StorageUse};

    use super::*;
    use crate::ScannerState;

    pub(crate) fn settings(text: &str) -> HarborSettings {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("harbor.yaml");
        std::fs::write(&path, text).unwrap();
        HarborSettings::load(&path).unwrap()
    }

    pub(crate) fn live(access: Access, auto_scan: bool, prevention: Prevention) -> LiveProject {
        LiveProject {
            project: Project {
                id: 1,
                name: "cache".parse().unwrap(),
                proxy_cache: false,
                policy: Policy { access, auto_scan, prevention },
                exemptions: false,
                allowlist: Allowlist::default(),
                allowlist_source: AllowlistSource::System,
                retention: None,
            },
            rights: Rights::all(),
            storage: Some(StorageUse { limit: StorageLimit::Bytes(1 << 30), used: 0 }),
            scanner: ScannerState::Absent,
            immutable: Some(vec![ImmutableRule::for_tags("v*")]),
            retention: Some(RetentionPolicy::default()),
        }
    }

    pub(crate) const LISTS: &str = "projects:\n  cache:\n    exceptions:\n    - {vulnerability: CVE-2026-1, owner: ops, expires: \
                         '9000-01-31', reason: r}\n    - {vulnerability: CVE-2026-2, owner: ops, expires: \
                         '2020-01-31', reason: r}\n    retention: {schedule: '0 0 2 * * *', keep: [{latestPushedK: 9}]}\n";

    fn texts(live: &LiveProject, settings: &HarborSettings) -> Vec<String> {
        let wanted = settings.wanted(&live.project.name);
        differences(live, &wanted, Timestamp::now()).iter().map(Difference::to_string).collect()
    }

    #[test]
    fn what_nobody_stated_makes_a_project_stricter_and_never_less_strict() {
        let silent = HarborSettings::default();
        let open = live(Access::Public, false, Prevention::Never);
        assert_eq!(
            texts(&open, &silent),
            [
                "access is public, should be private",
                "automatic scan is off, should be on",
                "prevention of pulls is never, should be high"
            ]
        );
        let strict = live(Access::Private, true, Prevention::From(Severity::Medium));
        assert!(texts(&strict, &silent).is_empty());
        let lax = live(Access::Private, true, Prevention::From(Severity::Critical));
        assert_eq!(texts(&lax, &silent), ["prevention of pulls is critical, should be high"]);
    }

    #[test]
    fn what_is_stated_is_made_exactly_so() {
        let stated = settings(
            "projects:\n  cache: {access: public, autoScan: false, preventPulls: never, quota: 2GiB, immutableTags: ['v*', '1.*']}\n",
        );
        let strict = live(Access::Private, true, Prevention::From(Severity::Medium));
        assert_eq!(
            texts(&strict, &stated),
            [
                "access is private, should be public",
                "automatic scan is on, should be off",
                "prevention of pulls is medium, should be never",
                "quota is 1GiB, should be 2GiB",
                "tags 1.* are not immutable"
            ]
        );
    }

    #[test]
    fn exceptions_and_retention_rules_are_compared_with_what_counts_now() {
        let stated = settings(LISTS);
        let mut project = live(Access::Private, true, Prevention::From(Severity::High));
        assert_eq!(
            texts(&project, &stated),
            [
                "exceptions are the system's, should be CVE-2026-1 until 9000-01-31",
                "retention is no rules; should be latestPushedK 9 or always of repositories bundle-state, at 0 0 2 * * *"
            ]
        );
        let wanted = stated.wanted(&project.project.name);
        project.project.allowlist = wanted.exceptions.unwrap().allowlist(Timestamp::now());
        project.project.allowlist_source = AllowlistSource::Project;
        project.retention = Some(wanted.retention.unwrap().policy(Some(3)));
        assert!(texts(&project, &stated).is_empty());
        // Nothing is asked of a project whose rules this account may not see, or that nobody spoke of.
        project.retention = None;
        assert!(texts(&project, &stated).is_empty());
        assert!(texts(&project, &HarborSettings::default()).is_empty());
    }
}
