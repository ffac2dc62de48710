//! The Python objects of a cached version, which are created once and returned many times.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use secretcache::host::SecretExt as _;
use secretcache::{Secret, Value};

use crate::deferred::DeferredDecref;

/// The Python objects of one version, kept as its extension.
pub(crate) struct Rendering {
    string: Option<DeferredDecref>,
    binary: Option<DeferredDecref>,
    /// The object that a hook made from the client's response.
    stored: Option<DeferredDecref>,
    /// The fields of a JSON object, as a `dict`: parsed once, at the first read of a field.
    fields: OnceLock<DeferredDecref>,
}

impl Rendering {
    /// For a version from a client that the program supplied: the client's own objects, whatever their types.
    pub(crate) fn of_host(
        string: Option<Bound<'_, PyAny>>,
        binary: Option<Bound<'_, PyAny>>,
        stored: Option<Bound<'_, PyAny>>,
    ) -> Self {
        let [string, binary, stored] = [string, binary, stored].map(|object| object.map(DeferredDecref::new));
        Self { string, binary, stored, fields: OnceLock::new() }
    }

    fn of_native(py: Python<'_>, secret: &Secret) -> Self {
        let (mut string, mut binary) = (None, None);
        match secret.value() {
            Value::String(text) => string = Some(DeferredDecref::new(PyString::new(py, text).into_any())),
            Value::Binary(bytes) => binary = Some(DeferredDecref::new(PyBytes::new(py, bytes).into_any())),
            _ => {}
        }
        Self { string, binary, stored: None, fields: OnceLock::new() }
    }

    /// Returns the rendering of a version, and creates it if necessary.
    #[inline]
    pub(crate) fn of<'a>(py: Python<'_>, secret: &'a Secret) -> Option<&'a Self> {
        match secret.filled_extension() {
            Some(slot) => slot.downcast_ref(),
            None => {
                // Made first: no thread calls the interpreter while another one, attached too, waits for the slot.
                let made = Box::new(Self::of_native(py, secret));
                secret.extension(|| made).downcast_ref()
            }
        }
    }

    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>, part: Part) -> Option<Bound<'py, PyAny>> {
        let object = match part {
            Part::String => &self.string,
            Part::Binary => &self.binary,
            Part::Stored => &self.stored,
        };
        object.as_ref().map(|object| object.get(py))
    }

    /// Returns the fields, if they have been parsed.
    #[inline]
    pub(crate) fn fields<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.fields.get().map(|fields| fields.get(py))
    }

    /// Keeps the fields for as long as the version lives.
    pub(crate) fn keep_fields(&self, fields: Bound<'_, PyDict>) {
        let _ = self.fields.set(DeferredDecref::new(fields.into_any()));
    }
}

/// A part of a version.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Part {
    String,
    Binary,
    Stored,
}
