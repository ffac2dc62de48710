//! Events of the core on their way to JavaScript.

use napi_derive::napi;
use secretcache::Event;

use crate::errors::Failure;
use crate::settings::milliseconds;

/// Something worth knowing happened to a cached secret.
#[napi(object, object_from_js = false)]
pub struct Told {
    #[napi(ts_type = "'newVersion' | 'stale' | 'refreshError' | 'otherVersion'")]
    pub kind: String,
    /// Whether it is worth a warning: one for each secret and minute is.
    pub loud: bool,
    /// One line, fit for a log.
    pub text: String,
    pub secret_id: String,
    pub version_stage: Option<String>,
    pub old_version_id: Option<String>,
    pub new_version_id: Option<String>,
    /// Since the value was last confirmed.
    pub age_ms: Option<f64>,
    pub failure: Option<Failure>,
}

impl Told {
    pub(crate) fn new(event: &Event, loud: bool) -> Self {
        let mut told = Self {
            kind: String::new(),
            loud,
            text: event.to_string(),
            secret_id: event.secret_id().to_owned(),
            version_stage: None,
            old_version_id: None,
            new_version_id: None,
            age_ms: None,
            failure: None,
        };
        match event {
            Event::NewVersion { version_stage, old_version_id, new_version_id, .. } => {
                "newVersion".clone_into(&mut told.kind);
                told.version_stage.clone_from(version_stage);
                told.old_version_id.clone_from(old_version_id);
                told.new_version_id.clone_from(new_version_id);
            }
            Event::Stale { age, error, .. } => {
                "stale".clone_into(&mut told.kind);
                told.age_ms = Some(milliseconds(*age));
                told.failure = error.as_ref().map(Failure::from);
            }
            Event::Error { error, .. } => {
                "refreshError".clone_into(&mut told.kind);
                told.failure = Some(Failure::from(error));
            }
            Event::FallbackLogin { version_stage, version_id, .. } => {
                "otherVersion".clone_into(&mut told.kind);
                told.version_stage = Some(version_stage.to_string());
                told.new_version_id = Some(version_id.clone());
            }
            _ => {}
        }
        told
    }
}
