//! One version of a secret as a source delivers it.

use std::any::Any;
use std::fmt;
use std::time::{Duration, SystemTime};

use zeroize::{Zeroize, Zeroizing};

/// One version of a secret as a source delivers it: owned, and not yet shared with anyone.
#[derive(Default)]
#[non_exhaustive]
pub struct Fetched {
    /// The full ARN.
    pub arn: Option<String>,
    /// The friendly name.
    pub name: Option<String>,
    /// The version id.
    pub version_id: Option<String>,
    /// The staging labels attached to this version.
    pub version_stages: Vec<String>,
    /// When this version was created.
    pub created_date: Option<SystemTime>,
    /// The value.
    pub value: Value,
    /// The longest time the value can be served after it was fetched, if it expires on its own, as tokens do. It is
    /// fetched again after 0.5 to 0.7 of that time, if not sooner.
    pub expires_after: Option<Duration>,
    /// The binding's own rendering, if it has already made one.
    pub extension: Option<Extension>,
    /// Keeps the value out of swap and core dumps.
    pub(crate) lock: Option<Box<dyn MemoryLock>>,
}

/// A binding's own rendering of a version, such as the Python `str` it made.
///
/// It can be dropped at any time and on any thread, even while the cache holds its lock: its `Drop` must not call into
/// the cache or run foreign code.
pub type Extension = Box<dyn Any + Send + Sync>;

/// Keeps the memory of a value out of swap and core dumps until it is dropped.
pub(crate) trait MemoryLock: Send + Sync {
    /// Locks the memory of a copy of the value.
    fn of_copy(&self, bytes: &[u8]) -> Option<Box<dyn MemoryLock>>;
}

impl Fetched {
    /// A string version.
    pub fn string(version_id: &str, string: &str) -> Self {
        Self {
            version_id: Some(version_id.to_owned()),
            value: Value::String(Zeroizing::new(string.to_owned())),
            ..Self::default()
        }
    }

    /// A binary version.
    pub fn binary(version_id: &str, binary: &[u8]) -> Self {
        Self {
            version_id: Some(version_id.to_owned()),
            value: Value::Binary(Zeroizing::new(binary.to_vec())),
            ..Self::default()
        }
    }

    /// Sets the creation date from seconds since the Unix epoch, as the service writes it. A value that no clock can
    /// represent leaves it unset.
    pub fn created_at_epoch(&mut self, seconds: f64) {
        self.created_date =
            Duration::try_from_secs_f64(seconds).ok().and_then(|age| SystemTime::UNIX_EPOCH.checked_add(age));
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("arn", &self.arn)
            .field("name", &self.name)
            .field("version_id", &self.version_id)
            .field("version_stages", &self.version_stages)
            .field("created_date", &self.created_date)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

/// A secret's bytes. They are wiped when dropped, and `Debug` never shows them.
#[derive(Default)]
#[non_exhaustive]
pub enum Value {
    /// `SecretString`.
    String(Zeroizing<String>),
    /// `SecretBinary`, decoded.
    Binary(Zeroizing<Vec<u8>>),
    /// Neither: an answer without a value.
    #[default]
    Absent,
}

impl Value {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::String(string) => string.as_bytes(),
            Self::Binary(binary) => binary,
            Self::Absent => &[],
        }
    }

    pub(crate) fn wipe(&mut self) {
        match self {
            Self::String(string) => string.zeroize(),
            Self::Binary(binary) => binary.zeroize(),
            Self::Absent => {}
        }
    }

    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::String(string) => Self::String(string.clone()),
            Self::Binary(binary) => Self::Binary(binary.clone()),
            Self::Absent => Self::Absent,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String(_) => "String(redacted)",
            Self::Binary(_) => "Binary(redacted)",
            Self::Absent => "Absent",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_the_type_and_shows_no_value() {
        let text = format!("{:?}", Fetched::string("v-1", "canary"));
        assert!(text.starts_with("Fetched {") && !text.contains("canary"), "{text}");
    }
}
