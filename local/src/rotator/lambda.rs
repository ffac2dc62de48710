//! Invokes Lambda functions at an endpoint that emulates the service.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::options::StartError;

/// An endpoint that runs Lambda functions.
#[derive(Clone, Debug)]
pub(super) struct Lambda {
    authority: String,
    address: (String, u16),
    /// The path, without a slash at the end.
    path: String,
}

impl Lambda {
    /// Creates the client for an endpoint.
    pub(super) fn new(url: &str) -> Result<Self, StartError> {
        let wrong = |reason| StartError::LambdaEndpoint { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("it must begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            authority: authority.to_string(),
            address: (host, authority.port_u16().unwrap_or(80)),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Invokes a function and waits for it (`Invoke`, `RequestResponse`).
    ///
    /// The error does not contain the function's own message, which can quote anything.
    pub(super) async fn invoke(&self, function: &str, region: &str, event: Vec<u8>) -> Result<(), String> {
        let request = self.request(function, region, event)?;
        match tokio::time::timeout(TIMEOUT, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("the function did not answer within {} s", TIMEOUT.as_secs())),
        }
    }

    /// Returns whether the endpoint accepts connections.
    pub(super) async fn is_reachable(&self) -> bool {
        let (host, port) = &self.address;
        let connecting = TcpStream::connect((host.as_str(), *port));
        matches!(tokio::time::timeout(CONNECT_TIMEOUT, connecting).await, Ok(Ok(_)))
    }

    fn request(&self, function: &str, region: &str, event: Vec<u8>) -> Result<Request<Full<Bytes>>, String> {
        let (name, qualifier) = name_and_qualifier(function);
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_$.".contains(&b));
        if !is_plain(name) || !qualifier.is_none_or(is_plain) {
            return Err(format!("{function:?} is not the ARN of a function"));
        }
        let query = qualifier.map(|qualifier| format!("?Qualifier={qualifier}")).unwrap_or_default();
        // Emulators of several services read the service from the credential scope; none checks the signature.
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=local/20260101/{region}/lambda/aws4_request, SignedHeaders=host, Signature=0"
        );
        Request::builder()
            .method(Method::POST)
            .uri(format!("{}/2015-03-31/functions/{name}/invocations{query}", self.path))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, scope)
            .header("x-amz-invocation-type", "RequestResponse")
            .body(Full::new(Bytes::from(event)))
            .map_err(|_| format!("{function:?} cannot be invoked"))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(), String> {
        let lost = |error: &dyn std::fmt::Display| {
            format!("the Lambda endpoint at {} is unreachable: {error}", self.authority)
        };
        let (host, port) = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| lost(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
        let talking = tokio::spawn(connection);
        let answered = async {
            let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| lost(&error))?;
            if !head.status.is_success() {
                let status = head.status.as_u16();
                return Err(format!(
                    "the Lambda endpoint at {} answered with status {status}",
                    self.authority
                ));
            }
            match head.headers.contains_key("x-amz-function-error") {
                true => Err(failure(&body.to_bytes())),
                false => Ok(()),
            }
        };
        let outcome = answered.await;
        talking.abort();
        outcome
    }
}

/// Returns the error for a function that failed. It contains only the class of the function's error, a name in its
/// code.
fn failure(answer: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        error_type: String,
    }
    let class = serde_json::from_slice::<Answer>(answer).map(|answer| answer.error_type).unwrap_or_default();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._:".contains(&b);
    if class.is_empty() || class.len() > 128 || !class.bytes().all(is_name) {
        return "the function failed; its own log has the reason".to_owned();
    }
    format!("the function failed with {class}; its own log has the reason")
}

/// Splits `arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`. Emulators identify functions by name.
fn name_and_qualifier(function: &str) -> (&str, Option<&str>) {
    let rest = match function.strip_prefix("arn:") {
        Some(arn) => arn.splitn(6, ':').nth(5).unwrap_or(arn),
        None => function,
    };
    rest.split_once(':').map_or((rest, None), |(name, qualifier)| (name, Some(qualifier)))
}

/// "The maximum timeout of a function is 900 seconds" (Lambda quotas).
const TIMEOUT: Duration = Duration::from_secs(900);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The size limit of the response of a synchronous invocation.
const MOST_BYTES: usize = 6 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_invoked_by_name_and_qualifier() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:rotate-db";
        assert_eq!(name_and_qualifier(arn), ("rotate-db", None));
        assert_eq!(name_and_qualifier(&format!("{arn}:7")), ("rotate-db", Some("7")));
        assert_eq!(name_and_qualifier("rotate-db"), ("rotate-db", None));
        let lambda = Lambda::new("http://[::1]:9000/base/").unwrap();
        let request = lambda.request(&format!("{arn}:$LATEST"), "eu-west-1", Vec::new()).unwrap();
        assert_eq!(request.uri(), "/base/2015-03-31/functions/rotate-db/invocations?Qualifier=$LATEST");
        assert_eq!(lambda.address, ("::1".to_owned(), 9000));
        assert!(lambda.request("arn:aws:lambda:a:b:function:../x", "r", Vec::new()).is_err());
    }

    #[test]
    fn what_is_no_endpoint_is_refused_at_the_start() {
        for wrong in ["", "localhost:9000", "https://localhost", "http://"] {
            assert!(Lambda::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_failure_is_reported_without_what_the_function_said() {
        let message = failure(br#"{"errorType":"ValueError","errorMessage":"canary"}"#);
        assert!(message.contains("ValueError") && !message.contains("canary"));
        for other in [&br#"{"errorType":"canary and more"}"#[..], b"canary", b"{}"] {
            assert!(!failure(other).contains("canary"));
        }
    }
}
