//! The state behind the server: one store, its clock, its randomness, its data file, its faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::arn::Scope;
use crate::clock::Clock;
use crate::error::{ErrorCode, ServiceError};
use crate::events::{Event, Events};
use crate::faults::{Effect, Fault, Faults, Verdict};
use crate::journal::Journal;
use crate::operations::{Call, Functions, Outcome, execute, is_read};
use crate::options::{Options, StartError};
use crate::protocol::{Envelope, Reply};
use crate::replication;
use crate::requests::Subject;
use crate::rotation::progress;
use crate::secret::Secret;
use crate::seed;
use crate::store::{Change, Store};
use crate::story::{self, Entry, Story};
use crate::time::Timestamp;

/// Changes the store by one request at a time, so that each sees the whole effect of the one before. Requests that only
/// read wait for nobody: neither for each other nor for a write that is on its way to the disk.
pub(crate) struct Engine {
    store: RwLock<Store>,
    /// Held from deciding about a change until it is applied.
    writer: Mutex<Writer>,
    fault_state: Mutex<FaultState>,
    clock: Clock,
    defaults: Scope,
    functions: Functions,
    is_durable: bool,
    /// What is wrong with the data file although it can be used.
    pub(crate) warning: Option<String>,
    /// What it held at the start, and holds again after a reset, with the seed's secrets as the seed has them.
    beginning: Store,
    /// What happened to rotations.
    pub(crate) events: Events,
    /// What the page shows of the past.
    pub(crate) story: Story,
    /// Tells the one who runs rotations that something about them may have changed.
    pub(crate) rotations: Notify,
}

struct Writer {
    random: StdRng,
    journal: Option<Journal>,
}

#[derive(Default)]
struct FaultState {
    faults: Faults,
    calls: Calls,
}

/// How often each operation was called, by outcome: `ok`, an error's type, or what was done to the request.
pub type Calls = BTreeMap<String, BTreeMap<String, u64>>;

impl Engine {
    pub(crate) fn new(options: &Options, functions: Functions) -> Result<Self, StartError> {
        let clock = Clock::default();
        let mut store = Store::new(options.control);
        let open = |path| {
            Journal::open(path, &mut store, clock.now()).map_err(|source| StartError::data(path, source))
        };
        let (journal, warning) = options.data.as_deref().map(open).transpose()?.unzip();
        let seed = match &options.seed {
            Some(path) => seed::load(path, &options.defaults, clock.now())
                .map_err(|reason| StartError::Seed { path: path.clone(), reason })?,
            None => Vec::new(),
        };
        // What a data file already has is left as it is.
        let is_new = |change: &Change| match change {
            Change::Put(scope, secret) => store.find(scope, &secret.name, clock.now()).is_err(),
            Change::Remove(..) => false,
        };
        let (missing, known): (Vec<_>, Vec<_>) = seed.into_iter().partition(is_new);
        missing.into_iter().for_each(|change| store.apply(change, clock.now()));
        resume(&mut store, clock.now());
        let mut beginning = store.clone();
        for change in known {
            if let Change::Put(scope, secret) = &change
                && let Ok((_, old)) = store.find(scope, &secret.name, clock.now())
            {
                beginning.apply(Change::Remove(scope.clone(), old.arn.clone()), clock.now());
            }
            beginning.apply(change, clock.now());
        }
        let random =
            StdRng::try_from_rng(&mut SysRng).map_err(|e| StartError::Random(std::io::Error::other(e)))?;
        Ok(Self {
            is_durable: journal.is_some(),
            beginning,
            store: RwLock::new(store),
            writer: Mutex::new(Writer { random, journal }),
            warning: warning.flatten(),
            fault_state: Mutex::default(),
            clock,
            defaults: options.defaults.clone(),
            functions,
            events: Events::new(options.log.clone()),
            story: Story::default(),
            rotations: Notify::new(),
        })
    }

    /// Does something with the engine; on a thread that may wait for the disk, if there is a data file.
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

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock, forwards or back.
    pub(crate) fn move_clock(&self, millis: i64) {
        self.clock.advance(millis);
        self.rotations.notify_waiters();
        self.story.now("clock", || self.clock_json());
    }

    /// Stops the clock, or lets it run on.
    pub(crate) fn freeze_clock(&self, frozen: bool) {
        self.clock.freeze(frozen);
        self.rotations.notify_waiters();
        self.story.now("clock", || self.clock_json());
    }

    /// The account and region of a caller.
    pub(crate) fn scope_of(&self, envelope: &Envelope<'_>) -> Scope {
        envelope.scope(&self.defaults)
    }

    /// Makes everything as it was at the start: the secrets of the data file and of the seed, no faults, no counts, no
    /// events, the system's time.
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

    /// All secrets without their values.
    pub(crate) fn secrets_json(&self) -> serde_json::Value {
        self.look(|store, now| {
            let present = store.all().filter(|(_, secret)| !secret.is_gone(now));
            let secrets: Vec<_> = present.map(|(scope, secret)| story::shown(scope, secret)).collect();
            serde_json::json!({ "secrets": secrets })
        })
    }

