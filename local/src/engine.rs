//! The state behind the server: one store, its clock, its randomness, its data file, its troubles.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use serde::Deserialize;

use crate::arn::Place;
use crate::clock::Clock;
use crate::error::{ErrorCode, ServiceError};
use crate::faults::{Effect, Fault, Faults, Verdict};
use crate::journal::Journal;
use crate::operations::{Call, execute, is_read};
use crate::options::{Options, StartError};
use crate::protocol::{Envelope, Reply};
use crate::store::Store;

/// Answers requests one at a time, so that every operation sees the whole effect of the one before.
pub(crate) struct Engine {
    state: Mutex<State>,
    trouble: Mutex<Trouble>,
    pub(crate) clock: Clock,
    defaults: Place,
    is_durable: bool,
}

struct State {
    store: Store,
    random: StdRng,
    journal: Option<Journal>,
}

#[derive(Default)]
struct Trouble {
    faults: Faults,
    calls: Calls,
}

/// How often each operation was called, by outcome: `ok`, an error's type, or what was done to the request.
pub type Calls = BTreeMap<String, BTreeMap<String, u64>>;

impl Engine {
    pub(crate) fn new(options: &Options) -> Result<Self, StartError> {
        let clock = Clock::default();
        let mut store = Store::new(options.control);
        let open = |path| {
            Journal::open(path, &mut store, clock.now()).map_err(|source| StartError::data(path, source))
        };
        let journal = options.data.as_deref().map(open).transpose()?;
        let random =
            StdRng::try_from_rng(&mut SysRng).map_err(|e| StartError::Random(std::io::Error::other(e)))?;
        Ok(Self {
            is_durable: journal.is_some(),
            state: Mutex::new(State { store, random, journal }),
            trouble: Mutex::default(),
            clock,
            defaults: options.defaults.clone(),
        })
    }

    /// Whether answering may wait for the disk.
    pub(crate) fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// What the faults in force make of a request.
    pub(crate) fn judge(&self, envelope: &Envelope<'_>, body: &[u8]) -> Verdict {
        let mut trouble = self.trouble();
        let Ok(operation) = envelope.operation() else { return Verdict::default() };
        if trouble.faults.is_empty() {
            return Verdict::default();
        }
        let id = secret_id(body);
        let mut verdict = trouble.faults.judge(operation, id.as_deref());
        if matches!(verdict.effect, Some(Effect::Stale { .. })) && !is_read(operation) {
            verdict.effect = None;
        }
        verdict
    }

    /// What a caller without permission is told.
    pub(crate) fn denied(&self, envelope: &Envelope<'_>, body: &[u8]) -> ServiceError {
        let (operation, place) = (envelope.operation().unwrap_or("?"), envelope.place(&self.defaults));
        let resource = secret_id(body).unwrap_or_else(|| "*".to_owned());
        ServiceError::new(
            ErrorCode::AccessDenied,
            format!(
                "User: arn:aws:iam::{}:user/local is not authorized to perform: secretsmanager:{operation} on \
                 resource: {resource} because no identity-based policy allows the secretsmanager:{operation} action",
                place.account
            ),
        )
    }

    /// The answer to a request, on a store `stale` seconds old if given.
    pub(crate) fn answer(&self, envelope: &Envelope<'_>, body: &[u8], stale: Option<f64>) -> Reply {
        match self.run(envelope, body, stale) {
            Ok(body) => Reply::ok(body),
            Err(error) => Reply::error(&error),
        }
    }

    fn run(&self, envelope: &Envelope<'_>, body: &[u8], stale: Option<f64>) -> Result<Vec<u8>, ServiceError> {
        let operation = envelope.operation()?;
        let place = envelope.place(&self.defaults);
        let mut state = self.state();
        let State { store, random, journal } = &mut *state;
        let now = self.clock.now();
        let mut call = Call { now, place, random };
        if let Some(seconds) = stale {
            let past = store.as_of(now.plus_millis(-(seconds * 1000.0) as i64));
            // What a read of the past would note (the access) is not of the present.
            return Ok(execute(&past, &mut call, operation, body)?.body);
        }
        let outcome = execute(store, &mut call, operation, body)?;
        if let (Some(journal), false) = (journal, outcome.changes.is_empty()) {
            // Kept first, applied second, acknowledged last.
            journal.append(&outcome.changes).map_err(|error| {
                ServiceError::new(
                    ErrorCode::InternalServiceError,
                    format!("The data file cannot be written: {error}"),
                )
            })?;
        }
        for change in outcome.changes {
            store.apply(change, now);
        }
        Ok(outcome.body)
    }

    pub(crate) fn add_fault(&self, fault: Fault) -> u64 {
        self.trouble().faults.add(fault)
    }

    pub(crate) fn remove_faults(&self, id: Option<u64>) -> bool {
        self.trouble().faults.remove(id)
    }

    pub(crate) fn faults_json(&self) -> serde_json::Value {
        serde_json::json!({ "faults": self.trouble().faults.rules() })
    }

    /// Counts a call by its outcome.
    pub(crate) fn count(&self, envelope: &Envelope<'_>, outcome: &str) {
        let operation = envelope.operation().unwrap_or("?");
        let mut trouble = self.trouble();
        let outcomes = match trouble.calls.get_mut(operation) {
            Some(outcomes) => outcomes,
            None => trouble.calls.entry(operation.to_owned()).or_default(),
        };
        match outcomes.get_mut(outcome) {
            Some(count) => *count += 1,
            None => drop(outcomes.insert(outcome.to_owned(), 1)),
        }
    }

    pub(crate) fn calls(&self) -> Calls {
        self.trouble().calls.clone()
    }

    pub(crate) fn forget_calls(&self) {
        self.trouble().calls.clear();
    }

    /// Operations change nothing until they have succeeded, so the state of a panicked one is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
