//! The state behind the server: the store, its data file, the clock, randomness and faults.

mod beginning;
mod faults;
mod rotations;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::sync::Notify;

use beginning::Beginning;
pub use faults::Calls;
use faults::FaultState;

use crate::arn::Scope;
use crate::clock::Clock;
use crate::error::{ErrorCode, ServiceError};
use crate::events::{Event, Events};
use crate::journal::Journal;
use crate::operations::{Call, Functions, Outcome, execute, is_read};
use crate::options::{Options, StartError};
use crate::protocol::{Envelope, Reply};
use crate::seed;
use crate::store::{Change, Store};
use crate::story::{self, Entry, Story};
use crate::time::Timestamp;

/// Executes requests on the store. Changes are made by one request at a time, so that each sees the complete effect of
/// the one before. Requests that only read do not wait for each other, or for a write to reach the disk.
pub(crate) struct Engine {
    store: RwLock<Store>,
    /// Locked from deciding about a change until it is applied.
    writer: Mutex<Writer>,
    faults: Mutex<FaultState>,
    clock: Clock,
    defaults: Scope,
    functions: Functions,
    is_durable: bool,
    /// A problem with the data file that does not prevent its use.
    pub(crate) warning: Option<String>,
    /// The initial store, which a reset restores. It has the seed's secrets as in the seed.
    beginning: Store,
    /// The latest rotation events.
    pub(crate) events: Events,
    /// The history that the page shows.
    pub(crate) story: Story,
    /// Notifies the rotation driver that the rotations due may have changed.
    pub(crate) rotations: Notify,
}

struct Writer {
    random: StdRng,
    journal: Option<Journal>,
}

impl Engine {
    pub(crate) fn new(options: &Options, functions: Functions) -> Result<Self, StartError> {
        let clock = Clock::default();
        let Beginning { store, kept: beginning, journal, warning } =
            Beginning::of(options, &functions, clock.now())?;
        let random =
            StdRng::try_from_rng(&mut SysRng).map_err(|e| StartError::Random(std::io::Error::other(e)))?;
        Ok(Self {
            is_durable: journal.is_some(),
            beginning,
            store: RwLock::new(store),
            writer: Mutex::new(Writer { random, journal }),
            warning,
            faults: Mutex::default(),
            clock,
            defaults: options.defaults.clone(),
            functions,
            events: Events::new(options.log.clone()),
            story: Story::default(),
            rotations: Notify::new(),
        })
    }

