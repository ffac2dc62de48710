//! A secret's JSON, read field by field. Writing a field back leaves everything else untouched.

use std::fmt;
use std::ops::Range;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// A secret string that is a JSON object.
///
/// The original text is kept, and only changed values are spliced in. So unknown fields, the order of fields, white
/// space and number formats all survive a rotation. The text is zeroed when dropped, and `Debug` shows only field
/// names.
///
/// ```
/// use secretcache_rotation::Document;
///
/// let current = Document::parse(r#"{"port": 5432.0, "password": "old", "team": null}"#)?;
/// let pending = current.with("password", "n\"w")?;
/// assert_eq!(pending.text(), r#"{"port": 5432.0, "password": "n\"w", "team": null}"#);
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Clone)]
pub struct Document {
    text: Zeroizing<String>,
    fields: Vec<Field>,
}

#[derive(Clone)]
struct Field {
    name: String,
    value: Range<usize>,
}

impl Document {
    /// Parses a secret string.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if it is not a JSON object; the text is not quoted.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = Zeroizing::new(text.to_owned());
        let fields = fields(&text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::new(ErrorKind::Misconfigured, format!("the secret's value is not a JSON object ({place})"))
        })?;
        Ok(Self { text, fields })
    }

    /// Returns the JSON text to store.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the names of the fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// Returns a field's value: a string unquoted, a number or boolean as its JSON text. `None` if there is no such
    /// field or it is null.
    pub fn field(&self, name: &str) -> Option<Zeroizing<String>> {
        // If a name occurs twice, the last one wins, as in every common parser.
        let field = self.fields.iter().rfind(|field| field.name == name)?;
        let raw = &self.text[field.value.clone()];
        match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).ok().map(Zeroizing::new),
            b'n' => None,
            _ => Some(Zeroizing::new(raw.to_owned())),
        }
    }

    /// Like [`Document::field`], but the field must exist and must not be empty.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], naming the missing field and the existing ones.
    pub fn require(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        self.field(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let known: Vec<_> = self.names().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::new(
                ErrorKind::Misconfigured,
                format!("the secret has no {name:?}; its fields are {known}"),
            )
        })
    }

    /// Returns the document with one field set to a string. An existing field keeps its position; a new one is
    /// appended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if the result is not a JSON object, which cannot happen.
    pub fn with(&self, name: &str, value: &str) -> Result<Self, Error> {
        let json = |text: &str| Zeroizing::new(serde_json::Value::from(text).to_string());
        let value = json(value);
        let (place, before) = match self.fields.iter().rfind(|field| field.name == name) {
            Some(field) => (field.value.clone(), String::new()),
            None => {
                let end = self.text.rfind('}').unwrap_or(0);
                let end = self.text[..end].trim_end().len();
                let comma = if self.fields.is_empty() { "" } else { ", " };
                (end..end, format!("{comma}{}: ", &*json(name)))
            }
        };
        let parts = [&self.text[..place.start], &before, &value, &self.text[place.end..]];
        // Allocated in full: a growing string would leave copies of the secret in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.into_iter().for_each(|part| text.push_str(part));
        Self::parse(&text)
    }

    /// Returns the user name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if there is none.
    pub fn username(&self) -> Result<Zeroizing<String>, Error> {
        self.require("username")
    }

    /// Returns the password.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if there is none.
    pub fn password(&self) -> Result<Zeroizing<String>, Error> {
        self.require("password")
    }

    /// Whether both documents are for the same resource: equal `host`, and equal `port` and `engine` if both have them.
    pub fn is_same_resource(&self, other: &Self) -> bool {
        let agree = |name: &str| match (self.field(name), other.field(name)) {
            (Some(mine), Some(other)) => mine.eq_ignore_ascii_case(&other),
            _ => true,
        };
        self.field("host").is_some() == other.field("host").is_some()
            && agree("host")
            && agree("port")
            && agree("engine")
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document")?;
        f.debug_set().entries(self.names()).finish()
    }
}

fn fields(text: &str) -> Result<Vec<Field>, serde_json::Error> {
    struct Fields(usize);
    impl<'de> Visitor<'de> for Fields {
        type Value = Vec<Field>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = Vec::new();
            while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
                // A raw value is a slice of the text, so its offset is the difference of the addresses.
                let start = raw.get().as_ptr() as usize - self.0;
                fields.push(Field { name, value: start..start + raw.get().len() });
            }
            Ok(fields)
        }
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let fields = parser.deserialize_map(Fields(text.as_ptr() as usize))?;
    parser.end()?;
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_touched() {
        let text = "{ \"b\" : 1e3,\n\t\"port\":\"5432\", \"username\":\"a\", \"n\":123456789012345678901234567890,\
                    \"deep\":{\"password\":\"x\"},\"password\":\"p\"}\n";
        let document = Document::parse(text).unwrap().with("password", "q").unwrap();
        assert_eq!(document.text(), text.replace("\"p\"}", "\"q\"}"));
        let document = document.with("username", "a_clone").unwrap().with("password", "p").unwrap();
        assert_eq!(document.text(), text.replace("\"a\"", "\"a_clone\""));
    }

    #[test]
    fn a_new_field_goes_to_the_end() {
        let with =
            |text: &str| Document::parse(text).unwrap().with("key\"id", "7").unwrap().text().to_owned();
        assert_eq!(with("{}"), r#"{"key\"id": "7"}"#);
        assert_eq!(with("{\"a\": {}\n}"), "{\"a\": {}, \"key\\\"id\": \"7\"\n}");
    }

    #[test]
    fn the_last_of_two_fields_with_one_name_counts() {
        let document = Document::parse(r#"{"password":"a","p\u0061ssword":"b"}"#).unwrap();
        assert_eq!(*document.password().unwrap(), "b");
        assert_eq!(document.with("password", "c").unwrap().text(), r#"{"password":"a","p\u0061ssword":"c"}"#);
    }

    #[test]
    fn nothing_shows_the_value() {
        let document = Document::parse(r#"{"password":"canary"}"#).unwrap();
        assert_eq!(format!("{document:?}"), r#"Document{"password"}"#);
        for broken in ["canary", r#"["canary"]"#, r#"{"a":"canary""#, r#"{"a":"canary"} canary"#, ""] {
            let error = Document::parse(broken).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        let error = document.require("username").unwrap_err();
        assert!(error.message().contains("password") && !error.message().contains("canary"));
    }

    #[test]
    fn a_host_that_is_only_in_one_is_another_resource() {
        let parse = |text| Document::parse(text).unwrap();
        let with = parse(r#"{"host":"DB","port":5432}"#);
        assert!(with.is_same_resource(&parse(r#"{"host":"db","port":"5432"}"#)));
        assert!(with.is_same_resource(&parse(r#"{"host":"db"}"#)));
        assert!(!with.is_same_resource(&parse(r#"{"host":"db","port":5433}"#)));
        assert!(!with.is_same_resource(&parse("{}")));
    }
}
