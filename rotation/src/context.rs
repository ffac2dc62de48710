//! What a strategy may ask for while a step runs.

use secretcache::{AWSPREVIOUS, Selector};
use zeroize::Zeroizing;

use crate::administrator::administrator;
use crate::contract::{Driver, Stage, preflight};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::settings::Settings;
use crate::store::{Pause, SecretState, SecretStore, Version};
use crate::target::{Guard, Lock, Target};

/// The version in use and the one being rotated in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pair {
    /// The `AWSCURRENT` version.
    pub current: Version,
    /// The version being rotated in.
    pub pending: Version,
}

impl Pair {
    /// Whether both versions hold the same value.
    pub(crate) fn is_copy(&self) -> bool {
        self.pending.document.text() == self.current.document.text()
    }
}

/// One run of one step.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) store: &'a dyn SecretStore,
    pub(crate) pause: &'a dyn Pause,
    pub(crate) settings: &'a Settings,
    pub(crate) driver: Driver,
    pub(crate) event: &'a Event,
    pub(crate) state: &'a SecretState,
    pub(crate) current: &'a str,
}

impl Context<'_> {
    /// The secret as the event names it.
    pub fn secret_id(&self) -> &str {
        &self.event.secret_id
    }

    /// The secret's ARN.
    pub fn secret_arn(&self) -> &str {
        &self.state.arn
    }

    /// The id of the version being rotated in.
    pub fn token(&self) -> &str {
        &self.event.client_request_token
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        self.settings
    }

    /// The labels as they were when the step began.
    pub fn state(&self) -> &SecretState {
        self.state
    }

    /// One version of the secret.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn version(&self, version: Selector<'_>) -> Result<Option<Version>, Error> {
        self.store.get(self.secret_id(), version).await
    }

    /// The current version.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Conflict`] if another version became current since the step began.
    pub async fn current(&self) -> Result<Version, Error> {
        match self.version(Selector::CURRENT).await? {
            Some(version) if version.id == self.current => Ok(version),
            Some(_) => Err(Error::new(
                ErrorKind::Conflict,
                "the AWSCURRENT version changed while it was being read; run the step again",
            )),
            None => Err(Error::new(ErrorKind::NotStaged, "the AWSCURRENT version has no value")),
        }
    }

    /// The `AWSPREVIOUS` version, if there is one.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn previous(&self) -> Result<Option<Version>, Error> {
        match self.state.labelled(AWSPREVIOUS) {
            Some(_) => self.version(Selector::stage(AWSPREVIOUS)).await,
            None => Ok(None),
        }
    }

    /// The version in use and the one being rotated in.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Unavailable`] while the new version has no value.
    pub(crate) async fn pair(&self) -> Result<Pair, Error> {
        let current = self.current().await?;
        let mut attempt = 0;
        let pending = loop {
            // What createSecret stored a moment ago may not be readable yet.
            if let Some(pending) = self.version(Selector::version_id(self.token())).await? {
                break pending;
            }
            if !self.wait(&mut attempt).await {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the AWSPENDING version has no value yet; run createSecret first",
                ));
            }
        };
        Ok(Pair { current, pending })
    }

    /// The administrator's credential for the resource that `user` is for, if a master secret is named.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Misconfigured`] if the master secret is for another resource, or does not
    /// say where the administrator logs in.
    pub async fn admin(&self, user: &Document) -> Result<Option<Document>, Error> {
        administrator(self.store, self.settings, user).await
    }

    /// A random password of the operator's policy, checked against it.
    ///
    /// # Errors
    ///
    /// Those of the store; [`ErrorKind::Rejected`] if what came is not of the policy.
    pub async fn random_password(&self) -> Result<Zeroizing<String>, Error> {
        let policy = &self.settings.password;
        let password = self.store.random_password(policy).await?;
        policy.check(&password)?;
        Ok(password)
    }

    /// Waits before the next attempt and counts it; `false`, at once, if there have been enough.
    pub async fn wait(&self, attempt: &mut u32) -> bool {
        *attempt += 1;
        if *attempt >= self.settings.test_attempts {
            return false;
        }
        let factor = 1u32.checked_shl(*attempt - 1).unwrap_or(u32::MAX);
        self.pause.pause(self.settings.pause.saturating_mul(factor)).await;
        true
    }

    /// Keeps other drivers away, where the target can, and makes sure that none has been faster.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the login is refused; [`ErrorKind::Conflict`] if another driver holds the lock or has
    /// moved the labels.
    pub async fn lock(&self, target: &dyn Target, login: &Document) -> Result<Option<Guard>, Error> {
        match target.lock(login, self.secret_arn()).await? {
            Lock::Unsupported => Ok(None),
            Lock::Held(guard) => {
                self.confirm().await?;
                Ok(Some(guard))
            }
            Lock::LoginRefused => {
                Err(Error::new(ErrorKind::Refused, "the login that takes the rotation lock is refused"))
            }
            Lock::Busy => {
                Err(Error::new(ErrorKind::Conflict, "another rotation of this secret is running right now"))
            }
        }
    }

    /// Makes sure that the labels are still as they were when the step began.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Conflict`] or [`ErrorKind::NotStaged`] if they are not.
    pub async fn confirm(&self) -> Result<(), Error> {
        let state = self.store.describe(self.secret_id()).await?;
        match preflight(&state, self.token(), self.event.step, self.driver)? {
            Stage::Underway { current } if current == self.current => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                "the staging labels moved while this step was running; run it again",
            )),
        }
    }
}
