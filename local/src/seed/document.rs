//! Documents in a seed: values given as tables, and policies.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A document in one of the seed formats.
pub(super) trait Document {
    /// Returns the document as JSON text.
    ///
    /// # Errors
    /// A message that says what cannot be expressed in JSON, and where. It never contains a value.
    fn text(&self) -> Result<String, String>;
}

/// Keeps numbers and names as written, and only removes the whitespace between them.
impl Document for Box<RawValue> {
    fn text(&self) -> Result<String, String> {
        serde_json::from_str::<Unique>(self.get()).map_err(|error| super::text::without_place(&error))?;
        Ok(compact(self.get()))
    }
}

/// Converts dates to strings, because JSON has no dates.
impl Document for toml::Value {
    fn text(&self) -> Result<String, String> {
        Ok(as_json(self, "")?.to_string())
    }
}

fn as_json(value: &toml::Value, path: &str) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) if number.is_finite() => Value::from(*number),
        toml::Value::Float(number) => {
            return Err(format!("{path}: {number} is not a number in JSON; write it as a string"));
        }
        toml::Value::Boolean(is_true) => Value::from(*is_true),
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Array(all) => {
            Value::Array(all.iter().map(|one| as_json(one, path)).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(members) => {
            let dot = if path.is_empty() { "" } else { "." };
            let member = |(name, value): (&String, &toml::Value)| {
                Ok((name.clone(), as_json(value, &format!("{path}{dot}{name}"))?))
            };
            Value::Object(members.iter().map(member).collect::<Result<_, String>>()?)
        }
    })
}

/// Removes the whitespace outside strings from JSON text.
fn compact(json: &str) -> String {
    let (mut is_in_string, mut is_escaped) = (false, false);
    let is_kept = |c: &char| {
        if is_in_string {
            is_in_string = is_escaped || *c != '"';
            is_escaped = !is_escaped && *c == '\\';
            return true;
        }
        is_in_string = *c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(is_kept).collect()
}

/// A JSON document without duplicate names in any object.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, Self)) = map.next_entry::<String, Self>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            names.insert(name);
        }
        Ok(self)
    }
}
