//! The class that the caches of both Python packages inherit from.

use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use secretcache::host::Driver as _;
use secretcache::host::{Forced, Lookup, PerProcess, ReadState, SystemClock, Watches};
use secretcache::{Error, ErrorKind, Hit, SecretCache, Selector};

use crate::_core::{DUE, FOLLOWER, HIT, LEADER, SUPERSEDED};
use crate::attempt::{self, ConnectAttempt};
use crate::call::call_method;
use crate::deferred::drain;
use crate::engine::{Engine, Setup, ended, listen};
use crate::errors::to_exception;
use crate::events::EventQueue;
use crate::last::Last;
use crate::permit::{FetchPermit, Flight};
use crate::rendering::Part;
use crate::settings::Settings;
use crate::value::SecretValue;
use crate::watch::Watch;
use crate::{arguments, stats};

/// The base class of the caches of both packages. Subclasses call ``_setup`` once.
#[pyclass(frozen, subclass, module = "secretcache")]
pub(crate) struct Cache {
    pub(crate) setup: OnceLock<Setup>,
    pub(crate) last: Last,
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        // Subclasses accept their own arguments in `__init__` and call `_setup`.
        Self { setup: OnceLock::new(), last: Last::new() }
    }

    /// Return the secret binary, as bytes, of the version with a staging label, by default the current one.
    #[pyo3(signature = (secret_id, version_stage=None))]
    fn _get_lenient_binary<'py>(
        &self,
        py: Python<'py>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.part(py, secret_id, version_stage, None, None, Part::Binary)
    }

    /// Return the secret string, fetching it if necessary. The methods in `quick` call this when they have no quick
    /// answer.
    #[pyo3(signature = (secret_id, version_stage=None, *, version_id=None, max_age=None))]
    fn _read_string<'py>(
        &self,
        py: Python<'py>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
        version_id: Option<&Bound<'py, PyAny>>,
        max_age: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.part(py, secret_id, version_stage, version_id, max_age, Part::String)
    }

    /// Return the secret binary, as bytes, of the version with a staging label (by default the current one) or a
    /// version id.
    #[pyo3(signature = (secret_id, version_stage=None, *, version_id=None, max_age=None))]
    fn _get_secret_binary<'py>(
        &self,
        py: Python<'py>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
        version_id: Option<&Bound<'py, PyAny>>,
        max_age: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.part(py, secret_id, version_stage, version_id, max_age, Part::Binary)
    }

    /// Return the whole version: value, ARN, name, version id, staging labels, creation date.
    #[pyo3(signature = (secret_id, version_stage=None, *, version_id=None, max_age=None))]
    fn _get_value(
        &self,
        py: Python<'_>,
        secret_id: &Bound<'_, PyAny>,
        version_stage: Option<&Bound<'_, PyAny>>,
        version_id: Option<&Bound<'_, PyAny>>,
        max_age: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<SecretValue>> {
        let setup = self.setup()?;
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, version_id, &setup.default_stage)?;
        self.renew(py, id, selector, max_age)?;
        if let Some(hit) = setup.engine.hit(id, selector) {
            return Ok(Some(SecretValue(hit.to_secret())));
        }
        Ok(setup.read(py, id, selector)?.map(SecretValue))
    }

    /// Return the last known value, or None. Never waits and makes no request.
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
            Engine::Native(cache) => cache.get(id).selector(selector).peek(),
            Engine::Host { cache, .. } => {
                cache.get().and_then(|cache| cache.peek(id, selector, SystemClock::now()))
            }
        };
        Ok(hit.map(|hit| SecretValue(hit.to_secret())))
    }

    /// Return whether a connection made with this version should be replaced once it is idle, because another version
    /// is current or the resource refused this one. For pools, at each check-in.
    fn is_outdated(&self, secret_id: &Bound<'_, PyAny>, version_id: &str) -> PyResult<bool> {
        let id = arguments::secret_id(secret_id)?;
        Ok(match &self.setup()?.engine {
            Engine::Native(cache) => cache.is_outdated(id, version_id),
            Engine::Host { cache, .. } => cache.get().is_some_and(|cache| cache.is_outdated(id, version_id)),
        })
    }

    /// Forget a secret with all its versions: the next read fetches it.
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
        self.last.clear(py);
        drain(py);
        Ok(())
    }

    /// Keep a secret fresh, even without reads, until the watch is closed or garbage-collected.
    fn watch(&self, py: Python<'_>, secret_id: &Bound<'_, PyAny>) -> PyResult<Watch> {
        let id = arguments::secret_id(secret_id)?;
        Ok(Watch::new(match &self.setup()?.engine {
            Engine::Native(cache) => cache.watch(id),
            Engine::Host { watches, driver, .. } => {
                let watch = watches.add(id);
                call_method(driver.bind(py), "wake", ())?;
                watch
            }
        }))
    }

    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        match &self.setup()?.engine {
            Engine::Native(cache) => cache.close(),
            // Creates the cache if it does not exist yet, so that it stays closed.
            Engine::Host { .. } => self.host_cache(py)?.close(),
        }
        self.last.clear(py);
        drain(py);
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

    /// Create the engine. `driver` is None for the native one; `endpoint` is the URL that its client uses, if known;
    /// `dispatch` is called with lists of events.
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    #[pyo3(signature = (settings, *, default_stage, lenient, driver=None, endpoint=None, hooked=false, dispatch=None))]
    fn _setup(
        &self,
        py: Python<'_>,
        settings: &Bound<'_, PyDict>,
        default_stage: String,
        lenient: bool,
        driver: Option<Py<PyAny>>,
        endpoint: Option<String>,
        hooked: bool,
        dispatch: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let settings = Settings::read(settings)?;
        let queue = Arc::new(EventQueue::new(lenient));
        let engine = match driver {
            Some(driver) => {
                settings.config.validate().map_err(|error| to_exception(py, &error, None))?;
                let (cache, watches) = (PerProcess::new(), Watches::default());
                Engine::Host { cache, config: settings.config, watches, driver, endpoint, hooked }
            }
            None => {
                let builder = SecretCache::builder().config(settings.config).options(settings.options);
                let cache = builder.build().map_err(|error| to_exception(py, &error, None))?;
                listen(&cache, &queue, dispatch);
                Engine::Native(cache)
            }
        };
        let setup = Setup { engine, default_stage, lenient, queue };
        self.setup.set(setup).map_err(|_| PyRuntimeError::new_err("this cache is already initialised"))
    }

    /// Return the version, if it is in memory and fresh.
    fn _at_hand(
        &self,
        secret_id: &Bound<'_, PyAny>,
        version_stage: Option<&Bound<'_, PyAny>>,
        version_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<SecretValue>> {
        let setup = self.setup()?;
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, version_id, &setup.default_stage)?;
        Ok(setup.engine.hit(id, selector).map(|hit| SecretValue(hit.to_secret())))
    }

    /// Return the string or the binary of a version. If the version lacks it, return None or raise, depending on
    /// `lenient` in ``_setup``.
    fn _part_of<'py>(
        &self,
        py: Python<'py>,
        secret_id: &str,
        value: &SecretValue,
        is_binary: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let part = if is_binary { Part::Binary } else { Part::String };
        self.setup()?.part_of(py, &value.0, part, secret_id)
    }

    /// Fetch secrets before they are read. Return the exceptions of those that failed, by id.
    fn _prefetch<'py>(&self, py: Python<'py>, ids: Vec<String>) -> PyResult<Bound<'py, PyDict>> {
        let failed = PyDict::new(py);
        match &self.setup()?.engine {
            Engine::Native(cache) => {
                for (id, error) in ended(py, cache.start_prefetch(ids), None)? {
                    let exception = to_exception(py, &error, Some(&id)).into_value(py);
                    failed.set_item(id, exception)?;
                }
            }
            Engine::Host { driver, .. } => {
                return call_method(driver.bind(py), "prefetch", (ids,))?.cast_into().map_err(Into::into);
            }
        }
        drain(py);
        Ok(failed)
    }

    /// Fetch a version now; with `is_for_attempt`, as an attempt to connect requests it after a refused login. Raise if
    /// that fails.
    #[pyo3(signature = (secret_id, version_stage=None, is_for_attempt=false))]
    fn _refresh(
        &self,
        py: Python<'_>,
        secret_id: &Bound<'_, PyAny>,
        version_stage: Option<&Bound<'_, PyAny>>,
        is_for_attempt: bool,
    ) -> PyResult<()> {
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, None, &self.setup()?.default_stage)?;
        self.refresh(py, id, selector, is_for_attempt)
    }

    /// Return whether the value is older than `max_age`, so that a read with that limit must fetch it first.
    fn _is_older(
        &self,
        secret_id: &Bound<'_, PyAny>,
        version_stage: Option<&Bound<'_, PyAny>>,
        version_id: Option<&Bound<'_, PyAny>>,
        max_age: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let setup = self.setup()?;
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, version_id, &setup.default_stage)?;
        let max_age = arguments::Span::read(max_age, "max_age")?.0;
        Ok(setup.engine.is_older(id, selector, max_age))
    }

    // The methods below are for drivers written in Python.

    /// Look a version up: return a tuple of ``"hit"``, ``"due"``, ``"leader"`` or ``"follower"`` and the objects that
    /// belong to it. The native driver makes its own requests, so it only returns ``"hit"`` and ``"follower"``.
    fn _lookup<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        stage: Option<&str>,
        version_id: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let setup = self.setup()?;
        let selector = setup.selector(stage, version_id);
        let lookup = match &setup.engine {
            Engine::Native(cache) => match cache.start(id, selector) {
                ReadState::Ready(Ok(hit)) => Lookup::Hit(hit),
                ReadState::Ready(Err(error)) => Lookup::Failed(error),
                ReadState::Wait(waiter) => Lookup::Follower(waiter),
            },
            Engine::Host { .. } => self.host_cache(py)?.lookup(id, selector, SystemClock::now()),
        };
        let value = |hit: Hit<'_>| SecretValue(hit.to_secret());
        let permit = |permit| self.host_cache(py).map(|cache| FetchPermit::new(permit, cache.clone()));
        let tuple = match lookup {
            Lookup::Hit(hit) => (HIT, value(hit)).into_pyobject(py)?.into_any(),
            Lookup::HitDue(hit, due) => (DUE, value(hit), permit(due)?).into_pyobject(py)?.into_any(),
            Lookup::Leader(lead, waiter) => {
                (LEADER, permit(lead)?, Flight::new(waiter, id)).into_pyobject(py)?.into_any()
            }
            Lookup::Follower(waiter) => (FOLLOWER, Flight::new(waiter, id)).into_pyobject(py)?.into_any(),
            Lookup::Failed(error) if setup.lenient && error.kind() == ErrorKind::VersionNotFound => {
                (HIT, py.None()).into_pyobject(py)?.into_any()
            }
            Lookup::Failed(error) => return Err(to_exception(py, &error, Some(id))),
        };
        drain(py);
        Ok(tuple)
    }

    /// Return the value for a reader that has waited long enough, or None if there is none.
    fn _give_up(
        &self,
        py: Python<'_>,
        id: &str,
        stage: Option<&str>,
        version_id: Option<&str>,
        flight: &Flight,
    ) -> PyResult<Option<SecretValue>> {
        let setup = self.setup()?;
        let selector = setup.selector(stage, version_id);
        let secret = match &setup.engine {
            Engine::Native(cache) => flight.with(|waiter| cache.give_up(id, selector, waiter)),
            Engine::Host { .. } => {
                let cache = self.host_cache(py)?;
                flight.with(|waiter| cache.give_up(id, selector, waiter, SystemClock::now()))
            }
        };
        Ok(secret.map(SecretValue))
    }

    /// Start an attempt to connect; see ``secretcache._connect.connect``. With `once`, it does not wait for a version
    /// that works, but tries each once.
    #[pyo3(signature = (id, stages, timeout, *, once=false))]
    fn _connect_attempt(
        &self,
        py: Python<'_>,
        id: &str,
        stages: Vec<String>,
        timeout: &Bound<'_, PyAny>,
        once: bool,
    ) -> PyResult<ConnectAttempt> {
        let stages = attempt::stages(&stages)?;
        let timeout = arguments::Span::read(timeout, "timeout")?.0;
        let attempt = match &self.setup()?.engine {
            Engine::Native(cache) => cache
                .connect_attempt(id, &stages, timeout)
                .map_err(|error| to_exception(py, &error, Some(id)))?,
            Engine::Host { .. } => secretcache::host::ConnectAttempt::new(
                self.host_cache(py)?,
                id,
                &stages,
                timeout,
                SystemClock::now(),
            ),
        };
        Ok(ConnectAttempt::new(if once { attempt.each_version_once() } else { attempt }, id))
    }

    fn _mark(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.host_cache(py)?.mark())
    }

    /// Begin a forced refresh or, with `is_for_attempt`, a refresh for an attempt to connect. Return
    /// ``("leader", FetchPermit, Flight)``, ``("follower", Flight)`` or ``("superseded", Flight)``.
    fn _force<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        stage: Option<&str>,
        mark: u64,
        is_for_attempt: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cache = self.host_cache(py)?;
        let ask =
            if is_for_attempt { secretcache::host::Cache::recheck } else { secretcache::host::Cache::force };
        match ask(cache, id, self.setup()?.selector(stage, None), mark, SystemClock::now()) {
            Forced::Leader(permit, waiter) => {
                (LEADER, FetchPermit::new(permit, cache.clone()), Flight::new(waiter, id))
                    .into_pyobject(py)
                    .map(Bound::into_any)
            }
            Forced::Follower(waiter) => {
                (FOLLOWER, Flight::new(waiter, id)).into_pyobject(py).map(Bound::into_any)
            }
            Forced::Superseded(waiter) => {
                (SUPERSEDED, Flight::new(waiter, id)).into_pyobject(py).map(Bound::into_any)
            }
            Forced::Failed(error) => Err(to_exception(py, &error, Some(id))),
        }
    }

    /// Return the permits of the refreshes that are due, and the seconds until the next check.
    fn _due<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Option<f64>)> {
        let cache = self.host_cache(py)?;
        let due = cache.due(SystemClock::now());
        let permits = due.permits.into_iter().map(|permit| FetchPermit::new(permit, cache.clone()));
        let permits = permits.map(|permit| Bound::new(py, permit)).collect::<PyResult<Vec<_>>>()?;
        drain(py);
        Ok((PyList::new(py, permits)?, due.next.map(|next| next.as_secs_f64())))
    }

    /// Return the events that have not been taken yet, as tuples.
    fn _take_events<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.setup()?.queue.take(py)
    }
}

