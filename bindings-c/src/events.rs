//! What the cache tells a program without being asked.

use std::ffi::c_void;
use std::sync::Arc;

use secretcache::Event;
use secretcache::host::{LogLimiter, PerProcess, SystemClock};

use crate::callback::UserData;
use crate::error::Error;
use crate::text::Str;

/// A refresh brought another version than the one held. Ids and label are none where they are not known.
pub type OnNewVersion = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        secret_id: Str,
        version_stage: Str,
        old_version_id: Str,
        new_version_id: Str,
    ),
>;

/// Readers get a value past its freshness, because it cannot be refreshed; told once per spell. `age_ms` is the time
/// since it was last confirmed. `error` is NULL if the source has not answered yet.
pub type OnStale =
    Option<unsafe extern "C" fn(user_data: *mut c_void, secret_id: Str, age_ms: u64, error: *const Error)>;

/// A fetch or refresh failed.
pub type OnError = Option<unsafe extern "C" fn(user_data: *mut c_void, secret_id: Str, error: *const Error)>;

/// A line for the program's log: SECRETCACHE_LOG_INFO for news, SECRETCACHE_LOG_WARNING for what should be looked at, at
/// most once a minute for each secret. `text` ends in a NUL.
pub type OnLog = Option<unsafe extern "C" fn(user_data: *mut c_void, level: u32, text: Str)>;

/// How much a line of the log matters.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
#[expect(non_camel_case_types, reason = "their names in C")]
pub enum LogLevel {
    /// News: a secret has a new version.
    SECRETCACHE_LOG_INFO = 1,
    /// Something to be looked at.
    SECRETCACHE_LOG_WARNING = 2,
}

/// One function of a program's, and what it is told.
#[derive(Debug)]
pub(crate) struct Listener {
    callback: Callback,
    user_data: UserData,
    /// In a forked child the parent's locks may be held for ever.
    limiter: PerProcess<LogLimiter>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Callback {
    NewVersion(OnNewVersion),
    Stale(OnStale),
    Error(OnError),
    Log(OnLog),
}

impl Listener {
    pub(crate) fn new(callback: Callback, user_data: UserData) -> Self {
        Self { callback, user_data, limiter: PerProcess::new() }
    }

    /// Passes an event on to the events thread: the thread that noticed it may be a reader that holds locks of the
    /// program's.
    pub(crate) fn tell(self: &Arc<Self>, event: &Event) {
        if self.wants(event) {
            let (listener, event) = (Arc::clone(self), event.clone());
            secretcache::host::run_on_event_thread(move || listener.call(event));
        }
    }

    fn wants(&self, event: &Event) -> bool {
        match (self.callback, event) {
            (Callback::NewVersion(_) | Callback::Log(_), Event::NewVersion { .. })
            | (Callback::Stale(_), Event::Stale { .. })
            | (Callback::Error(_), Event::Error { .. }) => true,
            (Callback::Log(_), _) => {
                let limiter = self.limiter.get_or_try_make(|| Ok::<_, ()>(LogLimiter::default()));
                limiter.is_ok_and(|limiter| limiter.admits(event, SystemClock::now()))
            }
            _ => false,
        }
    }

    fn call(&self, event: Event) {
        let user_data = self.user_data.pointer;
        match (self.callback, event) {
            (
                Callback::NewVersion(Some(call)),
                Event::NewVersion { secret_id, version_stage, old_version_id, new_version_id },
            ) => {
                let [stage, old, new] = [&version_stage, &old_version_id, &new_version_id]
                    .map(|text| Str::of_option(text.as_deref()));
                // SAFETY: the program gave the function for this; the texts live until it returns.
                unsafe { call(user_data, Str::of(&secret_id), stage, old, new) };
            }
            (Callback::Stale(Some(call)), Event::Stale { secret_id, age, error }) => {
                let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                let error = error.map(Error::from);
                let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
                // SAFETY: as above; the error lives until it returns.
                unsafe { call(user_data, Str::of(&secret_id), age, error) };
            }
            (Callback::Error(Some(call)), Event::Error { secret_id, error, .. }) => {
                // SAFETY: as above.
                unsafe { call(user_data, Str::of(&secret_id), &raw const *Box::new(Error::from(error))) };
            }
            (Callback::Log(Some(call)), event) => {
                let level = match event {
                    Event::NewVersion { .. } => LogLevel::SECRETCACHE_LOG_INFO,
                    _ => LogLevel::SECRETCACHE_LOG_WARNING,
                };
                let text = format!("{event}\0");
                // SAFETY: as above.
                unsafe { call(user_data, level as u32, Str::of_terminated(text.as_bytes())) };
            }
            _ => {}
        }
    }
}
