//! One version of a secret, and the only place that hands out its bytes.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use once_cell::race::OnceBox;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use self::binding::SecretExt;
use crate::cache::validity::Validity;
use crate::error::{Error, ErrorKind};
use crate::fetched::{Extension, Fetched, MemoryLock, Value};
use crate::labels::{Labels, shared};

pub(crate) mod binding;

/// One version of a secret: its value and its metadata.
///
/// Cloning is cheap and shares the bytes, which are wiped when the last clone is dropped. `Debug` shows everything
/// except the value; there is no `Display` and no serialisation.
///
/// ```
/// use secretcache::{Fetched, Secret};
///
/// let mut fetched = Fetched::string("v-1", r#"{"username":"app","password":"hunter2"}"#);
/// fetched.version_stages = vec!["AWSCURRENT".into()];
/// let secret = Secret::from(fetched);
/// assert_eq!(secret.field("username")?, "app");
/// assert!(!format!("{secret:?}").contains("hunter2"));
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Version>);

// The fields that a hit reads come first, so that they share a cache line with the reference counts.
#[repr(C)]
pub(crate) struct Version {
    pub(crate) validity: Validity,
    host_data: AtomicUsize,
    value: Value,
    extension: OnceLock<Extension>,
    fields: OnceBox<Fields>,
    about: About,
    rare: Option<Box<Rare>>,
}

/// Fields that few versions need, boxed to keep [`Version`] small.
struct Rare {
    lock: Option<Box<dyn MemoryLock>>,
    /// The version before its labels changed. Its extension is used, so that bindings keep the rendering they made.
    before: Option<Secret>,
    expires_after: Option<Duration>,
}

/// The service's metadata about a version.
#[derive(Clone)]
struct About {
    arn: Option<Arc<str>>,
    name: Option<Arc<str>>,
    version_id: Option<Arc<str>>,
    labels: Labels,
    created_date: Option<SystemTime>,
}

impl Drop for Version {
    fn drop(&mut self) {
        // Wipe before unlocking, and unlock before freeing: a freed page may already be in use elsewhere.
        if let Some(lock) = self.rare.as_mut().and_then(|rare| rare.lock.take()) {
            self.value.wipe();
            drop(lock);
        }
    }
}

/// The fields of a secret whose string is a JSON object: each name, and its value as text followed by a NUL.
type Fields = Box<[(Box<str>, Zeroizing<String>)]>;

impl Secret {
    /// The full ARN, if the source set it.
    pub fn arn(&self) -> Option<&str> {
        self.0.about.arn.as_deref()
    }

    /// The friendly name, if the source set it.
    pub fn name(&self) -> Option<&str> {
        self.0.about.name.as_deref()
    }

    /// The version id, if the source set it. A version's value never changes.
    pub fn version_id(&self) -> Option<&str> {
        self.0.about.version_id.as_deref()
    }

    /// The staging labels of this version at the last successful refresh.
    pub fn version_stages(&self) -> &[String] {
        &self.0.about.labels
    }

    /// When this version was created, if the source set it.
    pub fn created_date(&self) -> Option<SystemTime> {
        self.0.about.created_date
    }

    /// The secret string.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this version holds binary data.
    #[inline]
    pub fn string(&self) -> Result<&str, Error> {
        match &self.0.value {
            Value::String(string) => Ok(string),
            Value::Binary(_) => self.wrong_type("binary, not a string; ask for the binary value"),
            Value::Absent => self.wrong_type("no string"),
        }
    }

    /// The secret binary.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this version holds a string.
    #[inline]
    pub fn binary(&self) -> Result<&[u8], Error> {
        match &self.0.value {
            Value::Binary(binary) => Ok(binary),
            Value::String(_) => self.wrong_type("a string, not binary; ask for the string value"),
            Value::Absent => self.wrong_type("no binary"),
        }
    }

