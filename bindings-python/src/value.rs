//! A whole version of a secret, as a Python object.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use secretcache::Secret;

use crate::rendering::{Part, Rendering};

/// One version of a secret: its value and what the service says about it. Its ``repr`` never shows the value.
#[pyclass(frozen, module = "secretcache")]
pub(crate) struct SecretValue(pub(crate) Secret);

#[pymethods]
impl SecretValue {
    /// Return the full ARN.
    #[getter]
    fn arn(&self) -> Option<&str> {
        self.0.arn()
    }

    /// Return the friendly name.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// Return the version id.
    #[getter]
    fn version_id(&self) -> Option<&str> {
        self.0.version_id()
    }

    /// Return the staging labels of this version at the last successful refresh.
    #[getter]
    fn version_stages(&self) -> &[String] {
        self.0.version_stages()
    }

    /// Return when this version was created, as a timezone-aware ``datetime``.
    #[getter]
    fn created_date(&self) -> Option<std::time::SystemTime> {
        self.0.created_date()
    }

    /// Return the secret string, or None for a binary secret.
    #[getter]
    fn secret_string<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Rendering::of(py, &self.0)?.get(py, Part::String)
    }

    /// Return the secret binary, or None for a string secret.
    #[getter]
    fn secret_binary<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Rendering::of(py, &self.0)?.get(py, Part::Binary)
    }

    /// Return the object that the driver stored with this version.
    #[getter]
    fn _stored<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Rendering::of(py, &self.0)?.get(py, Part::Stored)
    }

    /// Return the fields of a JSON object, or None if they have not been parsed yet. Do not change the ``dict``.
    #[getter]
    fn _fields<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Rendering::of(py, &self.0)?.fields(py)
    }

    fn _keep_fields(&self, py: Python<'_>, fields: Bound<'_, PyDict>) {
        if let Some(rendering) = Rendering::of(py, &self.0) {
            rendering.keep_fields(fields);
        }
    }

    fn __repr__(&self) -> String {
        let text = |text: Option<&str>| text.map_or_else(|| "None".to_owned(), |text| format!("{text:?}"));
        format!(
            "SecretValue(name={}, version_id={}, version_stages={:?}, value=<redacted>)",
            text(self.0.name()),
            text(self.0.version_id()),
            self.0.version_stages(),
        )
    }
}
