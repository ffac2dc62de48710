//! One version of a secret, whole.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use secretcache::Secret;

use crate::rendering::{Part, Rendering};

/// One version of a secret: its value and what the service says about it. Its ``repr`` never shows the value.
#[pyclass(frozen, module = "secretcache")]
pub(crate) struct SecretValue(pub(crate) Secret);

#[pymethods]
impl SecretValue {
    /// The full ARN.
    #[getter]
    fn arn(&self) -> Option<&str> {
        self.0.arn()
    }

    /// The friendly name.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// The version id.
    #[getter]
    fn version_id(&self) -> Option<&str> {
        self.0.version_id()
    }

    /// The staging labels attached to this version when it was last confirmed.
    #[getter]
    fn version_stages(&self) -> &[String] {
        self.0.version_stages()
    }

    /// When this version was created, as an aware ``datetime``.
    #[getter]
    fn created_date(&self) -> Option<std::time::SystemTime> {
        self.0.created_date()
    }

    /// The secret string, or None for a binary secret.
    #[getter]
    fn secret_string<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Rendering::of(py, &self.0)?.get(py, Part::String)
    }

    /// The secret binary, or None for a string secret.
    #[getter]
    fn secret_binary<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Rendering::of(py, &self.0)?.get(py, Part::Binary)
    }

    /// What the driver stored with this version.
    #[getter]
    fn _stored<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Rendering::of(py, &self.0)?.get(py, Part::Stored)
    }

    /// The fields of a JSON object, parsed once: a ``dict`` that nobody may change, or None if nobody has parsed them.
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
