//! Errors in the service's form: a type, a message and an HTTP status.

use serde::Serialize;

/// The error types of Secrets Manager, by the names in its API reference, plus those of every AWS JSON service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The caller is not allowed to do this; here only for a function that cannot be invoked and for injected faults.
    AccessDenied,
    /// The endpoint itself failed, for example because the data file cannot be written.
    InternalServiceError,
    /// `NextToken` is not one that this endpoint returned.
    InvalidNextToken,
    /// A parameter is wrong.
    InvalidParameter,
    /// The request is not allowed in the current state of the secret.
    InvalidRequest,
    /// A quota is exceeded.
    LimitExceeded,
    /// A resource policy is not valid.
    MalformedPolicyDocument,
    /// A resource policy would grant public access.
    PublicPolicy,
    /// The name or the version id is already in use.
    ResourceExists,
    /// There is no such secret or version.
    ResourceNotFound,
    /// The request body is not JSON, or a member has the wrong type.
    Serialization,
    /// Too many requests; only injected here.
    Throttling,
    /// The target is not an operation of the service.
    UnknownOperation,
    /// The service has this operation, but this endpoint does not.
    UnsupportedOperation,
    /// A member violates a constraint of the service model.
    Validation,
}

impl ErrorCode {
    /// Returns the name for the `__type` member.
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

    /// Returns the HTTP status. Every client error of a JSON 1.1 service is 400, "not found" included.
    pub const fn status(self) -> u16 {
        match self {
            Self::InternalServiceError => 500,
            _ => 400,
        }
    }

    /// Returns whether the error is in the service's model. Modeled errors have a member `Message`; those of the
    /// framework around it have `message`. Most clients accept both, strict ones do not.
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

/// Returns whether JSON was rejected because of a lone surrogate, which serde reports in several ways.
pub(crate) fn is_half_a_pair(error: &serde_json::Error) -> bool {
    let message = error.to_string();
    ["unexpected end of hex escape", "lone leading surrogate"].iter().any(|text| message.starts_with(text))
}

/// An error response. The message never contains a secret value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct ServiceError {
    code: ErrorCode,
    message: String,
}

impl ServiceError {
    /// Creates an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Returns the error type.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the body of the response.
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

    /// Returns the service's error for a rotation function that it cannot invoke.
    pub(crate) fn cannot_invoke() -> Self {
        Self::new(
            ErrorCode::AccessDenied,
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to \
             the principal secretsmanager.amazonaws.com.",
        )
    }

    /// Returns the error for a missing version or label; `what` is `VersionId: …` or `staging label: …`.
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
