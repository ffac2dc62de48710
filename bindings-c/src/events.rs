//! Events and log lines of a cache, passed to the program's callbacks.

use std::ffi::c_void;
use std::sync::Arc;

use secretcache::Event as CoreEvent;
use secretcache::host::{LogLimiter, PerProcess, SystemClock};

use crate::callback::UserData;
use crate::error::Error;
use crate::text::Str;

/// Called when a refresh found a new version: of `AWSCURRENT`, or of another staging label that the program reads.
/// Labels that only connection attempts request are left out. Ids and label are empty if they are not known.
pub type OnNewVersion = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        secret_id: Str,
        version_stage: Str,
        old_version_id: Str,
        new_version_id: Str,
    ),
>;

/// Called when reads begin to get a value that could not be refreshed in time, once per outage. `age_ms` is the time
/// since the value's last successful refresh. `error` is NULL if the source has not responded yet.
pub type OnStale =
    Option<unsafe extern "C" fn(user_data: *mut c_void, secret_id: Str, age_ms: u64, error: *const Error)>;

/// Called when a fetch or refresh failed.
pub type OnError = Option<unsafe extern "C" fn(user_data: *mut c_void, secret_id: Str, error: *const Error)>;

/// Called with a line for the program's log. `level` is SECRETCACHE_LOG_INFO for a new version, or
/// SECRETCACHE_LOG_WARNING for a problem, at most once a minute for each secret. `text` ends in a NUL.
pub type OnLog = Option<unsafe extern "C" fn(user_data: *mut c_void, level: u32, text: Str)>;

/// The kind of an event.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
#[expect(non_camel_case_types, reason = "their names in C")]
pub enum EventKind {
    /// A refresh found a new version.
    SECRETCACHE_EVENT_NEW_VERSION = 1,
    /// Reads begin to get a value that could not be refreshed in time; sent once per outage.
    SECRETCACHE_EVENT_STALE = 2,
    /// A fetch or refresh failed.
    SECRETCACHE_EVENT_ERROR = 3,
    /// From now on a secret is read from its replica in another Region, because its own Region does not respond; sent
    /// once, and again only after its own Region has responded.
    SECRETCACHE_EVENT_REPLICA = 4,
    /// A login succeeded with a version other than the current one, as happens in the middle of a rotation. If it
    /// continues, the current version does not work. Sent with the first such login, then at most once a minute.
    SECRETCACHE_EVENT_FALLBACK_LOGIN = 5,
}

/// A `secretcache_event_kind`; later versions may add more.
pub type EventNumber = u32;

/// Any event. Its fields are valid until the callback returns; fields that do not belong to its kind are empty.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// `sizeof(secretcache_event)` in the library, so that programs know which fields exist.
    pub size: usize,
    /// The kind of event.
    pub kind: EventNumber,
    /// The id of the secret, as reads use it.
    pub secret_id: Str,
    /// For a new version: the staging label that moved. For a fallback login: the staging label of the version that logged
    /// in.
    pub version_stage: Str,
    /// For a new version: the id of the version before.
    pub old_version_id: Str,
    /// For a new version: its id. For a fallback login: the id of the version that logged in.
    pub new_version_id: Str,
    /// For a stale value: milliseconds since its last successful refresh.
    pub age_ms: u64,
    /// For a failed fetch or refresh, a read from a replica, and a stale value if the source has responded: the error.
    pub error: *const Error,
    /// The event as a line for a log. Ends in a NUL.
    pub text: Str,
    /// For a read from a replica: its Region.
    pub region: Str,
}

/// Called with each event.
pub type OnEvent = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const Event)>;

/// The level of a log line.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
#[expect(non_camel_case_types, reason = "their names in C")]
pub enum LogLevel {
    /// A secret has a new version.
    SECRETCACHE_LOG_INFO = 1,
    /// A problem.
    SECRETCACHE_LOG_WARNING = 2,
}

/// A callback of the program, with its user data.
#[derive(Debug)]
pub(crate) struct Listener {
    callback: Callback,
    user_data: UserData,
    /// Per process: in a forked child, locks that the parent held stay locked forever.
    limiter: PerProcess<LogLimiter>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Callback {
    NewVersion(OnNewVersion),
    Stale(OnStale),
    Error(OnError),
    Log(OnLog),
    Any(OnEvent),
}

impl Listener {
    pub(crate) fn new(callback: Callback, user_data: UserData) -> Self {
        Self { callback, user_data, limiter: PerProcess::new() }
    }

    /// Passes an event on to the events thread, because the thread that noticed it may be a reader that holds locks of
    /// the program.
    pub(crate) fn notify(self: &Arc<Self>, event: &CoreEvent) {
        if self.wants(event) {
            let (listener, event) = (Arc::clone(self), event.clone());
            secretcache::host::run_on_event_thread(move || listener.call(event));
        }
    }

