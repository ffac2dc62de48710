//! Checks the constraints of the service model, with the service's own messages.
//!
//! `model.json` is generated from the model in botocore (`tests/local/model_table.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{ErrorCode, ServiceError};
use crate::value::{SecretBlob, SecretText, SecretValue};

/// Checks the parameters of an operation. The error "n validation errors detected" lists all violations.
///
/// Does not report invalid JSON or wrong types; those are reported when the parameters are parsed.
pub(crate) fn check(operation: &str, body: &[u8]) -> Result<(), ServiceError> {
    let Some(shape) = MODEL.get(operation) else { return Ok(()) };
    let mut broken = Vec::new();
    let check = Check { shape, path: String::new(), broken: &mut broken };
    let _ = check.deserialize(&mut serde_json::Deserializer::from_slice(body));
    let errors = match broken.len() {
        0 => return Ok(()),
        1 => "1 validation error".to_owned(),
        n => format!("{n} validation errors"),
    };
    Err(ServiceError::new(ErrorCode::Validation, format!("{errors} detected: {}", broken.join("; "))))
}

static MODEL: LazyLock<BTreeMap<String, Shape>> =
    LazyLock::new(|| serde_json::from_str(include_str!("model.json")).expect("a test reads it"));

/// The constraints on a value in the service model.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Shape {
    required: bool,
    /// The minimum length of a string or list, or the minimum of a number.
    min: Option<i64>,
    max: Option<i64>,
    pattern: Option<Pattern>,
    r#enum: Vec<String>,
    /// Whether the value is secret: it is never quoted, and its length is measured in bytes.
    sensitive: bool,
    /// Whether the value is base64; its length is that of the decoded bytes.
    blob: bool,
    each: Option<Box<Shape>>,
    members: BTreeMap<String, Shape>,
}

struct Pattern {
    text: String,
    regex: Regex,
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // In the service, the whole value must match.
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(D::Error::custom)?;
        Ok(Self { text, regex })
    }
}

impl Shape {
    /// Returns the constraints that a value of this size violates.
    fn broken(&self, size: i64, text: Option<&str>) -> Vec<String> {
        let is_broken = |constraint: &Constraint<'_>| match constraint {
            Constraint::Max(max) => size > *max,
            Constraint::Min(min) => size < *min,
            Constraint::Pattern(pattern) => text.is_some_and(|text| !pattern.regex.is_match(text)),
            Constraint::Enum(words) => text.is_some_and(|text| !words.iter().any(|word| word == text)),
        };
        let what = if text.is_some() || self.each.is_some() { "length" } else { "value" };
        self.constraints().filter(is_broken).map(|constraint| constraint.words(what)).collect()
    }

    /// Returns the constraints in the order in which the service lists them.
    fn constraints(&self) -> impl Iterator<Item = Constraint<'_>> {
        let max = self.max.map(Constraint::Max).into_iter();
        max.chain(self.min.map(Constraint::Min))
            .chain(self.pattern.as_ref().map(Constraint::Pattern))
            .chain((!self.r#enum.is_empty()).then_some(Constraint::Enum(&self.r#enum)))
    }
}

enum Constraint<'a> {
    Max(i64),
    Min(i64),
    Pattern(&'a Pattern),
    Enum(&'a [String]),
}

impl Constraint<'_> {
    fn words(&self, what: &str) -> String {
        match self {
            Self::Max(max) => format!("Member must have {what} less than or equal to {max}"),
            Self::Min(min) => format!("Member must have {what} greater than or equal to {min}"),
            Self::Pattern(Pattern { text, .. }) => {
                format!("Member must satisfy regular expression pattern: {text}")
            }
            Self::Enum(words) => format!("Member must satisfy enum value set: [{}]", words.join(", ")),
        }
    }
}

/// A visitor that checks a value while it is deserialized. Secrets are measured but not stored.
struct Check<'a> {
    shape: &'a Shape,
    path: String,
    broken: &'a mut Vec<String>,
}

/// The kind of value found.
enum Seen {
    Null,
    /// A string, unless it is sensitive.
    Text(String),
    Other,
}

