//! The class that both Python faces inherit from.

use std::cell::UnsafeCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use secretcache::{
    Error, ErrorKind, Forced, Hit, Lookup, Outcome, PerProcess, Secret, SecretCache, Selector, Started,
    SystemClock,
};

use crate::errors::to_exception;
use crate::events::{self, Inbox};
use crate::late::bury;
use crate::rendering::{Part, Rendering};
use crate::settings::Settings;
use crate::ticket::{Flight, Ticket};
use crate::value::SecretValue;
use crate::{arguments, stats};

/// The cache under both faces. Subclasses call ``_setup`` once.
#[pyclass(frozen, subclass, module = "secretcache")]
pub(crate) struct Cache {
    setup: OnceLock<Setup>,
    last: Last,
}

struct Setup {
    engine: Engine,
    default_stage: String,
    /// Missing versions and values of the wrong kind are None rather than errors.
    lenient: bool,
    inbox: Arc<Inbox>,
}

/// Where values come from.
enum Engine {
    /// The native driver.
    Native(SecretCache),
    /// A driver written in Python, around a client of the program's own.
    Host {
        cache: PerProcess<secretcache::Cache>,
        config: secretcache::Config,
        driver: Py<PyAny>,
        hooked: bool,
    },
}

impl Engine {
    #[inline]
    fn hit(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>> {
        match self {
            Self::Native(cache) => cache.hit(id, selector),
            Self::Host { cache, hooked: false, .. } => cache.get()?.hit(id, selector, SystemClock::coarse()),
            Self::Host { .. } => None,
        }
    }

    #[inline]
    fn hit_again(&self, secret: &Secret) -> bool {
        match self {
            Self::Native(cache) => cache.hit_again(secret),
            Self::Host { cache, .. } => {
                cache.get().is_some_and(|cache| cache.hit_again(secret, SystemClock::coarse()))
            }
        }
    }
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        // Subclasses take what they like in `__init__` and call `_setup`.
        Self { setup: OnceLock::new(), last: Last::new() }
    }

