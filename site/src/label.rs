//! Labels by which Harbor's page says which bundle brought an artifact: `bundle: nightly/42`. Takes what an import left
//! in place; sends as few requests as changed.
//!
//! Each stream has one label in a project for its newest bundle. Harbor lets a label be renamed, which changes it on
//! all artifacts at once: so a night that changed nothing is one rename. What the newest bundle no longer wants gets
//! the name of the bundle that wanted it last. The set of the label's artifacts is in its description as a digest, and
//! is compared before Harbor is asked for the artifacts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use bundle_format::{Sequence, StreamName};
use bundle_harbor::{Account, Harbor, Label, Labelled, Right};
use bundle_importer::{Bundle, Decision, ImportPlan, Unmarked};
use bundle_oci::{Digest, ProjectName, RepositoryName};
use bundle_registry::Error;
use futures_util::{StreamExt, TryStreamExt};

use crate::reconcile::names;
use crate::{Limits, LiveProject, accessory};

/// The rights that labels need in a project. Without them an import succeeds, and says so.
pub const LABEL_RIGHTS: [Right; 6] = [
    Right::new("label", "list"),
    Right::new("label", "create"),
    Right::new("label", "update"),
    Right::new("label", "delete"),
    Right::new("artifact-label", "create"),
    Right::new("artifact-label", "delete"),
];

/// Blue for the newest bundle's and grey for earlier ones', of the colors that Harbor's page offers.
const NEWEST: &str = "#0065AB";
const EARLIER: &str = "#61717D";

/// An artifact: its repository, without the project's name, and its digest.
type Place = (RepositoryName, Digest);

/// The artifacts of a bundle that are in place, and so carry its label.
#[derive(Clone, Debug)]
pub(crate) struct LabelTargets {
    stream: StreamName,
    sequence: Sequence,
    projects: BTreeMap<ProjectName, BTreeSet<Place>>,
    /// The projects in which the bundle wants more than that.
    partly: BTreeSet<ProjectName>,
}

impl LabelTargets {
    /// The artifacts that `plan` puts in place, or finds there. Accessories are in no list of Harbor's page.
    pub(crate) fn of(bundle: &Bundle, plan: &ImportPlan) -> Self {
        let statement = bundle.statement();
        let accessories: HashSet<Digest> =
            accessory::attached(plan, bundle.graph()).map(|attached| attached.accessory).collect();
        let mut projects: BTreeMap<ProjectName, BTreeSet<Place>> = BTreeMap::new();
        for step in plan.steps.iter().filter(|step| step.decision.is_in_place()) {
            if !accessories.contains(&step.digest) {
                let place = (step.target.repository.clone(), step.digest);
                projects.entry(step.target.project.clone()).or_default().insert(place);
            }
        }
        let omitted = plan.steps.iter().filter(|step| step.decision == Decision::Omit);
        let partly = omitted.map(|step| step.target.project.clone()).collect();
        Self { stream: statement.stream.clone(), sequence: statement.sequence, projects, partly }
    }

    /// The projects in which something carries the label.
    pub(crate) fn projects(&self) -> impl Iterator<Item = &ProjectName> {
        self.projects.keys()
    }
}

/// What the description of a label says of it, for the next import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is on exactly the artifacts with this digest.
    Whole(Digest),
    /// Its artifacts are being changed from those of an earlier bundle, if it is known which.
    Changing(Option<Sequence>),
    /// It is on a part of its bundle.
    Part,
}

impl State {
    fn description(self, stream: &StreamName) -> String {
        let mut text = format!("Artifacts of the newest bundle of the stream {stream}, by bundle import");
        let _ = match self {
            Self::Whole(set) => write!(text, " [{set}]"),
            Self::Changing(Some(before)) => write!(text, " [changing, before {before}]"),
            Self::Changing(None) => write!(text, " [changing]"),
            Self::Part => write!(text, " [a part of it]"),
        };
        text
    }

    /// What a person wrote there counts as nothing known.
    fn read(description: &str) -> Self {
        let mark =
            description.rsplit_once('[').and_then(|(_, rest)| rest.strip_suffix(']')).unwrap_or_default();
        if mark == "a part of it" {
            return Self::Part;
        }
        match (mark.parse(), mark.strip_prefix("changing, before ")) {
            (Ok(set), _) => Self::Whole(set),
            (Err(_), before) => Self::Changing(before.and_then(|number| number.parse().ok())),
        }
    }
}

