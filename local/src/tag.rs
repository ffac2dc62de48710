//! Tags, of secrets and of the configuration of a rotation.

use serde::{Deserialize, Serialize};

/// A key and a value attached to a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Case-sensitive, unique within the secret.
    #[serde(rename = "Key", default)]
    pub key: String,
    /// May be empty.
    #[serde(rename = "Value", default)]
    pub value: String,
}
