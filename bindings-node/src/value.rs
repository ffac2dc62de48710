//! One version of a secret, converted for JavaScript.

use std::time::SystemTime;

use napi::bindgen_prelude::{BufferSlice, ToNapiValue};
use napi::{Env, Result, sys};
use napi_derive::napi;
use secretcache::Secret;
use secretcache::host::{SecretExt as _, SystemClock};

use crate::changes::Changes;
use crate::settings::milliseconds;

/// One version: its value and what the service says about it.
#[napi(object, object_from_js = false)]
pub struct Version {
    pub arn: Option<String>,
    pub name: Option<String>,
    pub version_id: Option<String>,
    pub version_stages: Vec<String>,
    /// When this version was created, in milliseconds since the Unix epoch.
    pub created_ms: Option<f64>,
    #[napi(ts_type = "string")]
    pub string: Option<Text>,
    #[napi(ts_type = "Buffer")]
    pub binary: Option<Bytes>,
    /// How long this version can be returned again without asking the core, unless its counter of changes moves, in
    /// milliseconds.
    pub servable_ms: f64,
    /// The index of this version's counter of changes.
    pub slot: u32,
    /// The count at which this version is valid.
    pub changes: u32,
}

/// The secret string, converted to a JavaScript string without another copy in between.
pub struct Text(Secret);

/// The secret binary, copied into a `Buffer`.
pub struct Bytes(Secret);

impl Version {
    pub(crate) fn new(secret: Secret, changes: &Changes) -> Self {
        // Before the call of `servable_for` below; see `count_changes_in`.
        let (slot, changes) = changes.of(&secret);
        Self {
            servable_ms: milliseconds(secret.servable_for(SystemClock::coarse())),
            slot,
            changes,
            ..Self::once(secret)
        }
    }

    /// A version to use once and not keep.
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