    fn wants(&self, event: &CoreEvent) -> bool {
        match (self.callback, event) {
            (Callback::NewVersion(_) | Callback::Log(_), CoreEvent::NewVersion { .. })
            | (Callback::Stale(_), CoreEvent::Stale { .. })
            | (Callback::Error(_), CoreEvent::Error { .. })
            | (Callback::Any(_), _) => true,
            (Callback::Log(_), _) => {
                let limiter = self.limiter.get_or_try_make(|| Ok::<_, ()>(LogLimiter::default()));
                limiter.is_ok_and(|limiter| limiter.admits(event, SystemClock::now()))
            }
            _ => false,
        }
    }

    fn call(&self, event: CoreEvent) {
        let user_data = self.user_data.pointer;
        match (self.callback, event) {
            (
                Callback::NewVersion(Some(call)),
                CoreEvent::NewVersion { secret_id, version_stage, old_version_id, new_version_id },
            ) => {
                let [stage, old, new] = [&version_stage, &old_version_id, &new_version_id]
                    .map(|text| Str::of_option(text.as_deref()));
                // SAFETY: the program passed the function for this; the texts live until it returns.
                unsafe { call(user_data, Str::of(&secret_id), stage, old, new) };
            }
            (Callback::Stale(Some(call)), CoreEvent::Stale { secret_id, age, error }) => {
                let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                let error = error.map(Error::from);
                let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
                // SAFETY: as above; the error lives until it returns.
                unsafe { call(user_data, Str::of(&secret_id), age, error) };
            }
            (Callback::Error(Some(call)), CoreEvent::Error { secret_id, error, .. }) => {
                // SAFETY: as above.
                unsafe { call(user_data, Str::of(&secret_id), &raw const *Box::new(Error::from(error))) };
            }
            (Callback::Log(Some(call)), event) => {
                let level = match event {
                    CoreEvent::NewVersion { .. } => LogLevel::SECRETCACHE_LOG_INFO,
                    _ => LogLevel::SECRETCACHE_LOG_WARNING,
                };
                let text = format!("{event}\0");
                // SAFETY: as above.
                unsafe { call(user_data, level as u32, Str::of_terminated(text.as_bytes())) };
            }
            (Callback::Any(Some(call)), event) => with_event(&event, |event| {
                // SAFETY: as above.
                unsafe { call(user_data, event) };
            }),
            _ => {}
        }
    }
}

/// Calls `show` with an event as the C structure. Skips events that have no kind in C.
fn with_event(event: &CoreEvent, show: impl FnOnce(&Event)) {
    let text = format!("{event}\0");
    let mut shown = Event {
        size: size_of::<Event>(),
        kind: 0,
        secret_id: Str::NONE,
        version_stage: Str::NONE,
        old_version_id: Str::NONE,
        new_version_id: Str::NONE,
        age_ms: 0,
        error: std::ptr::null(),
        text: Str::of_terminated(text.as_bytes()),
        region: Str::NONE,
    };
    let failure;
    match event {
        CoreEvent::NewVersion { secret_id, version_stage, old_version_id, new_version_id } => {
            shown.kind = EventKind::SECRETCACHE_EVENT_NEW_VERSION as u32;
            shown.secret_id = Str::of(secret_id);
            shown.version_stage = Str::of_option(version_stage.as_deref());
            shown.old_version_id = Str::of_option(old_version_id.as_deref());
            shown.new_version_id = Str::of_option(new_version_id.as_deref());
        }
        CoreEvent::Stale { secret_id, age, error } => {
            shown.kind = EventKind::SECRETCACHE_EVENT_STALE as u32;
            shown.secret_id = Str::of(secret_id);
            shown.age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            failure = error.clone().map(Error::from);
            shown.error = failure.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        }
        CoreEvent::Error { secret_id, error, .. } => {
            shown.kind = EventKind::SECRETCACHE_EVENT_ERROR as u32;
            shown.secret_id = Str::of(secret_id);
            failure = Some(Error::from(error.clone()));
            shown.error = failure.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        }
        CoreEvent::Replica { secret_id, region, error } => {
            shown.kind = EventKind::SECRETCACHE_EVENT_REPLICA as u32;
            shown.secret_id = Str::of(secret_id);
            shown.region = Str::of(region);
            failure = Some(Error::from(error.clone()));
            shown.error = failure.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        }
        CoreEvent::FallbackLogin { secret_id, version_stage, version_id } => {
            shown.kind = EventKind::SECRETCACHE_EVENT_FALLBACK_LOGIN as u32;
            shown.secret_id = Str::of(secret_id);
            shown.version_stage = Str::of(version_stage.as_str());
            shown.new_version_id = Str::of(version_id);
        }
        _ => return,
    }
    show(&shown);
}
