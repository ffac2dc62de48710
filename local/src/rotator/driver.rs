//! Runs the rotations that are due: those requested, those whose window has opened, and those to retry.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use secretcache_rotation::Step;
use tokio::task::{Id, JoinSet};
use uuid::Uuid;

use super::functions::{Invocation, Invoker};
use super::store::EngineStore;
use crate::arn::Scope;
use crate::engine::Engine;
use crate::error::ServiceError;
use crate::events::Event;
use crate::progress;
use crate::rotation::{Purpose, Rotation};
use crate::secret::Secret;
use crate::store::Store;
use crate::story::{Entry, StepState};
use crate::time::Timestamp;

/// Runs rotations until it is dropped, one at a time for each secret.
pub(crate) async fn run(engine: Arc<Engine>, invoker: Arc<Invoker>) {
    let mut jobs = JoinSet::new();
    let mut running: HashMap<Id, Job> = HashMap::new();
    loop {
        // Registers for notifications before reading the store, so that none is missed in between.
        let mut woken = pin!(engine.rotations.notified());
        woken.as_mut().enable();
        let (due, wait) = engine.with_store(|store, now| {
            let is_running = |arn: &str| running.values().any(|job| job.arn == arn);
            due(store, now, is_running)
        });
        for job in due {
            let task = jobs.spawn(attempt(Arc::clone(&engine), Arc::clone(&invoker), job.clone()));
            running.insert(task.id(), job);
        }
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(wait) => {}
            Some(ended) = jobs.join_next_with_id() => {
                let id = ended.as_ref().map_or_else(|error| error.id(), |(id, ())| *id);
                let job = running.remove(&id);
                if let (Some(job), Err(_)) = (job, ended) {
                    let failed = |secret: &mut Secret, now| {
                        let token = secret.rotation.as_ref()?.underway.as_ref()?.token.clone();
                        progress::failed(secret, &token, "createSecret", "stopped by a bug in secretcache local", now)
                    };
                    keep(&engine, &job, failed).await;
                }
            }
        }
    }
}

/// A secret whose rotation is due.
#[derive(Clone)]
struct Job {
    scope: Scope,
    arn: String,
}

/// Returns the rotations due now, and how long to wait for the next one.
fn due(store: &Store, now: Timestamp, is_running: impl Fn(&str) -> bool) -> (Vec<Job>, Duration) {
    let mut jobs = Vec::new();
    let mut next = now.plus_millis(LONGEST_SLEEP.as_millis() as i64);
    for (scope, secret) in store.all().filter(|(_, secret)| !is_running(&secret.arn)) {
        match secret.rotation.as_ref().filter(|_| !secret.is_deleted()).and_then(due_at) {
            Some(at) if at <= now => jobs.push(Job { scope: scope.clone(), arn: secret.arn.clone() }),
            Some(at) => next = next.min(at),
            None => {}
        }
    }
    let wait = u64::try_from(next.millis() - now.millis()).unwrap_or_default();
    (jobs, Duration::from_millis(wait))
}

/// Returns when a secret's rotation is started or retried.
fn due_at(rotation: &Rotation) -> Option<Timestamp> {
    rotation.function.as_ref().filter(|_| rotation.enabled)?;
    match &rotation.underway {
        Some(underway) => underway.due,
        None => rotation.next.map(|window| window.opens),
    }
}

/// The rotation that a job runs, determined when the job starts.
struct Work {
    function: String,
    token: String,
    purpose: Purpose,
}

/// Runs one attempt at a rotation.
async fn attempt(engine: Arc<Engine>, invoker: Arc<Invoker>, job: Job) {
    let Some(work) = start(&engine, &job).await else { return };
    let store = EngineStore { engine: Arc::clone(&engine), scope: job.scope.clone() };
    let outcome = steps(&engine, &invoker, &store, &job, &work).await;
    let end = move |secret: &mut Secret, now| match outcome {
        Ok(notes) => progress::completed(secret, &work.token, &notes, now),
        Err((step, why)) => progress::failed(secret, &work.token, step.name(), &why, now),
    };
    keep(&engine, &job, end).await;
}