    /// The secret string of the version with a staging label, by default the current one.
    #[pyo3(signature = (secret_id, version_stage=None))]
    fn get_secret_string<'py>(
        slf: &Bound<'py, Self>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::_get_string(slf, secret_id, version_stage, None)
    }

    /// The secret binary, as bytes, of the version with a staging label, by default the current one.
    #[pyo3(signature = (secret_id, version_stage=None))]
    fn get_secret_binary<'py>(
        slf: &Bound<'py, Self>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::_get_binary(slf, secret_id, version_stage, None)
    }

    /// The secret string of the version with a staging label, by default the current one, or of one version id.
    #[inline]
    #[pyo3(signature = (secret_id, version_stage=None, *, version_id=None))]
    fn _get_string<'py>(
        slf: &Bound<'py, Self>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
        version_id: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let this = slf.get();
        let setup = this.setup()?;
        let plain = version_stage.is_none() && version_id.is_none();
        if plain && let Some(string) = this.last.hit(slf.py(), secret_id, &setup.engine) {
            return Ok(Some(string));
        }
        this.part(slf, setup, secret_id, version_stage, version_id, Part::String, plain)
    }

    /// The secret binary, as bytes, of the version with a staging label, by default the current one, or of one version id.
    #[pyo3(signature = (secret_id, version_stage=None, *, version_id=None))]
    fn _get_binary<'py>(
        slf: &Bound<'py, Self>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
        version_id: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let this = slf.get();
        this.part(slf, this.setup()?, secret_id, version_stage, version_id, Part::Binary, false)
    }

    /// The whole version: value, ARN, name, version id, staging labels, creation date.
    #[pyo3(signature = (secret_id, version_stage=None, *, version_id=None))]
    fn _get_value(
        &self,
        py: Python<'_>,
        secret_id: &Bound<'_, PyAny>,
        version_stage: Option<&Bound<'_, PyAny>>,
        version_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<SecretValue>> {
        let setup = self.setup()?;
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, version_id, &setup.default_stage)?;
        if let Some(hit) = setup.engine.hit(id, selector) {
            return Ok(Some(SecretValue(hit.to_secret())));
        }
        Ok(setup.read(py, id, selector)?.map(SecretValue))
    }

    /// The last-known value, or None: never waits, never asks anybody.
    #[pyo3(signature = (secret_id, version_stage=None, *, version_id=None))]
    fn peek(
        &self,
        secret_id: &Bound<'_, PyAny>,
        version_stage: Option<&Bound<'_, PyAny>>,
        version_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<SecretValue>> {
        let setup = self.setup()?;
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, version_id, &setup.default_stage)?;
        let hit = match &setup.engine {
            Engine::Native(cache) => cache.peek_version(id, selector),
            Engine::Host { cache, .. } => {
                cache.get().and_then(|cache| cache.peek(id, selector, SystemClock::now()))
            }
        };
        Ok(hit.map(|hit| SecretValue(hit.to_secret())))
    }

    /// Forgets a secret with all its versions: the next read fetches it.
    fn invalidate(&self, py: Python<'_>, secret_id: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = arguments::secret_id(secret_id)?;
        match &self.setup()?.engine {
            Engine::Native(cache) => cache.invalidate(id),
            Engine::Host { cache, .. } => {
                if let Some(cache) = cache.get() {
                    cache.invalidate(id);
                }
            }
        }
        self.last.clear();
        bury(py);
        Ok(())
    }

    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        match &self.setup()?.engine {
            Engine::Native(cache) => cache.close(),
            // Made if need be, so that it is closed for good.
            Engine::Host { cache, config, .. } => self.host(py, cache, config)?.close(),
        }
        self.last.clear();
        bury(py);
        Ok(())
    }

    fn _stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = match &self.setup()?.engine {
            Engine::Native(cache) => cache.stats(),
            Engine::Host { cache, .. } => {
                cache.get().map(|cache| cache.stats(SystemClock::now())).unwrap_or_default()
            }
        };
        stats::to_dict(py, &stats)
    }

    /// Makes the engine. `driver` is None for the native one; `dispatch` is called with lists of events.
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    #[pyo3(signature = (settings, *, default_stage, lenient, driver=None, hooked=false, dispatch=None))]
    fn _setup(
        &self,
        py: Python<'_>,
        settings: &Bound<'_, PyDict>,
        default_stage: String,
        lenient: bool,
        driver: Option<Py<PyAny>>,
        hooked: bool,
        dispatch: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let settings = Settings::read(settings)?;
        let inbox = Arc::new(Inbox::new(lenient));
        let engine = match driver {
            Some(driver) => {
                settings.config.validate().map_err(|error| to_exception(py, &error))?;
                Engine::Host { cache: PerProcess::new(), config: settings.config, driver, hooked }
            }
            None => {
                let builder = SecretCache::builder().config(settings.config).options(settings.options);
                let cache = builder.build().map_err(|error| to_exception(py, &error))?;
                listen(&cache, &inbox, dispatch);
                Engine::Native(cache)
            }
        };
        let setup = Setup { engine, default_stage, lenient, inbox };
        self.setup.set(setup).map_err(|_| PyRuntimeError::new_err("this cache has been set up already"))
    }

    /// Fetches a version now. Raises why it could not be.
    #[pyo3(signature = (secret_id, version_stage=None))]
    fn _refresh(
        &self,
        py: Python<'_>,
        secret_id: &Bound<'_, PyAny>,
        version_stage: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let setup = self.setup()?;
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, None, &setup.default_stage)?;
        match &setup.engine {
            Engine::Native(cache) => {
                let raise = |error: Error| to_exception(py, &error);
                let mut task = cache.start_refresh(id, selector).map_err(raise)?;
                let stopped = || Error::new(ErrorKind::Closed, "the process is shutting down");
                let result = interruptibly(py, |slice| secretcache::wait_for(&mut task, slice))?;
                result.unwrap_or_else(|_| Err(stopped())).map(drop).map_err(raise)
            }
            Engine::Host { driver, .. } => {
                driver.bind(py).call_method1("refresh", (id, selector.as_stage())).map(drop)
            }
        }
    }

    // What follows is for drivers written in Python.

    /// One read: a tuple of what there is (``"hit"``, ``"due"``, ``"lead"``, ``"follow"``) and what belongs to it.
    fn _lookup<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        stage: Option<&str>,
        version_id: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cache = self.host_cache(py)?;
        let lookup = cache.lookup(id, selector_of(stage, version_id), SystemClock::now());
        let value = |hit: Hit<'_>| SecretValue(hit.to_secret());
        let tuple = match lookup {
            Lookup::Hit(hit) => ("hit", value(hit)).into_pyobject(py)?.into_any(),
            Lookup::HitDue(hit, ticket) => {
                ("due", value(hit), Ticket::new(ticket, cache.clone())).into_pyobject(py)?.into_any()
            }
            Lookup::Lead(ticket, waiter) => ("lead", Ticket::new(ticket, cache.clone()), Flight::new(waiter))
                .into_pyobject(py)?
                .into_any(),
            Lookup::Follow(waiter) => ("follow", Flight::new(waiter)).into_pyobject(py)?.into_any(),
            Lookup::Failed(error) if self.setup()?.lenient && error.kind() == ErrorKind::VersionNotFound => {
                ("hit", py.None()).into_pyobject(py)?.into_any()
            }
            Lookup::Failed(error) => return Err(to_exception(py, &error)),
        };
        bury(py);
        Ok(tuple)
    }

    /// What a reader gets whose patience has ended.
    fn _give_up(
        &self,
        py: Python<'_>,
        id: &str,
        stage: Option<&str>,
        version_id: Option<&str>,
        flight: &Flight,
    ) -> PyResult<Option<SecretValue>> {
        let cache = self.host_cache(py)?;
        let give_up =
            |waiter: &mut _| cache.give_up(id, selector_of(stage, version_id), waiter, SystemClock::now());
        Ok(flight.with(|waiter| give_up(waiter)).map(SecretValue))
    }

    fn _mark(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.host_cache(py)?.mark())
    }

    /// A forced refresh: ``("lead", Ticket, Flight)``, ``("follow", Flight)`` or ``("behind", Flight)``.
    fn _force<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        stage: Option<&str>,
        mark: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cache = self.host_cache(py)?;
        match cache.force(id, selector_of(stage, None), mark, SystemClock::now()) {
            Forced::Lead(ticket, waiter) => ("lead", Ticket::new(ticket, cache.clone()), Flight::new(waiter))
                .into_pyobject(py)
                .map(Bound::into_any),
            Forced::Follow(waiter) => ("follow", Flight::new(waiter)).into_pyobject(py).map(Bound::into_any),
            Forced::Behind(waiter) => ("behind", Flight::new(waiter)).into_pyobject(py).map(Bound::into_any),
            Forced::Failed(error) => Err(to_exception(py, &error)),
        }
    }

    /// What the refresher has to do: a list of tickets, and seconds until its next look.
    fn _due<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Option<f64>)> {
        let cache = self.host_cache(py)?;
        let due = cache.due(SystemClock::now());
        let tickets = due.tickets.into_iter().map(|ticket| Ticket::new(ticket, cache.clone()));
        let tickets = tickets.map(|ticket| Bound::new(py, ticket)).collect::<PyResult<Vec<_>>>()?;
        bury(py);
        Ok((PyList::new(py, tickets)?, due.next.map(|next| next.as_secs_f64())))
    }

    /// The events that have not been fetched yet, as tuples.
    fn _take_events<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.setup()?.inbox.take(py)
    }
}

