//! Events of the core, converted for JavaScript.

use napi_derive::napi;
use secretcache::Event;

use crate::errors::Failure;
use crate::settings::milliseconds;

/// An event of a cached secret.
#[napi(object, object_from_js = false)]
pub struct CacheEvent {
    #[napi(ts_type = "'newVersion' | 'stale' | 'refreshError' | 'fallbackLogin' | 'replica'")]
    pub kind: String,
    /// Whether to log a warning; at most once a minute for each secret.
    pub should_warn: bool,
    /// One line, for a log.
    pub text: String,
    pub secret_id: String,
    pub version_stage: Option<String>,
    pub old_version_id: Option<String>,
    pub new_version_id: Option<String>,
    /// Milliseconds since the value was last confirmed.
    pub age_ms: Option<f64>,
    /// The Region of the replica.
    pub region: Option<String>,
    pub failure: Option<Failure>,
}

impl CacheEvent {
    pub(crate) fn new(event: &Event, should_warn: bool) -> Self {
        let mut result = Self {
            kind: String::new(),
            should_warn,
            text: event.to_string(),
            secret_id: event.secret_id().to_owned(),
            version_stage: None,
            old_version_id: None,
            new_version_id: None,
            age_ms: None,
            region: None,
            failure: None,
        };
        match event {
            Event::NewVersion { version_stage, old_version_id, new_version_id, .. } => {
                "newVersion".clone_into(&mut result.kind);
                result.version_stage.clone_from(version_stage);
                result.old_version_id.clone_from(old_version_id);
                result.new_version_id.clone_from(new_version_id);
            }
            Event::Stale { age, error, .. } => {
                "stale".clone_into(&mut result.kind);
                result.age_ms = Some(milliseconds(*age));
                result.failure = error.as_ref().map(Failure::from);
            }
            Event::Error { error, .. } => {
                "refreshError".clone_into(&mut result.kind);
                result.failure = Some(Failure::from(error));
            }
            Event::FallbackLogin { version_stage, version_id, .. } => {
                "fallbackLogin".clone_into(&mut result.kind);
                result.version_stage = Some(version_stage.to_string());
                result.new_version_id = Some(version_id.clone());
            }
            Event::Replica { region, error, .. } => {
                "replica".clone_into(&mut result.kind);
                result.region = Some(region.clone());
                result.failure = Some(Failure::from(error));
            }
            _ => {}
        }
        result
    }
}
