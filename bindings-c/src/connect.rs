//! Staying connected while a secret rotates.

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secretcache::host::ConnectFailure;
use secretcache::{ConnectError, Stage};

use zeroize::Zeroizing;

use crate::arguments::texts;
use crate::cache::Cache;
use crate::error::{Error, ResultCode};
use crate::text::Str;
use crate::value::terminated;

/// The result of a login. Success is 0, as usual in C, so a function that returns a `bool` or a count would report the
/// opposite of what it means. C++ rejects such a function; C may not even warn.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
#[expect(non_camel_case_types, reason = "their names in C")]
pub enum Login {
    /// The login was accepted: `secretcache_connect` is done.
    SECRETCACHE_LOGIN_ACCEPTED = 0,
    /// The user name or password was refused: `secretcache_connect` tries another version.
    SECRETCACHE_LOGIN_REFUSED = 1,
    /// The login failed for another reason: `secretcache_connect` fails with SECRETCACHE_LOGIN_FAILED.
    SECRETCACHE_LOGIN_ERROR = 2,
}

/// Logs in with one version of the credential and returns a `secretcache_login`, by name. Do not return a `bool`:
/// `true` would be SECRETCACHE_LOGIN_REFUSED. Any other number counts as SECRETCACHE_LOGIN_ERROR. The credential and
/// its texts are valid until the function returns.
pub type OnLogin =
    Option<unsafe extern "C" fn(user_data: *mut c_void, credential: *const Credential) -> LoginNumber>;

/// A `secretcache_login`; a number, because a program may return any.
pub type LoginNumber = u32;

/// User name, password and the other fields of one version of a secret. They belong together, because a rotation may
/// change the user name too. Valid until the login function returns.
pub struct Credential {
    core: secretcache::Credential,
    /// The texts returned so far, each ending in a NUL.
    texts: Mutex<Vec<Field>>,
}

/// The name of a field and its text.
type Field = (Box<str>, Zeroizing<Vec<u8>>);

impl Credential {
    fn new(core: &secretcache::Credential) -> Self {
        Self { core: core.clone(), texts: Mutex::default() }
    }

    pub(crate) fn version_id(&self) -> Str {
        Str::of_option(self.core.version_id())
    }

    pub(crate) fn version_stage(&self) -> Str {
        Str::of(self.core.version_stage().as_str())
    }

    fn text(&self, name: &str) -> Str {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = texts.iter().find(|(known, _)| &**known == name) {
            return Str::of_terminated(text);
        }
        let text = match self.core.field(name) {
            None => return Str::NONE,
            Some(serde_json::Value::String(text)) => terminated(text),
            Some(other) => terminated(&Zeroizing::new(other.to_string())),
        };
        // The bytes do not move when the list grows.
        let given = Str::of_terminated(&text);
        texts.push((name.into(), text));
        given
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.core.fmt(f)
    }
}

/// The reason for a failed login. After `Refused` the next version is tried; `Failed` ends the attempt.
enum Refusal {
    Refused,
    Failed,
}

fn connect(
    cache: &Cache,
    secret_id: &str,
    stages: &[Stage],
    timeout_ms: u64,
    on_login: OnLogin,
    user_data: *mut c_void,
) -> Result<(), Error> {
    let mut connecting = cache.core().connect(secret_id).stages(stages);
    if timeout_ms > 0 {
        connecting = connecting.timeout(Duration::from_millis(timeout_ms));
    }
    let log_in = |credential: &secretcache::Credential| {
        let Some(on_login) = on_login else { return Err(Refusal::Failed) };
        let credential = Credential::new(credential);
        // SAFETY: the program passed the function for this; the credential lives until it returns.
        match unsafe { on_login(user_data, &raw const credential) } {
            accepted if accepted == Login::SECRETCACHE_LOGIN_ACCEPTED as u32 => Ok(()),
            refused if refused == Login::SECRETCACHE_LOGIN_REFUSED as u32 => Err(Refusal::Refused),
            _ => Err(Refusal::Failed),
        }
    };
    connecting.wait(log_in, |refusal| matches!(refusal, Refusal::Refused)).map_err(|error| match error {
        ConnectError::Secret(error) => error.into(),
        ConnectError::Rejected { text, tried, .. } => ConnectFailure::Rejected { text, tried }.into(),
        _ => Error::new(ResultCode::SECRETCACHE_LOGIN_FAILED, "the login function returned an error"),
    })
}

