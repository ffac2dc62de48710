//! Whole rotations without the service's help: from the command line, a timer, or a local endpoint.

use secretcache::{AWSCURRENT, AWSPENDING, Selector};

use crate::context::Settings;
use crate::contract::Driver;
use crate::engine::{Engine, StepOutcome};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Step};
use crate::observer::{Observer, Progress, Unobserved};
use crate::store::{Pause, SecretState, SecretStore};
use crate::strategy::Strategy;
use crate::token::derive_token;

/// Rotates secrets itself.
///
/// Two runners that start at the same time arrive at the same version id, and so work on one rotation together; one
/// that comes later goes on with what it finds. A rotation that the service began is gone on with as well.
#[derive(Clone, Copy, Debug)]
pub struct Runner<'a> {
    /// Where the secret is kept.
    pub store: &'a dyn SecretStore,
    /// How the resource's credential changes.
    pub strategy: &'a dyn Strategy,
    /// How to wait.
    pub pause: &'a dyn Pause,
    /// What the operator decided.
    pub settings: &'a Settings,
    /// How often a rotation that failed for a passing reason is run in all.
    pub attempts: u32,
}

/// A rotation as a runner finds it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rotation {
    /// The id of the version being rotated in.
    pub token: String,
    /// The id of the version that is current meanwhile.
    pub current: String,
    /// Whether it was begun before.
    pub is_resumed: bool,
}

impl Runner<'_> {
    /// The rotation under way, or the one that would begin now. Changes nothing.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::NotStaged`] if the secret has no current version.
    pub async fn find(&self, secret_id: &str) -> Result<Rotation, Error> {
        let state = self.store.describe(secret_id).await?;
        let Some(current) = state.labelled(AWSCURRENT).map(|version| version.id.clone()) else {
            return Err(Error::new(ErrorKind::NotStaged, "the secret has no AWSCURRENT version"));
        };
        match state.labelled(AWSPENDING) {
            Some(pending) if pending.id != current => {
                Ok(Rotation { token: pending.id.clone(), current, is_resumed: true })
            }
            _ => {
                let token = self.new_token(secret_id, &state, &current).await?;
                Ok(Rotation { token, current, is_resumed: false })
            }
        }
    }

    /// Runs a rotation to its end, and again where that can help.
    ///
    /// # Errors
    ///
    /// That of the last attempt. The secret is then as good as before, or the next run goes on from there.
    pub async fn rotate(&self, secret_id: &str) -> Result<Rotation, Error> {
        self.rotate_observed(secret_id, &Unobserved).await
    }

    /// The same, with somebody watching.
    ///
    /// # Errors
    ///
    /// As [`Runner::rotate`].
    pub async fn rotate_observed(&self, secret_id: &str, observer: &dyn Observer) -> Result<Rotation, Error> {
        let rotation = self.find(secret_id).await?;
        self.run_to_the_end(secret_id, rotation, observer, true).await
    }

    /// Goes on with the rotation under way, and begins none: `None` if there is none.
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
            // Another driver may have finished this very rotation; a second one is not what was asked for.
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

    /// Gives up the rotation under way, if there is one: the current value is made to work again where the rotation had
    /// broken it, and `AWSPENDING` is taken away.
    ///
    /// # Errors
    ///
    /// Those of the store and the resource; the rotation is then still under way.
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

    /// Runs the steps without testSecret, which would prove nothing that finishSecret does not prove again, and would
    /// lengthen the time in which a single user's current password is dead. Where that proof fails, testSecret is run
    /// after all, for it puts back what cannot go on.
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

    /// The first id of its kind that no version has. Versions that were given up keep theirs. They are asked for one by
    /// one: a list of all versions has as many pages as there were rotations lately.
    async fn new_token(&self, secret_id: &str, state: &SecretState, current: &str) -> Result<String, Error> {
        for attempt in 0..MOST_GIVEN_UP {
            let token = derive_token(&state.arn, current, attempt);
            if state.version(&token).is_some() {
                continue;
            }
            match self.store.get(secret_id, Selector::version_id(&token)).await {
                Ok(None) => return Ok(token),
                // A value that is no credential is one as well.
                Err(error) if error.kind() != ErrorKind::Misconfigured => return Err(error),
                _ => {}
            }
        }
        Err(Error::new(ErrorKind::Conflict, "too many rotations away from the current version were given up"))
    }

    fn engine(&self, driver: Driver) -> Engine<'_> {
        let Self { store, strategy, pause, settings, .. } = *self;
        Engine { store, strategy, pause, settings, driver }
    }
}

/// How many rotations away from one version may be given up. The service forgets them in time.
const MOST_GIVEN_UP: u32 = 1000;

fn event(step: Step, secret_id: &str, token: &str) -> Event {
    Event {
        step,
        secret_id: secret_id.to_owned(),
        client_request_token: token.to_owned(),
        rotation_token: None,
    }
}
