//! Errors as the service answers them: a type, a message, an HTTP status.

use serde::Serialize;

/// The error types Secrets Manager answers with, by the names in its API reference, plus the ones every AWS
/// JSON service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The caller may not do this (also what a denying resource policy or an injected fault gives).
    AccessDenied,
    /// The service had a problem of its own; only injected here.
    InternalServiceError,
    /// `NextToken` was not one of ours.
    InvalidNextToken,
    /// A parameter is wrong.
    InvalidParameter,
    /// The request does not fit the state the secret is in.
    InvalidRequest,
    /// A quota is exceeded.
    LimitExceeded,
    /// A resource policy is not valid.
    MalformedPolicyDocument,
    /// A resource policy would grant public access.
    PublicPolicy,
    /// The name or the version id is taken.
    ResourceExists,
    /// No such secret or version.
    ResourceNotFound,
    /// The request body is not JSON, or a member has the wrong type.
    Serialization,
    /// Too many requests; only injected here.
    Throttling,
    /// The target names no operation of the service.
    UnknownOperation,
    /// The service has this operation and this endpoint does not.
    UnsupportedOperation,
    /// A member breaks a constraint of the service model.
    Validation,
}

impl ErrorCode {
    /// The name in the `__type` member.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::InternalServiceError => "InternalServiceError",
            Self::InvalidNextToken => "InvalidNextTokenException",
            Self::InvalidParameter => "InvalidParameterException",
            Self::InvalidRequest => "InvalidRequestException",
            Self::LimitExceeded => "LimitExceededException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::PublicPolicy => "PublicPolicyException",
            Self::ResourceExists => "ResourceExistsException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Serialization => "SerializationException",
            Self::Throttling => "ThrottlingException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnsupportedOperation => "UnsupportedOperationException",
            Self::Validation => "ValidationException",
        }
    }

    /// The HTTP status. Every client error of a JSON 1.1 service is 400, "not found" included.
    pub const fn status(self) -> u16 {
        match self {
            Self::InternalServiceError => 500,
            _ => 400,
        }
    }

    /// Errors of the service's model spell their member `Message`, errors of the framework around it
    /// `message`. Clients accept both; strict ones can tell.
    const fn is_modelled(self) -> bool {
        !matches!(
            self,
            Self::Serialization
                | Self::Throttling
                | Self::UnknownOperation
                | Self::UnsupportedOperation
                | Self::Validation
        )
    }
}

/// Whether JSON ends in half of a surrogate pair, which serde calls another thing.
pub(crate) fn is_half_a_pair(error: &serde_json::Error) -> bool {
    let message = error.to_string();
    ["unexpected end of hex escape", "lone leading surrogate"].iter().any(|told| message.starts_with(told))
}

/// An error answer. The message never contains a secret value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct ServiceError {
    code: ErrorCode,
    message: String,
}

impl ServiceError {
    /// An error of this type with this message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Its type.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Its message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body of the answer.
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(rename = "__type")]
            kind: &'a str,
            #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
            modelled: Option<&'a str>,
            #[serde(rename = "message", skip_serializing_if = "Option::is_none")]
            framework: Option<&'a str>,
        }
        let message = Some(self.message.as_str());
        let (modelled, framework) = if self.code.is_modelled() { (message, None) } else { (None, message) };
        serde_json::to_vec(&Body { kind: self.code.name(), modelled, framework }).unwrap_or_default()
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidParameter, message)
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::ResourceNotFound, "Secrets Manager can't find the specified secret.")
    }

    /// As the service words it.
    pub(crate) fn cannot_invoke() -> Self {
        Self::new(
            ErrorCode::AccessDenied,
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to \
             the principal secretsmanager.amazonaws.com.",
        )
    }

    /// `what` is `VersionId: …` or `staging label: …`.
    pub(crate) fn no_such_value(what: &str) -> Self {
        Self::new(
            ErrorCode::ResourceNotFound,
            format!("Secrets Manager can't find the specified secret value for {what}"),
        )
    }

    pub(crate) fn marked_for_deletion() -> Self {
        Self::invalid_request(
            "You can't perform this operation on the secret because it was marked for deletion.",
        )
    }
}
