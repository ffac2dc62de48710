//! Attempts to connect, for drivers written in Python.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use secretcache::host::{Action, SystemClock};
use secretcache::{Error, Stage};

use crate::deferred::drain;
use crate::errors;
use crate::value::SecretValue;

/// One attempt to connect with a credential that may be rotating.
#[pyclass(frozen, module = "secretcache")]
pub(crate) struct ConnectAttempt(Mutex<secretcache::host::ConnectAttempt>);

impl ConnectAttempt {
    pub(crate) fn new(plan: secretcache::host::ConnectAttempt) -> Self {
        Self(Mutex::new(plan))
    }

    fn with<R>(&self, look: impl FnOnce(&mut secretcache::host::ConnectAttempt) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Parses the names of staging labels.
pub(crate) fn stages(names: &[String]) -> PyResult<Vec<Stage>> {
    names.iter().map(|name| stage(name)).collect()
}

fn stage(name: &str) -> PyResult<Stage> {
    name.parse().map_err(|error: Error| PyValueError::new_err(error.message().to_owned()))
}

#[pymethods]
impl ConnectAttempt {
    /// Return what to do next: ``("try", SecretValue, stage)``, ``("read", stage)``, ``("refresh", stage)``,
    /// ``("wait", seconds)`` or ``("stop",)``.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let next = self.with(|plan| plan.next(SystemClock::now()));
        drain(py);
        match next {
            Action::Try(secret, stage) => {
                ("try", SecretValue(secret), stage.as_str()).into_pyobject(py).map(Bound::into_any)
            }
            Action::Read(stage) => ("read", stage.as_str()).into_pyobject(py).map(Bound::into_any),
            Action::Refresh(stage) => ("refresh", stage.as_str()).into_pyobject(py).map(Bound::into_any),
            Action::Wait(span) => ("wait", span.as_secs_f64()).into_pyobject(py).map(Bound::into_any),
            Action::Stop => ("stop",).into_pyobject(py).map(Bound::into_any),
        }
    }

    /// Report that a staging label has been read or fetched, or the exception.
    fn read(&self, version_stage: &str, exception: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let stage = stage(version_stage)?;
        let error = exception.map(errors::from_exception);
        self.with(|plan| plan.read(stage, error, SystemClock::now()));
        Ok(())
    }

    /// Report that the resource accepted this version.
    fn accepted(&self, value: &SecretValue) {
        self.with(|plan| plan.accepted(&value.0));
    }

    /// Report that the resource refused this version.
    fn rejected(&self, value: &SecretValue, version_stage: &str) -> PyResult<()> {
        let stage = stage(version_stage)?;
        self.with(|plan| plan.rejected(&value.0, stage, SystemClock::now()));
        Ok(())
    }

    /// Return the seconds that the attempt may still take.
    #[getter]
    fn remaining(&self) -> f64 {
        self.with(|plan| plan.remaining(SystemClock::now()).as_secs_f64())
    }

    /// Return the versions refused so far, each once, as staging label and version id.
    #[getter]
    fn tried(&self) -> Vec<(&'static str, String)> {
        self.with(|plan| {
            plan.tried()
                .iter()
                .map(|tried| (tried.version_stage.as_str(), tried.version_id.clone()))
                .collect()
        })
    }

    /// Return the refused versions as text, each with the number of refusals.
    #[getter]
    fn tried_text(&self) -> String {
        self.with(|plan| plan.tried().iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// Return the exception that kept versions from being read, or None.
    #[getter]
    fn last_error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let error = self.with(|plan| plan.last_error().cloned())?;
        Some(errors::to_exception(py, &error, None).into_value(py).into_bound(py).into_any())
    }
}
