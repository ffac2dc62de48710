//! A secret as the operators' commands see it: its versions, and the resource that accepts them.

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
    /// The secret store.
    pub store: &'a dyn SecretStore,
    /// How to wait.
    pub pause: &'a dyn Pause,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The secret's name or ARN.
    pub secret_id: &'a str,
    /// The strategy.
    pub strategy: StrategyName,
    /// The resource or provider that the credential is for.
    pub backend: Backend<'a>,
}

/// The resource or provider that a credential is for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Backend<'a> {
    /// A resource with users and passwords.
    Target(&'a dyn Target),
    /// A provider of keys.
    Provider(&'a dyn Provider),
}

impl<'a> Backend<'a> {
    /// Returns a strategy that works on this backend.
    pub fn strategy(self, name: StrategyName) -> Box<dyn Strategy + 'a> {
        match (self, name) {
            (Self::Provider(provider), _) => Box::new(ApiKey { provider }),
            (Self::Target(target), StrategyName::AlternatingUsers) => Box::new(AlternatingUsers { target }),
            (Self::Target(target), StrategyName::DualPassword) => Box::new(DualPassword { target }),
            (Self::Target(target), _) => Box::new(SingleUser { target }),
        }
    }
}

/// The content of a version.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Value(Version),
    /// No value yet.
    Absent,
    /// A value that is not a credential, with the reason.
    Unusable(String),
}

/// Whether a version's credential logs in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Login {
    /// The resource accepts it.
    Accepted,
    /// The resource answered, and refuses it.
    Refused,
    /// Not tried.
    NotTried,
    /// The version has no value yet.
    NoValue,
    /// The value is not a credential, for this reason.
    Unusable(String),
    /// The resource is unreachable, for this reason.
    Unreachable(String),
}

/// A version, as the commands report it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct VersionReport {
    /// The version id.
    pub version_id: String,
    /// Its staging labels. A version without any can be deleted by the service.
    pub stages: Vec<String>,
    /// When it was created, as RFC 3339.
    pub created: Option<String>,
    /// The user, or the id of the key.
    #[serde(rename = "User")]
    pub holder: Option<String>,
    /// Whether it logs in.
    pub login: Login,
}

impl VersionReport {
    /// Whether the version has a staging label.
    pub fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|label| label == stage)
    }
}

impl RotationContext<'_> {
    /// Returns a search through the secret's versions for one that logs in.
    pub(crate) fn versions<'b>(&'b self, state: &'b SecretState) -> Versions<'b> {
        let attempts = self.settings.recovery_attempts;
        Versions { store: self.store, secret_id: self.secret_id, state, attempts }
    }

    /// Returns the strategy on its target or provider.
    pub(crate) fn strategy_object(&self) -> Box<dyn Strategy + '_> {
        self.backend.strategy(self.strategy)
    }

    /// Reads one version. An unusable value is not an error.
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

    /// Reads the current version. It must be a credential.
    pub(crate) async fn current(&self) -> Result<Version, Error> {
        self.store.get(self.secret_id, Selector::CURRENT).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotStaged, format!("the secret has no {AWSCURRENT} version"))
        })
    }

    /// Reads the version that is current in `state`, by its id: reading by label could return a version from another
    /// moment.
    pub(crate) async fn current_in(&self, state: &SecretState) -> Result<Version, Error> {
        let absent = || Error::new(ErrorKind::NotStaged, format!("the secret has no {AWSCURRENT} version"));
        let current = state.labelled(AWSCURRENT).ok_or_else(absent)?;
        match self.read(&current.id).await? {
            Content::Value(version) => Ok(version),
            Content::Absent => Err(absent()),
            Content::Unusable(reason) => Err(Error::new(ErrorKind::Misconfigured, reason)),
        }
    }

    /// Tries to log in with a credential.
    pub(crate) async fn probe(&self, document: &Document) -> Result<Probe, Error> {
        match self.backend {
            Backend::Target(target) => target.probe(document).await,
            Backend::Provider(provider) => provider.probe(document).await,
        }
    }

    /// Tries to log in with a version, and returns the outcome for a report.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unencrypted`] and [`ErrorKind::Untrusted`], because they affect every version until the operator
    /// acts.
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

    /// Returns the user of a credential, or the id of its key.
    pub(crate) fn holder(&self, document: &Document) -> Option<String> {
        match self.backend {
            Backend::Target(_) => document.field("username").map(|name| name.to_string()),
            Backend::Provider(provider) => provider.key_id(document).ok(),
        }
    }

    /// Makes the report of a version.
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

    /// Returns the administrator's credential, if one is named.
    pub(crate) async fn admin(&self, user: &Document) -> Result<Option<Document>, Error> {
        administrator(self.store, self.settings, user).await
    }

    /// Returns the accounts that share the name of a user, if there are several. If the user lacks the permission to
    /// see them, asks as the administrator, if one is named. Empty if neither can see them.
    pub(crate) async fn namesakes(&self, user: &Document) -> Vec<String> {
        let Backend::Target(target) = self.backend else { return Vec::new() };
        if let Ok(Some(seen)) = target.namesakes(user, user).await {
            return seen;
        }
        let Ok(Some(admin)) = self.admin(user).await else { return Vec::new() };
        target.namesakes(&admin, user).await.ok().flatten().unwrap_or_default()
    }

    /// Returns the target. A provider of keys has none.
    pub(crate) fn target(&self) -> Result<&dyn Target, Error> {
        match self.backend {
            Backend::Target(target) => Ok(target),
            Backend::Provider(_) => {
                Err(Error::new(ErrorKind::Unsupported, "a provider of keys has no users and passwords"))
            }
        }
    }
}
