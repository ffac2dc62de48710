//! All secrets, and how a change reaches them.
//!
//! Operations never change a store: they read it and give back [`Change`]s, which the server writes to its
//! data file before it applies them. So an operation happens wholly or not at all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::arn::{Scope, SecretRef};
use crate::error::{ErrorCode, ServiceError};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The secrets of every account and region.
#[derive(Clone, Debug, Default)]
pub struct Store {
    vaults: BTreeMap<Scope, Vault>,
    history: VecDeque<Past>,
    keep_history: bool,
}

/// What an operation wants changed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The secret is now this, whether or not it existed.
    Put(Scope, Arc<Secret>),
    /// The secret with this ARN is gone.
    Remove(Scope, String),
}

#[derive(Clone, Debug, Default)]
struct Vault {
    secrets: BTreeMap<String, Arc<Secret>>,
    arns: HashMap<String, String>,
    /// The same secrets by creation, as listings give them: a page of ten thousand is no more work than a page of a hundred.
    created: BTreeMap<(Timestamp, String), Arc<Secret>>,
}

/// What a secret was until `until`; kept so that a read can be made stale on purpose.
#[derive(Clone, Debug)]
struct Past {
    until: Timestamp,
    undo: Change,
}

impl Store {
    /// An empty store. With `keep_history` it can answer [`Store::as_of`].
    pub fn new(keep_history: bool) -> Self {
        Self { keep_history, ..Self::default() }
    }

    /// The secret a request means, seen by a caller in `scope`.
    pub(crate) fn find(
        &self,
        scope: &Scope,
        id: &str,
        now: Timestamp,
    ) -> Result<(Scope, &Arc<Secret>), ServiceError> {
        let reference = SecretRef::parse(id).ok_or_else(invalid_name)?;
        let (scope, secret) = match reference {
            SecretRef::Name(name) => (scope.clone(), self.by_name(scope, name)),
            SecretRef::PartialArn { scope: at, name } => {
                let secret = self.by_name(&at, name);
                (at, secret)
            }
            SecretRef::Arn { scope: at, .. } => {
                let secret = self.by_arn(&at, id);
                (at, secret)
            }
        };
        let secret = secret.filter(|secret| !secret.is_gone(now)).ok_or_else(ServiceError::not_found)?;
        Ok((scope, secret))
    }

    /// The same, refusing a secret marked for deletion.
    pub(crate) fn find_live(
        &self,
        scope: &Scope,
        id: &str,
        now: Timestamp,
    ) -> Result<(Scope, &Arc<Secret>), ServiceError> {
        let (scope, secret) = self.find(scope, id, now)?;
        if secret.is_deleted() {
            return Err(ServiceError::marked_for_deletion());
        }
        Ok((scope, secret))
    }

    /// Every secret of one account and region whose time is not over.
    pub fn secrets(&self, scope: &Scope, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let vault = self.vaults.get(scope);
        vault
            .into_iter()
            .flat_map(|vault| vault.secrets.values())
            .map(Arc::as_ref)
            .filter(move |s| !s.is_gone(now))
    }

    /// The same by creation, first to last or last to first, from the one after `after` on.
    pub(crate) fn by_creation(
        &self,
        scope: &Scope,
        now: Timestamp,
        after: Option<(Timestamp, String)>,
        descending: bool,
    ) -> impl Iterator<Item = &Secret> {
        let (from, to) = match after {
            None => (Bound::Unbounded, Bound::Unbounded),
            Some(after) if descending => (Bound::Unbounded, Bound::Excluded(after)),
            Some(after) => (Bound::Excluded(after), Bound::Unbounded),
        };
        let mut range = self.vaults.get(scope).map(|vault| vault.created.range((from, to)));
        std::iter::from_fn(move || {
            let range = range.as_mut()?;
            let (_, secret) = if descending { range.next_back()? } else { range.next()? };
            Some(secret.as_ref())
        })
        .filter(move |secret| !secret.is_gone(now))
    }

    /// Every secret with its scope, deleted ones included.
    pub fn all(&self) -> impl Iterator<Item = (&Scope, &Secret)> {
        self.vaults
            .iter()
            .flat_map(|(scope, vault)| vault.secrets.values().map(move |secret| (scope, secret.as_ref())))
    }

    /// Makes a change.
    pub fn apply(&mut self, change: Change, now: Timestamp) {
        let undo = self.swap(change);
        if self.keep_history {
            self.history.extend(undo.map(|undo| Past { until: now, undo }));
            while self.history.len() > KEPT_CHANGES {
                self.history.pop_front();
            }
        }
    }

    /// The store as it was at `then`, as far back as history was kept.
    #[must_use]
    pub fn as_of(&self, then: Timestamp) -> Self {
        let mut past = Self { vaults: self.vaults.clone(), ..Self::default() };
        for change in self.history.iter().rev().take_while(|change| change.until > then) {
            past.swap(change.undo.clone());
        }
        past
    }

    /// The secret with this ARN, whatever its state.
    pub(crate) fn by_arn(&self, scope: &Scope, arn: &str) -> Option<&Arc<Secret>> {
        self.vaults.get(scope)?.secrets.get(arn)
    }

    fn by_name(&self, scope: &Scope, name: &str) -> Option<&Arc<Secret>> {
        let vault = self.vaults.get(scope)?;
        vault.secrets.get(vault.arns.get(name)?)
    }

    /// Makes a change and gives back the one that would undo it.
    fn swap(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::Put(scope, secret) => {
                let vault = self.vaults.entry(scope.clone()).or_default();
                vault.arns.insert(secret.name.clone(), secret.arn.clone());
                let arn = secret.arn.clone();
                let old = vault.secrets.insert(arn.clone(), Arc::clone(&secret));
                if let Some(old) = old.as_ref().filter(|old| old.created != secret.created) {
                    vault.created.remove(&(old.created, arn.clone()));
                }
                vault.created.insert((secret.created, arn.clone()), secret);
                Some(match old {
                    Some(old) => Change::Put(scope, old),
                    None => Change::Remove(scope, arn),
                })
            }
            Change::Remove(scope, arn) => {
                let vault = self.vaults.get_mut(&scope)?;
                let old = vault.secrets.remove(&arn)?;
                vault.created.remove(&(old.created, arn.clone()));
                // A new secret may have taken the name meanwhile.
                if vault.arns.get(&old.name) == Some(&arn) {
                    vault.arns.remove(&old.name);
                }
                Some(Change::Put(scope, old))
            }
        }
    }
}

/// The service checks the characters of every secret id before it looks for the secret.
pub(crate) fn invalid_name() -> ServiceError {
    ServiceError::new(
        ErrorCode::Validation,
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    )
}

const KEPT_CHANGES: usize = 1000;
