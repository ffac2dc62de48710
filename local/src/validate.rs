//! The constraints of the service model, checked and worded as the service does.

use std::fmt::Display;

use crate::error::{ErrorCode, ServiceError};
use crate::value::{SecretBlob, SecretText, SecretValue};

/// Collects every broken constraint of one request: the service reports them together.
#[derive(Default)]
pub(crate) struct Constraints {
    broken: Vec<String>,
}

impl Constraints {
    /// A member that must be there.
    pub(crate) fn required<T>(mut self, member: &str, value: Option<&T>) -> Self {
        if value.is_none() {
            self.broken.push(format!(
                "Value null at '{member}' failed to satisfy constraint: Member must not be null"
            ));
        }
        self
    }

    /// A string of `least..=most` characters, if it is there.
    pub(crate) fn length(mut self, member: &str, value: Option<&str>, least: usize, most: usize) -> Self {
        let Some(value) = value else { return self };
        let length = value.chars().count();
        if length < least {
            self.add(member, &value, &format!("Member must have length greater than or equal to {least}"));
        } else if length > most {
            self.add(member, &value, &format!("Member must have length less than or equal to {most}"));
        }
        self
    }

    /// A number of `least..=most`, if it is there.
    pub(crate) fn range(mut self, member: &str, value: Option<i64>, least: i64, most: i64) -> Self {
        let Some(value) = value else { return self };
        if value < least {
            self.add(member, &value, &format!("Member must have value greater than or equal to {least}"));
        } else if value > most {
            self.add(member, &value, &format!("Member must have value less than or equal to {most}"));
        }
        self
    }

    /// A list of `least..=most` members, if it is there.
    pub(crate) fn count(mut self, member: &str, value: Option<usize>, least: usize, most: usize) -> Self {
        let Some(count) = value else { return self };
        if count < least {
            self.add(member, &"[]", &format!("Member must have length greater than or equal to {least}"));
        } else if count > most {
            self.add(member, &"[...]", &format!("Member must have length less than or equal to {most}"));
        }
        self
    }

    /// One of a set of words, if it is there.
    pub(crate) fn one_of(mut self, member: &str, value: Option<&str>, words: &[&str]) -> Self {
        if let Some(value) = value.filter(|value| !words.contains(value)) {
            self.add(member, &value, &format!("Member must satisfy enum value set: [{}]", words.join(", ")));
        }
        self
    }

    /// A string of the shape `pattern` names, which `fits` has decided.
    pub(crate) fn pattern(mut self, member: &str, value: &str, fits: bool, pattern: &str) -> Self {
        if !fits {
            self.add(member, &value, &format!("Member must satisfy regular expression pattern: {pattern}"));
        }
        self
    }

    /// A `SecretId`.
    pub(crate) fn secret_id(self, value: Option<&String>) -> Self {
        self.required("secretId", value).length("secretId", value.map(String::as_str), 1, 2048)
    }

    /// A secret value: sensitive, so never quoted.
    pub(crate) fn value(mut self, text: Option<&SecretText>, blob: Option<&SecretBlob>) -> Self {
        let sizes = [("secretString", text.map(|t| t.0.size())), ("secretBinary", blob.map(|b| b.0.size()))];
        for (member, size) in sizes {
            let constraint = match size {
                Some(0) => "Member must have length greater than or equal to 1".to_owned(),
                Some(size) if size > MOST_BYTES => {
                    format!("Member must have length less than or equal to {MOST_BYTES}")
                }
                _ => continue,
            };
            self.broken.push(format!("Value at '{member}' failed to satisfy constraint: {constraint}"));
        }
        self
    }

    /// The error, if any constraint is broken.
    pub(crate) fn check(self) -> Result<(), ServiceError> {
        let errors = match self.broken.len() {
            0 => return Ok(()),
            1 => "1 validation error".to_owned(),
            n => format!("{n} validation errors"),
        };
        Err(ServiceError::new(
            ErrorCode::Validation,
            format!("{errors} detected: {}", self.broken.join("; ")),
        ))
    }

    fn add(&mut self, member: &str, value: &dyn Display, constraint: &str) {
        self.broken.push(format!("Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"));
    }
}

/// The token that becomes a version's id. SDKs and the AWS command line always send one; a raw request must
/// too.
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

/// The value a request gives, as text or bytes but not both.
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

/// 64 KiB, for `SecretString` and `SecretBinary` alike (service model, `SecretStringType`,
/// `SecretBinaryType`).
pub(crate) const MOST_BYTES: usize = 65_536;
