//! The part of an import that only a Harbor needs: projects are made and changed, storage is compared with
//! quotas, and scans are read in the end.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bundle_format::{Target, Timestamp};
use bundle_harbor::{Harbor, Right};
use bundle_importer::{
    Answer, Bundle, ConfirmRequest, Confirmation, Finding, Found, ImportPlan, Note, Outlook, Preparation,
    PrepareError, Presence, Unmarked,
};
use bundle_oci::{Digest, ProjectName, RepositoryName};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::harbor::{name_of, project_of};
use crate::label::{self, LABEL_RIGHTS, LabelTargets};
use crate::live_state::{account_text, policies};
use crate::reconcile::names;
use crate::scan::{ScanTargets, scan_report};
use crate::{
    HarborOptions, HarborSettings, LiveProject, LiveState, PUSH_RIGHTS, ProjectState, QuotaCheck,
    ReconcilePlan, ScanWait, ScannerState, expired, preflight, quota, reconcile, retention,
};

/// The preparation of a Harbor before blobs are pushed. Nothing is written yet.
#[derive(Debug)]
pub(crate) struct HarborPreparation {
    harbor: Harbor,
    options: HarborOptions,
    live: LiveState,
    reconcile: ReconcilePlan,
    findings: Vec<Finding>,
    outlook: Outlook,
    scans: ScanTargets,
    /// None before the bundle is known, and where nobody wants labels.
    labels: Option<LabelTargets>,
    /// The projects into whose repositories can be looked. A missing project is empty, and one without the
    /// right to pull cannot be read.
    open: HashSet<String>,
}

impl HarborPreparation {
    pub(crate) fn new(harbor: Harbor, options: HarborOptions, live: LiveState) -> Self {
        let (reconcile, findings) = preflight(&live, &options.settings);
        let pull = Right::new("repository", "pull");
        let may_pull = |state: &ProjectState| there(state).is_some_and(|live| live.rights.have(pull));
        let open = live.projects.iter().filter(|(_, state)| may_pull(state));
        let open = open.map(|(name, _)| name.as_str().to_owned()).collect();
        let outlook = Outlook {
            product: "Harbor",
            version: live.system.harbor_version.clone(),
            account: account_text(&live.account),
            projects: reconcile.projects.iter().map(|step| step.outlook()).collect(),
            storage: Vec::new(),
            notes: notes(&live, &options.settings),
        };
        Self {
            harbor,
            options,
            live,
            reconcile,
            findings,
            outlook,
            scans: ScanTargets::default(),
            labels: None,
            open,
        }
    }

    fn project(&self, name: &ProjectName) -> Option<&LiveProject> {
        there(self.live.project(name)?)
    }

    /// The projects whose retention rules, as they will be, would remove what the bundle wants.
    fn retention_dangers(&self, plan: &ImportPlan) -> Vec<Note> {
        let mut wanted: BTreeMap<&ProjectName, BTreeMap<RepositoryName, usize>> = BTreeMap::new();
        for step in plan.steps.iter().filter(|step| step.decision.is_in_place() && step.target.tag.is_some())
        {
            let repositories = wanted.entry(&step.target.project).or_default();
            *repositories.entry(step.target.repository.clone()).or_default() += 1;
        }
        let danger = |(project, wanted): (&ProjectName, BTreeMap<RepositoryName, usize>)| {
            let step = self.reconcile.projects.iter().find(|step| step.name == *project);
            let policy = step.and_then(|step| step.retention());
            let policy = policy.or_else(|| self.project(project)?.retention.as_ref());
            let (project, why) = (project.clone(), retention::danger(policy?, &wanted)?);
            Some(Note::Retention { project, why })
        };
        wanted.into_iter().filter_map(danger).collect()
    }

    /// The rights without which artifacts of existing projects get no label, in one note for all projects.
    fn missing_label_rights(&self) -> Option<Note> {
        let projects = self.labels.iter().flat_map(LabelTargets::projects);
        let lacking = projects.filter_map(|project| {
            let missing = self.project(project)?.rights.missing(&LABEL_RIGHTS);
            (!missing.is_empty()).then(|| (project.clone(), missing))
        });
        let (projects, rights): (Vec<_>, Vec<_>) = lacking.unzip();
        let rights: BTreeSet<Right> = rights.into_iter().flatten().collect();
        let rights = names(&rights.into_iter().collect::<Vec<_>>());
        (!projects.is_empty()).then_some(Note::Unlabelled { projects, rights })
    }
}

fn there(state: &ProjectState) -> Option<&LiveProject> {
    match state {
        ProjectState::There(live) => Some(live),
        ProjectState::Missing | ProjectState::Hidden => None,
    }
}

