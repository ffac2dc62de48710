//! Handles one event of the service.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use secretcache::Selector;
use secretcache_rotation::{
    AwsStore, Driver, Engine, Error, ErrorKind, Event, RealPause, Rotator, SecretStore, StepOutcome,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::log;
use crate::settings::{self, Process};

/// How long before Lambda's timeout a step is abandoned, so that the function can log why.
const MARGIN: Duration = Duration::from_millis(500);

/// State kept between events: clients, and what is known of each secret's resource, but no credentials.
#[derive(Debug, Default)]
pub(crate) struct Function {
    store: Mutex<Option<AwsStore>>,
    rotators: Mutex<HashMap<String, Arc<Rotator>>>,
}

impl Function {
    /// Runs the step of an event.
    ///
    /// # Errors
    ///
    /// The error of the step. The service then counts it as failed and retries the rotation.
    pub(crate) async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<(), Diagnostic> {
        let LambdaEvent { payload, context } = event;
        let began = log::now();
        let fields = |event: Option<&Event>, more: Value| {
            let mut fields = json!({
                "requestId": context.request_id,
                "step": event.map(|event| event.step.name()),
                "secretId": event.map(|event| &event.secret_id),
                "version": event.map(|event| &event.client_request_token),
                "milliseconds": began.elapsed().ok().map(|time| time.as_millis()),
            });
            if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
                fields.extend(more);
            }
            fields
        };
        let event = Event::from_json(payload.get().as_bytes());
        let outcome = match &event {
            Ok(event) => self.step_in_time(event, &context).await,
            Err(error) => Err(Error::new(error.kind(), error.message())),
        };
        let event = event.ok();
        match outcome {
            Ok(StepOutcome::Done) => log::write("INFO", "step done", fields(event.as_ref(), Value::Null)),
            Ok(StepOutcome::Finished) => {
                log::write("INFO", "the version is already current", fields(event.as_ref(), Value::Null));
            }
            Err(error) => {
                let error = match settings::variable_for(error.kind()) {
                    Some(variable) => error.and(variable),
                    None => error,
                };
                let failure = Diagnostic {
                    error_type: format!("{:?}", error.kind()),
                    error_message: log::with_causes(&error),
                };
                let more = json!({ "errorType": failure.error_type, "error": failure.error_message });
                log::write("ERROR", "step failed", fields(event.as_ref(), more));
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Runs a step with a timeout, because Lambda kills a process that takes too long without logging why. The usual
    /// cause is a network that blocks the way to the database or to Secrets Manager.
    async fn step_in_time(&self, event: &Event, context: &Context) -> Result<StepOutcome, Error> {
        let left = time_left(context.deadline(), log::now());
        let outcome = tokio::time::timeout(left, self.step(event, context)).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Unavailable,
                "the function is about to time out; raise its timeout, or find out why the database or Secrets Manager does not answer (in a VPC: security groups, and a Secrets Manager endpoint)",
            ))
        });
        if outcome.is_err() {
            // The remembered state may be the cause.
            lock(&self.rotators).remove(&event.secret_id);
        }
        outcome
    }

    async fn step(&self, event: &Event, context: &Context) -> Result<StepOutcome, Error> {
        let settings = settings::settings(&Process)?;
        let store = self.store().await?;
        let rotator = self.rotator(&store, event, context).await?;
        let strategy = rotator.strategy();
        let engine = Engine {
            store: &store,
            strategy: strategy.as_ref(),
            pause: &RealPause,
            settings: &settings,
            driver: Driver::Service,
        };
        engine.step(event).await
    }

    async fn store(&self) -> Result<AwsStore, Error> {
        let known = lock(&self.store).clone();
        if let Some(store) = known {
            return Ok(store);
        }
        let store = AwsStore::connect(&settings::options(&Process)).await?;
        Ok(lock(&self.store).insert(store).clone())
    }

    async fn rotator(
        &self,
        store: &AwsStore,
        event: &Event,
        context: &Context,
    ) -> Result<Arc<Rotator>, Error> {
        let known = lock(&self.rotators).get(&event.secret_id).cloned();
        if let Some(rotator) = known {
            return Ok(rotator);
        }
        let options = settings::rotation_options(&Process, &context.invoked_function_arn)?;
        let Some(current) = store.get(&event.secret_id, Selector::CURRENT).await? else {
            return Err(Error::new(
                ErrorKind::NotStaged,
                "the secret does not exist, or has no AWSCURRENT value",
            ));
        };
        let (rotator, warnings) = Rotator::new(&current.document, &options)?;
        for warning in warnings {
            log::write(
                "WARN",
                &warning,
                json!({ "requestId": context.request_id, "secretId": event.secret_id }),
            );
        }
        let rotator = Arc::new(rotator);
        lock(&self.rotators).insert(event.secret_id.clone(), Arc::clone(&rotator));
        Ok(rotator)
    }
}

/// Returns how long a step can take.
fn time_left(deadline: SystemTime, now: SystemTime) -> Duration {
    match deadline.duration_since(now) {
        Ok(left) => left.saturating_sub(MARGIN),
        // cargo-lambda's emulator sends a deadline in 1970, and enforces none.
        Err(past) if past.duration() > LONGEST => LONGEST,
        Err(_) => Duration::ZERO,
    }
}

/// The longest timeout that Lambda allows.
const LONGEST: Duration = Duration::from_secs(900);

/// Locks a mutex, ignoring poisoning: no code that panics holds one of these.
fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
