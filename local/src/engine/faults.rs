//! Injects faults into requests, and counts requests.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use super::Engine;
use crate::error::{ErrorCode, ServiceError};
use crate::faults::{Effect, Fault, Faults, Verdict};
use crate::operations::is_read;
use crate::protocol::Envelope;
use crate::requests::Subject;

/// The active faults, and how often each operation was called.
#[derive(Default)]
pub(super) struct FaultState {
    faults: Faults,
    calls: Calls,
}

/// How often each operation was called, by outcome: `ok`, an error's type, or the name of a fault's effect.
pub type Calls = BTreeMap<String, BTreeMap<String, u64>>;

impl Engine {
    /// Returns what the active faults do to a request.
    pub(crate) fn judge(&self, envelope: &Envelope<'_>, body: &[u8]) -> Verdict {
        let mut state = self.fault_state();
        let Ok(operation) = envelope.operation() else { return Verdict::default() };
        if state.faults.is_empty() {
            return Verdict::default();
        }
        let Subject { secret_id, secret_ids, .. } = Subject::of(body);
        let scope = self.scope_of(envelope);
        // A rule may refer to a secret by name and a request by ARN, or the other way around.
        let means = |named: &str| {
            secret_id.iter().chain(&secret_ids).any(|id| {
                id == named
                    || self.with_store(|store, now| {
                        let arn =
                            |id| store.find(&scope, id, now).map(|(_, secret)| secret.arn.as_str()).ok();
                        arn(id).is_some_and(|id| arn(named) == Some(id))
                    })
            })
        };
        let mut verdict = state.faults.judge(operation, means);
        self.story.notify("faults", || serde_json::json!({ "faults": state.faults.rules() }));
        if matches!(verdict.effect, Some(Effect::Stale { .. })) && !is_read(operation) {
            verdict.effect = None;
        }
        verdict
    }

    /// Returns the error for a caller without permission.
    pub(crate) fn denied(&self, envelope: &Envelope<'_>, body: &[u8]) -> ServiceError {
        let (operation, scope) = (envelope.operation().unwrap_or("?"), envelope.scope(&self.defaults));
        let resource = Subject::of(body).secret_id.unwrap_or_else(|| "*".to_owned());
        ServiceError::new(
            ErrorCode::AccessDenied,
            format!(
                "User: arn:aws:iam::{}:user/local is not authorized to perform: secretsmanager:{operation} on \
                 resource: {resource} because no identity-based policy allows the secretsmanager:{operation} action",
                scope.account
            ),
        )
    }

    pub(crate) fn add_fault(&self, fault: Fault) -> u64 {
        let id = self.fault_state().faults.add(fault);
        self.story.notify("faults", || self.faults_json());
        id
    }

    pub(crate) fn remove_faults(&self, id: Option<u64>) -> bool {
        let was_there = self.fault_state().faults.remove(id);
        self.story.notify("faults", || self.faults_json());
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

    pub(super) fn fault_state(&self) -> MutexGuard<'_, FaultState> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
