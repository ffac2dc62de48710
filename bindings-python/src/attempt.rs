//! Attempts to connect, for drivers written in Python.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use secretcache::host::{Action, ConnectFailure, SystemClock};
use secretcache::{Error, Retry, Stage};

use crate::deferred::drain;
use crate::errors;
use crate::value::SecretValue;

/// One attempt to connect with a credential that may be rotating.
#[pyclass(frozen, module = "secretcache")]
pub(crate) struct ConnectAttempt {
    attempt: Mutex<secretcache::host::ConnectAttempt>,
    /// The secret id, for errors.
    id: String,
}

impl ConnectAttempt {
    pub(crate) fn new(attempt: secretcache::host::ConnectAttempt, id: &str) -> Self {
        Self { attempt: Mutex::new(attempt), id: id.to_owned() }
    }

    fn with<R>(&self, look: impl FnOnce(&mut secretcache::host::ConnectAttempt) -> R) -> R {
        look(&mut self.attempt.lock().unwrap_or_else(PoisonError::into_inner))
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
        let next = self.with(|attempt| attempt.next(SystemClock::now()));
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
        self.with(|attempt| attempt.read(stage, error, SystemClock::now()));
        Ok(())
    }

    /// Report that the resource accepted this version.
    fn accepted(&self, value: &SecretValue) {
        self.with(|attempt| attempt.accepted(&value.0));
    }

    /// Report that the resource refused this version.
    fn rejected(&self, value: &SecretValue, version_stage: &str) -> PyResult<()> {
        let stage = stage(version_stage)?;
        self.with(|attempt| attempt.rejected(&value.0, stage, SystemClock::now()));
        Ok(())
    }

    /// Return the seconds that the attempt may still take.
    #[getter]
    fn remaining(&self) -> f64 {
        self.with(|attempt| attempt.remaining(SystemClock::now()).as_secs_f64())
    }

    /// Return how the attempt failed, after ``("stop",)`` or when its time is up: ``("rejected", text, tried,
    /// retryable)`` with the refused versions as staging label and version id, or ``("failed", exception)``.
    fn failure<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let failure = self.with(|attempt| attempt.failure());
        let retryable = failure.retry() == Retry::Later;
        match failure {
            ConnectFailure::Rejected { text, tried } => {
                let tried: Vec<_> =
                    tried.iter().map(|tried| (tried.version_stage.as_str(), &*tried.version_id)).collect();
                ("rejected", text, tried, retryable).into_pyobject(py).map(Bound::into_any)
            }
            ConnectFailure::Secret(error) => {
                let exception = errors::to_exception(py, &error, Some(&self.id)).into_value(py);
                ("failed", exception).into_pyobject(py).map(Bound::into_any)
            }
        }
    }
}
