//! The one type that holds secret bytes.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// What a version holds: text or bytes. Wiped when the last copy goes; never shown by `Debug`.
///
/// Clones share one allocation, so keeping a snapshot of a secret copies no secret bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Arc<Content>);

#[derive(PartialEq, Eq)]
enum Content {
    Text(Zeroizing<String>),
    Binary(Zeroizing<Vec<u8>>),
}

impl SecretValue {
    /// A value given as `SecretString`.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Arc::new(Content::Text(Zeroizing::new(text.into()))))
    }

    /// A value given as `SecretBinary`.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Content::Binary(Zeroizing::new(bytes.into()))))
    }

    /// The value as `SecretString`, if it was given so.
    pub fn as_text(&self) -> Option<&str> {
        match &*self.0 {
            Content::Text(text) => Some(text),
            Content::Binary(_) => None,
        }
    }

    /// The value as `SecretBinary`, if it was given so.
    pub fn as_binary(&self) -> Option<&[u8]> {
        match &*self.0 {
            Content::Text(_) => None,
            Content::Binary(bytes) => Some(bytes),
        }
    }

    /// The size in bytes, as the 64 KiB limit counts it.
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

/// A `SecretString` on its way in: read straight into memory that will be wiped.
pub(crate) struct SecretText(pub(crate) SecretValue);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(Text).map(|text| Self(SecretValue::text(text)))
    }
}

/// A `SecretBinary` on its way in: base64 in JSON, as every blob of the protocol.
pub(crate) struct SecretBlob(pub(crate) SecretValue);

impl<'de> Deserialize<'de> for SecretBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Zeroizing::new(deserializer.deserialize_string(Text)?);
        // The decoder's own message quotes a byte of the input; this one must not.
        let bytes = STANDARD.decode(encoded.as_bytes()).map_err(|_| D::Error::custom("not valid base64"))?;
        Ok(Self(SecretValue::binary(bytes)))
    }
}

/// Secret bytes on their way out, as base64.
pub(crate) struct Encoded<'a>(pub(crate) &'a [u8]);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.0)))
    }
}

/// Accepts a string and nothing else, and never quotes what it got (serde's own message would).
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
