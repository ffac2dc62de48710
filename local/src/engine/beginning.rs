//! The initial state of an engine: the secrets of a data file and a seed.

use std::sync::Arc;

use crate::journal::Journal;
use crate::operations::Functions;
use crate::options::{Options, StartError};
use crate::progress;
use crate::seed;
use crate::store::{Change, Store};
use crate::time::Timestamp;

pub(super) struct Beginning {
    pub(super) store: Store,
    /// The store that a reset restores: the same, but with the seed's secrets as in the seed.
    pub(super) kept: Store,
    pub(super) journal: Option<Journal>,
    /// A problem with the data file that does not prevent its use.
    pub(super) warning: Option<String>,
}

impl Beginning {
    pub(super) fn of(options: &Options, functions: &Functions, now: Timestamp) -> Result<Self, StartError> {
        let mut store = Store::new(options.control);
        let open =
            |path| Journal::open(path, &mut store, now).map_err(|source| StartError::data(path, source));
        let (mut journal, warning) = options.data.as_deref().map(open).transpose()?.unzip();
        let seed = match &options.seed {
            Some(path) => seed::load(path, &options.defaults, functions, now)
                .map_err(|reason| StartError::Seed { path: path.clone(), reason })?,
            None => Vec::new(),
        };
        // The seed does not overwrite secrets in the data file.
        let is_new = |change: &Change| match change {
            Change::Put(scope, secret) => store.find(scope, &secret.name, now).is_err(),
            Change::Remove(..) => false,
        };
        let (missing, known): (Vec<_>, Vec<_>) = seed.into_iter().partition(is_new);
        if let (Some(journal), Some(path), false) = (&mut journal, &options.data, missing.is_empty()) {
            journal.append(&missing).map_err(|error| StartError::data(path, error.into()))?;
        }
        missing.into_iter().for_each(|change| store.apply(change, now));
        resume(&mut store, now);
        let mut kept = store.clone();
        for change in known {
            if let Change::Put(scope, secret) = &change
                && let Ok((_, old)) = store.find(scope, &secret.name, now)
            {
                kept.apply(Change::Remove(scope.clone(), old.arn.clone()), now);
            }
            kept.apply(change, now);
        }
        Ok(Self { store, kept, journal, warning: warning.flatten() })
    }
}

/// Makes interrupted rotations due now, whatever time they were to continue at.
fn resume(store: &mut Store, now: Timestamp) {
    let interrupted =
        store.all().filter(|(_, secret)| secret.rotation.as_ref().is_some_and(|r| r.underway.is_some()));
    let resumed: Vec<_> = interrupted
        .map(|(scope, secret)| {
            let mut secret = secret.clone();
            progress::expedite(&mut secret, now);
            Change::Put(scope.clone(), Arc::new(secret))
        })
        .collect();
    resumed.into_iter().for_each(|change| store.apply(change, now));
}
