//! The store of all secrets, and the changes to it.
//!
//! Operations never change a store. They read it and return [`Change`]s, which the server writes to its data file
//! before it applies them. This makes every operation atomic.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::arn::{Scope, SecretRef};
use crate::error::{ErrorCode, ServiceError};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The secrets of every account and Region.
#[derive(Clone, Debug, Default)]
pub struct Store {
    vaults: BTreeMap<Scope, Vault>,
    history: VecDeque<Past>,
    keep_history: bool,
}

/// A change to the store that an operation asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Creates or replaces a secret.
    Put(Scope, Arc<Secret>),
    /// Removes the secret with this ARN.
    Remove(Scope, String),
}

#[derive(Clone, Debug, Default)]
struct Vault {
    secrets: BTreeMap<String, Arc<Secret>>,
    arns: HashMap<String, String>,
    /// The same secrets in order of creation, as listings return them. The cost of a page does not depend on the total.
    created: BTreeMap<(Timestamp, String), Arc<Secret>>,
}

/// The state of a secret until `until`, kept for reads that are made stale on purpose.
#[derive(Clone, Debug)]
struct Past {
    until: Timestamp,
    undo: Change,
}

impl Store {
    /// Creates an empty store. With `keep_history`, it keeps the past states that [`Store::as_of`] needs.
    pub fn new(keep_history: bool) -> Self {
        Self { keep_history, ..Self::default() }
    }

    /// Returns the secret that `id` refers to in a request by a caller in `scope`.
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

    /// Like [`Store::find`], but fails for a secret marked for deletion.
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

    /// Returns every secret of one account and Region, except those whose recovery window is over.
    pub fn secrets(&self, scope: &Scope, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let vault = self.vaults.get(scope);
        vault
            .into_iter()
            .flat_map(|vault| vault.secrets.values())
            .map(Arc::as_ref)
            .filter(move |s| !s.is_gone(now))
    }

    /// Returns the same secrets in ascending or descending order of creation, starting after `after`.
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

    /// Returns every secret with its scope, deleted ones included.
    pub fn all(&self) -> impl Iterator<Item = (&Scope, &Secret)> {
        self.vaults
            .iter()
            .flat_map(|(scope, vault)| vault.secrets.values().map(move |secret| (scope, secret.as_ref())))
    }

    /// Applies a change.
    pub fn apply(&mut self, change: Change, now: Timestamp) {
        let undo = self.swap(change);
        if self.keep_history {
            self.history.extend(undo.map(|undo| Past { until: now, undo }));
            while self.history.len() > KEPT_CHANGES {
                self.history.pop_front();
            }
        }
    }

    /// Returns the store as it was at `then`, or the oldest state kept if that is later.
    #[must_use]
    pub fn as_of(&self, then: Timestamp) -> Self {
        let mut past = Self { vaults: self.vaults.clone(), ..Self::default() };
        for change in self.history.iter().rev().take_while(|change| change.until > then) {
            past.swap(change.undo.clone());
        }
        past
    }

    /// Returns the secret with this ARN, whatever its state.
    pub(crate) fn by_arn(&self, scope: &Scope, arn: &str) -> Option<&Arc<Secret>> {
        self.vaults.get(scope)?.secrets.get(arn)
    }

    fn by_name(&self, scope: &Scope, name: &str) -> Option<&Arc<Secret>> {
        let vault = self.vaults.get(scope)?;
        vault.secrets.get(vault.arns.get(name)?)
    }

    /// Applies a change and returns the one that undoes it.
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
                // A new secret may have the name by now.
                if vault.arns.get(&old.name) == Some(&arn) {
                    vault.arns.remove(&old.name);
                }
                Some(Change::Put(scope, old))
            }
        }
    }
}

/// The error for a secret id with invalid characters. The service checks them before it looks up the secret.
pub(crate) fn invalid_name() -> ServiceError {
    ServiceError::new(
        ErrorCode::Validation,
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    )
}

const KEPT_CHANGES: usize = 1000;
