//! The registry that is pushed to: a path below which all repositories are, the right that is asked
//! for, and what a refused lookup means there. Takes repositories' names as the caller knows them,
//! gives those on the registry.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use bundle_oci::{Registry, RegistryPath, RepositoryName};

use crate::lock::lock;
use crate::token::Scope;
use crate::{Client, Error};

/// How a registry is used that is pushed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Where all repositories are, as in `gitlab.example/group/project`.
    pub below: Option<RepositoryName>,
    /// Whether something may be pushed. Then each token is asked for with the right to push, so that one
    /// serves for looking and pushing, and registries that create repositories for accounts with that right
    /// do so (Quay).
    pub pushes: bool,
}

/// All targets, and the repositories into which something was put.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    known: HashMap<Registry, Target>,
    touched: Mutex<HashSet<(Registry, RepositoryName)>>,
}

impl Targets {
    pub(crate) fn new(known: HashMap<Registry, Target>) -> Self {
        Self { known, touched: Mutex::default() }
    }
}

impl Client {
    /// The part of a registry that this client uses: all of it, or what is below its target's path.
    pub fn root(&self, registry: &Registry) -> RegistryPath {
        let below = self.inner.targets.known.get(registry).and_then(|target| target.below.clone());
        RegistryPath::new(registry.clone(), below)
    }

    /// The name of a repository on the registry itself.
    pub(crate) fn path_at(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
    ) -> Result<RepositoryName, Error> {
        let Some(below) = self.inner.targets.known.get(registry).and_then(|target| target.below.as_ref())
        else {
            return Ok(repository.clone());
        };
        repository.under(below.as_str()).map_err(|source| Error::Path {
            host: registry.to_string(),
            path: format!("{below}/{repository}"),
            source,
        })
    }

    /// The right to read a repository, which is asked for together with the right to push where
    /// something will be.
    pub(crate) fn scope_to_pull(&self, registry: &Registry, path: &RepositoryName) -> Scope {
        match self.inner.targets.known.get(registry) {
            Some(target) if target.pushes => Scope::push(path),
            _ => Scope::pull(path),
        }
    }

    /// Takes note that something was put into a repository, by its name on the registry.
    pub(crate) fn touched(&self, registry: &Registry, path: &RepositoryName) {
        if self.inner.targets.known.contains_key(registry) {
            lock(&self.inner.targets.touched).insert((registry.clone(), path.clone()));
        }
    }

    /// Whether an error only means that a target does not answer look-ups. As long as nothing was put into
    /// the repository, the push itself shows whether it may be. A Harbor's answers are exact.
    pub(crate) fn is_unknown(&self, registry: &Registry, path: &RepositoryName, error: &Error) -> bool {
        error.is_refused_lookup()
            && self.inner.targets.known.contains_key(registry)
            && !self.inner.auth.is_password_shown(registry)
            && !lock(&self.inner.targets.touched).contains(&(registry.clone(), path.clone()))
    }
}
