//! The engine's part in rotations: triggers the next one, finds the function behind one, and records its steps.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::Engine;
use crate::arn::Scope;
use crate::error::ServiceError;
use crate::events::Event;
use crate::progress;
use crate::protocol::Envelope;
use crate::replication;
use crate::requests::Subject;
use crate::secret::Secret;
use crate::store::Change;
use crate::time::Timestamp;
use crate::validate;

impl Engine {
    /// Moves the clock to the next rotation of a secret, which makes it due, and returns the event that ends it.
    pub(crate) async fn next_rotation(&self, id: &str, patience: Duration) -> Result<Event, String> {
        let before = self.events.total();
        let (arn, due) = self.with_store(|store, now| {
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

    /// Returns the function that a request would invoke, if it is a RotateSecret.
    pub(crate) fn function_to_invoke(&self, envelope: &Envelope<'_>, body: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Parameters {
            #[serde(rename = "SecretId")]
            secret_id: String,
            #[serde(rename = "RotationLambdaARN")]
            function: Option<String>,
        }
        if envelope.operation().ok()? != "RotateSecret" || validate::check("RotateSecret", body).is_err() {
            return None;
        }
        let Parameters { secret_id, function } = serde_json::from_slice(body).ok()?;
        function.filter(|function| !function.is_empty()).or_else(|| {
            self.with_store(|store, now| {
                let (_, secret) = store.find_live(&envelope.scope(&self.defaults), &secret_id, now).ok()?;
                secret.rotation.as_ref()?.function.clone()
            })
        })
    }

    /// Changes one secret, if it exists.
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

    /// Makes an unfinished rotation that blocked a new one due at once: "That rotation will be reattempted."
    pub(super) fn reattempt(&self, scope: Scope, body: &[u8]) {
        let id = Subject::of(body).secret_id.unwrap_or_default();
        let found = self.with_store(|store, now| {
            let (scope, secret) = store.find_live(&scope, &id, now).ok()?;
            Some((scope, secret.arn.clone()))
        });
        let Some((scope, arn)) = found else { return };
        // The caller gets the original error anyway. If this cannot be written, the retry happens when it was due
        // before.
        let _ = self.change_secret(scope, &arn, |secret, now| {
            progress::expedite(secret, now);
            None
        });
    }
}
