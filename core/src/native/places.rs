//! The sources of a cache: one for each role and Region.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::aws::{AwsSource, Unreached};
use super::brakes::brake_of;
use super::locked::LockingSource;
use super::options::Options;
use super::outage::Outage;
use super::transport::Transport;
use crate::cache::cache::Cache;
use crate::error::{Error, ErrorKind};
use crate::iam_login::IamLogin;
use crate::id::without_suffix;
use crate::place::{Place, region_and_url, region_of, role_of};
use crate::source::SecretSource;

/// The most sources kept, whatever ids are read. A program has only a few Regions and roles.
const MOST: usize = 256;

/// The sources of one cache in one process, each connected when it is first needed.
pub(super) struct Places {
    pub(super) transport: Transport,
    /// A cell for each place, so that no read waits while another place is being connected.
    cells: Mutex<HashMap<Place, Cell>>,
}

type Cell = Arc<OnceCell<Arc<Connected>>>;

/// A connected source.
pub(super) struct Connected {
    pub(super) source: Arc<dyn SecretSource>,
    /// The time, in seconds since boot, until which secrets are fetched one by one, because `BatchGetSecretValue` was
    /// refused.
    pub(super) no_batch_until: AtomicU64,
    /// Whether it answers. Only used if another Region can be asked instead.
    pub(super) outage: Mutex<Outage>,
    aws: Option<Arc<AwsSource>>,
}

impl Places {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, cells: Mutex::default() }
    }

    /// Returns the place to read a secret at.
    pub(super) fn place_of(&self, id: &str) -> Place {
        match &self.transport {
            Transport::Aws(options) => Place::of(id, &options.roles),
            Transport::Source(..) => Place::default(),
        }
    }

    /// Whether this cache reads a secret's ARN with the same role as the id.
    pub(super) fn are_one(&self, id: &str, arn: &str) -> bool {
        match &self.transport {
            Transport::Aws(options) => {
                let role = |id| role_of(id, &options.roles);
                role(id) == role(arn) && without_suffix(arn).is_none_or(|partial| role(id) == role(partial))
            }
            Transport::Source(..) => true,
        }
    }

    /// Returns the Regions with replicas of a secret, which are asked while its own Region does not answer.
    pub(super) fn replica_regions(&self, id: &str, home: &Connected) -> Vec<&str> {
        let Transport::Aws(options) = &self.transport else { return Vec::new() };
        let regions = options.fallback_regions.iter().map(|text| region_and_url(text).0);
        regions.filter(|region| *region != home.region() && !IamLogin::has_id(id)).collect()
    }

    /// How long a Region may take to answer before the next one is asked; `None` if there is no other.
    pub(super) fn fallback_after(&self) -> Option<Duration> {
        let Transport::Aws(options) = &self.transport else { return None };
        let after = options.fallback_after.unwrap_or(Options::FALLBACK_AFTER);
        (!options.fallback_regions.is_empty()).then_some(after)
    }

    /// Whether an answer says nothing about the cache's own endpoint, because it comes from another Region or from STS.
    pub(super) fn is_elsewhere<T>(&self, id: &str, answer: &Result<T, Error>) -> bool {
        let fault = answer.as_ref().err().and_then(Error::fault);
        if fault.is_some_and(|fault| fault.operation == "AssumeRole") {
            return true;
        }
        let Some(region) = region_of(id) else { return false };
        let cells = self.lock();
        let own = cells.get(&Place::default()).and_then(|own| own.get());
        own.is_some_and(|own| own.aws.is_some() && own.region() != region)
    }

    /// Drops every connection.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the source for a place, connecting it if necessary. A role is assumed with the cache's own credentials
    /// in the same Region.
    pub(super) async fn connect(&self, place: &Place, cache: &Cache) -> Result<Arc<Connected>, Error> {
        let options = match &self.transport {
            Transport::Aws(options) => options,
            Transport::Source(source, _) => {
                let making = async { Ok(Connected::new(Arc::clone(source), None, cache)) };
                return self.connected(Place::default(), making).await;
            }
        };
        let making = async {
            let own = AwsSource::connect(options).await?;
            cache.share_brake(&brake_of(&own.endpoint));
            Ok(Connected::aws(own, cache))
        };
        let mut there = self.connected(Place::default(), making).await?;
        // A name and an ARN in the cache's own Region have the same place.
        let region = place.region.clone().filter(|region| region != there.region());
        if let Some(region) = &region {
            let making = async { Ok(Connected::aws(AwsSource::connect(&options.at(region)).await?, cache)) };
            there = self.connected(Place { role: None, region: Some(region.clone()) }, making).await?;
        }
        let (Some(role), Some(aws)) = (&place.role, &there.aws) else { return Ok(there) };
        let making = async { Ok(Connected::aws(aws.with_role(role).await, cache)) };
        self.connected(Place { role: Some(role.clone()), region }, making).await
    }

    /// Returns the source for a place; `making` connects it if necessary.
    async fn connected(
        &self,
        place: Place,
        making: impl Future<Output = Result<Arc<Connected>, Error>>,
    ) -> Result<Arc<Connected>, Error> {
        let cell = {
            let mut cells = self.lock();
            if cells.len() >= MOST && !cells.contains_key(&place) {
                cells.clear();
            }
            Arc::clone(cells.entry(place).or_default())
        };
        cell.get_or_try_init(|| making).await.cloned()
    }
}

impl Connected {
    fn new(source: Arc<dyn SecretSource>, aws: Option<Arc<AwsSource>>, cache: &Cache) -> Arc<Self> {
        let source = if cache.config().lock_memory { Arc::new(LockingSource(source)) } else { source };
        Arc::new(Self { source, no_batch_until: AtomicU64::new(0), outage: Mutex::default(), aws })
    }

    /// The Region that it asks; empty for a program's own source.
    pub(super) fn region(&self) -> &str {
        self.aws.as_ref().map_or("", |aws| aws.region())
    }

    /// Returns the error of a request that did not end in time. `missed` is why its last attempt got no answer, if that
    /// is known.
    pub(super) fn late(&self, after: Duration, missed: Option<Unreached>) -> Error {
        let endpoint = self.aws.as_ref().map_or("the source", |aws| &aws.endpoint);
        match missed {
            Some(unreached) => unreached.error(&format!("cannot reach {endpoint}")),
            None => Error::new(ErrorKind::Timeout, format!("no response from {endpoint} within {after:?}")),
        }
    }

    fn aws(aws: AwsSource, cache: &Cache) -> Arc<Self> {
        let aws = Arc::new(aws);
        Self::new(Arc::clone(&aws) as Arc<dyn SecretSource>, Some(aws), cache)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn nobody_waits_while_another_place_is_connected() {
        let credentials = super::super::Credentials::new("AKIDEXAMPLE", "x", None);
        let options = Options {
            region: Some("eu-central-1".into()),
            credentials: Some(credentials),
            ..Options::default()
        };
        let places = Places::new(Transport::Aws(Arc::new(options)));
        let cache = Cache::new(Config::default(), 7).unwrap();
        let slow = Place { role: None, region: Some("eu-west-1".into()) };
        let own = Place { role: None, region: Some("eu-central-1".into()) };
        tokio::select! {
            biased;
            _ = places.connected(slow, std::future::pending()) => unreachable!(),
            connected = places.connect(&own, &cache) => assert_eq!(connected.unwrap().region(), "eu-central-1"),
        }
    }
}
