//! The one method that is called all the time, without the wrapping that the others get.
//!
//! A read from memory takes about as long as two look-ups in a `dict`; argument parsing and the bookkeeping of a
//! generated wrapper would double that. So `get_secret_string` is a plain C function: if it is called with one
//! `str` and the value is at hand, it answers; in every other case it calls `_read_string`, which is an ordinary
//! method and says all that there is to say about its arguments.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use secretcache::{Secret, Selector};

use crate::cache::Cache;
use crate::engine::{Engine, Setup};

struct Method(UnsafeCell<ffi::PyMethodDef>);

// SAFETY: Python reads method definitions and never writes them.
unsafe impl Sync for Method {}

const fn method(name: &'static CStr, doc: &'static CStr) -> Method {
    Method(UnsafeCell::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: get_secret_string },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }))
}

static DROP_IN: Method = method(
    c"get_secret_string",
    c"get_secret_string($self, /, secret_id, version_stage=None)\n--\n\n\
      The secret string of the version with a staging label, by default the current one.",
);

static FULL: Method = method(
    c"_get_secret_string",
    c"_get_secret_string($self, /, secret_id, version_stage=None, *, version_id=None)\n--\n\n\
      The secret string of the version with a staging label, by default the current one, or of one version id.",
);

/// Adds the methods to the class.
pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<Cache>();
    for (name, method) in [("get_secret_string", &DROP_IN), ("_get_secret_string", &FULL)] {
        // SAFETY: the class is a live type, and the definition lives for ever.
        let method = unsafe {
            let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), method.0.get());
            Bound::from_owned_ptr_or_err(module.py(), method)?
        };
        class.setattr(name, method)?;
    }
    Ok(())
}

unsafe extern "C" fn get_secret_string(
    slf: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // A panic must not cross into Python: it counts as "not at hand".
    let answer = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Python calls its methods attached.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: the method descriptor has checked that `slf` is of the class it was made for.
        let cache = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<Cache>() };
        if count == 1 && keywords.is_null() {
            // SAFETY: there is one argument, borrowed from the caller.
            let id = unsafe { Borrowed::from_ptr(py, *arguments) };
            if let Some(string) = cache.get().string_at_hand(&id) {
                return string;
            }
        }
        // SAFETY: the arguments are as Python passes them.
        match unsafe { call_in_full(&cache, arguments, count, keywords) } {
            Ok(string) => string.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    }));
    answer.unwrap_or_else(|_| {
        // SAFETY: attached, as above.
        unsafe { ffi::PyErr_SetString(ffi::PyExc_SystemError, c"a defect in secretcache".as_ptr()) };
        ptr::null_mut()
    })
}

/// # Safety
///
/// The arguments must be those of a vectorcall: `count` positional ones, then one for each name in `keywords`.
#[cold]
unsafe fn call_in_full<'py>(
    cache: &Bound<'py, Cache>,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    let py = cache.py();
    // SAFETY: as the caller promises.
    let argument = |place: usize| unsafe { Bound::from_borrowed_ptr(py, *arguments.add(place)) };
    let count = count.unsigned_abs();
    let positional = PyTuple::new(py, (0..count).map(argument))?;
    let named = PyDict::new(py);
    // SAFETY: null or a tuple of names, as the caller promises.
    if let Some(names) = unsafe { Bound::from_borrowed_ptr_or_opt(py, keywords) } {
        for (place, name) in names.cast_into::<PyTuple>()?.iter().enumerate() {
            named.set_item(name, argument(count + place))?;
        }
    }
    cache.getattr("_read_string")?.call(positional, Some(&named))
}

impl Cache {
    /// A new reference to the secret string, if it is in memory and fresh, and the id is an ordinary `str`.
    #[inline]
    fn string_at_hand(&self, id: &Bound<'_, PyAny>) -> Option<*mut ffi::PyObject> {
        let Setup { engine, default_stage, .. } = self.setup.get()?;
        if let Some(string) = self.last.hit(id, engine) {
            return Some(string);
        }
        let name = id.cast_exact::<PyString>().ok()?.to_str().ok()?;
        let hit = engine.hit(name, Selector::stage(default_stage))?;
        // SAFETY: the hit keeps the secret, and so the object behind its tag, while this lives.
        let string = unsafe { new_reference(&hit) }?;
        self.last.note(id, &hit);
        Some(string)
    }
}

/// The string of the last hit, and for which id object: a program that asks for the same secret again and again
/// usually does so with the same `str`, and then not even its bytes need be looked at.
pub(crate) struct Last(UnsafeCell<LastHit>);

#[derive(Default)]
struct LastHit {
    /// An exact `str`, kept alive so that its address means it.
    id: Option<Py<PyAny>>,
    secret: Option<Secret>,
    /// The id object of the hit before this one: an id seen twice running is worth remembering.
    candidate: usize,
}

// SAFETY: only touched with the global interpreter lock held, which the module declares to need, and never across
// a call that could run Python code.
unsafe impl Send for Last {}
// SAFETY: as above.
unsafe impl Sync for Last {}

impl Last {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::default())
    }

    #[inline]
    fn hit(&self, id: &Bound<'_, PyAny>, engine: &Engine) -> Option<*mut ffi::PyObject> {
        // SAFETY: see the type; no Python code runs while the reference lives.
        let last = unsafe { &*self.0.get() };
        if last.id.as_ref()?.as_ptr() != id.as_ptr() {
            return None;
        }
        let secret = last.secret.as_ref().filter(|secret| engine.hit_again(secret))?;
        // SAFETY: `last` keeps the secret while the reference is taken.
        unsafe { new_reference(secret) }
    }

    #[inline]
    fn note(&self, id: &Bound<'_, PyAny>, secret: &Secret) {
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
        let (id, candidate) = (Some(id.clone().unbind()), id.as_ptr() as usize);
        self.replace(LastHit { id, secret: Some(secret.clone()), candidate });
    }

    /// Forgets it.
    pub(crate) fn clear(&self) {
        self.replace(LastHit::default());
    }

    fn replace(&self, new: LastHit) {
        // SAFETY: see the type. What is dropped afterwards runs no Python code: an exact `str`, and a secret whose
        // own objects are given back later (`late`).
        drop(std::mem::replace(unsafe { &mut *self.0.get() }, new));
    }
}

/// # Safety
///
/// The secret must stay alive during the call, and the interpreter be attached.
#[inline]
unsafe fn new_reference(secret: &Secret) -> Option<*mut ffi::PyObject> {
    let string = secret.tag() as *mut ffi::PyObject;
    if string.is_null() {
        return None;
    }
    // SAFETY: the tag of a secret is the address of the string object in its slot (`rendering`).
    unsafe { ffi::Py_IncRef(string) };
    Some(string)
}