    pub(crate) fn clock_json(&self) -> serde_json::Value {
        serde_json::json!({ "now": self.now(), "frozen": self.clock.is_frozen() })
    }

    /// A seed file of what there is, values included.
    pub(crate) fn export(&self) -> Vec<u8> {
        self.look(seed::export)
    }

    /// Moves the clock to the next rotation of a secret, which makes it due, and gives what happened to it.
    pub(crate) async fn next_rotation(&self, id: &str, patience: Duration) -> Result<Event, String> {
        let before = self.events.total();
        let (arn, due) = self.look(|store, now| {
            let (_, secret) =
                store.find_live(&self.defaults, id, now).map_err(|error| error.message().to_owned())?;
            let rotation = secret.rotation.as_ref().filter(|rotation| rotation.enabled);
            let due = rotation.and_then(|rotation| match &rotation.underway {
                Some(underway) => underway.due,
                None => rotation.next.map(|window| window.opens),
            });
            due.map(|due| (secret.arn.clone(), due))
                .ok_or_else(|| format!("no rotation of {id:?} is scheduled"))
        })?;
        self.move_clock((due.millis() - self.now().millis()).max(0));
        let ended = || {
            let new = self.events.since(before).into_iter();
            new.filter(|event| event.secret_arn == arn).find(|event| event.event.is_end())
        };
        let waiting = async {
            loop {
                if let Some(event) = ended() {
                    return event;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience_ms = patience.as_millis();
        tokio::time::timeout(patience, waiting)
            .await
            .map_err(|_| format!("the rotation of {id:?} did not end within {patience_ms} ms"))
    }

    /// What the faults in force make of a request.
    pub(crate) fn judge(&self, envelope: &Envelope<'_>, body: &[u8]) -> Verdict {
        let mut state = self.fault_state();
        let Ok(operation) = envelope.operation() else { return Verdict::default() };
        if state.faults.is_empty() {
            return Verdict::default();
        }
        let id = Subject::of(body).secret_id;
        let scope = self.scope_of(envelope);
        // A rule names a secret as a person does, a request perhaps by its ARN.
        let means = |named: &str| {
            id.as_deref().is_some_and(|id| {
                id == named
                    || self.look(|store, now| {
                        let arn =
                            |id| store.find(&scope, id, now).map(|(_, secret)| secret.arn.as_str()).ok();
                        arn(id).is_some_and(|id| arn(named) == Some(id))
                    })
            })
        };
        let mut verdict = state.faults.judge(operation, means);
        self.story.now("faults", || serde_json::json!({ "faults": state.faults.rules() }));
        if matches!(verdict.effect, Some(Effect::Stale { .. })) && !is_read(operation) {
            verdict.effect = None;
        }
        verdict
    }

    /// The function that a request would have invoked, if it is a RotateSecret.
    pub(crate) fn function_to_invoke(&self, envelope: &Envelope<'_>, body: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Parameters {
            #[serde(rename = "SecretId")]
            secret_id: String,
            #[serde(rename = "RotationLambdaARN")]
            function: Option<String>,
        }
        if envelope.operation().ok()? != "RotateSecret" {
            return None;
        }
        let Parameters { secret_id, function } = serde_json::from_slice(body).ok()?;
        function.filter(|function| !function.is_empty()).or_else(|| {
            self.look(|store, now| {
                let (_, secret) = store.find_live(&envelope.scope(&self.defaults), &secret_id, now).ok()?;
                secret.rotation.as_ref()?.function.clone()
            })
        })
    }

    /// What a caller without permission is told.
    pub(crate) fn denied(&self, envelope: &Envelope<'_>, body: &[u8]) -> ServiceError {
        let (operation, scope) = (envelope.operation().unwrap_or("?"), envelope.scope(&self.defaults));
        let resource = secret_id(body).unwrap_or_else(|| "*".to_owned());
        ServiceError::new(
            ErrorCode::AccessDenied,
            format!(
                "User: arn:aws:iam::{}:user/local is not authorized to perform: secretsmanager:{operation} on \
                 resource: {resource} because no identity-based policy allows the secretsmanager:{operation} action",
                scope.account
            ),
        )
    }

    /// The answer to a request, on a store `stale` seconds old if given.
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

    /// The answer to a request that changes nothing; `None` if it is not such a request.
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
            // The first read of a day notes the day.
            Ok(outcome) => outcome.changes.is_empty().then_some(Ok(outcome.body)),
            Err(error) => Some(Err(error)),
        }
    }

    /// What an operation would answer and change.
    fn peek(&self, scope: Scope, operation: &str, body: &[u8]) -> Result<Outcome, ServiceError> {
        // Only GetRandomPassword needs any.
        let mut random = StdRng::try_from_rng(&mut SysRng).map_err(|error| {
            ServiceError::new(ErrorCode::InternalServiceError, format!("There is no randomness: {error}"))
        })?;
        let (now, functions) = (self.clock.now(), self.functions.clone());
        execute(&self.store(), &mut Call { now, scope, random: &mut random, functions }, operation, body)
    }

