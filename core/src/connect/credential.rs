//! User name and password from one version of a secret, delivered together.

use std::fmt;

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::id::Stage;
use crate::secret::Secret;

/// A credential: one version of a secret whose string is a JSON object with a user name and a password.
///
/// User name and password belong together: with alternating users both change. `Debug` shows the version and the names
/// of the fields, never their values.
///
/// ```
/// use secretcache::{Credential, Fetched, Secret, Stage};
///
/// let json = r#"{"username":"app","password":"hunter2","host":"db.example","port":"5432","owner":"billing"}"#;
/// let credential = Credential::new(Secret::from(Fetched::string("v-1", json)), Stage::Current)?;
/// assert_eq!((credential.username(), credential.port()), (Some("app"), Some(5432)));
/// assert_eq!(credential.field("owner").and_then(|owner| owner.as_str()), Some("billing"));
/// assert!(!format!("{credential:?}").contains("hunter2"));
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone)]
pub struct Credential {
    secret: Secret,
    version_stage: Stage,
    fields: Map<String, Json>,
}

impl Credential {
    /// Parses a version. `version_stage` is its staging label.
    ///
    /// # Errors
    ///
    /// As [`Secret::json`], if the secret's string is not a JSON object.
    pub fn new(secret: Secret, version_stage: Stage) -> Result<Self, Error> {
        let fields = secret.json()?;
        Ok(Self { secret, version_stage, fields })
    }

    /// The field `username`.
    pub fn username(&self) -> Option<&str> {
        self.text("username")
    }

    /// The field `password`.
    pub fn password(&self) -> Option<&str> {
        self.text("password")
    }

    /// The field `host`.
    pub fn host(&self) -> Option<&str> {
        self.text("host")
    }

    /// The field `port`, a number or its text.
    pub fn port(&self) -> Option<u16> {
        match self.fields.get("port")? {
            Json::Number(port) => u16::try_from(port.as_u64()?).ok(),
            Json::String(port) => port.trim().parse().ok(),
            _ => None,
        }
    }

    /// The field `dbname`.
    pub fn dbname(&self) -> Option<&str> {
        self.text("dbname")
    }

    /// The field `engine`.
    pub fn engine(&self) -> Option<&str> {
        self.text("engine")
    }

    /// Any field, by name.
    pub fn field(&self, name: &str) -> Option<&Json> {
        self.fields.get(name)
    }

    /// The version it was read from.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The id of that version.
    pub fn version_id(&self) -> Option<&str> {
        self.secret.version_id()
    }

    /// The staging label of that version.
    pub fn version_stage(&self) -> Stage {
        self.version_stage
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        for (_, value) in std::mem::take(&mut self.fields) {
            if let Json::String(text) = value {
                drop(Zeroizing::new(text));
            }
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("version_id", &self.version_id())
            .field("version_stage", &self.version_stage.as_str())
            .field("fields", &self.fields.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