impl Cache {
    #[inline]
    fn setup(&self) -> PyResult<&Setup> {
        self.setup.get().ok_or_else(|| {
            PyRuntimeError::new_err(
                "this cache was never set up: a subclass's __init__ must call super().__init__()",
            )
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the arguments of a Python method, and which one it is")]
    fn part<'py>(
        &self,
        slf: &Bound<'py, Self>,
        setup: &Setup,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
        version_id: Option<&Bound<'py, PyAny>>,
        part: Part,
        plain: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, version_id, &setup.default_stage)?;
        if let Some(hit) = setup.engine.hit(id, selector) {
            let object = setup.part_of(py, &hit, part)?;
            if let (true, Some(object)) = (plain, &object) {
                self.last.note(secret_id, &hit, object);
            }
            return Ok(object);
        }
        if let Engine::Host { driver, hooked: true, .. } = &setup.engine {
            let name = if part == Part::String { "SecretString" } else { "SecretBinary" };
            let arguments = (id, selector.as_stage(), selector.as_version_id(), name);
            return driver.bind(py).call_method1("read_through_hook", arguments).map(Some);
        }
        match setup.read(py, id, selector)? {
            Some(secret) => setup.part_of(py, &secret, part),
            None => Ok(None),
        }
    }

    fn host_cache(&self, py: Python<'_>) -> PyResult<&secretcache::Cache> {
        match &self.setup()?.engine {
            Engine::Host { cache, config, .. } => self.host(py, cache, config),
            Engine::Native(_) => Err(PyRuntimeError::new_err("this cache has the native driver")),
        }
    }

    fn host<'a>(
        &'a self,
        py: Python<'_>,
        cache: &'a PerProcess<secretcache::Cache>,
        config: &secretcache::Config,
    ) -> PyResult<&'a secretcache::Cache> {
        let inbox = &self.setup()?.inbox;
        cache
            .get_or_try_make(|| {
                let cache = secretcache::Cache::new(config.clone(), secretcache::fresh_seed())?;
                cache.listen(inbox.listener());
                Ok(cache)
            })
            .map_err(|error: Error| to_exception(py, &error))
    }
}

