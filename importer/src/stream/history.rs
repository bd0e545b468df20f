//! The history of a bundle's stream, from the state file and from the registry together. Takes both, gives
//! the newest bundle; records accepted bundles.

use std::collections::BTreeSet;
use std::sync::Arc;

use bundle_format::{BundleId, Override, Rule, Timestamp};
use bundle_oci::RegistryPath;
use bundle_registry::Error;
use bundle_trust::{SignError, Signer};

use crate::stream::record::{Crowded, Recorded, tag_of};
use crate::stream::recorded::Records;
use crate::stream::tags::{Moves, StreamTags};
use crate::{
    Bundle, Destination, HistoryNotice, ImportPlan, ListedBundle, Newest, Record, RollbackError, Standing,
    StateError, StateFile,
};

/// The history of a bundle's stream, from the file and from the registry together. Made before anything is
/// written, and kept until the tags are set: it has the file's lock.
#[derive(Debug)]
pub struct StreamHistory {
    file: StateFile,
    record: Record,
    bundle: BundleId,
    created: Timestamp,
    signers: Vec<String>,
    newest: Option<Newest>,
    taken_back: bool,
    unreadable: BTreeSet<String>,
}

/// A person's wish to set rules aside, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollback {
    /// Nothing is set aside.
    Refuse,
    /// Sets aside every entry that forbids this bundle's time and number.
    Allow {
        /// Why, in that person's words.
        reason: String,
    },
}

/// Why a bundle is not accepted, or cannot be remembered.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The bundle would take its stream back.
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The file.
    #[error(transparent)]
    State(#[from] StateError),
    /// The registry's record is full of what counts for nothing.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// The record of the bundle cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The record in the registry.
    #[error("the registry's record of accepted bundles cannot be {doing}")]
    Record {
        /// The action that failed.
        doing: &'static str,
        /// Why it failed.
        source: Error,
    },
}

impl StreamHistory {
    /// Combines the records of the bundle's stream.
    ///
    /// # Errors
    /// The registry cannot be asked, or its record is crowded: what the newest bundle is cannot be known then.
    pub async fn recall(
        file: StateFile,
        bundle: &Bundle,
        destination: &dyn Destination,
        site_key: Option<Arc<Signer>>,
    ) -> Result<Self, HistoryError> {
        let mut history = Self::of_file(file, bundle, &destination.root(), site_key);
        history.look(destination).await?;
        Ok(history)
    }

    /// The history of the bundle's stream from the file alone, where the registry cannot be asked.
    pub fn of_file(
        file: StateFile,
        bundle: &Bundle,
        registry: &RegistryPath,
        site_key: Option<Arc<Signer>>,
    ) -> Self {
        let record = Record::of(bundle.statement()).believed(Records::of(bundle.trusted(), site_key));
        let (created, signers) = (bundle.statement().created, bundle.trusted().signers().to_vec());
        let bundle = BundleId::of(bundle.statement(), bundle.trusted().digest());
        let newest = file.newest(registry, &bundle.stream);
        let (taken_back, unreadable) = (false, BTreeSet::new());
        Self { file, record, bundle, created, signers, newest, taken_back, unreadable }
    }

    /// Adds what the registry knows.
    async fn look(&mut self, destination: &dyn Destination) -> Result<Recorded, HistoryError> {
        let stream = &self.bundle.stream;
        let own = tag_of(&self.bundle);
        let recorded = self.record.look(destination, stream, own.as_ref(), &mut self.unreadable).await;
        let recorded = recorded.map_err(|source| HistoryError::Record { doing: "read", source })?;
        if let Some(crowded) = recorded.crowded {
            return Err(crowded.into());
        }
        self.newest = Newest::merge(self.newest.take(), recorded.newest.clone());
        self.taken_back = own.is_some_and(|tag| recorded.taken_back.contains(tag.as_str()));
        Ok(recorded)
    }

    /// The bundle that is to be accepted.
    pub fn bundle(&self) -> &BundleId {
        &self.bundle
    }

    /// The newest bundle of the stream.
    pub fn newest(&self) -> Option<BundleId> {
        self.newest.as_ref()?.bundle(&self.bundle.stream)
    }

    /// Adds entries of the record that were found elsewhere and count for nothing.
    pub(crate) fn ignore(&mut self, names: BTreeSet<String>) {
        self.unreadable.extend(names);
    }

