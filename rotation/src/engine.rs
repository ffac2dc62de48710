//! The four steps. Each can be run again at any time.
//!
//! A step trusts only what it reads. It does not assume that the previous step ran, that this is its first run, or that
//! it runs alone. If a step is killed between two calls, the next run starts from the state it left. `tests/model.rs`
//! walks through every such state.

use secretcache::{AWSCURRENT, AWSPENDING, Selector};

use crate::context::{Context, Pair};
use crate::contract::{Driver, Stage, preflight};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Step};
use crate::settings::Settings;
use crate::store::{Moved, Pause, Pending, Put, SecretState, SecretStore, StageMove};
use crate::strategy::Strategy;

/// Runs rotation steps for one strategy.
#[derive(Clone, Copy, Debug)]
pub struct Engine<'a> {
    /// The secret store.
    pub store: &'a dyn SecretStore,
    /// How the resource's credential changes.
    pub strategy: &'a dyn Strategy,
    /// How to wait.
    pub pause: &'a dyn Pause,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// Who drives the rotation.
    pub driver: Driver,
}

/// The outcome of a successful step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StepOutcome {
    /// The step's work is done, by this run or an earlier one.
    Done,
    /// The version is already current. No step has anything left to do.
    Finished,
}

impl Engine<'_> {
    /// Runs one step.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`]. A failed step may still have taken effect. It can be run again.
    pub async fn step(&self, event: &Event) -> Result<StepOutcome, Error> {
        let state = self.store.describe(&event.secret_id).await?;
        let current = match preflight(&state, &event.client_request_token, event.step, self.driver)? {
            Stage::Underway { current } => current,
            Stage::Finished { is_pending } => {
                if is_pending {
                    self.drop_pending(event).await?;
                }
                return Ok(StepOutcome::Finished);
            }
        };
        let cx = self.context(event, &state, &current);
        match event.step {
            Step::CreateSecret => self.create(&cx).await,
            Step::SetSecret => self.set(&cx).await,
            Step::TestSecret => self.test(&cx).await,
            Step::FinishSecret => self.finish(&cx).await,
        }
    }

    /// Abandons the rotation in progress: makes the current value work again if the rotation broke it, and removes
    /// `AWSPENDING`.
    ///
    /// # Errors
    ///
    /// Errors of the store and the resource. The rotation is then still in progress.
    pub async fn revert(&self, event: &Event) -> Result<(), Error> {
        let state = self.store.describe(&event.secret_id).await?;
        let Stage::Underway { current } =
            preflight(&state, &event.client_request_token, event.step, self.driver)?
        else {
            return Err(Error::new(ErrorKind::NotStaged, "the version is already current"));
        };
        let cx = self.context(event, &state, &current);
        let current = cx.current().await?;
        let value = || cx.version(Selector::version_id(cx.token()));
        let (pending, has_value) = match value().await? {
            Some(pending) => (pending, true),
            // The resource has not been given anything yet.
            None => (current.clone(), false),
        };
        let restored = self.strategy.restore(&cx, &Pair { current, pending }).await?;
        if restored.is_lost {
            return Err(Error::new(
                ErrorKind::Refused,
                "the resource refuses the current value and the new one: run the command again, or recover the secret",
            ));
        }
        if !has_value && value().await?.is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the rotation advanced while it was being reverted; run the command again",
            ));
        }
        self.drop_pending(event).await?;
        drop(restored);
        Ok(())
    }

    fn context<'a>(&'a self, event: &'a Event, state: &'a SecretState, current: &'a str) -> Context<'a> {
        let Self { store, pause, settings, driver, .. } = *self;
        Context { store, pause, settings, driver, event, state, current }
    }

    async fn create(&self, cx: &Context<'_>) -> Result<StepOutcome, Error> {
        let current = cx.current().await?;
        if cx.version(Selector::version_id(cx.token())).await?.is_some() {
            return Ok(StepOutcome::Done);
        }
        let document = self.strategy.create(cx, &current).await?;
        let pending = Pending {
            secret_id: cx.secret_id(),
            token: cx.token(),
            document: &document,
            rotation_token: cx.event.rotation_token.as_ref(),
        };
        match self.store.put_pending(pending).await? {
            Put::Stored => self.strategy.stored(cx, &current, &document).await?,
            // Stored by another driver, or by an earlier run whose response was lost and whose value a stale read did
            // not show. Keep that value: storing yet another one would fail the same way.
            Put::Exists => self.strategy.discarded(cx, &current, &document).await?,
        }
        Ok(StepOutcome::Done)
    }

    async fn set(&self, cx: &Context<'_>) -> Result<StepOutcome, Error> {
        let pair = self.pair(cx).await?;
        match self.strategy.set(cx, &pair).await {
            // A stored value never changes, so this one would be rejected forever and block every later rotation. The
            // resource did not accept it, so nothing uses it.
            Err(error) if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotOurs) => {
                Err(self.release(cx, error).await)
            }
            outcome => outcome.map(|()| StepOutcome::Done),
        }
    }

    async fn test(&self, cx: &Context<'_>) -> Result<StepOutcome, Error> {
        let pair = self.pair(cx).await?;
        match self.strategy.test(cx, &pair, None).await {
            // When the service only tests the configuration, the new version is a copy of the current one. Nothing was
            // changed, so there is nothing to restore.
            Err(error) if error.kind() == ErrorKind::Refused && !pair.is_copy() => {
                let restored = self.strategy.restore(cx, &pair).await?;
                if restored.gives_up {
                    return Err(self.release(cx, error).await);
                }
                Err(error)
            }
            // Abandon the version, whichever password the resource has now.
            Err(error) if error.kind() == ErrorKind::Rejected && !pair.is_copy() => {
                drop(self.strategy.restore(cx, &pair).await?);
                Err(self.release(cx, error).await)
            }
            outcome => outcome.map(|()| StepOutcome::Done),
        }
    }

    async fn finish(&self, cx: &Context<'_>) -> Result<StepOutcome, Error> {
        let pair = self.pair(cx).await?;
        if pair.is_copy() {
            let error = Error::new(
                ErrorKind::Rejected,
                "the new version contains the current value; nothing was rotated",
            );
            return Err(self.release(cx, error).await);
        }
        let guard = self.strategy.guard(cx, &pair).await?;
        // Steps can arrive out of order, and anything can have happened since testSecret.
        match self.strategy.test(cx, &pair, guard.as_ref()).await {
            Err(error) if error.kind() == ErrorKind::Rejected => return Err(self.release(cx, error).await),
            outcome => outcome?,
        }
        let flip = StageMove { stage: AWSCURRENT, from: Some(&pair.current.id), to: Some(cx.token()) };
        match self.store.move_stage(cx.secret_id(), flip).await? {
            Moved::Done => self.drop_pending(cx.event).await?,
            Moved::Conflict => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "another version became current while this one was being tested; nothing was changed",
                ));
            }
        }
        Ok(StepOutcome::Done)
    }

    /// Returns the current and the pending version. Fails if the rotation was overtaken: the version that the pending
    /// one was made from is no longer current.
    async fn pair(&self, cx: &Context<'_>) -> Result<Pair, Error> {
        let pair = cx.pair().await?;
        match (pair.current.created, pair.pending.created) {
            (Some(current), Some(pending)) if current > pending => {}
            _ => return Ok(pair),
        }
        let error = Error::new(
            ErrorKind::Abandoned,
            "a newer version became current since this rotation began; start a new rotation",
        );
        // The resource may already have the new password, in which case the version that is now current does not work.
        let restored = self.strategy.restore(cx, &pair).await?;
        if restored.only_new_works {
            // The value that was stored meanwhile does not log in, and the new version does. Carry on with it.
            return Ok(pair);
        }
        // The service removes the label itself when someone stores a value manually. If it did not, the label would
        // block every later rotation.
        self.drop_pending(cx.event).await?;
        Err(error)
    }

    /// Removes `AWSPENDING` from the version so that a new rotation can start. It is fine if the label has already
    /// moved elsewhere.
    async fn drop_pending(&self, event: &Event) -> Result<(), Error> {
        let token = event.client_request_token.as_str();
        let stage = StageMove { stage: AWSPENDING, from: Some(token), to: None };
        self.store.move_stage(&event.secret_id, stage).await.map(drop)
    }

    async fn release(&self, cx: &Context<'_>, error: Error) -> Error {
        match self.drop_pending(cx.event).await {
            Ok(()) => {
                error.and("AWSPENDING was removed from the new version, so that a new rotation can start")
            }
            Err(_) => error.and("AWSPENDING could not be removed from the new version"),
        }
    }
}