/// Returns the rotation in progress, or begins one because its window has opened.
async fn start(engine: &Arc<Engine>, job: &Job) -> Option<Work> {
    let token = Uuid::new_v4().to_string();
    let begin = move |secret: &mut Secret, now| {
        let is_begun = secret.rotation.as_ref()?.underway.is_some();
        // An unfinished rotation blocks any other: "That rotation will be reattempted."
        let token = progress::unfinished(secret).map_or(token, |version| version.id.clone());
        (!is_begun).then(|| progress::begin(secret, &token, Purpose::Rotate, now))
    };
    keep(engine, job, begin).await?;
    engine.with_store(|store, _| {
        let rotation = store.by_arn(&job.scope, &job.arn)?.rotation.as_ref()?;
        let underway = rotation.underway.as_ref()?;
        let (token, purpose) = (underway.token.clone(), underway.purpose);
        Some(Work { function: rotation.function.clone()?, token, purpose })
    })
}

/// Runs the steps, until the rotation is cancelled or abandoned. Returns notes for the event, or the failed step and
/// why.
async fn steps(
    engine: &Arc<Engine>,
    invoker: &Invoker,
    store: &EngineStore,
    job: &Job,
    work: &Work,
) -> Result<String, (Step, String)> {
    let steps = match work.purpose {
        Purpose::Rotate => &Step::ALL[..],
        Purpose::Test => &[Step::TestSecret],
    };
    let first = steps.first().copied().unwrap_or(Step::CreateSecret);
    let prepared = invoker.prepare(&work.function, &job.arn, store).await;
    let (function, notes) = prepared.map_err(|why| (first, why))?;
    // "Secrets Manager validates the identity using the token" (API reference, PutSecretValue); here it is only passed.
    let rotation_token = Uuid::new_v4().to_string();
    for step in steps {
        if !is_underway(engine, job, &work.token) {
            return Err((*step, "it was abandoned in the meantime".to_owned()));
        }
        let invocation = Invocation {
            step: *step,
            secret_arn: &job.arn,
            token: &work.token,
            rotation_token: &rotation_token,
        };
        let report = |state| {
            let (time, step) = (engine.now(), step.name());
            let (secret_arn, version_id) = (job.arn.as_str(), work.token.as_str());
            engine.story.rotation(&Entry::Step { time, secret_arn, version_id, step, state });
        };
        report(StepState::Started);
        let done = invoker.run(&function, invocation, store).await;
        report(if done.is_ok() { StepState::Done } else { StepState::Failed });
        done.map_err(|why| (*step, why))?;
    }
    Ok(notes.join("; "))
}

fn is_underway(engine: &Engine, job: &Job, token: &str) -> bool {
    engine.with_store(|store, _| {
        let secret = store.by_arn(&job.scope, &job.arn).filter(|secret| !secret.is_deleted());
        let rotation = secret.and_then(|secret| secret.rotation.as_ref());
        rotation
            .and_then(|rotation| rotation.underway.as_ref())
            .is_some_and(|underway| underway.token == token)
    })
}

/// Changes the state of a secret and stores it; returns `None` if it cannot be stored. The rotation is then still due,
/// so this waits first, to not retry at once.
async fn keep(
    engine: &Arc<Engine>,
    job: &Job,
    change: impl FnOnce(&mut Secret, Timestamp) -> Option<Event> + Send + 'static,
) -> Option<()> {
    let (scope, arn) = (job.scope.clone(), job.arn.clone());
    let run = move |engine: &Engine| engine.change_secret(scope, &arn, change);
    let kept: Result<(), ServiceError> = engine.run(run).await;
    if kept.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    kept.ok()
}

/// The maximum wait, because the clock of a suspended machine jumps. Checking for due rotations is cheap.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_secs(1);
