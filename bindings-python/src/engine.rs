//! The engine of a cache, and the reads that are not plain hits.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use secretcache::host::{Driver as _, SecretExt as _};
use secretcache::host::{Outcome, PerProcess, ReadState, SystemClock, Task, Watches};
use secretcache::{Error, ErrorKind, Hit, Secret, SecretCache, Selector};

use crate::call::{attach, call, call_method};
use crate::deferred::drain;
use crate::errors::to_exception;
use crate::events::EventQueue;
use crate::rendering::{Part, Rendering};
use crate::value::SecretValue;

/// The setup of a cache.
pub(crate) struct Setup {
    pub(crate) engine: Engine,
    pub(crate) default_stage: String,
    /// Whether a missing version, or a value of the other type, is None rather than an error.
    pub(crate) lenient: bool,
    pub(crate) queue: Arc<EventQueue>,
}

/// The source of values: a driver.
pub(crate) enum Engine {
    /// The native driver.
    Native(SecretCache),
    /// A driver written in Python, around a client that the program supplied.
    Host {
        cache: PerProcess<secretcache::host::Cache>,
        config: secretcache::Config,
        watches: Watches,
        driver: Py<PyAny>,
        /// The URL that the client uses, if known.
        endpoint: Option<String>,
        hooked: bool,
    },
}

impl Engine {
    #[inline]
    pub(crate) fn hit(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>> {
        match self {
            Self::Native(cache) => cache.hit(id, selector),
            Self::Host { cache, hooked: false, .. } => cache.get()?.hit(id, selector, SystemClock::coarse()),
            Self::Host { .. } => None,
        }
    }

    pub(crate) fn is_older(&self, id: &str, selector: Selector<'_>, max_age: Duration) -> bool {
        match self {
            Self::Native(cache) => cache.is_older(id, selector, max_age),
            Self::Host { cache, .. } => {
                cache.get().is_some_and(|cache| cache.is_older(id, selector, max_age, SystemClock::now()))
            }
        }
    }

    #[cfg(not(Py_GIL_DISABLED))]
    #[inline]
    pub(crate) fn hit_again(&self, secret: &Secret) -> bool {
        match self {
            Self::Native(cache) => cache.hit_again(secret),
            Self::Host { cache, .. } => {
                cache.get().is_some_and(|cache| cache.hit_again(secret, SystemClock::coarse()))
            }
        }
    }
}

impl Setup {
    /// Returns the selector for the arguments; without stage and id, for the default stage.
    pub(crate) fn selector<'a>(
        &'a self,
        stage: Option<&'a str>,
        version_id: Option<&'a str>,
    ) -> Selector<'a> {
        match (stage, version_id) {
            (_, Some(version_id)) => Selector::version_id(version_id),
            (stage, None) => Selector::stage(stage.unwrap_or(&self.default_stage)),
        }
    }

    /// Reads a value that is not a plain hit: from the source, or from memory after all.
    pub(crate) fn read(&self, py: Python<'_>, id: &str, selector: Selector<'_>) -> PyResult<Option<Secret>> {
        let result = match &self.engine {
            Engine::Host { driver, .. } => {
                let arguments = (id, selector.as_stage(), selector.as_version_id());
                let value = call_method(driver.bind(py), "read", arguments)?;
                return Ok(value.extract::<Option<PyRef<'_, SecretValue>>>()?.map(|value| value.0.clone()));
            }
            Engine::Native(cache) => read_native(py, cache, id, selector)?,
        };
        drain(py);
        match result {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if self.lenient && error.kind() == ErrorKind::VersionNotFound => Ok(None),
            Err(error) => Err(to_exception(py, &error, Some(id))),
        }
    }

    #[inline]
    pub(crate) fn part_of<'py>(
        &self,
        py: Python<'py>,
        secret: &Secret,
        part: Part,
        id: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let object = Rendering::of(py, secret).and_then(|rendering| rendering.get(py, part));
        if let (Part::String, Some(string)) = (part, &object) {
            // The extension keeps the object for as long as the secret lives.
            secret.set_host_data(string.as_ptr() as usize);
        }
        if object.is_none() && !self.lenient {
            let error = if part == Part::String { secret.string().err() } else { secret.binary().err() };
            return error.map_or(Ok(None), |error| Err(to_exception(py, &error, Some(id))));
        }
        Ok(object)
    }
}

fn read_native(
    py: Python<'_>,
    cache: &SecretCache,
    id: &str,
    selector: Selector<'_>,
) -> PyResult<Result<Secret, Error>> {
    loop {
        let mut waiter = match cache.start(id, selector) {
            ReadState::Ready(result) => return Ok(result.map(|hit| hit.to_secret())),
            ReadState::Wait(waiter) => waiter,
        };
        if let Some(patience) = waiter.patience() {
            let until = SystemClock::now().plus(patience);
            let outcome = interruptibly(py, |slice| {
                let left = SystemClock::now().until(&until);
                let outcome = secretcache::host::wait_for(&mut waiter, slice.min(left)).map(Some);
                outcome.or_else(|| SystemClock::now().until(&until).is_zero().then_some(None))
            })?;
            if let Some(result) = outcome.and_then(Outcome::for_reader) {
                return Ok(result);
            }
            if let Some(secret) = cache.give_up(id, selector, &waiter) {
                return Ok(Ok(secret));
            }
        }
        let outcome = interruptibly(py, |slice| secretcache::host::wait_for(&mut waiter, slice))?;
        if let Some(result) = outcome.for_reader() {
            return Ok(result);
        }
    }
}

/// Waits for a background task and returns its result. `id` is the secret that it fetches, if it is a single one.
pub(crate) fn ended<T: Send>(py: Python<'_>, task: Result<Task<T>, Error>, id: Option<&str>) -> PyResult<T> {
    let mut task = task.map_err(|error| to_exception(py, &error, id))?;
    let result = interruptibly(py, |slice| secretcache::host::wait_for(&mut task, slice))?;
    result.map_err(|error| to_exception(py, &error, id))
}

/// Waits without the global lock, and checks for signals such as Ctrl-C in between.
fn interruptibly<T: Send>(py: Python<'_>, mut wait: impl FnMut(Duration) -> Option<T> + Send) -> PyResult<T> {
    const SLICE: Duration = Duration::from_millis(100);
    loop {
        if let Some(value) = py.detach(|| wait(SLICE)) {
            return Ok(value);
        }
        py.check_signals()?;
    }
}

/// Dispatches the events of a native cache on the events thread.
pub(crate) fn listen(cache: &SecretCache, queue: &Arc<EventQueue>, dispatch: Option<Py<PyAny>>) {
    let Some(dispatch) = dispatch else { return };
    let (dispatch, queue, listener) = (Arc::new(dispatch), Arc::clone(queue), queue.listener());
    cache.on_event(move |event| {
        listener(event);
        let (dispatch, queue) = (Arc::clone(&dispatch), Arc::clone(&queue));
        secretcache::host::run_on_event_thread(move || {
            attach(|py| {
                let sent = queue.take(py).and_then(|events| call(dispatch.bind(py), (events,)));
                if let Err(error) = sent {
                    error.write_unraisable(py, None);
                }
            });
        });
    });
}