/// The name of the label of a bundle: at most 94 bytes, of 128 that Harbor takes.
fn name(stream: &StreamName, sequence: Sequence) -> String {
    format!("bundle: {stream}/{sequence}")
}

/// A digest of a set of artifacts.
fn digest(places: &BTreeSet<Place>) -> Digest {
    let lines: String =
        places.iter().map(|(repository, digest)| format!("{repository}@{digest}\n")).collect();
    Digest::of(lines.as_bytes())
}

/// The labels of one stream in one project.
struct Labels<'a> {
    harbor: &'a Harbor,
    project: &'a ProjectName,
    id: i64,
    targets: &'a LabelTargets,
    jobs: usize,
    /// All of the stream, by the number of their bundle.
    all: BTreeMap<Sequence, Label>,
}

/// Labels the artifacts of a bundle in one of its projects. `live` is the project before the import, if it was there.
///
/// # Errors
/// Why they are not labelled, or not all; the next import goes on there.
pub(crate) async fn label(
    harbor: &Harbor,
    account: &Account,
    targets: &LabelTargets,
    project: &ProjectName,
    live: Option<&LiveProject>,
    jobs: usize,
    limits: &Limits,
) -> Result<(), Unmarked> {
    let failed = |source| Unmarked::Failed { project: project.clone(), source };
    let looked;
    let live = match live {
        Some(live) => live,
        None => {
            looked = LiveProject::look(harbor, account, project).await.map_err(failed)?;
            &looked
        }
    };
    let missing = live.rights.missing(&LABEL_RIGHTS);
    if !missing.is_empty() {
        return Err(Unmarked::Rights { projects: vec![project.clone()], rights: names(&missing) });
    }
    let id = live.project.id;
    let prefix = format!("bundle: {}/", targets.stream);
    let found = harbor.labels(id, &prefix).await.map_err(failed)?;
    let numbered = found.into_iter().filter_map(|label| {
        let number = label.name.strip_prefix(&prefix)?.parse().ok()?;
        Some((number, label))
    });
    let all = numbered.collect();
    let mut labels = Labels { harbor, project, id, targets, jobs, all };
    let wanted = targets.projects.get(project).cloned().unwrap_or_default();
    match targets.partly.contains(project) {
        true => labels.add_part(&wanted).await,
        false => labels.set(&wanted, limits.earlier_labels).await,
    }
    .map_err(failed)
}

