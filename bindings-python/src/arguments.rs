//! Arguments from Python.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyString};
use secretcache::Selector;

use crate::call::call_method;

/// Reads a secret id. Anything but a `str` is an error that names the type.
pub(crate) fn secret_id<'a>(id: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    match id.cast::<PyString>() {
        Ok(id) => id.to_str(),
        Err(_) => {
            let kind = id.get_type().name()?;
            Err(PyTypeError::new_err(format!(
                "secret_id must be a str (the secret's name or ARN), not {kind}"
            )))
        }
    }
}

/// Reads which version is requested. An empty stage counts as none, as in the official library.
pub(crate) fn selector<'a>(
    version_stage: Option<&'a Bound<'_, PyAny>>,
    version_id: Option<&'a Bound<'_, PyAny>>,
    default_stage: &'a str,
) -> PyResult<Selector<'a>> {
    let stage = text(version_stage, "version_stage")?;
    match (stage, text(version_id, "version_id")?) {
        (None, None) => Ok(Selector::stage(default_stage)),
        (Some(stage), None) => Ok(Selector::stage(stage)),
        (None, Some(version_id)) => Ok(Selector::version_id(version_id)),
        (Some(_), Some(_)) => Err(PyValueError::new_err(
            "version_stage and version_id name one version each; pass only one of them",
        )),
    }
}

fn text<'a>(argument: Option<&'a Bound<'_, PyAny>>, name: &str) -> PyResult<Option<&'a str>> {
    let Some(argument) = argument else { return Ok(None) };
    match argument.cast::<PyString>() {
        Ok(text) => Ok(Some(text.to_str()?).filter(|text| !text.is_empty())),
        Err(_) => {
            let kind = argument.get_type().name()?;
            Err(PyTypeError::new_err(format!("{name} must be a str, not {kind}")))
        }
    }
}

/// A duration: a number of seconds or a `timedelta`.
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    /// Reads a keyword argument.
    pub(crate) fn read(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        let seconds = if value.hasattr("total_seconds")? {
            call_method(value, "total_seconds", ())?.extract::<f64>()?
        } else if value.cast::<PyString>().is_ok() {
            return Err(not_a_duration(value, name));
        } else {
            value.extract::<f64>().map_err(|_| not_a_duration(value, name))?
        };
        if !seconds.is_finite() || seconds < 0.0 {
            return Err(PyValueError::new_err(format!(
                "{name} must be a number of seconds of at least 0, or a timedelta; got {seconds}"
            )));
        }
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| PyValueError::new_err(format!("{name} of {seconds} seconds is too long")))
    }
}

fn not_a_duration(value: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let kind = value.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{name} must be a number of seconds or a timedelta, not {kind}"))
}
