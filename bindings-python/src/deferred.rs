//! Python objects that the core may drop at any moment, on any thread, while it holds its lock.

use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

/// A strong reference that is released later, by [`drain`]. Releasing the last reference to an object can run Python
/// code (a destructor), which would be harmful where the core drops it.
pub(crate) struct DeferredDecref(NonNull<ffi::PyObject>);

// SAFETY: the pointer is dereferenced only while attached to the interpreter, as the methods' arguments prove, and only to
// count references, which free-threaded interpreters do atomically.
unsafe impl Send for DeferredDecref {}
// SAFETY: as above.
unsafe impl Sync for DeferredDecref {}

struct Dead(NonNull<ffi::PyObject>);

// SAFETY: only passed on to a thread that is attached.
unsafe impl Send for Dead {}

static DEAD: Mutex<Vec<Dead>> = Mutex::new(Vec::new());
static ANY_DEAD: AtomicBool = AtomicBool::new(false);

impl DeferredDecref {
    pub(crate) fn new(object: Bound<'_, PyAny>) -> Self {
        // SAFETY: a bound object's pointer is never null, and ownership passes to `self`.
        Self(unsafe { NonNull::new_unchecked(object.into_ptr()) })
    }

    /// Returns a new reference to the object.
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        // SAFETY: `self` holds a reference, so the pointer is valid; this takes one more.
        unsafe { Bound::from_borrowed_ptr(py, self.0.as_ptr()) }
    }
}

impl Drop for DeferredDecref {
    fn drop(&mut self) {
        // Another thread holds this lock only for a moment. But in a forked child, a thread of the parent may have left
        // it held forever. Then the object is leaked.
        for _ in 0..MOST_TRIES {
            if let Ok(mut dead) = DEAD.try_lock() {
                dead.push(Dead(self.0));
                ANY_DEAD.store(true, Ordering::Release);
                return;
            }
            std::thread::yield_now();
        }
    }
}

const MOST_TRIES: usize = 1000;

/// Releases the references dropped so far. Call this where the thread does not hold the core's lock.
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