impl Setup {
    /// The value when it is not a plain hit: from memory all the same, or from the source.
    fn read(&self, py: Python<'_>, id: &str, selector: Selector<'_>) -> PyResult<Option<Secret>> {
        let result = match &self.engine {
            Engine::Host { driver, .. } => {
                let arguments = (id, selector.as_stage(), selector.as_version_id());
                let value = driver.bind(py).call_method1("read", arguments)?;
                return Ok(value.extract::<Option<PyRef<'_, SecretValue>>>()?.map(|value| value.0.clone()));
            }
            Engine::Native(cache) => read_native(py, cache, id, selector)?,
        };
        bury(py);
        match result {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if self.lenient && error.kind() == ErrorKind::VersionNotFound => Ok(None),
            Err(error) => Err(to_exception(py, &error)),
        }
    }

    #[inline]
    fn part_of<'py>(
        &self,
        py: Python<'py>,
        secret: &Secret,
        part: Part,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let object = Rendering::of(py, secret).and_then(|rendering| rendering.get(py, part));
        if object.is_none() && !self.lenient {
            let error = if part == Part::String { secret.string().err() } else { secret.binary().err() };
            return error.map_or(Ok(None), |error| Err(to_exception(py, &error)));
        }
        Ok(object)
    }
}

fn selector_of<'a>(stage: Option<&'a str>, version_id: Option<&'a str>) -> Selector<'a> {
    match (stage, version_id) {
        (_, Some(version_id)) => Selector::version_id(version_id),
        (Some(stage), None) => Selector::stage(stage),
        (None, None) => Selector::CURRENT,
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
            Started::Ready(result) => return Ok(result.map(|hit| hit.to_secret())),
            Started::Wait(waiter) => waiter,
        };
        if let Some(patience) = waiter.patience() {
            let until = SystemClock::now().plus(patience);
            let outcome = interruptibly(py, |slice| {
                let left = SystemClock::now().until(&until);
                let outcome = secretcache::wait_for(&mut waiter, slice.min(left)).map(Some);
                outcome.or_else(|| SystemClock::now().until(&until).is_zero().then_some(None))
            })?;
            if let Some(result) = outcome.and_then(Outcome::for_reader) {
                return Ok(result);
            }
            if let Some(secret) = cache.give_up(id, selector, &waiter) {
                return Ok(Ok(secret));
            }
        }
        let outcome = interruptibly(py, |slice| secretcache::wait_for(&mut waiter, slice))?;
        if let Some(result) = outcome.for_reader() {
            return Ok(result);
        }
    }
}

