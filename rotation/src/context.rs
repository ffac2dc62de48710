//! What a strategy can use while a step runs.

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

/// The current and the pending version.
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

/// One run of a step.
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
    /// Returns the secret's id, as the event gives it.
    pub fn secret_id(&self) -> &str {
        &self.event.secret_id
    }

    /// Returns the secret's ARN.
    pub fn secret_arn(&self) -> &str {
        &self.state.arn
    }

    /// Returns the id of the version being rotated in.
    pub fn token(&self) -> &str {
        &self.event.client_request_token
    }

    /// Returns the operator's settings.
    pub fn settings(&self) -> &Settings {
        self.settings
    }

    /// Returns the secret's state, with its labels, as of the start of the step.
    pub fn state(&self) -> &SecretState {
        self.state
    }

    /// Reads one version of the secret.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    pub async fn version(&self, version: Selector<'_>) -> Result<Option<Version>, Error> {
        self.store.get(self.secret_id(), version).await
    }

    /// Reads the current version.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::Conflict`] if another version became current since the step began.
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

    /// Reads the `AWSPREVIOUS` version, if there is one.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    pub async fn previous(&self) -> Result<Option<Version>, Error> {
        match self.state.labelled(AWSPREVIOUS) {
            Some(_) => self.version(Selector::stage(AWSPREVIOUS)).await,
            None => Ok(None),
        }
    }

    /// Reads the current and the pending version.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::Unavailable`] while the pending version has no value.
    pub(crate) async fn pair(&self) -> Result<Pair, Error> {
        let current = self.current().await?;
        let mut attempt = 0;
        let pending = loop {
            // What createSecret has just stored may not be readable yet.
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

    /// Returns the administrator's credential for the resource that `user` is for, if a master secret is named.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::Misconfigured`] if the master secret is for another resource, or does not
    /// say where the administrator logs in.
    pub async fn admin(&self, user: &Document) -> Result<Option<Document>, Error> {
        administrator(self.store, self.settings, user).await
    }

    /// Generates a random password under the operator's policy, and checks that it complies.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::Rejected`] if the password violates the policy.
    pub async fn random_password(&self) -> Result<Zeroizing<String>, Error> {
        let policy = &self.settings.password;
        let password = self.store.random_password(policy).await?;
        policy.check(&password)?;
        Ok(password)
    }

    /// Waits before the next attempt, and counts it. Returns `false`, without waiting, if no attempts are left.
    pub async fn wait(&self, attempt: &mut u32) -> bool {
        *attempt += 1;
        if *attempt >= self.settings.test_attempts {
            return false;
        }
        let factor = 1u32.checked_shl(*attempt - 1).unwrap_or(u32::MAX);
        self.pause.pause(self.settings.pause.saturating_mul(factor)).await;
        true
    }

    /// Takes the target's rotation lock, if it has locks, and checks that no other driver got ahead.
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
            Lock::Busy => Err(lock_is_busy()),
        }
    }

    /// Checks that the labels have not changed since the step began.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::Conflict`] or [`ErrorKind::NotStaged`] if they have.
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

/// The error while another driver holds the rotation lock.
pub(crate) fn lock_is_busy() -> Error {
    Error::new(ErrorKind::Conflict, "another rotation of this secret is running right now")
}
