//! The checks of a registry that answers: what it is, its version and health, the account, what is free, and
//! what stands before it. Takes a client and the wanted properties of the registry, gives checks; every
//! request is a GET or HEAD, but for one that is announced and not sent, and an upload on request.

use std::time::Duration;

use bundle_format::Timestamp;
use bundle_harbor::{Account, Harbor, SystemInfo, TRIED_VERSIONS};
use bundle_oci::{ByteCount, ProjectName, Registry, RepositoryName};
use bundle_registry::{Client, Error, Held, Ping};

use super::check::{Check, CheckName, Outcome, Skipped, Trouble};
use crate::{Exception, Exceptions, HarborSettings, Limits, LiveState, account_text, preflight, undone};

/// The wanted properties of a registry.
pub struct RegistryChecks<'a> {
    /// Its host.
    pub registry: &'a Registry,
    /// How a Harbor's projects are to be run.
    pub settings: &'a HarborSettings,
    /// The projects that bundles are for.
    pub projects: Vec<ProjectName>,
    /// Whether there are credentials of whose account something is expected.
    pub has_account: bool,
    /// The size of what is to be imported, in bytes; none if it is not known.
    pub needed: Option<u64>,
    /// The size of the largest blob in it, in bytes; none if it is not known.
    pub largest: Option<u64>,
    /// Whether nothing is ever pushed to it.
    pub reads_only: bool,
    /// Requests at once.
    pub jobs: usize,
}

/// Looks at a registry that can be reached.
pub async fn look_at_registry(client: &Client, wanted: &RegistryChecks<'_>) -> Vec<Check> {
    let registry = wanted.registry;
    let mut checks = Vec::new();
    match Harbor::detect(client, registry).await {
        Err(error) => return vec![CheckName::Registry.of(registry, Outcome::Failed(error.into()))],
        Ok(None) => checks.push(CheckName::Registry.of(registry, plain(client, wanted).await)),
        Ok(Some(_)) if wanted.reads_only => {
            checks.push(CheckName::Registry.of(registry, Outcome::Passed("a Harbor".to_owned())));
        }
        Ok(Some(harbor)) => {
            checks.push(CheckName::Registry.of(registry, Outcome::Passed("a Harbor".to_owned())));
            checks.extend(look_at_harbor(&harbor, wanted).await);
        }
    }
    if !wanted.reads_only {
        checks.push(CheckName::RequestSize.of(registry, request_size(client, wanted).await));
    }
    checks
}

/// A registry that is not a Harbor: whether it accepts the account.
async fn plain(client: &Client, wanted: &RegistryChecks<'_>) -> Outcome {
    match client.ping(wanted.registry).await {
        Ok(Ping::Open) => Outcome::Passed("a registry that asks for no account; not a Harbor".to_owned()),
        Ok(Ping::Authenticated) => {
            Outcome::Passed("a registry that accepts the account; not a Harbor".to_owned())
        }
        Ok(Ping::Anonymous) => {
            Outcome::Passed("a registry that was asked without an account; not a Harbor".to_owned())
        }
        // It is one, and no account was given.
        Err(Error::Answer(answer)) if answer.status == 401 && !wanted.has_account => {
            Outcome::NotRun(Skipped::NoAccount)
        }
        Err(error) => Outcome::Failed(error.into()),
    }
}

async fn look_at_harbor(harbor: &Harbor, wanted: &RegistryChecks<'_>) -> Vec<Check> {
    let registry = wanted.registry;
    let mut checks = vec![CheckName::Health.of(registry, health(harbor).await)];
    let mut add = |name: CheckName, outcome| checks.push(name.of(registry, outcome));
    let live = match LiveState::of(harbor, wanted.projects.iter().cloned(), wanted.jobs).await {
        Ok(live) => live,
        Err(error) => {
            add(CheckName::Account, Outcome::Failed(error.into()));
            return checks;
        }
    };
    if live.account == Account::Nobody {
        let account = match wanted.has_account {
            true => Outcome::Failed(Trouble::Finding(bundle_importer::Finding::Nobody)),
            false => Outcome::NotRun(Skipped::NoAccount),
        };
        let then = match wanted.has_account {
            true => Skipped::After("the account"),
            false => Skipped::NoAccount,
        };
        add(CheckName::Account, account);
        for name in [CheckName::Version, CheckName::Projects, CheckName::Storage] {
            add(name, Outcome::NotRun(then.clone()));
        }
        return checks;
    }
    add(CheckName::Account, Outcome::Passed(account_text(&live.account)));
    add(CheckName::Version, version(&live.system));
    let (_, findings) = preflight(&live, wanted.settings);
    match findings.is_empty() {
        true => {
            let names: Vec<&str> = wanted.projects.iter().map(ProjectName::as_str).collect();
            add(CheckName::Projects, Outcome::Passed(format!("imports into {}", names.join(", "))));
        }
        false => {
            for finding in findings {
                add(CheckName::Projects, Outcome::Failed(Trouble::Finding(finding)));
            }
        }
    }
    for outcome in exceptions(harbor, wanted).await {
        add(CheckName::Exceptions, outcome);
    }
    add(CheckName::Storage, storage(harbor, &live, wanted.needed).await);
    checks
}

