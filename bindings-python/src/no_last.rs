//! In place of `last.rs` on free-threaded interpreters, where threads read at the same time: remembers nothing.
//!
//! A memo that all threads share would need a lock or a shared reference count in every hit. Without it, a hit looks the
//! id up, which takes neither.

use pyo3::ffi;
use pyo3::prelude::*;
use secretcache::Secret;

use crate::engine::Engine;

pub(crate) struct Last;

impl Last {
    pub(crate) fn new() -> Self {
        Self
    }

    #[inline]
    pub(crate) fn hit(
        &self,
        _id: &Bound<'_, PyAny>,
        _engine: &Engine,
        _part: impl Fn(&Secret) -> Option<*mut ffi::PyObject>,
    ) -> Option<*mut ffi::PyObject> {
        None
    }

    #[inline]
    pub(crate) fn note(&self, _id: &Bound<'_, PyAny>, _secret: &Secret) {}

    pub(crate) fn clear(&self, _py: Python<'_>) {}
}
