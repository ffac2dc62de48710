//! Tags of secrets, and key-value pairs in the configuration of a rotation.

use serde::{Deserialize, Serialize};

/// A key and a value attached to a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The key, case-sensitive and unique within the secret.
    #[serde(rename = "Key", default)]
    pub key: String,
    /// The value, which can be empty.
    #[serde(rename = "Value", default)]
    pub value: String,
}
