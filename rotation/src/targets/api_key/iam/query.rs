//! AWS's Query protocol, which IAM and STS use: a signed form as the request, XML as the response.

use std::time::SystemTime;

use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::config::http::HttpRequest;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Limited};
use roxmltree::{Document as Xml, Node};
use zeroize::Zeroizing;

use super::super::http::{MOST_BYTES, TIMEOUT};
use crate::error::{Error, ErrorKind};
use crate::targets::within;

/// A client for one of the two services.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) api_version: &'static str,
    pub(super) url: String,
    pub(super) signing_region: String,
    pub(super) connector: SharedHttpConnector,
}

/// A service's response, or the fault it reports.
pub(super) type Answer = Result<Reply, Fault>;

/// The XML of a successful response. It can contain a new key.
pub(super) struct Reply(Zeroizing<String>);

/// An error that a service reports. Its message does not quote keys.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) status: u16,
}

impl Query {
    /// Makes one call, without retries: a retry could make a change twice without anyone noticing.
    pub(super) async fn call(
        &self,
        credentials: &Credentials,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", action), ("Version", self.api_version)])
            .extend_pairs(parameters)
            .finish();
        let (status, text) = self.send(credentials, form).await?;
        if (200..300).contains(&status) {
            return Ok(Ok(Reply(text)));
        }
        let fault = Xml::parse(&text).ok().and_then(|xml| {
            let error = xml.descendants().find(|node| node.has_tag_name_local("Error"))?;
            Some(Fault {
                code: child(error, "Code")?,
                message: child(error, "Message").unwrap_or_default(),
                status,
            })
        });
        match fault {
            Some(fault) => Ok(Err(fault)),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                format!("unexpected response of {} to {action} (HTTP {status})", self.name),
            )),
        }
    }

    /// Sends a request with the same connector, and so the same proxy and certificates, as all other calls to AWS.
    async fn send(&self, credentials: &Credentials, form: String) -> Result<(u16, Zeroizing<String>), Error> {
        let lost = |error: Box<dyn std::error::Error + Send + Sync>| {
            let what = format!("{} is unreachable at {}", self.name, self.url);
            Error::new(ErrorKind::Unavailable, what).with_source(error)
        };
        let headers = self.signed_headers(credentials, &form)?;
        let mut request = HttpRequest::new(SdkBody::from(form));
        let wrong = |_| Error::new(ErrorKind::Misconfigured, format!("{} is not a valid URL", self.url));
        request.set_method("POST").map_err(wrong)?;
        request.set_uri(self.url.as_str()).map_err(wrong)?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value.to_string());
        }
        within(TIMEOUT, "AWS's response", async {
            let answer = self.connector.call(request).await.map_err(|error| lost(error.into()))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await.map_err(lost)?;
            let bytes = Zeroizing::new(body.to_bytes().to_vec());
            let text = std::str::from_utf8(&bytes).map_err(|error| lost(error.into()))?;
            Ok((status, Zeroizing::new(text.to_owned())))
        })
        .await
    }

    fn signed_headers(
        &self,
        credentials: &Credentials,
        form: &str,
    ) -> Result<Vec<(String, Zeroizing<String>)>, Error> {
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let unsigned = |error: &dyn std::fmt::Display| {
            Error::new(
                ErrorKind::Misconfigured,
                format!("a request to {} cannot be signed: {error}", self.name),
            )
        };
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.signing_region)
            .name(self.name)
            .time(now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let body = SignableBody::Bytes(form.as_bytes());
        let request = SignableRequest::new("POST", self.url.as_str(), [FORM].into_iter(), body)
            .map_err(|error| unsigned(&error))?;
        let (instructions, _) = sign(request, &parameters).map_err(|error| unsigned(&error))?.into_parts();
        let signature = instructions.headers().chain([FORM]);
        Ok(signature.map(|(name, value)| (name.to_owned(), value.to_owned().into())).collect())
    }
}

#[expect(clippy::disallowed_methods, reason = "a signature names the time at which it was made")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl Reply {
    /// Returns the text of the first element with this name.
    pub(super) fn text(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        let xml = self.xml()?;
        let element = xml.descendants().find(|node| node.has_tag_name_local(name));
        let text = element.and_then(|node| node.text());
        text.map(|text| text.to_owned().into())
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("AWS's response has no {name}")))
    }

    /// Returns the text of two children of every `member`. A `member` without the first is skipped; a missing second
    /// is empty.
    pub(super) fn members(&self, first: &str, second: &str) -> Result<Vec<(String, String)>, Error> {
        let xml = self.xml()?;
        let members = xml.descendants().filter(|node| node.has_tag_name_local("member"));
        Ok(members
            .filter_map(|member| Some((child(member, first)?, child(member, second).unwrap_or_default())))
            .collect())
    }

    fn xml(&self) -> Result<Xml<'_>, Error> {
        Xml::parse(&self.0).map_err(|_| Error::new(ErrorKind::Unavailable, "AWS's response is not XML"))
    }
}

impl Fault {
    /// Converts the fault to an error.
    pub(super) fn into_error(self, action: &str) -> Error {
        let kind = match self.code.as_str() {
            "LimitExceeded" => ErrorKind::LimitReached,
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => ErrorKind::Denied,
            _ if self.is_refusal() => ErrorKind::Refused,
            _ if self.status < 500 && !self.code.starts_with("Throttling") => ErrorKind::Misconfigured,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{action}: {} ({})", self.message, self.code))
    }

    /// Checks whether AWS does not (or does not yet) know the key that signed the request. A wrong clock does not
    /// count, although STS reports it with the same code.
    pub(super) fn is_refusal(&self) -> bool {
        let codes = ["InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"];
        codes.contains(&self.code.as_str())
            && !self.message.contains("expired")
            && !self.message.contains("not yet current")
    }
}

fn child(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.children().find(|child| child.has_tag_name_local(name))?.text().map(str::to_owned)
}

trait LocalName {
    /// Checks whether the node is an element with this name, in any namespace. AWS's namespaces contain API versions.
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_any_namespace() {
        let reply = Reply(
            "<ListUserTagsResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListUserTagsResult><Tags>\
             <member><Key>a</Key><Value>b &amp; c</Value></member><member><Key>d</Key><Value/></member></Tags>\
             <IsTruncated>false</IsTruncated></ListUserTagsResult></ListUserTagsResponse>"
                .to_owned()
                .into(),
        );
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(reply.members("Key", "Value").unwrap(), [pair("a", "b & c"), pair("d", "")]);
        assert_eq!(*reply.text("IsTruncated").unwrap(), "false");
        assert!(reply.text("Arn").is_err());
    }

    #[test]
    fn a_wrong_clock_is_not_taken_for_a_dead_key() {
        let fault =
            |code: &str, message: &str| Fault { code: code.into(), message: message.into(), status: 403 };
        assert!(
            fault("InvalidClientTokenId", "The security token included in the request is invalid.")
                .is_refusal()
        );
        assert!(
            !fault("SignatureDoesNotMatch", "Signature expired: 20231114T221320Z is now earlier than")
                .is_refusal()
        );
        assert_eq!(fault("Throttling", "Rate exceeded").into_error("x").kind(), ErrorKind::Unavailable);
        assert_eq!(fault("LimitExceeded", "two").into_error("x").kind(), ErrorKind::LimitReached);
    }
}
