//! Imitates AWS's "Parameters and Secrets" Lambda extension, which answers on port 2773, with secrets from the store.
//!
//! A function sends `GET /secretsmanager/get?secretId=…` with its session token in a header. Responses have the
//! extension's format. Its errors are not documented, so they are those of AWS's agent (not verified).

use serde_json::{Value, json};

use crate::neighbours;
use crate::options::Extension;
use crate::protocol::{CutOff, Read, Reply};

/// The status and body of a response.
pub(crate) struct Answer(pub(crate) u16, pub(crate) Vec<u8>);

/// Returns whether a path belongs to the extension.
pub(crate) fn serves(path: &str) -> bool {
    [SECRETS, PARAMETERS].contains(&path)
}

/// Answers a function's request. `read` runs GetSecretValue for it.
pub(crate) async fn answer(
    extension: &Extension,
    is_get: bool,
    path: &str,
    query: &str,
    token: Option<&str>,
    read: &Read<'_>,
) -> Result<Answer, CutOff> {
    let plain = |status, text: &str| Ok(Answer(status, text.as_bytes().to_vec()));
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
    if path == PARAMETERS {
        let Some(name) = of("name") else { return plain(400, "missing parameter name") };
        let with_decryption = of("withDecryption").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        return Ok(parameter(neighbours::reference(name, with_decryption, read).await?));
    }
    let Some(id) = of("secretId") else { return plain(400, "missing parameter secretId") };
    let mut request = json!({ "SecretId": id });
    for (name, member) in [("versionId", "VersionId"), ("versionStage", "VersionStage")] {
        if let Some(value) = of(name) {
            request[member] = value.into();
        }
    }
    Ok(secret(read(request).await?))
}

fn secret(reply: Reply) -> Answer {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&reply.body) else {
        return Answer(reply.status, reply.body);
    };
    if reply.status != 200 {
        return Answer(reply.status, reply.body);
    }
    answer["CreatedDate"] = date(&answer["CreatedDate"]);
    for member in ["SecretBinary", "SecretString"] {
        if answer.get(member).is_none() {
            answer[member] = Value::Null;
        }
    }
    answer["ResultMetadata"] = json!({});
    Answer(200, answer.to_string().into_bytes())
}

fn parameter(found: Result<Value, (&'static str, String)>) -> Answer {
    match found {
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

/// Formats epoch seconds like `2026-11-28T12:00:00.123Z`.
fn date(seconds: &Value) -> Value {
    let millis = seconds.as_f64().map(|seconds| (seconds * 1000.0).round() as i64).unwrap_or_default();
    jiff::Timestamp::from_millisecond(millis).map_or(Value::Null, |at| at.to_string().into())
}

const SECRETS: &str = "/secretsmanager/get";
const PARAMETERS: &str = "/systemsmanager/parameters/get";

/// The header with the session token.
pub(crate) const TOKEN_HEADER: &str = "x-aws-parameters-secrets-token";
