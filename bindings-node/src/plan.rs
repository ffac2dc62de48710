//! The plan of a connection, for the package's driver.

use napi_derive::napi;
use secretcache::host::{Action, SystemClock};
use secretcache::{Error, Secret, Stage};

use crate::errors::{Failure, kind_named};
use crate::settings::milliseconds;
use crate::value::Version;

/// One attempt to connect with a credential that may be rotating.
#[napi]
pub struct NativePlan {
    plan: secretcache::host::ConnectAttempt,
    /// What is being tried.
    trying: Option<(Secret, Stage)>,
}

/// What to do next.
#[napi(object, object_from_js = false)]
pub struct Step {
    #[napi(ts_type = "'try' | 'read' | 'refresh' | 'wait' | 'stop'")]
    pub what: String,
    /// The staging label to try, read or refresh.
    pub stage: Option<String>,
    /// The version to log in with.
    pub version: Option<Version>,
    /// How long to wait.
    pub wait_ms: Option<f64>,
}

/// A version that was refused.
#[napi(object, object_from_js = false)]
pub struct Tried {
    pub version_stage: String,
    pub version_id: String,
    /// How often.
    pub times: u32,
    /// The same for people.
    pub text: String,
}

impl NativePlan {
    pub(crate) fn new(plan: secretcache::host::ConnectAttempt) -> Self {
        Self { plan, trying: None }
    }
}

/// The staging labels of a plan, from their names.
pub(crate) fn stages(names: &[String]) -> Result<Vec<Stage>, Error> {
    names.iter().map(|name| name.parse()).collect()
}

#[napi]
impl NativePlan {
    /// What to do next.
    #[napi(catch_unwind)]
    pub fn next(&mut self) -> Step {
        let next = self.plan.next(SystemClock::now());
        let step = |what: &str, stage: Option<Stage>| Step {
            what: what.to_owned(),
            stage: stage.map(|stage| stage.to_string()),
            version: None,
            wait_ms: None,
        };
        match next {
            Action::Try(secret, stage) => {
                self.trying = Some((secret.clone(), stage));
                // Tried once and not kept, whatever changes meanwhile.
                Step { version: Some(Version::new(secret, 0)), ..step("try", Some(stage)) }
            }
            Action::Read(stage) => step("read", Some(stage)),
            Action::Refresh(stage) => step("refresh", Some(stage)),
            Action::Wait(span) => Step { wait_ms: Some(milliseconds(span)), ..step("wait", None) },
            Action::Stop => step("stop", None),
        }
    }

    /// How long the plan may still take.
    #[napi(catch_unwind)]
    pub fn remaining_ms(&self) -> f64 {
        milliseconds(self.plan.remaining(SystemClock::now()))
    }

    /// A staging label has been read or fetched, or why it could not be: the kind and the text of the failure.
    #[napi(catch_unwind)]
    pub fn read(&mut self, version_stage: String, kind: Option<String>, message: Option<String>) {
        let Ok(stage) = version_stage.parse() else { return };
        let error = kind.map(|kind| Error::new(kind_named(&kind), message.unwrap_or_default()));
        self.plan.read(stage, error, SystemClock::now());
    }

    /// The resource took the version that was tried.
    #[napi(catch_unwind)]
    pub fn accepted(&mut self) {
        if let Some((secret, _)) = self.trying.take() {
            self.plan.accepted(&secret);
        }
    }

    /// The resource refused the version that was tried.
    #[napi(catch_unwind)]
    pub fn rejected(&mut self) {
        if let Some((secret, stage)) = self.trying.take() {
            self.plan.rejected(&secret, stage, SystemClock::now());
        }
    }

    /// The versions refused so far.
    #[napi]
    pub fn tried(&self) -> Vec<Tried> {
        let tried = |tried: &secretcache::RejectedVersion| Tried {
            version_stage: tried.version_stage.to_string(),
            version_id: tried.version_id.clone(),
            times: tried.times,
            text: tried.to_string(),
        };
        self.plan.tried().iter().map(tried).collect()
    }

    /// Why no version could be read, if that is how it ended.
    #[napi]
    pub fn last_error(&self) -> Option<Failure> {
        self.plan.last_error().map(Failure::from)
    }
}