    /// Runs some work on the engine. If there is a data file, it runs on a thread that may block on the disk.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        if !self.is_durable {
            return work(self);
        }
        let engine = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        done.unwrap_or_else(|_| {
            Err(ServiceError::new(ErrorCode::InternalServiceError, "The request could not be run."))
        })
    }

    /// Returns the current time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock forward or back.
    pub(crate) fn move_clock(&self, millis: i64) {
        self.clock.advance(millis);
        self.rotations.notify_waiters();
        self.story.notify("clock", || self.clock_json());
    }

    /// Stops the clock, or lets it continue.
    pub(crate) fn freeze_clock(&self, frozen: bool) {
        self.clock.freeze(frozen);
        self.rotations.notify_waiters();
        self.story.notify("clock", || self.clock_json());
    }

    /// Returns the account and Region of a caller.
    pub(crate) fn scope_of(&self, envelope: &Envelope<'_>) -> Scope {
        envelope.scope(&self.defaults)
    }

    /// Restores the initial state: the secrets of the data file and the seed, the system's time, and no faults, counts
    /// or events.
    pub(crate) fn reset(&self) -> Result<(), ServiceError> {
        let mut writer = self.writer();
        *self.fault_state() = FaultState::default();
        self.events.forget();
        self.clock.reset();
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = self.beginning.clone();
        self.rotations.notify_waiters();
        self.story.forget();
        let Some(journal) = &mut writer.journal else { return Ok(()) };
        journal.compact(&self.store()).map_err(|error| {
            ServiceError::new(
                ErrorCode::InternalServiceError,
                format!("The data file cannot be written: {error}"),
            )
        })
    }

    /// Returns all secrets without their values.
    pub(crate) fn secrets_json(&self) -> serde_json::Value {
        self.with_store(|store, now| {
            let present = store.all().filter(|(_, secret)| !secret.is_gone(now));
            let secrets: Vec<_> = present.map(|(scope, secret)| story::shown(scope, secret)).collect();
            serde_json::json!({ "secrets": secrets })
        })
    }

    /// Returns the Regions that have secrets.
    pub(crate) fn regions(&self) -> BTreeSet<String> {
        self.with_store(|store, now| {
            let present = store.all().filter(|(_, secret)| !secret.is_gone(now));
            present.map(|(scope, _)| scope.region.clone()).collect()
        })
    }

    pub(crate) fn clock_json(&self) -> serde_json::Value {
        serde_json::json!({ "now": self.now(), "frozen": self.clock.is_frozen() })
    }

    /// Returns a seed file of all secrets, values included.
    pub(crate) fn export(&self) -> Vec<u8> {
        self.with_store(seed::export)
    }

    /// Answers a request, from the store as it was `stale` seconds ago if given.
    pub(crate) fn answer(
        &self,
        envelope: &Envelope<'_>,
        body: &[u8],
        stale: Option<f64>,
    ) -> Result<Reply, ServiceError> {
        let operation = envelope.operation()?;
        let scope = envelope.scope(&self.defaults);
        match stale {
            None => self.execute(scope, operation, body),
            Some(seconds) => self.execute_as_of(seconds, scope, operation, body),
        }
        .map(Reply::ok)
    }

    /// Answers a request that changes nothing; returns `None` for any other request.
    pub(crate) fn try_read(
        &self,
        envelope: &Envelope<'_>,
        body: &[u8],
    ) -> Option<Result<Reply, ServiceError>> {
        let operation = envelope.operation().ok().filter(|operation| is_read(operation))?;
        let answer = self.read(envelope.scope(&self.defaults), operation, body)?;
        Some(answer.map(Reply::ok))
    }

    fn read(&self, scope: Scope, operation: &str, body: &[u8]) -> Option<Result<Vec<u8>, ServiceError>> {
        match self.peek(scope, operation, body) {
            // The first read of a day is a change: it records the day.
            Ok(outcome) => outcome.changes.is_empty().then_some(Ok(outcome.body)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Executes an operation without applying its changes.
    fn peek(&self, scope: Scope, operation: &str, body: &[u8]) -> Result<Outcome, ServiceError> {
        // Only GetRandomPassword needs randomness.
        let mut random = StdRng::try_from_rng(&mut SysRng).map_err(|error| {
            ServiceError::new(
                ErrorCode::InternalServiceError,
                format!("The system's random number generator failed: {error}"),
            )
        })?;
        let (now, functions) = (self.clock.now(), self.functions.clone());
        execute(&self.store(), &mut Call { now, scope, random: &mut random, functions }, operation, body)
    }

    /// Executes an operation for a caller in `scope`, and returns the body of the response.
    pub(crate) fn execute(
        &self,
        scope: Scope,
        operation: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, ServiceError> {
        let asker = scope.clone();
        let answer = self.commit(scope, |store, call| {
            let outcome = execute(store, call, operation, body)?;
            Ok((outcome.body, outcome.changes, outcome.events))
        });
        match &answer {
            Err(error) if operation == "RotateSecret" && error.code() == ErrorCode::InvalidRequest => {
                self.reattempt(asker, body);
            }
            // With a full disk, the day of a read cannot be recorded, but the read is still answered.
            Err(error) if is_read(operation) && error.code() == ErrorCode::InternalServiceError => {
                return self.peek(asker, operation, body).map(|outcome| outcome.body);
            }
            _ => {}
        }
        answer
    }

    fn execute_as_of(
        &self,
        seconds: f64,
        scope: Scope,
        operation: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, ServiceError> {
        let mut writer = self.writer();
        let (now, functions) = (self.clock.now(), self.functions.clone());
        let past = self.store().as_of(now.plus_millis(-(seconds * 1000.0) as i64));
        // The changes (the recorded access) are dropped, because they are based on the past.
        Ok(execute(&past, &mut Call { now, scope, random: &mut writer.random, functions }, operation, body)?
            .body)
    }

    /// Calls a function with the store, which does not change during the call, and the time.
    pub(crate) fn with_store<T>(&self, read: impl FnOnce(&Store, Timestamp) -> T) -> T {
        read(&self.store(), self.clock.now())
    }

    /// Decides about changes, writes them to the data file and applies them, as one atomic step.
    fn commit<T>(
        &self,
        scope: Scope,
        decide: impl FnOnce(&Store, &mut Call<'_>) -> Result<(T, Vec<Change>, Vec<Event>), ServiceError>,
    ) -> Result<T, ServiceError> {
        let Writer { random, journal } = &mut *self.writer();
        let (now, functions) = (self.clock.now(), self.functions.clone());
        let (answer, changes, events) = decide(&self.store(), &mut Call { now, scope, random, functions })?;
        if let (Some(journal), false) = (&mut *journal, changes.is_empty()) {
            // Written first, applied second, acknowledged last.
            journal.append(&changes).map_err(|error| {
                ServiceError::new(
                    ErrorCode::InternalServiceError,
                    format!("The data file cannot be written: {error}"),
                )
            })?;
        }
        let rotates = |change: &Change| matches!(change, Change::Put(_, secret) if secret.rotation.is_some());
        let concerns_rotations = changes.iter().any(rotates);
        self.apply(changes, now);
        if let Some(journal) = journal.as_mut().filter(|journal| journal.is_compaction_due()) {
            // Reads continue meanwhile. If it fails, the old file stays in use, and grows until a later attempt
            // succeeds.
            let _ = journal.compact(&self.store());
        }
        for event in events {
            self.story.rotation(&Entry::Event(&event));
            self.events.record(event);
        }
        if concerns_rotations {
            self.rotations.notify_waiters();
        }
        Ok(answer)
    }

    /// Applies changes, and reports them to the page.
    fn apply(&self, changes: Vec<Change>, now: Timestamp) {
        let before: Vec<_> = {
            let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
            let swap = |change: &Change| {
                let before = match change {
                    Change::Put(scope, secret) => store.by_arn(scope, &secret.arn).cloned(),
                    Change::Remove(..) => None,
                };
                store.apply(change.clone(), now);
                before
            };
            changes.iter().map(swap).collect()
        };
        for (change, before) in changes.iter().zip(before) {
            match change {
                Change::Put(scope, secret) => {
                    let moves = story::moves(before.as_deref(), secret, now);
                    moves.into_iter().for_each(|moved| self.story.rotation(&Entry::Moved(moved)));
                    self.story.notify("secret", || story::shown(scope, secret));
                }
                Change::Remove(_, arn) => self.story.notify("removed", || serde_json::json!({ "arn": arn })),
            }
        }
    }

    /// Locks the store for reading. Ignores poisoning: an operation changes nothing until it has succeeded, so the
    /// state is consistent even after a panic.
    fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
