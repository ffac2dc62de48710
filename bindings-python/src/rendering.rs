//! What a cached version looks like in Python: made once, handed out again and again.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use secretcache::{Secret, Value};

use crate::deferred::DeferredDecref;

/// The Python objects of one version, kept in its slot.
pub(crate) struct Rendering {
    string: Option<DeferredDecref>,
    binary: Option<DeferredDecref>,
    /// What a hook has made of the answer of the host's client.
    stored: Option<DeferredDecref>,
    /// The fields of a JSON object, as a `dict`: parsed once, by whoever asks for one first.
    fields: OnceLock<DeferredDecref>,
}

impl Rendering {
    /// For a version that a host's client delivered: its own objects, whatever their types.
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

    /// The rendering of a version, made if need be.
    #[inline]
    pub(crate) fn of<'a>(py: Python<'_>, secret: &'a Secret) -> Option<&'a Self> {
        match secret.filled_extension() {
            Some(slot) => slot.downcast_ref(),
            None => secret.extension(|| Box::new(Self::of_native(py, secret))).downcast_ref(),
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

    /// The fields, if they have been parsed.
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
