//! One secret, as the commands that look at it or mend it see it: its versions, and who lets them in.

use jiff::Timestamp;
use secretcache::{AWSCURRENT, Selector};
use serde::Serialize;

use crate::administrator::administrator;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::resource::StrategyName;
use crate::settings::Settings;
use crate::store::{Pause, SecretState, SecretStore, Version, VersionState};
use crate::strategy::api_key::is_void;
use crate::strategy::{AlternatingUsers, ApiKey, DualPassword, SingleUser, Strategy, Versions};
use crate::target::{Probe, Provider, Target};

/// A secret with its strategy and the resource that its credential is for.
#[derive(Clone, Copy, Debug)]
pub struct RotationContext<'a> {
    /// Where the secret is kept.
    pub store: &'a dyn SecretStore,
    /// How to wait.
    pub pause: &'a dyn Pause,
    /// What the operator decided.
    pub settings: &'a Settings,
    /// The secret's name or ARN.
    pub secret_id: &'a str,
    /// How its credential changes.
    pub strategy: StrategyName,
    /// Who lets the credential in.
    pub backend: Backend<'a>,
}

/// Who lets a credential in.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Backend<'a> {
    /// A resource with users and passwords.
    Target(&'a dyn Target),
    /// A provider of keys.
    Provider(&'a dyn Provider),
}

impl<'a> Backend<'a> {
    /// A strategy on this side.
    pub fn strategy(self, name: StrategyName) -> Box<dyn Strategy + 'a> {
        match (self, name) {
            (Self::Provider(provider), _) => Box::new(ApiKey { provider }),
            (Self::Target(target), StrategyName::AlternatingUsers) => Box::new(AlternatingUsers { target }),
            (Self::Target(target), StrategyName::DualPassword) => Box::new(DualPassword { target }),
            (Self::Target(target), _) => Box::new(SingleUser { target }),
        }
    }
}

/// What a version holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Value(Version),
    /// No value yet.
    Absent,
    /// A value that is no credential, with the reason.
    Unusable(String),
}

/// Whether a version's credential is let in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Login {
    /// It is.
    Accepted,
    /// The resource answered, and refuses it.
    Refused,
    /// Nobody tried.
    NotTried,
    /// The version has no value yet.
    NoValue,
    /// The value is no credential, for this reason.
    Unusable(String),
    /// The resource could not be asked, for this reason.
    Unreachable(String),
}

/// A version as the commands report it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct VersionReport {
    /// The version id.
    pub version_id: String,
    /// Its staging labels; none if the service may delete it.
    pub stages: Vec<String>,
    /// When it was made, as RFC 3339.
    pub created: Option<String>,
    /// The user, or the id of the key.
    #[serde(rename = "User")]
    pub holder: Option<String>,
    /// Whether it is let in.
    pub login: Login,
}

impl VersionReport {
    /// Whether the version has a staging label.
    pub fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|label| label == stage)
    }
}

