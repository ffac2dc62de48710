//! Python objects that the core may drop at any moment, on any thread, under its lock.

use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

/// A strong reference whose last use may run Python code (a destructor), so that giving it back is put off until a
/// moment when that does no harm: see [`drain`].
pub(crate) struct DeferredDecref(NonNull<ffi::PyObject>);

// SAFETY: the pointer is only followed with the interpreter attached, as the methods' arguments prove.
unsafe impl Send for DeferredDecref {}
// SAFETY: as above.
unsafe impl Sync for DeferredDecref {}

struct Dead(NonNull<ffi::PyObject>);

// SAFETY: only handed on to a thread that is attached.
unsafe impl Send for Dead {}

static DEAD: Mutex<Vec<Dead>> = Mutex::new(Vec::new());
static ANY_DEAD: AtomicBool = AtomicBool::new(false);

impl DeferredDecref {
    pub(crate) fn new(object: Bound<'_, PyAny>) -> Self {
        // SAFETY: a bound object's pointer is never null, and ownership passes to `self`.
        Self(unsafe { NonNull::new_unchecked(object.into_ptr()) })
    }

    /// A new reference to the object.
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        // SAFETY: `self` holds a reference, so the pointer is valid; this takes one more.
        unsafe { Bound::from_borrowed_ptr(py, self.0.as_ptr()) }
    }
}

impl Drop for DeferredDecref {
    fn drop(&mut self) {
        // In a forked child another thread may hold this lock for ever: then the object is leaked.
        if let Ok(mut dead) = DEAD.try_lock() {
            dead.push(Dead(self.0));
            ANY_DEAD.store(true, Ordering::Release);
        }
    }
}

/// Gives back the references dropped so far. Called where the core holds no lock of this thread.
pub(crate) fn drain(py: Python<'_>) {
    if !ANY_DEAD.load(Ordering::Acquire) {
        return;
    }
    let Ok(mut queue) = DEAD.try_lock() else { return };
    ANY_DEAD.store(false, Ordering::Relaxed);
    let dead = std::mem::take(&mut *queue);
    drop(queue);
    for Dead(object) in dead {
        // SAFETY: the reference was owned by a `DeferredDecref`, and the interpreter is attached.
        drop(unsafe { Bound::from_owned_ptr(py, object.as_ptr()) });
    }
}