impl Check<'_> {
    fn measure(self, size: i64, text: Option<&str>, quoted: &dyn fmt::Display) {
        for constraint in self.shape.broken(size, text) {
            let value = if self.shape.sensitive { "Value".to_owned() } else { format!("Value '{quoted}'") };
            self.broken
                .push(format!("{value} at '{}' failed to satisfy constraint: {constraint}", self.path));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Seen, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Seen, E> {
        self.measure(number, None, &number);
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Seen, E> {
        let is_sensitive = self.shape.sensitive;
        let size = match self.shape {
            Shape { blob: true, .. } => text.trim_end_matches('=').len() * 3 / 4,
            Shape { sensitive: true, .. } => text.len(),
            _ => text.chars().count(),
        };
        self.measure(size as i64, Some(text), &text);
        Ok(if is_sensitive { Seen::Other } else { Seen::Text(text.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seen, A::Error> {
        let any = Shape::default();
        let each = self.shape.each.as_deref().unwrap_or(&any);
        let has_members = !each.members.is_empty();
        let (mut count, mut texts, mut broken) = (0, Vec::new(), Vec::new());
        let mut next = |count: i64, broken: &mut Vec<String>| {
            let path = format!("{}.{}.member", self.path, count + 1);
            list.next_element_seed(Check { shape: each, path, broken })
        };
        while let Some(seen) = next(count, &mut broken)? {
            count += 1;
            texts.extend(match seen {
                Seen::Text(text) => Some(text),
                Seen::Null | Seen::Other => None,
            });
        }
        let quoted = format!("[{}]", texts.join(", "));
        if has_members {
            self.broken.append(&mut broken);
        } else if !broken.is_empty() {
            // The service reports the list itself, with all constraints on its items.
            let constraints: Vec<_> =
                each.constraints().map(|constraint| constraint.words("length")).collect();
            self.broken.push(format!(
                "Value '{quoted}' at '{}' failed to satisfy constraint: Member must satisfy constraint: [{}]",
                self.path,
                constraints.join(", ")
            ));
        }
        self.measure(count, None, &quoted);
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let Self { shape, path, broken } = self;
        let at = |name: &str| {
            let dot = if path.is_empty() { "" } else { "." };
            let (first, rest) = name.split_at(name.len().min(1));
            format!("{path}{dot}{}{rest}", first.to_ascii_lowercase())
        };
        let any = Shape::default();
        let mut given = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let known = shape.members.get_key_value(&name);
            let check = Check { shape: known.map_or(&any, |known| known.1), path: at(&name), broken };
            let seen = map.next_value_seed(check)?;
            given.extend(known.map(|known| known.0.as_str()).filter(|_| !matches!(seen, Seen::Null)));
        }
        let required = shape.members.iter().filter(|(_, member)| member.required);
        for (name, _) in required.filter(|(name, _)| !given.contains(name.as_str())) {
            broken.push(format!(
                "Value null at '{}' failed to satisfy constraint: Member must not be null",
                at(name)
            ));
        }
        Ok(Seen::Other)
    }
}

/// Checks the token that becomes a version's id. SDKs and the AWS command line always send one; a raw request must too.
pub(crate) fn client_request_token(token: Option<String>) -> Result<String, ServiceError> {
    let Some(token) = token else {
        return Err(ServiceError::invalid_request(
            "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
        ));
    };
    match token.chars().count() {
        32..=64 => Ok(token),
        _ => Err(ServiceError::invalid_parameter("ClientRequestToken must be 32-64 characters long.")),
    }
}

/// Returns the value in a request, which can be text or bytes but not both.
pub(crate) fn one_value(
    text: Option<SecretText>,
    blob: Option<SecretBlob>,
) -> Result<Option<SecretValue>, ServiceError> {
    match (text, blob) {
        (Some(_), Some(_)) => Err(ServiceError::invalid_parameter(
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )),
        (Some(SecretText(value)), None) | (None, Some(SecretBlob(value))) => Ok(Some(value)),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(operation: &str, body: &str) -> String {
        check(operation, body.as_bytes()).unwrap_err().message().to_owned()
    }

    #[test]
    fn the_table_is_read() {
        assert_eq!(MODEL.len(), crate::operations::names().count());
    }

    #[test]
    fn constraints_are_worded_as_the_service_words_them() {
        assert_eq!(
            refused("UntagResource", r#"{"SecretId":"a","TagKeys":["a",""]}"#),
            "1 validation error detected: Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy \
             constraint: [Member must have length less than or equal to 128, Member must have length greater than or \
             equal to 1]"
        );
        assert_eq!(
            refused("ReplicateSecretToRegions", r#"{"SecretId":"a","AddReplicaRegions":[{"Region":"x y"}]}"#),
            "1 validation error detected: Value 'x y' at 'addReplicaRegions.1.member.region' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: ^([a-z]+-)+\\d+$"
        );
        assert_eq!(
            refused("CreateSecret", r#"{"SecretString":"","AddReplicaRegions":[]}"#),
            "3 validation errors detected: Value at 'secretString' failed to satisfy constraint: Member must have length \
             greater than or equal to 1; Value '[]' at 'addReplicaRegions' failed to satisfy constraint: Member must have \
             length greater than or equal to 1; Value null at 'name' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn unknown_members_and_what_is_no_json_are_left_to_others() {
        check("DescribeSecret", br#"{"SecretId":"a","Other":{"SecretId":[]}}"#).unwrap();
        check("DescribeSecret", br#"{"SecretId":"a"#).unwrap();
        check("NoSuchOperation", b"{}").unwrap();
    }
}
