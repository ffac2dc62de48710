//! The only type that holds secret bytes.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// The value of a version: text or bytes. It is wiped from memory when the last clone is dropped, and `Debug` never
/// shows it.
///
/// Clones share one allocation, so a snapshot of a secret copies no secret bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Arc<Content>);

#[derive(PartialEq, Eq)]
enum Content {
    Text(Zeroizing<String>),
    Binary(Zeroizing<Vec<u8>>),
}

impl SecretValue {
    /// Creates a value from a `SecretString`.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Arc::new(Content::Text(Zeroizing::new(text.into()))))
    }

    /// Creates a value from a `SecretBinary`.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Content::Binary(Zeroizing::new(bytes.into()))))
    }

    /// Returns the text, if the value is a `SecretString`.
    pub fn as_text(&self) -> Option<&str> {
        match &*self.0 {
            Content::Text(text) => Some(text),
            Content::Binary(_) => None,
        }
    }

    /// Returns the bytes, if the value is a `SecretBinary`.
    pub fn as_binary(&self) -> Option<&[u8]> {
        match &*self.0 {
            Content::Text(_) => None,
            Content::Binary(bytes) => Some(bytes),
        }
    }

    /// Returns the size in bytes, as counted for the 64 KiB limit.
    pub fn size(&self) -> usize {
        match &*self.0 {
            Content::Text(text) => text.len(),
            Content::Binary(bytes) => bytes.len(),
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(** redacted **)")
    }
}

/// A `SecretString` in a request, deserialized directly into memory that is wiped later.
pub(crate) struct SecretText(pub(crate) SecretValue);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(Text).map(|text| Self(SecretValue::text(text)))
    }
}

/// A `SecretBinary` in a request: base64 in JSON, like every blob of the protocol.
pub(crate) struct SecretBlob(pub(crate) SecretValue);

impl<'de> Deserialize<'de> for SecretBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Zeroizing::new(deserializer.deserialize_string(Text)?);
        // The decoder's own message quotes a byte of the input; this one must not.
        let bytes = STANDARD.decode(encoded.as_bytes()).map_err(|_| D::Error::custom("not valid base64"))?;
        Ok(Self(SecretValue::binary(bytes)))
    }
}

/// Secret bytes in a response, serialized as base64.
pub(crate) struct Encoded<'a>(pub(crate) &'a [u8]);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.0)))
    }
}

/// Accepts only a string. Unlike serde's own visitor, its errors never quote the input.
struct Text;

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?} {:?}", SecretValue::text("canary"), SecretValue::binary(*b"canary"));
        assert!(!shown.contains("canary") && !shown.contains("99"), "{shown}");
    }

    #[test]
    fn text_and_binary_of_the_same_bytes_differ() {
        assert_ne!(SecretValue::text("a"), SecretValue::binary(*b"a"));
    }

    #[test]
    fn base64_errors_do_not_quote_the_input() {
        let error = serde_json::from_str::<SecretBlob>("\"canary!!\"").err().unwrap();
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
