//! The rotation event, as Secrets Manager sends it to a rotation function.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// One invocation of a rotation function: the step, the secret, and the version.
///
/// ```
/// use secretcache_rotation::{Event, Step};
///
/// let event = Event::from_json(br#"{
///     "Step": "create_secret",
///     "SecretId": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf",
///     "ClientRequestToken": "0f3c2a6e-1111-4222-8333-444455556666"
/// }"#)?;
/// assert_eq!(event.step, Step::CreateSecret);
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// The step to run.
    pub step: Step,
    /// The secret's ARN; can be its name if the event comes from this crate's runner.
    pub secret_id: String,
    /// The id of the version that is being rotated in.
    pub client_request_token: String,
    /// Proves to the service that a write belongs to this rotation. Required with assumed roles and across accounts.
    #[serde(default)]
    pub rotation_token: Option<RotationToken>,
}

impl Event {
    /// Parses an event.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidEvent`], describing the problem without quoting the event.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let event: Self = serde_json::from_slice(json).map_err(|error| {
            // The parser's message quotes its input, which can contain the RotationToken.
            let (line, column) = (error.line(), error.column());
            let problem = match error.classify() {
                serde_json::error::Category::Data => {
                    "lacks one of Step, SecretId and ClientRequestToken, or names an unknown Step"
                }
                _ => "is not JSON",
            };
            Error::new(
                ErrorKind::InvalidEvent,
                format!("the rotation event {problem} (line {line}, column {column})"),
            )
        })?;
        if !(32..=64).contains(&event.client_request_token.len()) || event.secret_id.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidEvent,
                "the rotation event needs a SecretId, and a ClientRequestToken of 32 to 64 characters",
            ));
        }
        Ok(event)
    }
}

/// The four steps. The service's documentation spells them in two ways, and both are accepted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
pub enum Step {
    /// Generates the new value and stores it as `AWSPENDING`.
    #[serde(rename = "createSecret", alias = "create_secret")]
    CreateSecret,
    /// Sets it at the resource.
    #[serde(rename = "setSecret", alias = "set_secret")]
    SetSecret,
    /// Tests that the resource accepts it.
    #[serde(rename = "testSecret", alias = "test_secret")]
    TestSecret,
    /// Makes it current.
    #[serde(rename = "finishSecret", alias = "finish_secret")]
    FinishSecret,
}

impl Step {
    /// The steps in the order they run.
    pub const ALL: [Self; 4] = [Self::CreateSecret, Self::SetSecret, Self::TestSecret, Self::FinishSecret];

    /// Returns the step's name as it is spelled in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateSecret => "createSecret",
            Self::SetSecret => "setSecret",
            Self::TestSecret => "testSecret",
            Self::FinishSecret => "finishSecret",
        }
    }
}

/// The service's proof that a rotation is in progress. `Debug` redacts it.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct RotationToken(Zeroizing<String>);

impl From<String> for RotationToken {
    fn from(token: String) -> Self {
        Self(Zeroizing::new(token))
    }
}

impl RotationToken {
    /// Wraps a token from the service.
    pub fn new(token: &str) -> Self {
        Self(Zeroizing::new(token.to_owned()))
    }

    /// Returns the token. Send it with `PutSecretValue` and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RotationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0f3c2a6e-1111-4222-8333-444455556666";

    fn event(step: &str, rest: &str) -> Result<Event, Error> {
        Event::from_json(
            format!(r#"{{"Step":"{step}","SecretId":"arn","ClientRequestToken":"{TOKEN}"{rest}}}"#)
                .as_bytes(),
        )
    }

    #[test]
    fn both_spellings_of_every_step_are_understood() {
        for (camel, snake, step) in [
            ("createSecret", "create_secret", Step::CreateSecret),
            ("setSecret", "set_secret", Step::SetSecret),
            ("testSecret", "test_secret", Step::TestSecret),
            ("finishSecret", "finish_secret", Step::FinishSecret),
        ] {
            assert_eq!(event(camel, "").unwrap().step, step);
            assert_eq!(event(snake, "").unwrap().step, step);
            assert_eq!(step.name(), camel);
        }
    }

    #[test]
    fn the_rotation_token_is_kept_and_never_shown() {
        let event =
            event("setSecret", r#","RotationToken":"canary-0123456789-0123456789-0123456789""#).unwrap();
        assert!(!format!("{event:?}").contains("canary"));
        assert!(event.rotation_token.unwrap().expose().starts_with("canary"));
    }

    #[test]
    fn errors_do_not_quote_the_event() {
        for broken in [r#","RotationToken":["canary"]"#, r#","Step":"canary""#, r#","RotationToken":"canary"#]
        {
            let error = event("setSecret", broken).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidEvent);
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        assert!(event("dropSecret", "").is_err());
        assert!(
            Event::from_json(br#"{"Step":"setSecret","SecretId":"a","ClientRequestToken":"short"}"#).is_err()
        );
    }
}
