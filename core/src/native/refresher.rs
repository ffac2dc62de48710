//! The background work: requests, and the refresher, which keeps secrets in use fresh so that their readers never wait.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::clock::SystemClock;
use super::inner::Inner;
use super::runtime;
use crate::cache::permit::FetchPermit;

/// The most refreshes that run at the same time.
const AT_ONCE: usize = 16;
/// Timers stop while a machine is suspended: check at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Inner {
    /// Completes a permit on the runtime, even if its reader goes away.
    pub(super) fn spawn(self: &Arc<Self>, permit: FetchPermit) {
        match runtime::handle() {
            Ok(handle) => {
                let inner = Arc::clone(self);
                handle.spawn(async move { inner.run(permit).await });
                if !self.refreshing.swap(true, Ordering::AcqRel) {
                    handle.spawn(keep_fresh(Arc::downgrade(self)));
                }
            }
            Err(error) => permit.complete(Err(error), SystemClock::now()),
        }
    }
}

/// Runs until the cache is dropped or closed.
async fn keep_fresh(cache: Weak<Inner>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Some(inner) = cache.upgrade() else { return };
        let due = inner.cache.due(SystemClock::now());
        for permit in due.permits {
            let (inner, slots) = (Arc::clone(&inner), Arc::clone(&slots));
            tokio::spawn(async move {
                let _slot = slots.acquire_owned().await;
                inner.run(permit).await;
            });
        }
        if inner.cache.is_closed() {
            return;
        }
        // Secrets that become due within a moment of each other share one wake-up.
        let moment = granularity(inner.cache.config().ttl);
        let wait = due.next.unwrap_or(LONGEST_SLEEP).clamp(moment, LONGEST_SLEEP.max(moment));
        let wake = Arc::clone(&inner.wake);
        drop(inner);
        if tokio::time::timeout(wait, wake.notified()).await.is_ok() {
            tokio::time::sleep(moment).await;
        }
    }
}

fn granularity(ttl: Duration) -> Duration {
    (ttl / 256).clamp(Duration::from_millis(5), Duration::from_secs(1))
}
