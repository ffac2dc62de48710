//! Events of the core on their way to Python.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use secretcache::host::{Listener, LogLimiter, PerProcess, SystemClock};
use secretcache::{ErrorKind, Event};

use crate::errors;

/// The events of one cache that the program has not taken yet.
pub(crate) struct EventQueue {
    /// Per process: in a forked child, locks that the parent held stay locked forever.
    mail: PerProcess<Mail>,
    /// Whether a missing version is an ordinary answer (None) to readers, not worth a warning.
    lenient: bool,
}

#[derive(Default)]
struct Mail {
    limiter: LogLimiter,
    waiting: Mutex<Vec<(Event, bool)>>,
}

/// The most events that are kept: a program that never takes any must not fill its memory.
const MOST: usize = 1024;

impl EventQueue {
    pub(crate) fn new(lenient: bool) -> Self {
        Self { mail: PerProcess::new(), lenient }
    }

    /// Returns a listener that adds events to this queue.
    pub(crate) fn listener(self: &Arc<Self>) -> Listener {
        let queue = Arc::clone(self);
        Arc::new(move |event| queue.put(event))
    }

    fn put(&self, event: &Event) {
        let Ok(mail) = self.mail.get_or_try_make(|| Ok::<_, ()>(Mail::default())) else { return };
        let is_missing_version =
            matches!(event, Event::Error { error, .. } if error.kind() == ErrorKind::VersionNotFound);
        let is_ordinary = self.lenient && is_missing_version;
        let should_warn = !is_ordinary && mail.limiter.admits(event, SystemClock::now());
        let mut waiting = mail.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST {
            waiting.push((event.clone(), should_warn));
        }
    }

    /// Takes the events so far, as Python tuples.
    pub(crate) fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let Some(mail) = self.mail.get() else { return Ok(Vec::new()) };
        let waiting = std::mem::take(&mut *mail.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.iter().map(|(event, should_warn)| to_tuple(py, event, *should_warn)).collect()
    }
}

/// Converts an event to `(kind, should_warn, text, fields)`, from which `secretcache._events` makes its objects.
fn to_tuple<'py>(py: Python<'py>, event: &Event, should_warn: bool) -> PyResult<Bound<'py, PyAny>> {
    let text = event.to_string();
    let exception =
        |id: &str, error: &secretcache::Error| errors::to_exception(py, error, Some(id)).into_value(py);
    match event {
        Event::NewVersion { secret_id, version_stage, old_version_id, new_version_id, .. } => {
            let fields = (&**secret_id, version_stage, old_version_id, new_version_id);
            ("new_version", should_warn, text, fields).into_pyobject(py).map(Bound::into_any)
        }
        Event::Stale { secret_id, age, error, .. } => {
            let fields =
                (&**secret_id, age.as_secs_f64(), error.as_ref().map(|error| exception(secret_id, error)));
            ("stale", should_warn, text, fields).into_pyobject(py).map(Bound::into_any)
        }
        Event::Error { secret_id, error, .. } => {
            ("error", should_warn, text, (&**secret_id, exception(secret_id, error)))
                .into_pyobject(py)
                .map(Bound::into_any)
        }
        Event::FallbackLogin { secret_id, version_stage, version_id, .. } => {
            ("fallback_login", should_warn, text, (&**secret_id, version_stage.as_str(), version_id))
                .into_pyobject(py)
                .map(Bound::into_any)
        }
        Event::Replica { secret_id, region, error, .. } => {
            ("replica", should_warn, text, (&**secret_id, region, exception(secret_id, error)))
                .into_pyobject(py)
                .map(Bound::into_any)
        }
        _ => ("unknown", should_warn, text, ()).into_pyobject(py).map(Bound::into_any),
    }
}