    /// The secret string, parsed as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this version holds binary, [`ErrorKind::NotJson`] if it cannot be parsed as `T`.
    /// The message names line and column, never the content.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.string()?).map_err(|error| {
            // serde's own text may quote the input ("invalid type: string \"…\""), so only the place is kept.
            let place = format!("line {} column {}", error.line(), error.column());
            let problem = match error.classify() {
                serde_json::error::Category::Data => "is JSON, but not of the requested type",
                _ => "is not JSON",
            };
            Error::new(ErrorKind::NotJson, format!("the value of {} {problem} ({place})", Shown(self)))
        })
    }

    /// One field of a secret whose string is a JSON object, such as `password`. A number or boolean is returned as its
    /// JSON text. The fields are parsed once for each version, at the first such call, and wiped with it.
    ///
    /// # Errors
    ///
    /// As [`Secret::json`], and [`ErrorKind::FieldNotFound`] if there is no such field.
    pub fn field(&self, field: &str) -> Result<&str, Error> {
        let place = self.field_index(field)?;
        self.field_at(place).map_or_else(|| self.field_not_found(field), |text| Ok(&text[..text.len() - 1]))
    }

    /// The value as it is: a string, or bytes.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    fn fields(&self) -> Result<&Fields, Error> {
        if let Some(fields) = self.0.fields.get() {
            return Ok(fields);
        }
        let object: serde_json::Map<String, serde_json::Value> = self.json()?;
        let fields = object.into_iter().map(|(name, value)| {
            let text = match value {
                serde_json::Value::String(string) => Zeroizing::new(string),
                other => Zeroizing::new(other.to_string()),
            };
            // Allocated at its final size: a buffer that grows leaves an unwiped copy behind.
            let mut terminated = Zeroizing::new(String::with_capacity(text.len() + 1));
            terminated.push_str(&text);
            terminated.push('\0');
            (name.into(), terminated)
        });
        let fields = fields.collect();
        Ok(self.0.fields.get_or_init(|| Box::new(fields)))
    }

    #[cold]
    fn field_not_found<T>(&self, field: &str) -> Result<T, Error> {
        let known: Vec<_> = self.fields()?.iter().map(|(name, _)| &**name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let text = format!("{} has no field {field:?}; its fields are {known}", Shown(self));
        Err(Error::new(ErrorKind::FieldNotFound, text))
    }

    #[inline]
    fn extension_cell(&self) -> &OnceLock<Extension> {
        self.before().map_or(&self.0.extension, |before| &before.0.extension)
    }

    #[inline]
    fn before(&self) -> Option<&Self> {
        self.0.rare.as_ref()?.before.as_ref()
    }

    /// The longest time it can be served after its last confirmation, if it expires on its own.
    pub(crate) fn expires_after(&self) -> Option<Duration> {
        self.0.rare.as_ref()?.expires_after
    }

    pub(crate) fn version(&self) -> &Version {
        &self.0
    }

    pub(crate) fn from_version(version: Arc<Version>) -> Self {
        Self(version)
    }

    pub(crate) fn as_ptr(&self) -> *const Version {
        Arc::as_ptr(&self.0)
    }

    /// Returns this version with its present staging labels. If they are unchanged, it is a clone; otherwise the bytes
    /// are copied, which happens once or twice per rotation.
    pub(crate) fn relabelled(&self, version_stages: &[String]) -> Self {
        if version_stages == self.version_stages() {
            return self.clone();
        }
        let old = &*self.0;
        let value = old.value.copy();
        let lock = old.rare.as_ref().and_then(|rare| rare.lock.as_ref()?.of_copy(value.bytes()));
        let about = About { labels: version_stages.to_vec().into(), ..old.about.clone() };
        let before = Some(self.before().unwrap_or(self).clone());
        let rare = Rare { lock, before, expires_after: self.expires_after() };
        Self::with(value, rare, OnceLock::new(), about)
    }

    /// Creates a version from what a source returned. Strings that are in `kept` already are shared.
    pub(crate) fn new(fetched: Fetched, kept: &[&Arc<str>]) -> Self {
        let shared = |text: Option<String>| Some(shared(&text?, kept));
        let about = About {
            arn: shared(fetched.arn),
            name: shared(fetched.name),
            version_id: shared(fetched.version_id),
            labels: fetched.version_stages.into(),
            created_date: fetched.created_date,
        };
        let extension = fetched.extension.map_or_else(OnceLock::new, OnceLock::from);
        let rare = Rare { lock: fetched.lock, before: None, expires_after: fetched.expires_after };
        Self::with(fetched.value, rare, extension, about)
    }

    fn with(value: Value, rare: Rare, extension: OnceLock<Extension>, about: About) -> Self {
        let (validity, host_data, fields) = Default::default();
        let is_rare = rare.lock.is_some() || rare.before.is_some() || rare.expires_after.is_some();
        let rare = is_rare.then(|| Box::new(rare));
        Self(Arc::new(Version { validity, host_data, value, extension, fields, about, rare }))
    }

    pub(crate) fn shared_arn(&self) -> Option<&Arc<str>> {
        self.0.about.arn.as_ref()
    }

    pub(crate) fn shared_version_id(&self) -> Option<&Arc<str>> {
        self.0.about.version_id.as_ref()
    }

    /// Whether a source returned this same version again: same id, labels and bytes.
    pub(crate) fn is_same_as(&self, other: &Fetched) -> bool {
        self.version_id() == other.version_id.as_deref()
            && *self.version_stages() == *other.version_stages
            && match (&self.0.value, &other.value) {
                (Value::String(mine), Value::String(other)) => mine == other,
                (Value::Binary(mine), Value::Binary(other)) => mine == other,
                (Value::Absent, Value::Absent) => true,
                _ => false,
            }
    }

    #[cold]
    fn wrong_type<T>(&self, problem: &str) -> Result<T, Error> {
        Err(Error::new(ErrorKind::WrongType, format!("{} holds {problem}", Shown(self))))
    }
}

