//! One version of a secret on its way to JavaScript.

use std::time::SystemTime;

use napi::bindgen_prelude::{BufferSlice, ToNapiValue};
use napi::{Env, Result, sys};
use napi_derive::napi;
use secretcache::Secret;
use secretcache::host::SystemClock;

use crate::settings::milliseconds;

/// One version: its value and what the service says about it.
#[napi(object, object_from_js = false)]
pub struct Version {
    pub arn: Option<String>,
    pub name: Option<String>,
    pub version_id: Option<String>,
    pub version_stages: Vec<String>,
    /// When it was created, since the Unix epoch.
    pub created_ms: Option<f64>,
    #[napi(ts_type = "string")]
    pub string: Option<Text>,
    #[napi(ts_type = "Buffer")]
    pub binary: Option<Bytes>,
    /// How long it may be handed out again without asking, unless the count of changes moves.
    pub servable_ms: f64,
    /// The count of changes for which this is right.
    pub changes: u32,
}

/// The secret string, made a JavaScript one without another copy in between.
pub struct Text(Secret);

/// The secret binary, likewise.
pub struct Bytes(Secret);

impl Version {
    /// `changes` must have been read before the version was.
    pub(crate) fn new(secret: Secret, changes: u32) -> Self {
        let age = |date: SystemTime| date.duration_since(SystemTime::UNIX_EPOCH).ok();
        Self {
            arn: secret.arn().map(str::to_owned),
            name: secret.name().map(str::to_owned),
            version_id: secret.version_id().map(str::to_owned),
            version_stages: secret.version_stages().to_vec(),
            created_ms: secret.created_date().and_then(age).map(milliseconds),
            string: secret.string().is_ok().then(|| Text(secret.clone())),
            binary: secret.binary().is_ok().then(|| Bytes(secret.clone())),
            servable_ms: milliseconds(secret.servable_for(SystemClock::coarse())),
            changes,
        }
    }
}

impl ToNapiValue for Text {
    unsafe fn to_napi_value(env: sys::napi_env, text: Self) -> Result<sys::napi_value> {
        // SAFETY: `env` is the environment of this call, by contract.
        unsafe { ToNapiValue::to_napi_value(env, text.0.string().unwrap_or_default()) }
    }
}

impl ToNapiValue for Bytes {
    unsafe fn to_napi_value(env: sys::napi_env, bytes: Self) -> Result<sys::napi_value> {
        let copy = BufferSlice::copy_from(&Env::from_raw(env), bytes.0.binary().unwrap_or_default())?;
        // SAFETY: `env` is the environment of this call, by contract.
        unsafe { ToNapiValue::to_napi_value(env, copy) }
    }
}
