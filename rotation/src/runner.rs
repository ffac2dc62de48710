//! Runs whole rotations without the service: from the command line, a timer, or a local endpoint.

use secretcache::{AWSCURRENT, AWSPENDING, Selector};

use crate::contract::Driver;
use crate::engine::{Engine, StepOutcome};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Step};
use crate::observer::{Observer, Progress, Rotation, Unobserved};
use crate::settings::Settings;
use crate::store::{Pause, SecretState, SecretStore};
use crate::strategy::Strategy;
use crate::token::derive_token;

/// Runs whole rotations, without a rotation function.
///
/// Two runners that start at the same time derive the same version id, and so work on one rotation together. A runner
/// that starts later resumes what it finds, including a rotation that the service started.
#[derive(Clone, Copy, Debug)]
pub struct Runner<'a> {
    /// The secret store.
    pub store: &'a dyn SecretStore,
    /// How the resource's credential changes.
    pub strategy: &'a dyn Strategy,
    /// How to wait.
    pub pause: &'a dyn Pause,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// How many times to run a rotation in total if it fails for a transient reason.
    pub attempts: u32,
}

impl Runner<'_> {
    /// Returns the rotation in progress, or the one that would start now. Changes nothing.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::NotStaged`] if the secret has no current version.
    pub async fn find(&self, secret_id: &str) -> Result<Rotation, Error> {
        find(self.store, secret_id).await
    }

    /// Runs a rotation to completion, and retries where that can help.
    ///
    /// # Errors
    ///
    /// The error of the last attempt. Either the secret works as before, or the next run resumes from there.
    pub async fn rotate(&self, secret_id: &str) -> Result<Rotation, Error> {
        self.rotate_observed(secret_id, &Unobserved).await
    }

    /// Like [`Runner::rotate`], reporting progress to an observer.
    ///
    /// # Errors
    ///
    /// As [`Runner::rotate`].
    pub async fn rotate_observed(&self, secret_id: &str, observer: &dyn Observer) -> Result<Rotation, Error> {
        let rotation = self.find(secret_id).await?;
        self.run_to_the_end(secret_id, rotation, observer, true).await
    }

    /// Resumes the rotation in progress. Returns `None`, and starts nothing, if there is none.
    ///
    /// # Errors
    ///
    /// As [`Runner::rotate`].
    pub async fn resume(&self, secret_id: &str, observer: &dyn Observer) -> Result<Option<Rotation>, Error> {
        let rotation = self.find(secret_id).await?;
        if !rotation.is_resumed {
            return Ok(None);
        }
        self.run_to_the_end(secret_id, rotation, observer, false).await.map(Some)
    }

    async fn run_to_the_end(
        &self,
        secret_id: &str,
        mut rotation: Rotation,
        observer: &dyn Observer,
        may_begin: bool,
    ) -> Result<Rotation, Error> {
        let mut attempt = 1;
        loop {
            observer.notice(Progress::Found(&rotation));
            let error = match self.run(secret_id, &rotation, observer).await {
                Ok(()) => return Ok(rotation),
                Err(error) => error,
            };
            if attempt >= self.attempts || !error.kind().is_worth_retrying() {
                return Err(error);
            }
            self.pause.pause(self.settings.pause.saturating_mul(attempt)).await;
            attempt += 1;
            let found = self.find(secret_id).await?;
            // Another driver may have finished this rotation. Do not start a second one.
            if found.current == rotation.token {
                return Ok(rotation);
            }
            if !found.is_resumed && !may_begin {
                return Err(error);
            }
            observer.notice(Progress::Retrying { attempt });
            rotation = found;
        }
    }

    /// Abandons the rotation in progress, if any: makes the current value work again if the rotation broke it, and
    /// removes `AWSPENDING`.
    ///
    /// # Errors
    ///
    /// Errors of the store and the resource. The rotation is then still in progress.
    pub async fn revert(&self, secret_id: &str) -> Result<Option<Rotation>, Error> {
        let rotation = self.find(secret_id).await?;
        if !rotation.is_resumed {
            return Ok(None);
        }
        self.engine(Driver::ResumingRunner)
            .revert(&event(Step::TestSecret, secret_id, &rotation.token))
            .await?;
        Ok(Some(rotation))
    }

    /// Runs the steps except testSecret: finishSecret repeats its proof, and with a single user it would only lengthen
    /// the time in which the current password does not work. If finishSecret's proof fails, testSecret runs after all,
    /// because it restores the current password.
    async fn run(&self, secret_id: &str, rotation: &Rotation, observer: &dyn Observer) -> Result<(), Error> {
        for step in [Step::CreateSecret, Step::SetSecret, Step::FinishSecret] {
            match self.run_step(step, secret_id, rotation, observer).await {
                Ok(StepOutcome::Done) => {}
                Ok(StepOutcome::Finished) => break,
                Err(error) if step == Step::FinishSecret && error.kind() == ErrorKind::Refused => {
                    self.run_step(Step::TestSecret, secret_id, rotation, observer).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn run_step(
        &self,
        step: Step,
        secret_id: &str,
        rotation: &Rotation,
        observer: &dyn Observer,
    ) -> Result<StepOutcome, Error> {
        observer.notice(Progress::StepBegins(step));
        let driver = if rotation.is_resumed { Driver::ResumingRunner } else { Driver::Runner };
        let outcome = self.engine(driver).step(&event(step, secret_id, &rotation.token)).await;
        observer.notice(match &outcome {
            Ok(progress) => Progress::StepDone(step, *progress),
            Err(error) => Progress::StepFailed(step, error),
        });
        outcome
    }

    fn engine(&self, driver: Driver) -> Engine<'_> {
        let Self { store, strategy, pause, settings, .. } = *self;
        Engine { store, strategy, pause, settings, driver }
    }
}

async fn find(store: &dyn SecretStore, secret_id: &str) -> Result<Rotation, Error> {
    let mut state = store.describe(secret_id).await?;
    loop {
        let (current, pending) = labels(&state);
        let Some(current) = current.map(str::to_owned) else {
            return Err(Error::new(ErrorKind::NotStaged, "the secret has no AWSCURRENT version"));
        };
        if let Some(pending) = pending.filter(|pending| *pending != current) {
            return Ok(Rotation { token: pending.to_owned(), current, is_resumed: true });
        }
        let (token, passed_over) = new_token(store, secret_id, &state, &current).await?;
        let begins = Rotation { token, current, is_resumed: false };
        if passed_over == 0 {
            return Ok(begins);
        }
        // A version that was skipped was either abandoned, or made by another runner since the labels were read.
        let seen = store.describe(secret_id).await?;
        if labels(&seen) == labels(&state) {
            return Ok(begins);
        }
        state = seen;
    }
}

/// Returns the first derived id that no version has, and how many were skipped. Abandoned versions keep their ids. Ids
/// are checked one by one, because the list of all versions grows with every recent rotation.
async fn new_token(
    store: &dyn SecretStore,
    secret_id: &str,
    state: &SecretState,
    current: &str,
) -> Result<(String, u32), Error> {
    for attempt in 0..MOST_GIVEN_UP {
        let token = derive_token(&state.arn, current, attempt);
        if state.version(&token).is_some() {
            continue;
        }
        match store.get(secret_id, Selector::version_id(&token)).await {
            Ok(None) => return Ok((token, attempt)),
            // A version whose value is not a credential also uses up its id.
            Err(error) if error.kind() != ErrorKind::Misconfigured => return Err(error),
            _ => {}
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "1000 rotations from the current version were abandoned; run again when Secrets Manager has deleted some of their versions",
    ))
}

/// Returns the ids of the versions labelled `AWSCURRENT` and `AWSPENDING`.
fn labels(state: &SecretState) -> (Option<&str>, Option<&str>) {
    let holder = |stage| state.labelled(stage).map(|version| version.id.as_str());
    (holder(AWSCURRENT), holder(AWSPENDING))
}

/// How many rotations away from one version can be abandoned. The service eventually deletes their versions.
const MOST_GIVEN_UP: u32 = 1000;

fn event(step: Step, secret_id: &str, token: &str) -> Event {
    Event {
        step,
        secret_id: secret_id.to_owned(),
        client_request_token: token.to_owned(),
        rotation_token: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use zeroize::Zeroizing;

    use super::*;
    use crate::document::Document;
    use crate::password::PasswordPolicy;
    use crate::store::{BoxFuture, Moved, Pending, Put, StageMove, Version, VersionState};

    /// Version ids with their labels. `pushed` is added right after the labels are first read.
    #[derive(Debug)]
    struct Store {
        versions: Mutex<Vec<VersionState>>,
        pushed: Mutex<Option<VersionState>>,
    }

    impl SecretStore for Store {
        fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<SecretState, Error>> {
            let mut versions = self.versions.lock().unwrap();
            let labelled = versions.iter().filter(|version| !version.stages.is_empty()).cloned().collect();
            versions.extend(self.pushed.lock().unwrap().take());
            let state = SecretState { arn: "arn".into(), versions: labelled, ..SecretState::default() };
            Box::pin(async { Ok(state) })
        }

        fn get<'a>(
            &'a self,
            _: &'a str,
            wanted: Selector<'a>,
        ) -> BoxFuture<'a, Result<Option<Version>, Error>> {
            let versions = self.versions.lock().unwrap();
            let found = versions.iter().find(|version| Some(version.id.as_str()) == wanted.as_version_id());
            let document = Document::parse("{}").unwrap();
            let found = found.map(|version| Version { id: version.id.clone(), created: None, document });
            Box::pin(async { Ok(found) })
        }

        fn put_pending<'a>(&'a self, _: Pending<'a>) -> BoxFuture<'a, Result<Put, Error>> {
            unreachable!("nothing is changed")
        }

        fn move_stage<'a>(&'a self, _: &'a str, _: StageMove<'a>) -> BoxFuture<'a, Result<Moved, Error>> {
            unreachable!("nothing is changed")
        }

        fn random_password<'a>(
            &'a self,
            _: &'a PasswordPolicy,
        ) -> BoxFuture<'a, Result<Zeroizing<String>, Error>> {
            unreachable!("nothing is made")
        }

        fn list_versions<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<VersionState>, Error>> {
            unreachable!("it has a page for each rotation")
        }
    }

    fn version(id: &str, stages: &[&str]) -> VersionState {
        VersionState { id: id.to_owned(), stages: stages.iter().map(|stage| (*stage).to_owned()).collect() }
    }

    /// What a runner finds when `pushed` is added right after it first reads the labels.
    fn found(versions: &[VersionState], pushed: Option<VersionState>) -> Rotation {
        let store = Store { versions: Mutex::new(versions.to_vec()), pushed: Mutex::new(pushed) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(find(&store, "s")).unwrap()
    }

    fn rotation(token: &str, is_resumed: bool) -> Rotation {
        Rotation { token: token.to_owned(), current: "c".to_owned(), is_resumed }
    }

    #[test]
    fn two_runners_that_begin_at_once_find_one_rotation() {
        let tokens = [0, 1].map(|attempt| derive_token("arn", "c", attempt));
        let versions = [version("c", &[AWSCURRENT]), version(&tokens[0], &[])];

        let alone = &versions[..1];
        assert_eq!(found(alone, None), rotation(&tokens[0], false));
        let other = version(&tokens[0], &[AWSPENDING]);
        assert_eq!(found(alone, Some(other)), rotation(&tokens[0], true));

        // The first of them was abandoned.
        assert_eq!(found(&versions, None), rotation(&tokens[1], false));
        let other = version(&tokens[1], &[AWSPENDING]);
        assert_eq!(found(&versions, Some(other)), rotation(&tokens[1], true));
    }
}
