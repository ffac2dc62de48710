//! Reading a replica of a secret while its own Region does not answer.
//!
//! The Region has [`Options::fallback_after`](super::Options::fallback_after) to answer. One that fails is then skipped
//! for a pause that grows with each failure. After the pause, one request probes whether it answers again; other reads
//! do not wait for that.

use std::fmt::Write as _;
use std::sync::PoisonError;

use super::aws::watched;
use super::clock::SystemClock;
use super::fetch;
use super::inner::Inner;
use super::places::Connected;
use crate::cache::permit::FetchPermit;
use crate::cache::stats::Operation;
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::id::Selector;
use crate::place::{Place, in_region};
use crate::wire::{Answer, Replica};

impl Inner {
    /// Asks the secret's own Region, and the Regions of its replicas in turn if that does not answer.
    pub(super) async fn ask_in_turn(&self, permit: &FetchPermit) -> Result<Answer, Error> {
        let place = self.places.place_of(permit.id());
        let home = self.places.connect(&place, &self.cache).await?;
        let asked = fetch::answer(permit, home.source.as_ref(), &self.cache);
        let regions = self.places.replica_regions(permit.id(), &home);
        let Some(last) = regions.last() else { return asked.await };
        let error = match self.bounded(&home, permit.is_forced(), asked).await {
            Err(error) if error.kind().is_outage() => error,
            answer => return answer,
        };
        let mut text = error.message().to_owned();
        for region in &regions {
            let there = Place { role: place.role.clone(), region: Some((*region).to_owned()) };
            match self.ask_replica(permit, &there, region == last).await {
                Ok(mut fetched) => {
                    fetched.arn = fetched.arn.map(|arn| in_region(&arn, home.region()));
                    let replica = Replica { region: (*region).to_owned(), error };
                    return Ok(Answer::value(fetched).of_replica(replica));
                }
                // A missing label is an answer too, if it contradicts nothing that is known.
                Err(missing)
                    if missing.kind() == ErrorKind::VersionNotFound
                        && permit.selector() != Selector::CURRENT
                        && permit.known().is_none()
                        && !permit.is_forced() =>
                {
                    return Err(missing);
                }
                Err(reason) => drop(write!(text, "; replica in {region}: {}", reason.message())),
            }
        }
        let failed = Error::new(error.kind(), text);
        Err(match error.fault() {
            Some(fault) => failed.with_fault(fault.clone()),
            None => failed,
        })
    }

    async fn ask_replica(
        &self,
        permit: &FetchPermit,
        place: &Place,
        is_last: bool,
    ) -> Result<Fetched, Error> {
        let there = self.places.connect(place, &self.cache).await?;
        let id = in_region(permit.id(), there.region());
        let asked = async {
            self.cache.count_call(Operation::GetSecretValue);
            there.source.fetch(&id, permit.selector()).await
        };
        if is_last { asked.await } else { self.bounded(&there, false, asked).await }
    }

    /// Asks a Region within its time limit, if there is another Region to ask after it.
    pub(super) async fn bounded<T>(
        &self,
        there: &Connected,
        is_forced: bool,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(bound) = self.places.fallback_after() else { return asked.await };
        let config = self.cache.config();
        let outage = || there.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = |failures| config.backoff.delay(failures, None);
        if !is_forced {
            outage().turn(&SystemClock::now(), pause)?;
        }
        let (answer, missed) = watched(tokio::time::timeout(bound, asked)).await;
        let answer = answer.unwrap_or_else(|_| Err(there.late(bound, missed)));
        let failure = answer.as_ref().err().filter(|error| error.kind().is_outage());
        outage().note(failure, &SystemClock::now(), pause);
        answer
    }
}
