//! Requests for other AWS services. A few are answered; all others get a clear error in the format of the caller's
//! protocol.

use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::arn::Scope;
use crate::engine::Engine;
use crate::error::{ErrorCode, ServiceError};
use crate::protocol::{self, CutOff, Envelope, Read, Reply};

/// Answers a request for another service; returns `None` if it is for Secrets Manager.
///
/// `read` runs GetSecretValue for the caller.
pub(crate) async fn answer(
    engine: &Engine,
    envelope: &Envelope<'_>,
    path: &str,
    body: &[u8],
    read: &Read<'_>,
) -> Result<Option<Reply>, CutOff> {
    Ok(match envelope.target {
        Some("AmazonSSM.GetParameter") => Some(parameter(body, read).await?),
        Some("AmazonSSM.GetParameters") => Some(parameters(body, read).await?),
        _ => without_reading(engine, envelope, path, body),
    })
}

fn without_reading(engine: &Engine, envelope: &Envelope<'_>, path: &str, body: &[u8]) -> Option<Reply> {
    let service = envelope.service();
    let is_ours = envelope.target.is_some_and(|target| target.starts_with(protocol::TARGET_PREFIX));
    if is_ours || (service.is_none_or(|service| service == "secretsmanager") && envelope.target.is_none()) {
        let is_form = envelope.has_content_type(FORM);
        // An unsigned form must be for STS: Secrets Manager does not use forms.
        return is_form.then(|| query(engine, envelope, "sts", body));
    }
    if let Some(target) = envelope.target {
        return Some(unsupported_json(service.or(target.split(['.', '_']).next()).unwrap_or("?")));
    }
    let service = service.unwrap_or("?");
    if envelope.has_content_type(FORM) {
        return Some(query(engine, envelope, service, body));
    }
    Some(match service {
        "s3" | "route53" | "cloudfront" => xml(
            501,
            Some("NotImplemented"),
            &format!(
                "<Error><Code>NotImplemented</Code><Message>{}</Message><Resource>{}</Resource></Error>",
                escaped(&advice(service)),
                escaped(path)
            ),
        ),
        _ => unsupported_json(service),
    })
}

/// Answers a request in the form protocol: GetCallerIdentity of STS, which SDKs and test harnesses call before anything
/// else, and AssumeRole. All others get an error.
fn query(engine: &Engine, envelope: &Envelope<'_>, service: &str, body: &[u8]) -> Reply {
    let action = form_value(body, "Action").unwrap_or_default();
    if service == "sts" && action == "GetCallerIdentity" {
        let Scope { account, .. } = engine.scope_of(envelope);
        return xml(
            200,
            None,
            &format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>arn:aws:iam::{account}:user/local</Arn><UserId>AIDALOCALLOCALLOCAL</UserId>\
                 <Account>{account}</Account></GetCallerIdentityResult><ResponseMetadata>\
                 <RequestId>{REQUEST}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
            ),
        );
    }
    if service == "sts" && action == "AssumeRole" {
        return assume_role(engine, body);
    }
    let message = escaped(&advice(service));
    if service == "ec2" {
        return xml(
            501,
            Some("UnsupportedOperation"),
            &format!(
                "<Response><Errors><Error><Code>UnsupportedOperation</Code><Message>{message}</Message></Error></Errors>\
                 <RequestID>{REQUEST}</RequestID></Response>"
            ),
        );
    }
    xml(
        501,
        Some("UnsupportedOperation"),
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>UnsupportedOperation</Code><Message>{message}</Message>\
             </Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
        ),
    )
}

/// AssumeRole: returns credentials for the role's account, without checking permissions.
fn assume_role(engine: &Engine, body: &[u8]) -> Reply {
    let value = |name| form_value(body, name).unwrap_or_default();
    let (role, session) = (value("RoleArn"), value("RoleSessionName"));
    let account = role.split(':').nth(4).unwrap_or_default();
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let (Some(name), true) = (role.split_once(":role/").map(|(_, name)| name), is_account) else {
        let message = format!("{} is invalid", escaped(&role));
        return xml(
            400,
            Some("ValidationError"),
            &format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>{message}</Message></Error>\
                 <RequestId>{REQUEST}</RequestId></ErrorResponse>"
            ),
        );
    };
    let end = engine.now().plus_millis(3_600_000).millis();
    let end = jiff::Timestamp::from_millisecond(end).unwrap_or(jiff::Timestamp::MAX);
    let (name, session) = (escaped(name.rsplit('/').next().unwrap_or_default()), escaped(&session));
    xml(
        200,
        None,
        &format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
             <AssumedRoleId>AROALOCALLOCALLOCAL:{session}</AssumedRoleId>\
             <Arn>arn:aws:sts::{account}:assumed-role/{name}/{session}</Arn></AssumedRoleUser><Credentials>\
             <AccessKeyId>{account}</AccessKeyId><SecretAccessKey>local</SecretAccessKey>\
             <SessionToken>local</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult>\
             <ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata></AssumeRoleResponse>"
        ),
    )
}