impl From<Fetched> for Secret {
    fn from(fetched: Fetched) -> Self {
        Self::new(fetched, &[])
    }
}

/// Names the secret without its value, for messages: `Secret` itself has no `Display` on purpose.
struct Shown<'a>(&'a Secret);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.name().or_else(|| self.0.arn()) {
            Some(name) => write!(f, "secret {name:?}"),
            None => f.write_str("the secret"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("arn", &self.arn())
            .field("name", &self.name())
            .field("version_id", &self.version_id())
            .field("version_stages", &self.version_stages())
            .field("created_date", &self.created_date())
            .field("value", &self.0.value)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_error_never_quotes_the_value() {
        let secret = Secret::from(Fetched::string("v-1", "hunter2-canary"));
        let error = secret.json::<serde_json::Value>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotJson);
        assert!(!format!("{error} {error:?}").contains("canary"));

        let secret = Secret::from(Fetched::string("v-1", "\"hunter2-canary\""));
        let error = secret.json::<Vec<u8>>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert!(error.message().contains("not of the requested type"), "{error}");
    }

    #[test]
    fn a_missing_field_names_the_fields_there_are() {
        let secret = Secret::from(Fetched::string("v-1", r#"{"username":"app","port":5432}"#));
        let error = secret.field("password").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FieldNotFound);
        assert!(error.message().contains("username, port"), "{error}");
        assert_eq!(secret.field("port").unwrap(), "5432");
        let place = secret.field_index("port").unwrap();
        assert_eq!((secret.field_at(place), secret.field_at(2)), (Some("5432\0"), None));
        assert_eq!(Secret::from(Fetched::string("v-1", "{}")).field_at(0), None);
    }

    #[test]
    fn the_wrong_kind_is_an_error_of_its_own() {
        let secret = Secret::from(Fetched::binary("v-1", b"a\0b"));
        assert_eq!(secret.binary().unwrap(), b"a\0b");
        assert_eq!(secret.string().unwrap_err().kind(), ErrorKind::WrongType);
    }
}
