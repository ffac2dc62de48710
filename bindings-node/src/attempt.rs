//! Attempts to connect, for the driver in the package.

use napi_derive::napi;
use secretcache::host::{Action, ConnectAttempt, ConnectFailure, ErrorExt as _, SystemClock};
use secretcache::{Error, Retry, Secret, Stage};

use crate::errors::{Failure, HostError, kind_named};
use crate::settings::milliseconds;
use crate::value::Version;

/// One attempt to connect with a credential that may be rotating.
#[napi]
pub struct NativeAttempt {
    attempt: ConnectAttempt,
    /// The version being tried, and its staging label.
    trying: Option<(Secret, Stage)>,
}

/// The next step of an attempt.
#[napi(object, object_from_js = false)]
pub struct Step {
    #[napi(ts_type = "'try' | 'read' | 'refresh' | 'wait' | 'stop'")]
    pub what: String,
    /// The staging label to try, read or refresh.
    pub stage: Option<String>,
    /// The version to log in with.
    pub version: Option<Version>,
    /// For `wait`: how long, in milliseconds.
    pub wait_ms: Option<f64>,
}

/// A version that was refused.
#[napi(object, object_from_js = false)]
pub struct RejectedVersion {
    pub version_stage: String,
    pub version_id: String,
    /// How many times it was refused.
    pub times: u32,
}

/// How an attempt failed. Exactly one field is set.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct AttemptFailure {
    /// The resource refused every version.
    pub rejected: Option<Rejection>,
    /// The secret could not be read, or a login did not finish.
    pub failure: Option<Failure>,
}

/// The versions that the resource refused.
#[napi(object, object_from_js = false)]
pub struct Rejection {
    /// A message that names the secret and the refused versions.
    pub message: String,
    /// Whether another attempt may help soon.
    pub retryable: bool,
    pub tried: Vec<RejectedVersion>,
}

impl NativeAttempt {
    pub(crate) fn new(attempt: ConnectAttempt) -> Self {
        Self { attempt, trying: None }
    }
}

/// Parses the names of staging labels. Without names, returns all that a login tries, in the core's order.
pub(crate) fn stages(names: Option<Vec<String>>) -> Result<Vec<Stage>, Error> {
    match names {
        Some(names) => names.iter().map(|name| name.parse()).collect(),
        None => Ok(Stage::ALL.to_vec()),
    }
}

#[napi]
impl NativeAttempt {
    /// Returns the next step.
    #[napi(catch_unwind)]
    pub fn next(&mut self) -> Step {
        let next = self.attempt.next(SystemClock::now());
        let step = |what: &str, stage: Option<Stage>| Step {
            what: what.to_owned(),
            stage: stage.map(|stage| stage.to_string()),
            version: None,
            wait_ms: None,
        };
        match next {
            Action::Try(secret, stage) => {
                self.trying = Some((secret.clone(), stage));
                Step { version: Some(Version::once(secret)), ..step("try", Some(stage)) }
            }
            Action::Read(stage) => step("read", Some(stage)),
            Action::Refresh(stage) => step("refresh", Some(stage)),
            Action::Wait(span) => Step { wait_ms: Some(milliseconds(span)), ..step("wait", None) },
            Action::Stop => step("stop", None),
        }
    }

    /// Returns how long the attempt may still take, in milliseconds.
    #[napi(catch_unwind)]
    pub fn remaining_ms(&self) -> f64 {
        milliseconds(self.attempt.remaining(SystemClock::now()))
    }

    /// Reports that a staging label has been read or fetched, or the failure: its kind, its text, and the number under
    /// which the package keeps the error.
    #[napi(catch_unwind)]
    pub fn read(
        &mut self,
        version_stage: String,
        kind: Option<String>,
        message: Option<String>,
        host_error: Option<u32>,
    ) {
        let Ok(stage) = version_stage.parse() else { return };
        let error = kind.map(|kind| {
            let error = Error::new(kind_named(&kind), message.unwrap_or_default());
            match host_error {
                Some(number) => error.with_host(Box::new(HostError(number))),
                None => error,
            }
        });
        self.attempt.read(stage, error, SystemClock::now());
    }

    /// Reports that the resource accepted the version being tried.
    #[napi(catch_unwind)]
    pub fn accepted(&mut self) {
        if let Some((secret, _)) = self.trying.take() {
            self.attempt.accepted(&secret);
        }
    }

    /// Reports that the resource refused the version being tried.
    #[napi(catch_unwind)]
    pub fn rejected(&mut self) {
        if let Some((secret, stage)) = self.trying.take() {
            self.attempt.rejected(&secret, stage, SystemClock::now());
        }
    }

    /// Returns how the attempt failed.
    #[napi(catch_unwind)]
    pub fn failure(&self) -> AttemptFailure {
        let failure = self.attempt.failure();
        let retryable = failure.retry() == Retry::Later;
        match failure {
            ConnectFailure::Rejected { text, tried } => {
                let tried = tried.into_iter().map(Into::into).collect();
                AttemptFailure {
                    rejected: Some(Rejection { message: text, retryable, tried }),
                    ..AttemptFailure::default()
                }
            }
            ConnectFailure::Secret(error) => {
                AttemptFailure { failure: Some(Failure::from(&error)), ..AttemptFailure::default() }
            }
        }
    }
}

impl From<secretcache::RejectedVersion> for RejectedVersion {
    fn from(rejected: secretcache::RejectedVersion) -> Self {
        Self {
            version_stage: rejected.version_stage.to_string(),
            version_id: rejected.version_id,
            times: rejected.times,
        }
    }
}