impl Preparation for HarborPreparation {
    /// Artifacts of projects that cannot be looked at are taken for absent.
    fn find<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Found> {
        async move {
            let read = Right::new("artifact", "read");
            if !self.project(&target.project).is_some_and(|live| live.rights.have(read)) {
                return Ok(Found::Absent);
            }
            let name = name_of(target, digest);
            let found = self.harbor.artifact(&target.project, &target.repository, &name).await?;
            Ok(match found {
                Some(found) => Found::Manifest {
                    digest: found.digest,
                    immutable: found
                        .tags
                        .iter()
                        .any(|tag| Some(&tag.name) == target.tag.as_ref() && tag.immutable),
                },
                None => Found::Absent,
            })
        }
        .boxed()
    }

    /// To look also keeps Harbor's garbage collection from a blob.
    fn presence<'a>(&'a self, repository: &'a RepositoryName, digest: Digest) -> Answer<'a, Presence> {
        async move {
            let (client, registry) = (self.harbor.client(), self.harbor.registry());
            let there = self.open.contains(project_of(repository))
                && client.has_blob(registry, repository, digest).await?;
            Ok(if there { Presence::There } else { Presence::Absent })
        }
        .boxed()
    }

    fn weigh(&mut self, bundle: &Bundle, plan: &ImportPlan) {
        self.scans = ScanTargets::of(bundle, plan);
        self.labels = self.options.settings.labels.then(|| LabelTargets::of(bundle, plan));
        let notes = self.missing_label_rights().into_iter().chain(self.retention_dangers(plan));
        let notes: Vec<Note> = notes.collect();
        self.outlook.notes.extend(notes);
        self.outlook.storage = quota::storage(bundle, plan, &self.live, &self.reconcile);
        for storage in &self.outlook.storage {
            match (quota::exceeds(storage), self.options.quota) {
                (Some(finding), QuotaCheck::Enforce) => self.findings.push(finding),
                (Some(_), QuotaCheck::Ignore) => self.outlook.notes.push(Note::MayExceed(storage.clone())),
                (None, _) => {}
            }
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn outlook(&self) -> Option<&Outlook> {
        Some(&self.outlook)
    }

    fn make(&self) -> BoxFuture<'_, Result<(), PrepareError>> {
        let (account, settings) = (&self.live.account, &self.options.settings);
        reconcile(&self.harbor, account, &self.reconcile, settings, &PUSH_RIGHTS).boxed()
    }

    fn mark(&self, jobs: usize) -> BoxFuture<'_, Vec<Unmarked>> {
        async move {
            let mut unmarked = Vec::new();
            let Some(targets) = &self.labels else { return unmarked };
            let (account, limits) = (&self.live.account, &self.options.limits);
            for project in targets.projects() {
                let live = self.project(project);
                // What is missing was said before the import.
                if live.is_some_and(|live| !live.rights.missing(&LABEL_RIGHTS).is_empty()) {
                    continue;
                }
                let labelled =
                    label::label(&self.harbor, account, targets, project, live, jobs, limits).await;
                unmarked.extend(labelled.err());
            }
            unmarked
        }
        .boxed()
    }

    fn confirm<'a>(&'a self, request: ConfirmRequest) -> Answer<'a, Confirmation> {
        async move {
            let (account, limits) = (&self.live.account, &self.options.limits);
            // Without a word about scans, a receipt says what is known of them now.
            let wait = self.options.scans.or(request.receipt.then_some(ScanWait::Look));
            let scans = match wait {
                Some(wait) => {
                    Some(scan_report(&self.scans, &self.harbor, account, wait, request.jobs, limits).await?)
                }
                None => None,
            };
            let policies = match request.receipt {
                true => {
                    let projects = self.live.projects.iter().map(|(name, _)| name.clone());
                    policies(&self.harbor, account, projects.collect::<Vec<_>>()).await?
                }
                false => Default::default(),
            };
            Ok(Confirmation { policies, scans })
        }
        .boxed()
    }
}

fn notes(live: &LiveState, settings: &HarborSettings) -> Vec<Note> {
    let mut notes = Vec::new();
    for (name, state) in &live.projects {
        let ProjectState::There(live) = state else { continue };
        if live.scanner == ScannerState::Absent {
            notes.push(Note::NoScanner(name.clone()));
        }
        if live.project.exemptions {
            notes.push(Note::Exemptions(name.clone()));
        }
    }
    notes.extend(expired(settings, live.projects.iter().map(|(name, _)| name), Timestamp::now()));
    notes
}
