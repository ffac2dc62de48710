//! Calls that are not for Secrets Manager: the few that are answered, and a clear error for all others in the shape that
//! the caller's own protocol has.

use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::arn::Scope;
use crate::engine::Engine;
use crate::error::{ErrorCode, ServiceError};
use crate::protocol::{self, Envelope, Reply};

/// The answer to a request that is not for Secrets Manager; `None` if it is.
pub(crate) fn answer(engine: &Engine, envelope: &Envelope<'_>, path: &str, body: &[u8]) -> Option<Reply> {
    let service = envelope.service();
    let is_ours = envelope.target.is_some_and(|target| target.starts_with(protocol::TARGET_PREFIX));
    if is_ours || (service.is_none_or(|service| service == "secretsmanager") && envelope.target.is_none()) {
        let is_form = envelope.has_content_type(FORM);
        // STS may be asked without a signature; nothing of Secrets Manager is a form.
        return is_form.then(|| query(engine, envelope, "sts", body));
    }
    if let Some(target) = envelope.target {
        return Some(match target {
            "AmazonSSM.GetParameter" => parameter(engine, envelope, body),
            "AmazonSSM.GetParameters" => parameters(engine, envelope, body),
            _ => unsupported_json(service.or(target.split(['.', '_']).next()).unwrap_or("?")),
        });
    }
    let service = service.unwrap_or("?");
    if envelope.has_content_type(FORM) {
        return Some(query(engine, envelope, service, body));
    }
    Some(match service {
        "s3" | "route53" | "cloudfront" => xml(
            501,
            &format!(
                "<Error><Code>NotImplemented</Code><Message>{}</Message><Resource>{}</Resource></Error>",
                escaped(&advice(service)),
                escaped(path)
            ),
        ),
        _ => unsupported_json(service),
    })
}

/// GetCallerIdentity, which SDKs and test harnesses ask before anything else; errors for the rest.
fn query(engine: &Engine, envelope: &Envelope<'_>, service: &str, body: &[u8]) -> Reply {
    let action = form_value(body, "Action").unwrap_or_default();
    if service == "sts" && action == "GetCallerIdentity" {
        let Scope { account, .. } = engine.scope_of(envelope);
        return xml(
            200,
            &format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>arn:aws:iam::{account}:user/local</Arn><UserId>AIDALOCALLOCALLOCAL</UserId>\
                 <Account>{account}</Account></GetCallerIdentityResult><ResponseMetadata>\
                 <RequestId>{REQUEST}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
            ),
        );
    }
    let message = escaped(&advice(service));
    if service == "ec2" {
        return xml(
            501,
            &format!(
                "<Response><Errors><Error><Code>UnsupportedOperation</Code><Message>{message}</Message></Error></Errors>\
                 <RequestID>{REQUEST}</RequestID></Response>"
            ),
        );
    }
    xml(
        501,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>UnsupportedOperation</Code><Message>{message}</Message>\
             </Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
        ),
    )
}

/// GetParameter of Parameter Store, for parameters that are references to secrets.
fn parameter(engine: &Engine, envelope: &Envelope<'_>, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        name: String,
        with_decryption: Option<bool>,
    }
    let Ok(request) = serde_json::from_slice::<Request>(body) else { return invalid_request() };
    match reference(engine, engine.scope_of(envelope), &request.name, request.with_decryption == Some(true)) {
        Ok(parameter) => ok(&json!({ "Parameter": parameter })),
        Err((kind, message)) => failed(kind, &message),
    }
}

/// GetParameters. Names that mean nothing are listed, as Parameter Store does.
fn parameters(engine: &Engine, envelope: &Envelope<'_>, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        names: Vec<String>,
        with_decryption: Option<bool>,
    }
    let Ok(request) = serde_json::from_slice::<Request>(body) else { return invalid_request() };
    let scope = engine.scope_of(envelope);
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in request.names {
        match reference(engine, scope.clone(), &name, request.with_decryption == Some(true)) {
            Ok(parameter) => found.push(parameter),
            Err(("ParameterNotFound", _)) => invalid.push(name),
            Err((kind, message)) => return failed(kind, &message),
        }
    }
    ok(&json!({ "Parameters": found, "InvalidParameters": invalid }))
}

/// The parameter `/aws/reference/secretsmanager/ID`, "a pass-through" to the secret (Parameter Store user guide,
/// "Referencing AWS Secrets Manager secrets from Parameter Store parameters"), or the kind of error and its message.
pub(crate) fn reference(
    engine: &Engine,
    scope: Scope,
    name: &str,
    with_decryption: bool,
) -> Result<Value, (&'static str, String)> {
    let Some(id) = name.strip_prefix(REFERENCE) else {
        return Err((
            "ParameterNotFound",
            format!(
                "Parameter {name} not found. secretcache local has no parameters but {REFERENCE}SECRET_ID."
            ),
        ));
    };
    if !with_decryption {
        let message = "WithDecryption flag must be True for retrieving a Secret Manager secret.";
        return Err(("ValidationException", message.to_owned()));
    }
    let request = json!({ "SecretId": id }).to_string();
    let read = engine.execute(scope, "GetSecretValue", request.as_bytes()).map(Zeroizing::new);
    let body = read.map_err(|error| {
        let name = error.code().name();
        let what = match error.code() {
            ErrorCode::ResourceNotFound => format!("Secret {REFERENCE}{id} not found."),
            _ => error.message().to_owned(),
        };
        let message = format!("An error occurred ({name}) when referencing Secrets Manager: {what}");
        (
            if error.code() == ErrorCode::ResourceNotFound {
                "ParameterNotFound"
            } else {
                "ValidationException"
            },
            message,
        )
    })?;
    let secret: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(json!({
        "Name": name,
        "Type": "SecureString",
        "Value": secret["SecretString"],
        "Version": 0,
        "SourceResult": String::from_utf8_lossy(&body),
        "LastModifiedDate": secret["CreatedDate"],
        "ARN": secret["ARN"],
        "DataType": "text",
    }))
}

fn ok(value: &Value) -> Reply {
    Reply::ok(value.to_string().into_bytes())
}

fn failed(kind: &'static str, message: &str) -> Reply {
    let body = json!({ "__type": kind, "message": message }).to_string().into_bytes();
    Reply { error: Some(kind), status: 400, ..Reply::ok(body) }
}

fn invalid_request() -> Reply {
    Reply::error(&ServiceError::new(
        ErrorCode::Serialization,
        "The request is not the JSON that it should be.",
    ))
}

fn unsupported_json(service: &str) -> Reply {
    let message = advice(service);
    let body =
        json!({ "__type": "UnsupportedOperationException", "message": message }).to_string().into_bytes();
    Reply { status: 501, error: Some("UnsupportedOperationException"), ..Reply::ok(body) }
}

fn xml(status: u16, body: &str) -> Reply {
    let error = (status != 200).then_some("UnsupportedOperation");
    Reply { status, error, content_type: "text/xml", ..Reply::ok(body.as_bytes().to_vec()) }
}

fn advice(service: &str) -> String {
    format!(
        "secretcache local answers for Secrets Manager, and this request is for {service:?}. To send only Secrets Manager \
         here, set AWS_ENDPOINT_URL_SECRETS_MANAGER in place of AWS_ENDPOINT_URL."
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A member of a form, if it needs no decoding: names of actions never do.
fn form_value<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let body = std::str::from_utf8(body).ok()?;
    body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

const FORM: &str = "application/x-www-form-urlencoded";
const REFERENCE: &str = "/aws/reference/secretsmanager/";
const REQUEST: &str = "00000000-0000-4000-8000-000000000000";