export! {
    /// Connects to the database (or other server) that a secret is for, even during a rotation.
    ///
    /// Calls `on_login` on this thread, with the cached current version first. If the login is refused, it fetches that
    /// version again, then tries AWSPENDING (which works in the middle of a rotation), then AWSPREVIOUS, then pauses
    /// and starts again, until `timeout_ms` have passed (0 means 30,000 ms). Accepted and refused versions are
    /// remembered for all callers, so a rotation costs one refused login, not one for each connection.
    ///
    /// Fails with SECRETCACHE_LOGIN_REJECTED if no version logs in, with SECRETCACHE_LOGIN_FAILED if `on_login` returns
    /// SECRETCACHE_LOGIN_ERROR, or with the reason why the secret could not be read.
    fn secretcache_connect(
        cache: Ref<Cache>,
        secret_id: Text,
        timeout_ms: Is<u64>,
        on_login: Call<OnLogin>,
        user_data: Is<*mut c_void>,
    ) -> Result() {
        connect(cache, secret_id, &Stage::ALL, timeout_ms, on_login, user_data)
    }

    /// Like `secretcache_connect`, with the staging labels to try, in this order: any of AWSCURRENT, AWSPENDING and
    /// AWSPREVIOUS.
    fn secretcache_connect_stages(
        cache: Ref<Cache>,
        secret_id: Text,
        stages: Is<*const Str>,
        stage_count: Is<usize>,
        timeout_ms: Is<u64>,
        on_login: Call<OnLogin>,
        user_data: Is<*mut c_void>,
    ) -> Result() {
        // SAFETY: the header requires `stage_count` texts that do not change during the call.
        let stages = unsafe { texts(stages, stage_count, "stages") }?;
        let stages = stages.into_iter().map(str::parse).collect::<Result<Vec<Stage>, secretcache::Error>>()?;
        connect(cache, secret_id, &stages, timeout_ms, on_login, user_data)
    }

    /// Returns the field "username"; no text if there is none. Like all texts of a credential it ends in a NUL that is
    /// not counted, so it can be used as a C string if it contains no other NUL.
    fn secretcache_credential_username(credential: Ref<Credential>) -> Str = Str::NONE => {
        credential.text("username")
    }

    /// Returns the field "password"; no text if there is none.
    fn secretcache_credential_password(credential: Ref<Credential>) -> Str = Str::NONE => {
        credential.text("password")
    }

    /// Returns the field "host"; no text if there is none.
    fn secretcache_credential_host(credential: Ref<Credential>) -> Str = Str::NONE => {
        credential.text("host")
    }

    /// Returns the field "port", which can be a number or a string; 0 if there is none.
    fn secretcache_credential_port(credential: Ref<Credential>) -> u16 = 0 => {
        credential.core.port().unwrap_or(0)
    }

    /// Returns the field "dbname"; no text if there is none.
    fn secretcache_credential_dbname(credential: Ref<Credential>) -> Str = Str::NONE => {
        credential.text("dbname")
    }

    /// Returns the field "engine"; no text if there is none.
    fn secretcache_credential_engine(credential: Ref<Credential>) -> Str = Str::NONE => {
        credential.text("engine")
    }

    /// Returns a field by its name; no text if there is none. A number or boolean is returned as its JSON text.
    fn secretcache_credential_field(credential: Ref<Credential>, field: Text) -> Str = Str::NONE => {
        credential.text(field)
    }

    /// Returns the id of the credential's version, without a final NUL; no text if the source does not set it.
    fn secretcache_credential_version_id(credential: Ref<Credential>) -> Str = Str::NONE => {
        credential.version_id()
    }

    /// Returns the staging label of that version, without a final NUL. Watch for logins with a label other than
    /// AWSCURRENT: if they continue, the current version does not work.
    fn secretcache_credential_version_stage(credential: Ref<Credential>) -> Str = Str::NONE => {
        credential.version_stage()
    }
}
