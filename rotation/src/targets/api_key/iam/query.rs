//! Calls of AWS's Query protocol, which IAM and STS speak: a signed form, and XML back.

use std::time::SystemTime;

use aws_sdk_secretsmanager::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use roxmltree::{Document as Xml, Node};
use zeroize::Zeroizing;

use super::super::Method;
use super::super::http::Client;
use crate::error::{Error, ErrorKind};

/// One of the two services.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) api_version: &'static str,
    pub(super) url: String,
    pub(super) signing_region: String,
    pub(super) client: Client,
}

/// What a service answered: the text of its XML, or the code and message of a refusal.
pub(super) type Answer = Result<Reply, Fault>;

/// A successful answer. Its text may hold a new key.
pub(super) struct Reply(Zeroizing<String>);

/// A service's refusal, in its own words; these do not quote keys.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) status: u16,
}

impl Query {
    /// Makes one call, and no second if it fails: none of those that change something may be made twice unseen.
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
        let headers = self.signed_headers(credentials, &form)?;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let answer = self.client.send(Method::Post, &self.url, &headers, Some(form.into())).await?;
        let text = answer.text()?;
        if (200..300).contains(&answer.status) {
            return Ok(Ok(Reply(text)));
        }
        let fault = Xml::parse(&text).ok().and_then(|xml| {
            let error = xml.descendants().find(|node| node.has_tag_name_local("Error"))?;
            Some(Fault {
                code: child(error, "Code")?,
                message: child(error, "Message").unwrap_or_default(),
                status: answer.status,
            })
        });
        match fault {
            Some(fault) => Ok(Err(fault)),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "{} answered {} to {action}, and nothing that can be understood",
                    self.name, answer.status
                ),
            )),
        }
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
    /// The text of the first element of this name.
    pub(super) fn text(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        let xml = self.xml()?;
        let element = xml.descendants().find(|node| node.has_tag_name_local(name));
        let text = element.and_then(|node| node.text());
        text.map(|text| text.to_owned().into())
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("the answer of AWS has no {name}")))
    }

    /// Two children of every `member` that has both.
    pub(super) fn members(&self, first: &str, second: &str) -> Result<Vec<(String, String)>, Error> {
        let xml = self.xml()?;
        let members = xml.descendants().filter(|node| node.has_tag_name_local("member"));
        Ok(members
            .filter_map(|member| Some((child(member, first)?, child(member, second).unwrap_or_default())))
            .collect())
    }

    fn xml(&self) -> Result<Xml<'_>, Error> {
        Xml::parse(&self.0).map_err(|_| Error::new(ErrorKind::Unavailable, "the answer of AWS is no XML"))
    }
}

impl Fault {
    /// What it means for a rotation.
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

    /// Whether the key that signed is not (or not yet) one. A clock that is wrong is something else, though STS has the
    /// same code for it.
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
    /// Whether it is an element of this name in whatever namespace; those of AWS's answers are dated.
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