/// GetParameter of Parameter Store, only for parameters that refer to secrets.
async fn parameter(body: &[u8], read: &Read<'_>) -> Result<Reply, CutOff> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        name: String,
        with_decryption: Option<bool>,
    }
    let Ok(request) = serde_json::from_slice::<Request>(body) else { return Ok(invalid_request()) };
    Ok(match reference(&request.name, request.with_decryption == Some(true), read).await? {
        Ok(parameter) => ok(&json!({ "Parameter": parameter })),
        Err((kind, message)) => failed(kind, &message),
    })
}

/// GetParameters. Unknown names are returned in InvalidParameters, as by Parameter Store.
async fn parameters(body: &[u8], read: &Read<'_>) -> Result<Reply, CutOff> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        names: Vec<String>,
        with_decryption: Option<bool>,
    }
    let Ok(request) = serde_json::from_slice::<Request>(body) else { return Ok(invalid_request()) };
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in request.names {
        match reference(&name, request.with_decryption == Some(true), read).await? {
            Ok(parameter) => found.push(parameter),
            Err(("ParameterNotFound", _)) => invalid.push(name),
            Err((kind, message)) => return Ok(failed(kind, &message)),
        }
    }
    Ok(ok(&json!({ "Parameters": found, "InvalidParameters": invalid })))
}

/// Returns the parameter `/aws/reference/secretsmanager/ID`, "a pass-through" to the secret (Parameter Store user
/// guide, "Referencing AWS Secrets Manager secrets from Parameter Store parameters"), or an error's type and message.
pub(crate) async fn reference(
    name: &str,
    with_decryption: bool,
    read: &Read<'_>,
) -> Result<Result<Value, (&'static str, String)>, CutOff> {
    let Some(id) = name.strip_prefix(REFERENCE) else {
        return Ok(Err((
            "ParameterNotFound",
            format!(
                "Parameter {name} not found. secretcache local has no parameters except {REFERENCE}SECRET_ID."
            ),
        )));
    };
    if !with_decryption {
        let message = "WithDecryption flag must be True for retrieving a Secret Manager secret.";
        return Ok(Err(("ValidationException", message.to_owned())));
    }
    let reply = read(json!({ "SecretId": id })).await?;
    Ok(parameter_of(name, id, reply.status, &Zeroizing::new(reply.body)))
}

/// Converts a response of GetSecretValue to a parameter.
fn parameter_of(name: &str, id: &str, status: u16, body: &[u8]) -> Result<Value, (&'static str, String)> {
    let about = |error: &str, what: &str| {
        format!("An error occurred ({error}) when referencing Secrets Manager: {what}")
    };
    let Ok(secret) = serde_json::from_slice::<Value>(body) else {
        return Err(("ValidationException", about("SerializationException", "The answer is not JSON.")));
    };
    if status != 200 {
        let error = secret["__type"].as_str().unwrap_or_default();
        if error == ErrorCode::ResourceNotFound.name() {
            return Err(("ParameterNotFound", about(error, &format!("Secret {REFERENCE}{id} not found."))));
        }
        let message = secret.get("Message").or(secret.get("message")).and_then(Value::as_str);
        return Err(("ValidationException", about(error, message.unwrap_or_default())));
    }
    Ok(json!({
        "Name": name,
        "Type": "SecureString",
        "Value": secret["SecretString"],
        "Version": 0,
        "SourceResult": String::from_utf8_lossy(body),
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
        "The request is not valid JSON for this operation.",
    ))
}

fn unsupported_json(service: &str) -> Reply {
    let message = advice(service);
    let body =
        json!({ "__type": "UnsupportedOperationException", "message": message }).to_string().into_bytes();
    Reply { status: 501, error: Some("UnsupportedOperationException"), ..Reply::ok(body) }
}

fn xml(status: u16, error: Option<&'static str>, body: &str) -> Reply {
    Reply { status, error, content_type: "text/xml", ..Reply::ok(body.as_bytes().to_vec()) }
}

fn advice(service: &str) -> String {
    format!(
        "secretcache local answers for Secrets Manager, but this request is for {service:?}. To send only Secrets Manager requests here, set AWS_ENDPOINT_URL_SECRETS_MANAGER instead of AWS_ENDPOINT_URL."
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns the decoded value of a form field.
fn form_value(body: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(body).find(|(each, _)| each == name).map(|(_, value)| value.into_owned())
}

const FORM: &str = "application/x-www-form-urlencoded";
const REFERENCE: &str = "/aws/reference/secretsmanager/";
const REQUEST: &str = "00000000-0000-4000-8000-000000000000";
