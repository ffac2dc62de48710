//! Fields of a secret that are derived from others, such as a connection URL or a header for Basic authentication.
//!
//! Programs read these instead of the fields they are derived from. So every rotation updates them, and `testSecret`
//! checks them too.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::template::{Escape, fill};
use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// The derived fields that a description declares, by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Derived(BTreeMap<String, Form>);

/// The template of a derived field, with its encoding.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// Plain text.
    Text(String),
    /// A URL: each inserted value is percent-encoded.
    Url(String),
    /// Plain text, encoded in Base64 as a whole.
    Base64(String),
}

impl Derived {
    /// Returns the document with every derived field computed from the other fields.
    pub(super) fn fill_in(&self, document: &Document) -> Result<Document, Error> {
        let mut filled = document.clone();
        for (name, form) in &self.0 {
            let value = |name: &str| document.require(name);
            let text = match form {
                Form::Text(template) => fill(template, Escape::Text, &value)?,
                Form::Url(template) => fill(template, Escape::Url, &value)?,
                Form::Base64(template) => {
                    Zeroizing::new(STANDARD.encode(fill(template, Escape::Text, &value)?.as_bytes()))
                }
            };
            filled = filled.with(name, &text)?;
        }
        Ok(filled)
    }

    /// Rejects a document whose derived fields do not match its other fields.
    pub(super) fn verify(&self, document: &Document) -> Result<(), Error> {
        let filled = self.fill_in(document)?;
        for name in self.0.keys() {
            if filled.field(name) != document.field(name) {
                return Err(Error::new(
                    ErrorKind::Rejected,
                    format!("the new version's {name:?} does not match the fields that it is derived from"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_made_of_others_and_must_match_them() {
        let derived: Derived = toml::from_str(
            r#"
            basic = { base64 = "{username}:{password}" }
            url = { url = "postgres://{username}:{password}@{host}/shop" }
            label = { text = "{username} at {host}" }
            "#,
        )
        .unwrap();
        let secret = Document::parse(
            r#"{"host":"db","username":"app","password":"p@ss/word","basic":"old","url":"","n":1}"#,
        )
        .unwrap();
        assert_eq!(derived.verify(&secret).unwrap_err().kind(), ErrorKind::Rejected);
        let filled = derived.fill_in(&secret).unwrap();
        assert_eq!(
            filled.text(),
            r#"{"host":"db","username":"app","password":"p@ss/word","basic":"YXBwOnBAc3Mvd29yZA==","url":"postgres://app:p%40ss%2Fword@db/shop","n":1, "label": "app at db"}"#
        );
        derived.verify(&filled).unwrap();
        let missing = Document::parse(r#"{"username":"app"}"#).unwrap();
        assert!(derived.fill_in(&missing).is_err());
    }
}
