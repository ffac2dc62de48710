//! One process's part of a cache, and its requests to the source.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;

use super::clock::SystemClock;
use super::fetch;
use super::handle::Asking;
use super::places::Places;
use super::transport::Transport;
use crate::cache::cache::{Cache, Forced, Lookup};
use crate::cache::flight::{Outcome, Waiter};
use crate::cache::hit::Hit;
use crate::cache::permit::FetchPermit;
use crate::error::{Error, ErrorKind};
use crate::iam_login::IamLogin;
use crate::id::Selector;
use crate::secret::Secret;
use crate::wire::Answer;

/// One process's part of a cache.
pub(super) struct Inner {
    pub(super) cache: Cache,
    /// Wakes the refresher when a request has completed, because its next work may be due sooner.
    pub(super) wake: Arc<Notify>,
    pub(super) places: Places,
    pub(super) refreshing: AtomicBool,
}

/// The state of a read that has begun; see [`Driver::start`](super::Driver::start).
#[derive(Debug)]
pub enum ReadState<'a> {
    /// The read is answered.
    Ready(Result<Hit<'a>, Error>),
    /// The answer is being fetched.
    Wait(Waiter),
}

impl Inner {
    pub(super) fn new(cache: Cache, transport: Transport) -> Self {
        Self {
            cache,
            wake: Arc::default(),
            places: Places::new(transport),
            refreshing: AtomicBool::new(false),
        }
    }

    /// Begins a read: answers it, or makes sure that a fetch is in progress.
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

    /// Fetches a version now, whatever its age: for a forced refresh, or for a login that was refused.
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

    pub(super) async fn run(self: Arc<Self>, permit: FetchPermit) {
        let mut resumes = 0;
        loop {
            let start = SystemClock::now();
            let result = fetch::caught(self.ask(&permit, resumes > 0)).await;
            let end = SystemClock::now();
            if fetch::was_suspended(&start, &end, self.places.transport.timeout())
                && resumes < fetch::MOST_RESUMES
            {
                resumes += 1;
                continue;
            }
            let is_elsewhere = self.places.is_elsewhere(permit.id(), &result);
            permit.elsewhere(is_elsewhere).complete(result, end);
            break;
        }
        self.wake.notify_one();
    }

    async fn ask(&self, permit: &FetchPermit, reconnects: bool) -> Result<Answer, Error> {
        if IamLogin::has_id(permit.id()) && matches!(self.places.transport, Transport::Source(..)) {
            let text = "this cache uses your own client or source and does not know its credentials; for IAM tokens, use a cache that finds credentials itself";
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{:?}: {text}", permit.id())));
        }
        if reconnects {
            self.places.forget();
        }
        let answer = self.ask_in_turn(permit).await?;
        Ok(self.with_names(permit, answer))
    }

    /// Restricts the answer to this id, if the cache reads the secret's other ids with another role.
    pub(super) fn with_names(&self, permit: &FetchPermit, answer: Answer) -> Answer {
        let arn = answer.arn().or_else(|| permit.known().and_then(Secret::arn));
        let is_one = arn.is_none_or(|arn| self.places.are_one(permit.id(), arn));
        if is_one { answer } else { answer.for_this_id_alone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::fetched::Fetched;
    use crate::place::Place;
    use crate::source::{BoxFuture, SecretSource};
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

    #[test]
    fn how_another_region_fares_does_not_touch_the_brake() {
        let cache = Cache::new(Config::default(), 7).unwrap();
        let now = SystemClock::now();
        for (id, is_elsewhere) in [("there", true), ("here", false)] {
            let Lookup::Leader(permit, _) = cache.lookup(id, Selector::CURRENT, now) else { panic!("{id}") };
            let error = Error::new(ErrorKind::Timeout, "no answer");
            permit.elsewhere(is_elsewhere).complete(Err(error), now);
            assert_eq!(cache.0.lock().pacer.holds_readers_back(&now), !is_elsewhere, "{id}");
        }
    }

    /// The endpoint of a program's own source is unknown; see "What does an outage cost?" in the design notes.
    #[tokio::test]
    async fn caches_over_a_source_of_the_programs_own_have_a_brake_each() {
        let source: Arc<dyn SecretSource> = Arc::new(Own);
        let inners = [7, 8].map(|seed| {
            let transport = Transport::Source(Arc::clone(&source), Duration::from_secs(1));
            Inner::new(Cache::new(Config::default(), seed).unwrap(), transport)
        });
        for inner in &inners {
            inner.places.connect(&Place::default(), &inner.cache).await.unwrap();
        }
        let [one, another] = inners.each_ref().map(|inner| inner.cache.0.lock());
        assert!(!one.pacer.shares_with(&another.pacer));
        assert!(one.pacer.shares_with(&one.pacer));
    }
}
