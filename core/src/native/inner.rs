//! What one process has of a cache, and how it asks the source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::aws::AwsSource;
use super::brakes::brake_of;
use super::clock::SystemClock;
use super::locked::LockingSource;
use super::transport::Transport;
use super::{fetch, refresher, runtime};
use crate::cache::cache::{Cache, Lookup};
use crate::cache::flight::Waiter;
use crate::cache::hit::Hit;
use crate::cache::permit::FetchPermit;
use crate::error::{Error, ErrorKind};
use crate::iam_login::IamLogin;
use crate::id::Selector;
use crate::source::SecretSource;
use crate::wire::Answer;

/// What one process has of a cache.
pub(super) struct Inner {
    pub(super) cache: Cache,
    /// Something was completed, so the refresher's next look may have to come sooner.
    pub(super) wake: Arc<Notify>,
    transport: Transport,
    source: tokio::sync::Mutex<Option<Arc<dyn SecretSource>>>,
    refreshing: AtomicBool,
    /// Until then, in seconds since boot, secrets are fetched one by one: `BatchGetSecretValue` was refused.
    pub(super) no_batch_until: AtomicU64,
}

/// How a read begins: see [`Driver::start`](super::Driver::start).
#[derive(Debug)]
pub enum ReadState<'a> {
    /// It is answered.
    Ready(Result<Hit<'a>, Error>),
    /// The answer is being fetched.
    Wait(Waiter),
}

impl Inner {
    pub(super) fn new(cache: Cache, transport: Transport) -> Self {
        Self {
            cache,
            wake: Arc::default(),
            transport,
            source: tokio::sync::Mutex::default(),
            refreshing: AtomicBool::new(false),
            no_batch_until: AtomicU64::new(0),
        }
    }

    /// Begins a read: answers it, or sees to it that it is being fetched.
    pub(super) fn start(self: &Arc<Self>, id: &str, selector: Selector<'_>) -> ReadState<'_> {
        match self.cache.lookup(id, selector, SystemClock::now()) {
            Lookup::Hit(hit) => ReadState::Ready(Ok(hit)),
            Lookup::HitDue(hit, permit) => {
                self.spawn(permit);
                ReadState::Ready(Ok(hit))
            }
            Lookup::Leader(permit, waiter) => {
                self.spawn(permit);
                ReadState::Wait(waiter)
            }
            Lookup::Follower(waiter) => ReadState::Wait(waiter),
            Lookup::Failed(error) => ReadState::Ready(Err(error)),
        }
    }

    /// Completes a permit on the runtime, even if its reader goes away.
    pub(super) fn spawn(self: &Arc<Self>, permit: FetchPermit) {
        match runtime::handle() {
            Ok(handle) => {
                let inner = Arc::clone(self);
                handle.spawn(async move { inner.run(permit).await });
                if !self.refreshing.swap(true, Ordering::AcqRel) {
                    handle.spawn(refresher::keep_fresh(Arc::downgrade(self)));
                }
            }
            Err(error) => permit.complete(Err(error), SystemClock::now()),
        }
    }

    pub(super) async fn run(self: Arc<Self>, permit: FetchPermit) {
        let mut resumes = 0;
        loop {
            let start = SystemClock::now();
            let result = fetch::caught(self.ask(&permit, resumes > 0)).await;
            let end = SystemClock::now();
            if fetch::was_suspended(&start, &end, self.transport.timeout()) && resumes < fetch::MOST_RESUMES {
                resumes += 1;
                continue;
            }
            permit.complete(result, end);
            break;
        }
        self.wake.notify_one();
    }

    async fn ask(&self, permit: &FetchPermit, anew: bool) -> Result<Answer, Error> {
        if IamLogin::has_id(permit.id()) && matches!(self.transport, Transport::Source(..)) {
            let text = "this cache asks a client or source of your own, whose credentials it does not know; \
                        tokens need one that finds its own";
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{:?}: {text}", permit.id())));
        }
        let source = self.source(anew).await?;
        fetch::answer(permit, source.as_ref(), &self.cache).await
    }

    /// The source, connected if necessary; `anew` drops its old connections.
    pub(super) async fn source(&self, anew: bool) -> Result<Arc<dyn SecretSource>, Error> {
        let mut source = self.source.lock().await;
        if let Some(source) = source.as_ref().filter(|_| !anew) {
            return Ok(Arc::clone(source));
        }
        let new: Arc<dyn SecretSource> = match &self.transport {
            Transport::Source(source, _) => Arc::clone(source),
            Transport::Aws(options) => {
                let source = AwsSource::connect(options).await?;
                self.cache.share_brake(&brake_of(&source.endpoint));
                Arc::new(source)
            }
        };
        let new = if self.cache.config().lock_memory { Arc::new(LockingSource(new)) } else { new };
        *source = Some(Arc::clone(&new));
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::fetched::Fetched;
    use crate::source::BoxFuture;
    use crate::wire::Description;
    use std::time::Duration;

    #[derive(Debug)]
    struct Own;

    impl SecretSource for Own {
        fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
            Box::pin(async { Err(Error::new(ErrorKind::AccessDenied, "no descriptions here")) })
        }

        fn fetch<'a>(&'a self, _: &'a str, _: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
            Box::pin(async { Ok(Fetched::string("v-1", "value")) })
        }
    }

    /// Nobody can tell what a program's own source asks: see "What does an outage cost?" in the design notes.
    #[tokio::test]
    async fn caches_over_a_source_of_the_programs_own_have_a_brake_each() {
        let source: Arc<dyn SecretSource> = Arc::new(Own);
        let inners = [7, 8].map(|seed| {
            let transport = Transport::Source(Arc::clone(&source), Duration::from_secs(1));
            Inner::new(Cache::new(Config::default(), seed).unwrap(), transport)
        });
        for inner in &inners {
            inner.source(false).await.unwrap();
        }
        let [one, another] = inners.each_ref().map(|inner| inner.cache.0.lock());
        assert!(!one.pacer.shares_with(&another.pacer));
        assert!(one.pacer.shares_with(&one.pacer));
    }
}