/// Whether the exceptions of harbor.yaml count and are Harbor's, where there are any.
async fn exceptions(harbor: &Harbor, wanted: &RegistryChecks<'_>) -> Vec<Outcome> {
    let own = wanted.projects.iter().filter_map(|project| wanted.settings.wanted(project).exceptions);
    let all: Vec<Exceptions> = own.chain(wanted.settings.system_exceptions.clone()).collect();
    let now = Timestamp::now();
    let soon = i64::try_from(Limits::DEFAULT.ends_soon.as_secs()).unwrap_or(i64::MAX);
    let names = |found: Vec<&Exception>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
    let over = names(all.iter().flat_map(|exceptions| exceptions.expired(now)).collect());
    let ending = names(all.iter().flat_map(|exceptions| exceptions.ending(now, soon)).collect());
    let mut outcomes = Vec::new();
    for (exceptions, over) in [(over, true), (ending, false)] {
        if !exceptions.is_empty() {
            outcomes.push(Outcome::Warned(Trouble::Exceptions { exceptions, over }));
        }
    }
    match undone(harbor, wanted.settings, &wanted.projects).await {
        Ok(found) => outcomes
            .extend(found.iter().map(|difference| Outcome::Warned(Trouble::Undone(difference.to_string())))),
        Err(error) => outcomes.push(Outcome::Failed(error.into())),
    }
    if outcomes.is_empty() && !all.is_empty() {
        outcomes.push(Outcome::Passed("as harbor.yaml says".to_owned()));
    }
    outcomes
}

async fn health(harbor: &Harbor) -> Outcome {
    match harbor.health().await {
        Err(error) => Outcome::Failed(error.into()),
        Ok(health) if health.status == "healthy" => Outcome::Passed("all components".to_owned()),
        Ok(health) => {
            let ill = health.components.iter().filter(|component| component.status != "healthy");
            let said: Vec<String> = ill
                .map(|component| match &component.error {
                    Some(error) => format!("{} ({error})", component.name),
                    None => component.name.clone(),
                })
                .collect();
            let said = if said.is_empty() { health.status } else { said.join(", ") };
            Outcome::Failed(Trouble::Unhealthy(said))
        }
    }
}

fn version(system: &SystemInfo) -> Outcome {
    let said = system.harbor_version.clone().unwrap_or_default();
    let [oldest, newest] = TRIED_VERSIONS;
    match system.minor_version() {
        Some(version) if (oldest..=newest).contains(&version) => Outcome::Passed(format!("Harbor {said}")),
        _ => {
            let text = |(major, minor): (u32, u32)| format!("{major}.{minor}");
            Outcome::Warned(Trouble::Version { version: said, oldest: text(oldest), newest: text(newest) })
        }
    }
}

/// Checks the free space of Harbor's own disk: it is that of the images only where Harbor keeps them in its
/// file system.
async fn storage(harbor: &Harbor, live: &LiveState, needed: Option<u64>) -> Outcome {
    if !matches!(live.account, Account::Administrator(_)) {
        return Outcome::NotRun(Skipped::NoAdministrator);
    }
    match live.system.registry_storage_provider_name.as_deref() {
        None | Some("" | "filesystem") => {}
        Some(provider) => return Outcome::NotRun(Skipped::Elsewhere(provider.to_owned())),
    }
    let volumes = match harbor.volumes().await {
        Ok(volumes) => volumes,
        Err(error) if error.status() == Some(403) => return Outcome::NotRun(Skipped::NoAdministrator),
        Err(error) => return Outcome::Failed(error.into()),
    };
    let Some(volume) = volumes.into_iter().max_by_key(|volume| volume.total) else {
        return Outcome::NotRun(Skipped::Elsewhere("a place".to_owned()));
    };
    match needed {
        // In a cluster it may be another disk than that of the images.
        Some(needed) if needed > volume.free => Outcome::Warned(Trouble::Room { free: volume.free, needed }),
        _ => Outcome::Passed(format!(
            "{} free of {}, on the disk of Harbor's core",
            ByteCount(volume.free),
            ByteCount(volume.total)
        )),
    }
}

/// Whether what stands before the registry takes a request that is as large as the largest layer.
async fn request_size(client: &Client, wanted: &RegistryChecks<'_>) -> Outcome {
    let bytes = wanted.largest.unwrap_or(Limits::DEFAULT.announced);
    match client.announced_size(wanted.registry, bytes).await {
        Ok(Some(413)) => Outcome::Failed(Trouble::RequestSize(bytes)),
        // A registry's own (distribution-spec, "Pushing a blob in chunks"; its table of error codes), so the head
        // went through; or none, so the bytes are waited for.
        Ok(None | Some(201 | 202 | 204 | 400 | 401 | 403 | 404 | 405 | 416)) => {
            Outcome::Passed(format!("a request of {} is not refused", ByteCount(bytes)))
        }
        Ok(Some(status)) => Outcome::NotRun(Skipped::Answered(status)),
        Err(error) => Outcome::Failed(error.into()),
    }
}

/// Whether an upload may take `time`: one of a few bytes does, into a repository that is not made by it.
pub async fn look_at_request_time(
    client: &Client,
    registry: &Registry,
    repository: &RepositoryName,
    time: Duration,
) -> Check {
    let outcome = match client.held_upload(registry, repository, time).await {
        Ok(Held::Whole) => Outcome::Passed(format!("an upload may take {} seconds", time.as_secs())),
        Ok(Held::Cut { after, cause }) => Outcome::Failed(Trouble::RequestTime { after, source: cause }),
        Err(error) => Outcome::Failed(error.into()),
    };
    CheckName::RequestTime.of(registry, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_were_tried_pass() {
        for (said, passes) in [
            (Some("v2.14.4-1"), true),
            (Some("v2.15.2-080b0220"), true),
            (Some("v2.13.5"), false),
            (Some("v2.16.0-dev"), false),
            (Some("v1.10.0"), false),
            (None, false),
        ] {
            let system = SystemInfo { harbor_version: said.map(str::to_owned), ..SystemInfo::default() };
            assert_eq!(matches!(version(&system), Outcome::Passed(_)), passes, "{said:?}");
        }
    }
}
