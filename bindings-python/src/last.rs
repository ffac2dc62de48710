//! The last hit of a cache, with the id object that it was read with. Only for interpreters with the global lock;
//! `no_last.rs` takes the place of this file on the others.

use std::cell::UnsafeCell;

use pyo3::ffi;
use pyo3::prelude::*;
use secretcache::Secret;

use crate::engine::Engine;

/// The secret of the last hit, and the id object that it was read with. A program that reads one secret repeatedly
/// usually passes the same `str` object, so not even its bytes need to be compared.
pub(crate) struct Last(UnsafeCell<LastHit>);

#[derive(Default)]
struct LastHit {
    /// An exact `str`. It is kept alive, so that no other object can have its address.
    id: Option<Py<PyAny>>,
    secret: Option<Secret>,
    /// The address of the id object of the previous hit: only an id seen twice in a row is worth remembering.
    candidate: usize,
}

// SAFETY: accessed only while holding the global interpreter lock (free-threaded builds leave this file out), and never
// across a call that could run Python code.
unsafe impl Send for Last {}
// SAFETY: as above.
unsafe impl Sync for Last {}

impl Last {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::default())
    }

    /// Returns what `part` finds in the remembered secret, if the id object is the same and the secret may still be
    /// served.
    #[inline]
    pub(crate) fn hit(
        &self,
        id: &Bound<'_, PyAny>,
        engine: &Engine,
        part: impl Fn(&Secret) -> Option<*mut ffi::PyObject>,
    ) -> Option<*mut ffi::PyObject> {
        // SAFETY: see the type; no Python code runs while the reference lives.
        let last = unsafe { &*self.0.get() };
        if last.id.as_ref()?.as_ptr() != id.as_ptr() {
            return None;
        }
        part(last.secret.as_ref().filter(|secret| engine.hit_again(secret))?)
    }

    /// Notes a hit, and remembers it if the previous one had the same id object.
    #[inline]
    pub(crate) fn note(&self, id: &Bound<'_, PyAny>, secret: &Secret) {
        // SAFETY: see the type.
        let last = unsafe { &mut *self.0.get() };
        if last.candidate != id.as_ptr() as usize {
            last.candidate = id.as_ptr() as usize;
        } else {
            self.remember(id, secret);
        }
    }

    #[cold]
    fn remember(&self, id: &Bound<'_, PyAny>, secret: &Secret) {
        let (held, candidate) = (Some(id.clone().unbind()), id.as_ptr() as usize);
        self.replace(id.py(), LastHit { id: held, secret: Some(secret.clone()), candidate });
    }

    /// Forgets the last hit.
    pub(crate) fn clear(&self, py: Python<'_>) {
        self.replace(py, LastHit::default());
    }

    fn replace(&self, py: Python<'_>, new: LastHit) {
        // SAFETY: see the type. Dropping the old hit runs no Python code: its id is an exact `str`, and its secret's
        // own objects are released later (`deferred`).
        let old = std::mem::replace(unsafe { &mut *self.0.get() }, new);
        // Bound, because in a plain C function pyo3 does not know that the thread is attached, and would defer the
        // release.
        drop(old.id.map(|id| id.into_bound(py)));
    }
}