    /// Notices about the entries of the record that are ignored: one for all, where there are many.
    pub fn ignored(&self) -> Vec<HistoryNotice> {
        HistoryNotice::of_ignored(&self.unreadable)
    }

    /// How the bundle stands to the newest one.
    pub fn standing(&self) -> Standing {
        if self.taken_back {
            return Standing::TakenBack;
        }
        Newest::standing(self.newest.as_ref(), &self.bundle)
    }

    /// A notice about the bundle's place in its stream at `registry`.
    pub fn notice(&self, registry: &RegistryPath) -> Option<HistoryNotice> {
        match (self.standing(), self.newest()) {
            (Standing::First, _) => {
                Some(HistoryNotice::First { stream: self.bundle.stream.clone(), registry: registry.clone() })
            }
            (Standing::Older | Standing::Reused | Standing::TakenBack, Some(newest)) => {
                Some(HistoryNotice::GoingBack { newest })
            }
            _ => None,
        }
    }

    /// The rules that had to be set aside to accept the bundle.
    ///
    /// # Errors
    /// [`HistoryError::Rollback`], if one had to be and must not.
    pub fn judge(&self, expired: bool, rollback: &Rollback) -> Result<Vec<Override>, HistoryError> {
        let standing = self.standing();
        let Rollback::Allow { reason } = rollback else {
            standing.enforce(self.newest.as_ref(), &self.bundle)?;
            return Ok(Vec::new());
        };
        let rules = standing.rule().into_iter().chain(expired.then_some(Rule::Expired));
        Ok(rules.map(|rule| Override { rule, reason: reason.clone() }).collect())
    }

    /// Takes the file that is open now for the one that was only looked into.
    pub fn lock(&mut self, file: StateFile, registry: &RegistryPath) {
        let known = file.newest(registry, &self.bundle.stream);
        self.newest = Newest::merge(self.newest.take(), known);
        self.file = file;
    }

    /// Takes note that the bundle is accepted, in the registry and in the file. To be called when
    /// everything in it was verified and pushed, and before the first tag moves: an import that
    /// ends in between can be done again, and an older bundle cannot slip in. The tags that `plan` sets are
    /// the stream's from then on.
    ///
    /// # Errors
    /// Another import accepted a newer bundle meanwhile, or it cannot be remembered.
    pub async fn accept(
        &mut self,
        destination: &dyn Destination,
        rollback: &Rollback,
        plan: &ImportPlan,
    ) -> Result<(), HistoryError> {
        let recorded = self.look(destination).await?;
        if *rollback == Rollback::Refuse {
            self.standing().enforce(self.newest.as_ref(), &self.bundle)?;
        }
        // An older bundle that was let pass leaves no trace there: the number never falls.
        let standing = self.standing();
        if !matches!(standing, Standing::Older | Standing::TakenBack) {
            self.record.remember(destination, &self.bundle).await?;
        }
        if standing != Standing::Again || plan.sets_tags() {
            self.list_tags(destination, &recorded, plan, Moves::Ahead).await?;
        }
        if standing != Standing::TakenBack {
            let newest = Newest::after(self.newest.as_ref(), &self.bundle);
            self.file.remember(&destination.root(), &self.bundle.stream, newest)?;
        }
        Ok(())
    }

    /// Takes note that the tags of `plan` that the stream moves were moved: who sets one back afterwards to what it
    /// was is not an import that ended early.
    ///
    /// # Errors
    /// It cannot be noted. Such a tag is taken for the stream's then.
    pub async fn settle(
        &mut self,
        destination: &dyn Destination,
        plan: &ImportPlan,
    ) -> Result<(), HistoryError> {
        if !plan.moves_tags() {
            return Ok(());
        }
        let recorded = self.look(destination).await?;
        self.list_tags(destination, &recorded, plan, Moves::Done).await
    }

    async fn list_tags(
        &mut self,
        destination: &dyn Destination,
        recorded: &Recorded,
        plan: &ImportPlan,
        moves: Moves,
    ) -> Result<(), HistoryError> {
        let stream = &self.bundle.stream;
        let read = StreamTags::read(&self.record, recorded, destination, stream, &mut self.unreadable).await;
        let tags = read.map_err(|source| HistoryError::Record { doing: "read", source })?;
        if let Some(crowded) = tags.crowded {
            return Err(crowded.into());
        }
        let (bundle, signers) = (self.bundle.clone(), self.signers.clone());
        let of = ListedBundle { bundle, created: self.created, signers };
        tags.extend(&self.record, destination, of, plan, moves).await
    }
}
