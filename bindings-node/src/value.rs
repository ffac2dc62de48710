//! One version of a secret on its way to JavaScript.

use std::time::SystemTime;

use napi::bindgen_prelude::{BufferSlice, ToNapiValue};
use napi::{Env, Result, sys};
use napi_derive::napi;
use secretcache::Secret;
use secretcache::host::SystemClock;

use crate::changes::Changes;
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
    /// How long it may be handed out again without asking, unless its counter of changes moves.
    pub servable_ms: f64,
    /// Which counter of changes is this version's.
    pub slot: u32,
    /// The count for which this is right.
    pub changes: u32,
}

/// The secret string, made a JavaScript one without another copy in between.
pub struct Text(Secret);

/// The secret binary, likewise.
pub struct Bytes(Secret);

impl Version {
    pub(crate) fn new(secret: Secret, changes: &Changes) -> Self {
        // Before the time below: see `count_changes_in`.
        let (slot, changes) = changes.of(&secret);
        Self {
            servable_ms: milliseconds(secret.servable_for(SystemClock::coarse())),
            slot,
            changes,
            ..Self::once(secret)
        }
    }

    /// To be used once and not kept.
    pub(crate) fn once(secret: Secret) -> Self {
        let age = |date: SystemTime| date.duration_since(SystemTime::UNIX_EPOCH).ok();
        Self {
            arn: secret.arn().map(str::to_owned),
            name: secret.name().map(str::to_owned),
            version_id: secret.version_id().map(str::to_owned),
            version_stages: secret.version_stages().to_vec(),
            created_ms: secret.created_date().and_then(age).map(milliseconds),
            string: secret.string().is_ok().then(|| Text(secret.clone())),
            binary: secret.binary().is_ok().then(|| Bytes(secret.clone())),
            servable_ms: 0.0,
            slot: 0,
            changes: 0,
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