    /// Runs an operation for a caller in `scope`, and gives the body of the answer.
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
            // A full disk keeps the day of a read from being noted, not the read from being answered.
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
        // What a read of the past would note (the access) is not of the present.
        Ok(execute(&past, &mut Call { now, scope, random: &mut writer.random, functions }, operation, body)?
            .body)
    }

    /// Takes one secret from a state to the next, if it is there.
    pub(crate) fn change_secret(
        &self,
        scope: Scope,
        arn: &str,
        change: impl FnOnce(&mut Secret, Timestamp) -> Option<Event>,
    ) -> Result<(), ServiceError> {
        self.commit(scope.clone(), |store, call| {
            let Some(mut secret) = store.by_arn(&scope, arn).map(|secret| secret.as_ref().clone()) else {
                return Ok(((), Vec::new(), Vec::new()));
            };
            let events: Vec<_> = change(&mut secret, call.now).into_iter().collect();
            let has_changed = store.by_arn(&scope, arn).is_some_and(|before| **before != secret);
            let mut changes = Vec::from_iter(has_changed.then(|| Change::Put(scope, Arc::new(secret))));
            replication::follow(store, &mut changes);
            Ok(((), changes, events))
        })
    }

    /// Looks at the store, which stands still meanwhile.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Store, Timestamp) -> T) -> T {
        look(&self.store(), self.clock.now())
    }

    /// Decides about changes, keeps them and makes them, as one step.
    fn commit<T>(
        &self,
        scope: Scope,
        decide: impl FnOnce(&Store, &mut Call<'_>) -> Result<(T, Vec<Change>, Vec<Event>), ServiceError>,
    ) -> Result<T, ServiceError> {
        let Writer { random, journal } = &mut *self.writer();
        let (now, functions) = (self.clock.now(), self.functions.clone());
        let (answer, changes, events) = decide(&self.store(), &mut Call { now, scope, random, functions })?;
        if let (Some(journal), false) = (&mut *journal, changes.is_empty()) {
            // Kept first, applied second, acknowledged last.
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
            // Reads go on meanwhile. If it fails, the file stays as it is and grows until it succeeds.
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

    /// Makes an unfinished rotation that barred another one due at once: "That rotation will be reattempted."
    fn reattempt(&self, scope: Scope, body: &[u8]) {
        let id = secret_id(body).unwrap_or_default();
        let found = self.look(|store, now| {
            let (scope, secret) = store.find_live(&scope, &id, now).ok()?;
            Some((scope, secret.arn.clone()))
        });
        let Some((scope, arn)) = found else { return };
        // Whoever asked is answered already; if this cannot be kept, the retry comes when it would have come.
        let _ = self.change_secret(scope, &arn, |secret, now| {
            progress::expedite(secret, now);
            None
        });
    }

    pub(crate) fn add_fault(&self, fault: Fault) -> u64 {
        let id = self.fault_state().faults.add(fault);
        self.story.now("faults", || self.faults_json());
        id
    }

    pub(crate) fn remove_faults(&self, id: Option<u64>) -> bool {
        let was_there = self.fault_state().faults.remove(id);
        self.story.now("faults", || self.faults_json());
        was_there
    }

    pub(crate) fn faults_json(&self) -> serde_json::Value {
        serde_json::json!({ "faults": self.fault_state().faults.rules() })
    }

    /// Counts a call by its outcome.
    pub(crate) fn count(&self, envelope: &Envelope<'_>, outcome: &str) {
        let operation = envelope.operation().unwrap_or("?");
        let mut state = self.fault_state();
        let outcomes = match state.calls.get_mut(operation) {
            Some(outcomes) => outcomes,
            None => state.calls.entry(operation.to_owned()).or_default(),
        };
        match outcomes.get_mut(outcome) {
            Some(count) => *count += 1,
            None => drop(outcomes.insert(outcome.to_owned(), 1)),
        }
    }

    pub(crate) fn calls(&self) -> Calls {
        self.fault_state().calls.clone()
    }

    pub(crate) fn forget_calls(&self) {
        self.fault_state().calls.clear();
    }

    /// Makes changes, and tells of them.
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
                    self.story.now("secret", || story::shown(scope, secret));
                }
                Change::Remove(_, arn) => self.story.now("removed", || serde_json::json!({ "arn": arn })),
            }
        }
    }

    /// Operations change nothing until they have succeeded, so the state of a panicked one is still whole.
    fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault_state(&self) -> MutexGuard<'_, FaultState> {
        self.fault_state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes rotations that a stop interrupted due, whatever the clock said when they were to go on.
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

/// The `SecretId` of a request, if it has one.
fn secret_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(rename = "SecretId")]
        secret_id: Option<String>,
    }
    serde_json::from_slice::<Parameters>(body).ok()?.secret_id
}

#[cfg(test)]
mod tests;
