//! The JSON 1.1 protocol: the operation and caller of a request, and the format of a response.

use std::pin::Pin;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::arn::{Scope, is_account, is_region};
use crate::error::{ErrorCode, ServiceError};

/// The headers of a request that the protocol uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Envelope<'a> {
    /// `X-Amz-Target`, such as `secretsmanager.GetSecretValue`.
    pub(crate) target: Option<&'a str>,
    /// `Content-Type`.
    pub(crate) content_type: Option<&'a str>,
    /// `Authorization`. The signature is not checked, but account and Region are taken from the credential scope.
    pub(crate) authorization: Option<&'a str>,
}

/// A response to an SDK. The body can contain secret values, so there is no `Debug`.
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body: JSON, or XML for other services.
    pub(crate) body: Vec<u8>,
    /// The content type of the body.
    pub(crate) content_type: &'static str,
    /// The error's type, for logs and counts.
    pub(crate) error: Option<&'static str>,
}

/// There is no response: the connection ends here.
#[derive(Debug, thiserror::Error)]
#[error("cut off on request")]
pub(crate) struct CutOff;

/// The future of a response.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, CutOff>> + Send + 'a>>;

/// A function that runs GetSecretValue for a caller.
pub(crate) type Read<'a> = dyn Fn(Value) -> Answering<'a> + Send + Sync + 'a;

impl<'a> Envelope<'a> {
    /// Reads the headers of a request.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self { target: text(TARGET), content_type: text(CONTENT_TYPE), authorization: text(AUTHORIZATION) }
    }

    /// Returns the name of the operation, if target and content type follow the protocol.
    pub(crate) fn operation(&self) -> Result<&'a str, ServiceError> {
        let unknown = |message: String| ServiceError::new(ErrorCode::UnknownOperation, message);
        let content_type =
            self.content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        // The service also accepts requests in the older version of the protocol.
        if ![JSON_1_1, JSON_1_0].iter().any(|known| content_type.eq_ignore_ascii_case(known)) {
            return Err(unknown(format!("The content type must be {JSON_1_1}, not {content_type:?}.")));
        }
        let target = self.target.ok_or_else(|| unknown("The header X-Amz-Target is missing.".to_owned()))?;
        target.strip_prefix(TARGET_PREFIX).ok_or_else(|| {
            unknown(format!(
                "The target {target:?} is not of Secrets Manager: it must start with {TARGET_PREFIX}"
            ))
        })
    }

    /// Returns the service that the request was signed for, by the name of its endpoint: `secretsmanager`, `sts`, `s3`.
    pub(crate) fn service(&self) -> Option<&'a str> {
        let (_, scope) = self.authorization?.split_once("Credential=")?;
        scope.split([',', ' ']).next()?.split('/').nth(3).filter(|service| !service.is_empty())
    }

    pub(crate) fn has_content_type(&self, wanted: &str) -> bool {
        let given = self.content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        given.trim().eq_ignore_ascii_case(wanted)
    }

    /// Returns the scope of the caller: the Region in the credential scope, and the access key id as the account if it
    /// has twelve digits, which no real one has. Missing parts are taken from `defaults`.
    pub(crate) fn scope(&self, defaults: &Scope) -> Scope {
        let credential_scope = self
            .authorization
            .and_then(|value| value.split_once("Credential="))
            .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default());
        let mut parts = credential_scope.unwrap_or_default().split('/');
        let (key, _date, region) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        Scope {
            account: if is_account(key) { key.to_owned() } else { defaults.account.clone() },
            region: region.filter(|region| is_region(region)).unwrap_or(&defaults.region).to_owned(),
        }
    }
}

impl Reply {
    /// Creates a successful response.
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, body, content_type: JSON_1_1, error: None }
    }

    /// Creates an error response.
    pub(crate) fn error(error: &ServiceError) -> Self {
        Self { status: error.code().status(), error: Some(error.code().name()), ..Self::ok(error.body()) }
    }
}

/// Returns the headers to run an operation on behalf of the caller of another request.
pub(crate) fn headers_for(operation: &str, caller: &HeaderMap) -> HeaderMap {
    let target = HeaderValue::try_from(format!("{TARGET_PREFIX}{operation}")).ok();
    let own = [(TARGET, target), (CONTENT_TYPE, Some(HeaderValue::from_static(JSON_1_1)))];
    let authorization = (AUTHORIZATION, caller.get(AUTHORIZATION).cloned());
    own.into_iter().chain([authorization]).filter_map(|(name, value)| Some((name, value?))).collect()
}

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// The content type of requests and responses.
pub(crate) const JSON_1_1: &str = "application/x-amz-json-1.1";

const JSON_1_0: &str = "application/x-amz-json-1.0";

pub(crate) const TARGET_PREFIX: &str = "secretsmanager.";

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/eu-central-1/secretsmanager/aws4_request, \
                          SignedHeaders=host, Signature=00";

    fn scope(authorization: Option<&str>) -> Scope {
        let defaults = Scope::new("123456789012", "us-east-1");
        Envelope { authorization, ..Envelope::default() }.scope(&defaults)
    }

    #[test]
    fn region_and_account_come_from_the_credential_scope() {
        assert_eq!(scope(Some(SIGNED)), Scope::new("123456789012", "eu-central-1"));
        let numbered = SIGNED.replace("AKIDEXAMPLE", "000011112222");
        assert_eq!(scope(Some(&numbered)), Scope::new("000011112222", "eu-central-1"));
    }

    #[test]
    fn unsigned_or_odd_requests_get_the_defaults() {
        for odd in [None, Some(""), Some("Bearer x"), Some("Credential="), Some("Credential=a/b/../d")] {
            assert_eq!(scope(odd), Scope::new("123456789012", "us-east-1"), "{odd:?}");
        }
    }

    #[test]
    fn target_and_content_type() {
        let good = Envelope {
            target: Some("secretsmanager.GetSecretValue"),
            content_type: Some("application/x-amz-json-1.1; charset=utf-8"),
            authorization: None,
        };
        assert_eq!(good.operation().unwrap(), "GetSecretValue");
        let older = Envelope { content_type: Some("application/x-amz-json-1.0"), ..good };
        assert_eq!(older.operation().unwrap(), "GetSecretValue");
        for bad in [
            Envelope { target: None, ..good },
            Envelope { target: Some("ssm.GetParameter"), ..good },
            Envelope { content_type: Some("application/json"), ..good },
            Envelope { content_type: None, ..good },
        ] {
            assert_eq!(bad.operation().unwrap_err().code(), ErrorCode::UnknownOperation, "{bad:?}");
        }
    }
}
