//! What AWS's "Parameters and Secrets" Lambda extension answers on port 2773, from the same store.
//!
//! A function reads `GET /secretsmanager/get?secretId=…` with its session token in a header. Bodies are as the extension
//! writes them; what it says of errors is not published, so that is as AWS's agent does it (not verified).

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::neighbours;
use crate::protocol::Envelope;

/// How requests of functions are answered.
///
/// ```
/// use secretcache_local::{DEFAULT_EXTENSION_PORT, Extension};
///
/// let extension = Extension { port: DEFAULT_EXTENSION_PORT, token: Some("AWS_SESSION_TOKEN of the function".into()) };
/// assert_eq!(extension.port, 2773);
/// ```
#[derive(Clone)]
pub struct Extension {
    /// The port; 0 picks a free one.
    pub port: u16,
    /// What the header `X-Aws-Parameters-Secrets-Token` must be; `None` takes anything but nothing.
    pub token: Option<String>,
}

/// The token is not shown.
impl std::fmt::Debug for Extension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extension").field("port", &self.port).finish_non_exhaustive()
    }
}

/// An answer: status and body.
pub(crate) struct Answer(pub(crate) u16, pub(crate) Vec<u8>);

/// Whether a path is one of the extension's.
pub(crate) fn serves(path: &str) -> bool {
    [SECRETS, PARAMETERS].contains(&path)
}

/// Answers a request of a function.
pub(crate) fn answer(
    engine: &Engine,
    extension: &Extension,
    is_get: bool,
    path: &str,
    query: &str,
    token: Option<&str>,
) -> Answer {
    let plain = |status, text: &str| Answer(status, text.as_bytes().to_vec());
    let is_right =
        |token: &&str| !token.is_empty() && extension.token.as_deref().is_none_or(|right| right == *token);
    if token.filter(is_right).is_none() {
        return plain(403, "Bad Token");
    }
    if !is_get {
        return plain(405, "Not allowed");
    }
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let known: &[&str] = if path == SECRETS {
        &["secretId", "versionId", "versionStage", "refreshNow"]
    } else {
        &["name", "version", "label", "withDecryption"]
    };
    if let Some((name, _)) = parameters.iter().find(|(name, _)| !known.contains(&&**name)) {
        return plain(400, &format!("unknown parameter: {name}"));
    }
    let of = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
    if path == SECRETS { secret(engine, &of) } else { parameter(engine, &of) }
}

fn secret<'a>(engine: &Engine, of: &dyn Fn(&str) -> Option<&'a str>) -> Answer {
    let Some(id) = of("secretId") else { return Answer(400, b"missing parameter secretId".to_vec()) };
    let mut request = json!({ "SecretId": id });
    for (name, member) in [("versionId", "VersionId"), ("versionStage", "VersionStage")] {
        if let Some(value) = of(name) {
            request[member] = value.into();
        }
    }
    let scope = engine.scope_of(&Envelope::default());
    match engine.execute(scope, "GetSecretValue", request.to_string().as_bytes()) {
        Ok(body) => {
            let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            answer["CreatedDate"] = date(&answer["CreatedDate"]);
            for member in ["SecretBinary", "SecretString"] {
                if answer.get(member).is_none() {
                    answer[member] = Value::Null;
                }
            }
            answer["ResultMetadata"] = json!({});
            Answer(200, answer.to_string().into_bytes())
        }
        Err(error) => Answer(error.code().status(), error.body()),
    }
}

fn parameter<'a>(engine: &Engine, of: &dyn Fn(&str) -> Option<&'a str>) -> Answer {
    let Some(name) = of("name") else { return Answer(400, b"missing parameter name".to_vec()) };
    let scope = engine.scope_of(&Envelope::default());
    let with_decryption = of("withDecryption").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    match neighbours::reference(engine, scope, name, with_decryption) {
        Ok(mut parameter) => {
            parameter["LastModifiedDate"] = date(&parameter["LastModifiedDate"]);
            parameter["Selector"] = Value::Null;
            Answer(200, json!({ "Parameter": parameter, "ResultMetadata": {} }).to_string().into_bytes())
        }
        Err((kind, message)) => {
            Answer(400, json!({ "__type": kind, "message": message }).to_string().into_bytes())
        }
    }
}

/// Epoch seconds as `2026-11-28T12:00:00.123Z`.
fn date(seconds: &Value) -> Value {
    let millis = seconds.as_f64().map(|seconds| (seconds * 1000.0).round() as i64).unwrap_or_default();
    jiff::Timestamp::from_millisecond(millis).map_or(Value::Null, |at| at.to_string().into())
}

const SECRETS: &str = "/secretsmanager/get";
const PARAMETERS: &str = "/systemsmanager/parameters/get";

/// The header that carries the token.
pub(crate) const TOKEN_HEADER: &str = "x-aws-parameters-secrets-token";

/// Where functions expect the extension.
pub const DEFAULT_EXTENSION_PORT: u16 = 2773;
