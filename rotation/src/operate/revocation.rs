//! Revokes the previous credential at once, for example after a leak, and proves that it is refused.

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::operate::context::{Backend, Content, RotationContext};
use crate::resource::StrategyName;
use crate::store::{SecretState, Version, VersionState};
use crate::target::{Applied, Change, Probe, Provider, Target};

/// The outcome of a revocation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Revocation {
    /// The id of the `AWSPREVIOUS` version.
    pub version_id: String,
    /// The user, or the id of the key.
    #[serde(rename = "User")]
    pub holder: Option<String>,
    /// How it was revoked. In every case, the resource has been seen to refuse it.
    pub result: RevocationResult,
}

/// How a credential was revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum RevocationResult {
    /// The resource already refused it.
    Before,
    /// The user now has only the current password.
    OnlyCurrentPassword,
    /// The user that is not in use has an unknown password until its turn comes.
    UnknownPassword,
    /// The key was revoked.
    KeyRevoked,
}

impl RotationContext<'_> {
    /// Revokes the credential of `AWSPREVIOUS`. The current one must log in, before and afterwards. Open sessions stay
    /// open; closing them is up to the resource.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStaged`] if there is no previous version, [`ErrorKind::Conflict`] while a rotation is in
    /// progress, [`ErrorKind::Refused`] if the current credential is refused or the previous one is still accepted, and
    /// errors of the store and the resource.
    pub async fn revoke_previous(&self) -> Result<Revocation, Error> {
        let state = self.store.describe(self.secret_id).await?;
        let Some(previous) = state.labelled(AWSPREVIOUS) else {
            return Err(Error::new(
                ErrorKind::NotStaged,
                "the secret has no AWSPREVIOUS version, so there is nothing to revoke",
            ));
        };
        let current = self.current_in(&state).await?;
        let previous = match self.read(&previous.id).await? {
            Content::Value(version) => version,
            Content::Absent => {
                return Err(Error::new(ErrorKind::NotStaged, "the AWSPREVIOUS version has no value"));
            }
            Content::Unusable(reason) => return Err(Error::new(ErrorKind::Misconfigured, reason)),
        };
        self.check_other(&current, &previous)?;
        // Revoking the only credential that works would be worse than any leak.
        if self.probe(&current.document).await? == Probe::Refused {
            return Err(Error::new(
                ErrorKind::Refused,
                "the resource refuses AWSCURRENT, so nothing is revoked; recover the secret first",
            ));
        }
        let mut result = RevocationResult::Before;
        if self.probe(&previous.document).await? == Probe::Accepted {
            let is_under_way = |version: &&VersionState| !version.has(AWSCURRENT);
            if state.labelled(AWSPENDING).filter(is_under_way).is_some() {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "a rotation is in progress; resume or revert it, then revoke",
                ));
            }
            result = match self.backend {
                Backend::Target(target) => self.end_password(target, &state, &current, &previous).await?,
                Backend::Provider(provider) => self.end_key(provider, &state, &current, &previous).await?,
            };
            self.prove(&previous).await?;
        }
        let holder = self.holder(&previous.document);
        Ok(Revocation { version_id: previous.id, holder, result })
    }

    /// Refuses to revoke the credential in use, or one for another resource.
    fn check_other(&self, current: &Version, previous: &Version) -> Result<(), Error> {
        let (current, previous) = (&current.document, &previous.document);
        let is_same = match self.backend {
            Backend::Target(_) if !previous.is_same_resource(current) => {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    "AWSPREVIOUS is for another resource than AWSCURRENT; revoke it there manually",
                ));
            }
            Backend::Target(_) => {
                *previous.username()? == *current.username()?
                    && *previous.password()? == *current.password()?
            }
            Backend::Provider(provider) => provider.key_id(previous)? == provider.key_id(current)?,
        };
        if is_same {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                "AWSPREVIOUS is the credential that is in use; rotate the secret first",
            ));
        }
        Ok(())
    }

    async fn end_password(
        &self,
        target: &dyn Target,
        state: &SecretState,
        current: &Version,
        previous: &Version,
    ) -> Result<RevocationResult, Error> {
        let (current, previous) = (&current.document, &previous.document);
        let admin = self.admin(current).await?;
        if *current.username()? == *previous.username()? {
            let login = admin.as_ref().unwrap_or(current);
            self.change(target, state, Change { login, credential: current, keep: None }).await?;
            return Ok(RevocationResult::OnlyCurrentPassword);
        }
        if self.strategy != StrategyName::AlternatingUsers {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                "AWSPREVIOUS is for another user than AWSCURRENT; if the two alternate, pass --strategy alternating-users",
            ));
        }
        // The user could change its own password, but then anyone with the leaked one could change it too.
        let Some(admin) = admin else {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                "only an administrator can revoke the other user's password: name the administrator's secret with --master-secret",
            ));
        };
        let unknown = self.store.random_password(&self.settings.password).await?;
        let credential = previous.with("password", &unknown)?;
        self.change(target, state, Change { login: &admin, credential: &credential, keep: None }).await?;
        Ok(RevocationResult::UnknownPassword)
    }

    async fn change(
        &self,
        target: &dyn Target,
        state: &SecretState,
        change: Change<'_>,
    ) -> Result<(), Error> {
        let _guard = self.hold(change.login, state).await?;
        match target.apply(change).await? {
            Applied::Done => Ok(()),
            Applied::LoginRefused => Err(Error::new(
                ErrorKind::Refused,
                "the credential that would revoke the previous one is refused",
            )),
        }
    }

    async fn end_key(
        &self,
        provider: &dyn Provider,
        state: &SecretState,
        current: &Version,
        previous: &Version,
    ) -> Result<RevocationResult, Error> {
        let key = provider.key_id(&previous.document)?;
        let _guard = self.hold(&current.document, state).await?;
        let (current, previous) = (&current.document, &previous.document);
        if provider.list(current).await?.iter().any(|listed| listed.id == key) {
            provider.revoke(current, &key).await?;
        } else if !provider.revoke_former(current, previous).await? {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                "AWSPREVIOUS has the key that is in use, or one of another user, so nothing is revoked; revoke the key that you mean at the provider",
            ));
        }
        Ok(RevocationResult::KeyRevoked)
    }

    /// Checks that the previous credential is refused and the current one accepted. Retries, because replicas and
    /// providers can lag.
    async fn prove(&self, previous: &Version) -> Result<(), Error> {
        let mut attempt = 0;
        while self.probe(&previous.document).await? == Probe::Accepted {
            attempt += 1;
            if attempt >= self.settings.test_attempts {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "the previous credential was revoked, but the resource still accepts it",
                ));
            }
            self.pause.pause(self.settings.pause.saturating_mul(1 << (attempt - 1).min(16))).await;
        }
        match self.probe(&self.current().await?.document).await? {
            Probe::Accepted => Ok(()),
            Probe::Refused => Err(Error::new(
                ErrorKind::Refused,
                "AWSCURRENT is refused now; something else is changing the credential at the same time: recover the secret",
            )),
        }
    }
}