impl Labels<'_> {
    fn label(&self, sequence: Sequence, description: String, color: &str) -> Label {
        let (name, color) = (name(&self.targets.stream, sequence), color.to_owned());
        Label { id: 0, name, description, color }
    }

    fn newest(&self, id: i64, state: State) -> Label {
        let description = state.description(&self.targets.stream);
        Label { id, ..self.label(self.targets.sequence, description, NEWEST) }
    }

    /// Makes the label of the bundle be on all that it wants, and on nothing else.
    async fn set(&mut self, wanted: &BTreeSet<Place>, earlier: usize) -> Result<(), Error> {
        let (own, set) = (self.targets.sequence, digest(wanted));
        // A bundle that was imported again after a newer one: what the newer one says stays.
        if self.all.keys().next_back().is_some_and(|newest| *newest > own) {
            return Ok(());
        }
        match self.all.get(&own).map(|label| State::read(&label.description)) {
            Some(State::Whole(found)) if found == set => return Ok(()),
            // The label on a part gives way to that of the bundle before, which is on nearly all.
            Some(State::Part) => {
                if let Some(label) = self.all.remove(&own) {
                    self.harbor.remove_label(&label).await?;
                }
            }
            Some(State::Whole(_) | State::Changing(_)) | None => {}
        }
        let (label, before) = match (self.all.get(&own), self.all.iter().next_back()) {
            (Some(label), _) => match State::read(&label.description) {
                State::Changing(before) => (label.clone(), before),
                State::Whole(_) | State::Part => (label.clone(), None),
            },
            (None, Some((before, label))) => {
                let before = *before;
                if State::read(&label.description) == State::Whole(set) {
                    return self.harbor.update_label(&self.newest(label.id, State::Whole(set))).await;
                }
                let label = self.newest(label.id, State::Changing(Some(before)));
                self.harbor.update_label(&label).await?;
                self.all.remove(&before);
                (label, Some(before))
            }
            (None, None) => {
                let label = self.newest(0, State::Changing(None));
                (self.harbor.create_label(self.id, &label).await?, None)
            }
        };
        self.all.insert(own, label.clone());
        let carried: BTreeSet<Place> =
            self.harbor.labelled(self.project, &label).await?.into_iter().collect();
        let unwanted: Vec<&Place> = carried.difference(wanted).collect();
        if let Some(before) = before.filter(|_| !unwanted.is_empty()) {
            let last = format!("Artifacts that bundle {} {before} was the last to want", self.targets.stream);
            let last = self.harbor.create_label(self.id, &self.label(before, last, EARLIER)).await?;
            self.add(unwanted.iter().copied(), &last).await?;
            self.all.insert(before, last);
        }
        self.take(unwanted, &label).await?;
        // What could not be stored gets its label from the import that stores it.
        let all_there = self.add(wanted.difference(&carried), &label).await?;
        if all_there {
            self.harbor.update_label(&self.newest(label.id, State::Whole(set))).await?;
        }
        self.tidy_earlier(wanted, earlier).await
    }

    /// Gives the bundle's label to a part of what it wants, and takes that of the bundle before from it.
    async fn add_part(&mut self, wanted: &BTreeSet<Place>) -> Result<(), Error> {
        let own = self.targets.sequence;
        let newest = self.all.iter().next_back().map(|(number, label)| (*number, label.clone()));
        let label = match newest {
            Some((number, _)) if number > own => return Ok(()),
            Some((number, label)) if number == own => label,
            Some((_, before)) => {
                self.take(wanted, &before).await?;
                // Its set is another now.
                let state = State::Changing(None).description(&self.targets.stream);
                self.harbor.update_label(&Label { description: state, ..before }).await?;
                self.harbor.create_label(self.id, &self.newest(0, State::Part)).await?
            }
            None => self.harbor.create_label(self.id, &self.newest(0, State::Part)).await?,
        };
        self.add(wanted, &label).await.map(drop)
    }

    /// Takes the labels of earlier bundles from what is wanted again, and removes those that are on nothing any more,
    /// and all but the newest so many of the others.
    async fn tidy_earlier(&self, wanted: &BTreeSet<Place>, keep: usize) -> Result<(), Error> {
        let mut kept = 0;
        for (_, label) in self.all.iter().rev().filter(|(number, _)| **number != self.targets.sequence) {
            let carried = match kept < keep {
                true => self.harbor.labelled(self.project, label).await?,
                false => Vec::new(),
            };
            let (again, last): (Vec<&Place>, Vec<&Place>) =
                carried.iter().partition(|place| wanted.contains(place));
            if last.is_empty() {
                self.harbor.remove_label(label).await?;
            } else {
                self.take(again, label).await?;
                kept += 1;
            }
        }
        Ok(())
    }

    /// Whether all of them are there.
    async fn add<'p>(
        &self,
        places: impl IntoIterator<Item = &'p Place>,
        label: &Label,
    ) -> Result<bool, Error> {
        let added = places.into_iter().map(|(repository, digest)| async move {
            self.harbor.add_label(self.project, repository, *digest, label).await
        });
        let added = futures_util::stream::iter(added.collect::<Vec<_>>()).buffer_unordered(self.jobs.max(1));
        added.try_fold(true, async |all, it| Ok(all && it != Labelled::Gone)).await
    }

    async fn take<'p>(
        &self,
        places: impl IntoIterator<Item = &'p Place>,
        label: &Label,
    ) -> Result<(), Error> {
        let taken = places.into_iter().map(|(repository, digest)| async move {
            self.harbor.take_label(self.project, repository, *digest, label).await
        });
        let taken = futures_util::stream::iter(taken.collect::<Vec<_>>()).buffer_unordered(self.jobs.max(1));
        taken.try_for_each(async |_| Ok(())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_what_the_next_import_needs_to_know() {
        let stream = StreamName::default();
        let states = [
            State::Whole(Digest::of(b"x")),
            State::Changing(Some("41".parse().unwrap())),
            State::Changing(None),
            State::Part,
        ];
        for state in states {
            assert_eq!(State::read(&state.description(&stream)), state);
        }
        for by_people in ["", "ours", "[", "[]", "[changing, before x]", "a [sha256:1]"] {
            assert_eq!(State::read(by_people), State::Changing(None), "{by_people}");
        }
    }

    #[test]
    fn the_longest_name_is_one_that_harbor_takes() {
        let stream = "s".repeat(64).parse().unwrap();
        let sequence = "9007199254740991".parse().unwrap();
        // Its pkg/label/model/model.go, Valid.
        assert!(name(&stream, sequence).len() <= 128);
    }
}