impl Cache {
    #[inline]
    fn setup(&self) -> PyResult<&Setup> {
        self.setup.get().ok_or_else(|| {
            PyRuntimeError::new_err(
                "this cache was never initialised: a subclass's __init__ must call super().__init__()",
            )
        })
    }

    fn part<'py>(
        &self,
        py: Python<'py>,
        secret_id: &Bound<'py, PyAny>,
        version_stage: Option<&Bound<'py, PyAny>>,
        version_id: Option<&Bound<'py, PyAny>>,
        max_age: Option<&Bound<'py, PyAny>>,
        part: Part,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let setup = self.setup()?;
        let id = arguments::secret_id(secret_id)?;
        let selector = arguments::selector(version_stage, version_id, &setup.default_stage)?;
        self.renew(py, id, selector, max_age)?;
        if let Some(hit) = setup.engine.hit(id, selector) {
            return setup.part_of(py, &hit, part, id);
        }
        if let Engine::Host { driver, hooked: true, .. } = &setup.engine {
            let name = if part == Part::String { "SecretString" } else { "SecretBinary" };
            let arguments = (id, selector.as_stage(), selector.as_version_id(), name);
            return call_method(driver.bind(py), "read_through_hook", arguments).map(Some);
        }
        match setup.read(py, id, selector)? {
            Some(secret) => setup.part_of(py, &secret, part, id),
            None => Ok(None),
        }
    }

    /// Fetches a version now; `is_for_attempt` means that an attempt to connect requests it.
    fn refresh(
        &self,
        py: Python<'_>,
        id: &str,
        selector: Selector<'_>,
        is_for_attempt: bool,
    ) -> PyResult<()> {
        match &self.setup()?.engine {
            Engine::Native(cache) => {
                let start =
                    if is_for_attempt { SecretCache::start_recheck } else { SecretCache::start_refresh };
                ended(py, start(cache, id, selector), Some(id)).map(drop)
            }
            Engine::Host { driver, .. } => {
                call_method(driver.bind(py), "refresh", (id, selector.as_stage(), is_for_attempt)).map(drop)
            }
        }
    }

    /// Fetches a version first if it is older than its reader accepts.
    fn renew(
        &self,
        py: Python<'_>,
        id: &str,
        selector: Selector<'_>,
        max_age: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let Some(max_age) = max_age else { return Ok(()) };
        let max_age = arguments::Span::read(max_age, "max_age")?.0;
        if self.setup()?.engine.is_older(id, selector, max_age) {
            self.refresh(py, id, selector, false)
        } else {
            Ok(())
        }
    }

    fn host_cache(&self, py: Python<'_>) -> PyResult<&secretcache::host::Cache> {
        let Setup { engine, queue, .. } = self.setup()?;
        let Engine::Host { cache, config, watches, endpoint, .. } = engine else {
            return Err(PyRuntimeError::new_err("this cache uses the native driver"));
        };
        cache
            .get_or_try_make(|| {
                let (seed, watches) = (secretcache::host::fresh_seed(), watches.clone());
                let cache = secretcache::host::Cache::with_watches(config.clone(), seed, watches)?;
                cache.listen(queue.listener());
                if let Some(endpoint) = endpoint {
                    cache.share_brake(&secretcache::host::brake_of(endpoint));
                }
                Ok(cache)
            })
            .map_err(|error: Error| to_exception(py, &error, None))
    }
}