/// Waits without the global lock, looking up now and then for signals such as Ctrl-C.
fn interruptibly<T: Send>(py: Python<'_>, mut wait: impl FnMut(Duration) -> Option<T> + Send) -> PyResult<T> {
    const SLICE: Duration = Duration::from_millis(100);
    loop {
        if let Some(value) = py.detach(|| wait(SLICE)) {
            return Ok(value);
        }
        py.check_signals()?;
    }
}

/// Has the events of a native cache dispatched on the events thread.
fn listen(cache: &SecretCache, inbox: &Arc<Inbox>, dispatch: Option<Py<PyAny>>) {
    let Some(dispatch) = dispatch else { return };
    let (dispatch, inbox, listener) = (Arc::new(dispatch), Arc::clone(inbox), inbox.listener());
    cache.on_event(move |event| {
        listener(event);
        let (dispatch, inbox) = (Arc::clone(&dispatch), Arc::clone(&inbox));
        events::later(move || {
            // None: the interpreter is ending.
            Python::try_attach(|py| {
                let sent = inbox.take(py).and_then(|events| dispatch.call1(py, (events,)));
                if let Err(error) = sent {
                    error.write_unraisable(py, None);
                }
            });
        });
    });
}

/// The last string handed out, and for which id object: a program that asks for the same secret again and again
/// usually does so with the same `str`, and then not even its bytes need be looked at.
struct Last(UnsafeCell<LastHit>);

struct LastHit {
    /// A strong reference to an exact `str`, or null.
    id: *mut ffi::PyObject,
    secret: Option<Secret>,
    /// Borrowed from the rendering in `secret`'s slot.
    string: *mut ffi::PyObject,
    /// The id object of the hit before: one seen twice running is worth remembering.
    candidate: *mut ffi::PyObject,
}

// SAFETY: only touched with the global interpreter lock held, which the module declares to need, and never across
// a call that could run Python code.
unsafe impl Send for Last {}
// SAFETY: as above.
unsafe impl Sync for Last {}

impl Last {
    fn new() -> Self {
        let null = std::ptr::null_mut();
        Self(UnsafeCell::new(LastHit { id: null, secret: None, string: null, candidate: null }))
    }

    #[inline]
    fn hit<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        engine: &Engine,
    ) -> Option<Bound<'py, PyAny>> {
        // SAFETY: see the type; no Python code runs while the reference lives.
        let last = unsafe { &*self.0.get() };
        if last.id != id.as_ptr() || !engine.hit_again(last.secret.as_ref()?) {
            return None;
        }
        // SAFETY: the slot of `last.secret` holds a reference to it.
        Some(unsafe { Bound::from_borrowed_ptr(py, last.string) })
    }

    fn note(&self, id: &Bound<'_, PyAny>, secret: &Secret, string: &Bound<'_, PyAny>) {
        // SAFETY: see the type.
        let last = unsafe { &mut *self.0.get() };
        if last.candidate != id.as_ptr() {
            last.candidate = id.as_ptr();
        } else if id.cast_exact::<PyString>().is_ok() {
            let new = LastHit {
                id: id.clone().into_ptr(),
                secret: Some(secret.clone()),
                string: string.as_ptr(),
                candidate: id.as_ptr(),
            };
            let old = std::mem::replace(last, new);
            release(old);
        }
    }

    fn clear(&self) {
        let null = std::ptr::null_mut();
        let empty = LastHit { id: null, secret: None, string: null, candidate: null };
        // SAFETY: see the type.
        release(std::mem::replace(unsafe { &mut *self.0.get() }, empty));
    }
}

fn release(old: LastHit) {
    // The secret's own objects are given back later (`late`); freeing an exact `str` runs no Python code.
    drop(old.secret);
    // SAFETY: a reference of our own, or null; the lock is held.
    unsafe { ffi::Py_XDECREF(old.id) };
}

impl Drop for Last {
    fn drop(&mut self) {
        self.clear();
    }
}