impl RotationContext<'_> {
    /// The secret's versions, to look for a login among them.
    pub(crate) fn versions<'b>(&'b self, state: &'b SecretState) -> Versions<'b> {
        let attempts = self.settings.recovery_attempts;
        Versions { store: self.store, secret_id: self.secret_id, state, attempts }
    }

    /// The strategy on its target or provider.
    pub(crate) fn strategy_object(&self) -> Box<dyn Strategy + '_> {
        self.backend.strategy(self.strategy)
    }

    /// Reads one version. That its value is unusable is an answer like another.
    pub(crate) async fn read(&self, id: &str) -> Result<Content, Error> {
        match self.store.get(self.secret_id, Selector::version_id(id)).await {
            Ok(Some(version)) if is_void(&version.document) => {
                Ok(Content::Unusable("it was voided, because the provider allowed no further key".to_owned()))
            }
            Ok(Some(version)) => Ok(Content::Value(version)),
            Ok(None) => Ok(Content::Absent),
            Err(error) if error.kind() == ErrorKind::Misconfigured => {
                Ok(Content::Unusable(error.message().to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// The current version, which must be a credential.
    pub(crate) async fn current(&self) -> Result<Version, Error> {
        self.store.get(self.secret_id, Selector::CURRENT).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotStaged, format!("the secret has no {AWSCURRENT} version"))
        })
    }

    /// The version that is current in a state that was looked at, read by its id: what a label says may be from before.
    pub(crate) async fn current_in(&self, state: &SecretState) -> Result<Version, Error> {
        let absent = || Error::new(ErrorKind::NotStaged, format!("the secret has no {AWSCURRENT} version"));
        let current = state.labelled(AWSCURRENT).ok_or_else(absent)?;
        match self.read(&current.id).await? {
            Content::Value(version) => Ok(version),
            Content::Absent => Err(absent()),
            Content::Unusable(reason) => Err(Error::new(ErrorKind::Misconfigured, reason)),
        }
    }

    /// Asks the resource about a credential.
    pub(crate) async fn probe(&self, document: &Document) -> Result<Probe, Error> {
        match self.backend {
            Backend::Target(target) => target.probe(document).await,
            Backend::Provider(provider) => provider.probe(document).await,
        }
    }

    /// The same as an answer that can be shown.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unencrypted`] and [`ErrorKind::Untrusted`]: that is so for every version, until somebody does something
    /// about it.
    pub(crate) async fn login(&self, content: &Content) -> Result<Login, Error> {
        Ok(match content {
            Content::Absent => Login::NoValue,
            Content::Unusable(reason) => Login::Unusable(reason.clone()),
            Content::Value(version) => match self.probe(&version.document).await {
                Ok(Probe::Accepted) => Login::Accepted,
                Ok(Probe::Refused) => Login::Refused,
                Err(error) if error.kind() == ErrorKind::Misconfigured => {
                    Login::Unusable(error.message().to_owned())
                }
                Err(error) if matches!(error.kind(), ErrorKind::Unencrypted | ErrorKind::Untrusted) => {
                    return Err(error);
                }
                Err(error) => Login::Unreachable(error.in_full()),
            },
        })
    }

    /// The user of a credential, or the id of its key.
    pub(crate) fn holder(&self, document: &Document) -> Option<String> {
        match self.backend {
            Backend::Target(_) => document.field("username").map(|name| name.to_string()),
            Backend::Provider(provider) => provider.key_id(document).ok(),
        }
    }

    /// What is told of a version.
    pub(crate) fn report(&self, version: &VersionState, content: &Content, login: Login) -> VersionReport {
        let value = match content {
            Content::Value(value) => Some(value),
            _ => None,
        };
        VersionReport {
            version_id: version.id.clone(),
            stages: version.stages.clone(),
            created: value
                .and_then(|value| value.created)
                .and_then(|created| Timestamp::try_from(created).ok().map(|created| created.to_string())),
            holder: value.and_then(|value| self.holder(&value.document)),
            login,
        }
    }

    /// The administrator's credential, if one is named.
    pub(crate) async fn admin(&self, user: &Document) -> Result<Option<Document>, Error> {
        administrator(self.store, self.settings, user).await
    }

    /// The accounts that share the name of a user that logs in, if there are several. Where it may not see that itself,
    /// an administrator can, if one is named. That nobody can tell is nothing to tell.
    pub(crate) async fn namesakes(&self, user: &Document) -> Vec<String> {
        let Backend::Target(target) = self.backend else { return Vec::new() };
        if let Ok(Some(seen)) = target.namesakes(user, user).await {
            return seen;
        }
        let Ok(Some(admin)) = self.admin(user).await else { return Vec::new() };
        target.namesakes(&admin, user).await.ok().flatten().unwrap_or_default()
    }

    /// The target; a provider of keys has no users.
    pub(crate) fn target(&self) -> Result<&dyn Target, Error> {
        match self.backend {
            Backend::Target(target) => Ok(target),
            Backend::Provider(_) => {
                Err(Error::new(ErrorKind::Unsupported, "a provider of keys has no users and passwords"))
            }
        }
    }
}
