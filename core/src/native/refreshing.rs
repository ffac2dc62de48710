//! Fetches a version now, whatever its age: forced refreshes, and the refreshes of a connect attempt.

use std::sync::Arc;

use super::clock::SystemClock;
use super::handle::Asking;
use super::inner::Inner;
use crate::cache::cache::Forced;
use crate::cache::flight::Outcome;
use crate::error::Error;
use crate::id::Selector;
use crate::secret::Secret;

impl Inner {
    pub(super) async fn ask_now(
        self: &Arc<Self>,
        id: &str,
        selector: Selector<'_>,
        how: Asking,
    ) -> Result<Secret, Error> {
        let mark = self.cache.mark();
        loop {
            let (waiter, is_ours) = match how(&self.cache, id, selector, mark, SystemClock::now()) {
                Forced::Leader(permit, waiter) => {
                    self.spawn(permit);
                    (waiter, true)
                }
                Forced::Follower(waiter) => (waiter, true),
                Forced::Superseded(waiter) => (waiter, false),
                Forced::Failed(error) => return Err(error),
            };
            match waiter.await {
                Outcome::Value(secret) if is_ours => return Ok(secret),
                Outcome::Failed { error, .. } if is_ours => return Err(error),
                _ => {}
            }
        }
    }
}
