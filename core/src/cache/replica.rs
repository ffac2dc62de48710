//! Decides whether to accept a replica's answer.
//!
//! A replica can lag, and nothing in its answer shows that. So **a replica's answer replaces a cached version only if
//! its version was created after every version that the cache has held for the same label**. Otherwise the cached value
//! remains the last known one, and the refresh fails. Answers from the secret's own Region are always accepted: only
//! there can a label be moved back on purpose.

use std::time::SystemTime;

use crate::cache::state::VersionEntry;
use crate::error::Error;
use crate::fetched::Fetched;
use crate::secret::Secret;
use crate::wire::Replica;

impl Replica {
    /// Checks whether its answer is accepted. `version` is what is cached, unless it was invalidated in the meantime;
    /// `known` is what was cached when the request began.
    pub(crate) fn check(
        &self,
        fetched: &Fetched,
        version: Option<&VersionEntry>,
        known: Option<&Secret>,
    ) -> Result<(), Error> {
        let held = version.map_or(known, |version| version.secret.as_ref());
        let newest = version.map_or(known.and_then(Secret::created_date), |version| version.newest);
        let held = held.map(|held| held.version_id());
        if may_replace(held, newest, fetched.version_id.as_deref(), fetched.created_date) {
            return Ok(());
        }
        let version = fetched.version_id.as_deref().unwrap_or("unknown");
        let text = format!(
            "{}; its replica in {} has version {version}, which is not newer than the cached one",
            self.error.message(),
            self.region
        );
        Err(Error::new(self.error.kind(), text))
    }
}

/// Applies the rule to the cached version (with its id, if known) and the creation date of the newest version ever
/// held.
fn may_replace(
    held: Option<Option<&str>>,
    newest: Option<SystemTime>,
    version_id: Option<&str>,
    created: Option<SystemTime>,
) -> bool {
    match (held, newest) {
        (Some(held), _) if held.is_some() && held == version_id => true,
        (Some(_), newest) => created.is_some_and(|created| newest.is_some_and(|newest| created > newest)),
        // It is most likely that newest version, which could no longer be served.
        (None, Some(newest)) => created.is_some_and(|created| created >= newest),
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn what_cannot_be_shown_to_be_newer_is_not_taken() {
        assert!(may_replace(None, None, None, None), "nothing is cached");
        assert!(may_replace(Some(Some("v1")), Some(at(1)), Some("v1"), None), "it is the same");
        assert!(!may_replace(Some(Some("v1")), None, Some("v2"), Some(at(2))));
        assert!(!may_replace(Some(Some("v1")), Some(at(1)), Some("v2"), None));
        assert!(!may_replace(Some(None), Some(at(1)), None, Some(at(1))));
        // Rolled back in its own Region, from v2 to v1: a replica that still has v2 is behind.
        assert!(!may_replace(Some(Some("v1")), Some(at(2)), Some("v2"), Some(at(2))));
    }

    proptest! {
        /// A label moves through versions, forwards and back. A replica shows each state late, and the primary is
        /// reachable at times. The replica changes the cached version only to one newer than all before.
        #[test]
        fn a_replica_never_moves_the_cache_backwards(
            moves in proptest::collection::vec(0_u64..6, 1..20),
            reads in proptest::collection::vec((any::<bool>(), 0_usize..20, 0_usize..20), 1..40),
        ) {
            let mut last = 0;
            let (mut held, mut newest) = (None::<u64>, None::<u64>);
            for (from_replica, now, lag) in reads {
                // The primary's history only moves forwards.
                last = std::cmp::max(last, now.min(moves.len() - 1));
                let shown = moves[if from_replica { last.saturating_sub(lag) } else { last }];
                let id = held.map(|version| version.to_string());
                let taken = !from_replica || may_replace(
                    id.as_deref().map(Some), newest.map(at), Some(&shown.to_string()), Some(at(shown)),
                );
                if taken {
                    let moved = held.is_some_and(|held| held != shown);
                    prop_assert!(!(from_replica && moved) || newest.is_none_or(|newest| shown > newest));
                    held = Some(shown);
                    newest = newest.max(Some(shown));
                }
            }
        }
    }
}
