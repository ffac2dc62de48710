//! The methods that programs call most, without the wrapping that pyo3 generates for the others.
//!
//! A read from memory takes about as long as two lookups in a `dict`; the argument parsing and bookkeeping of a
//! generated wrapper would double that. So `get_secret_string` and `get_secret_field` are plain C functions. Called
//! with only `str` arguments while the value is in memory, they answer themselves. In every other case they call
//! `_read_string` or `_read_field`, which are ordinary methods.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use secretcache::host::SecretExt as _;
use secretcache::{Secret, Selector};

use crate::cache::Cache;
use crate::call::call_method;
use crate::engine::Setup;
use crate::rendering::Rendering;

struct Method(UnsafeCell<ffi::PyMethodDef>);

// SAFETY: Python reads method definitions and never writes them.
unsafe impl Sync for Method {}

const fn method(name: &'static CStr, doc: &'static CStr, call: Fast) -> Method {
    Method(UnsafeCell::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: call },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }))
}

type Fast = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

static DROP_IN: Method = method(
    c"get_secret_string",
    c"get_secret_string($self, /, secret_id, version_stage=None)\n--\n\n\
      Return the secret string of the version with a staging label, by default the current one.",
    get_secret_string,
);

static STRING: Method = method(
    c"get_secret_string",
    c"get_secret_string($self, /, secret_id, version_stage=None, *, version_id=None, max_age=None)\n--\n\n\
      Return the secret string of the version with a staging label (by default the current one) or a version id.\n\n\
      A value last confirmed `max_age` or more seconds ago is fetched first; if the fetch fails, so does the read.",
    get_secret_string,
);

static FIELD: Method = method(
    c"get_secret_field",
    c"get_secret_field($self, /, secret_id, field, version_stage=None, *, version_id=None, max_age=None)\n--\n\n\
      Return one field, such as \"password\", of a secret whose string is a JSON object.",
    get_secret_field,
);

/// Adds the methods to the class.
pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<Cache>();
    let methods =
        [("_get_lenient_string", &DROP_IN), ("_get_secret_string", &STRING), ("_get_secret_field", &FIELD)];
    for (name, method) in methods {
        // SAFETY: the class is a live type, and the definition is static.
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
    // SAFETY: the arguments are as Python passes them.
    unsafe {
        answer(slf, arguments, count, keywords, "_read_string", |cache, [id]| cache.string_at_hand(&id))
    }
}

unsafe extern "C" fn get_secret_field(
    slf: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the arguments are as Python passes them.
    unsafe {
        answer(slf, arguments, count, keywords, "_read_field", |cache, [id, field]| {
            cache.field_at_hand(&id, &field)
        })
    }
}

/// Answers a call: from memory if there are `N` positional arguments and `at_hand` finds the value, otherwise with the
/// `slow` method.
///
/// # Safety
///
/// `slf` must be a [`Cache`], and the rest the arguments of a vectorcall.
#[inline]
unsafe fn answer<const N: usize>(
    slf: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
    slow: &str,
    at_hand: impl FnOnce(&Cache, [Borrowed<'_, '_, PyAny>; N]) -> Option<*mut ffi::PyObject>,
) -> *mut ffi::PyObject {
    // A panic must not cross into Python.
    let answer = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Python calls its methods attached.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: the method descriptor has checked that `slf` is of the class it was made for.
        let cache = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<Cache>() };
        if count.unsigned_abs() == N && keywords.is_null() {
            // SAFETY: there are `N` arguments, borrowed from the caller.
            let given = std::array::from_fn(|place| unsafe { Borrowed::from_ptr(py, *arguments.add(place)) });
            if let Some(found) = at_hand(cache.get(), given) {
                return found;
            }
        }
        // SAFETY: the arguments are as Python passes them.
        match unsafe { call_in_full(&cache, slow, arguments, count, keywords) } {
            Ok(found) => found.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    }));
    answer.unwrap_or_else(|_| {
        // SAFETY: attached, as above.
        unsafe {
            ffi::PyErr_SetString(
                ffi::PyExc_SystemError,
                c"secretcache panicked, which is a bug; the message is on standard error. Please report it"
                    .as_ptr(),
            )
        };
        ptr::null_mut()
    })
}

/// # Safety
///
/// The arguments must be those of a vectorcall: `count` positional ones, then one for each name in `keywords`.
#[cold]
unsafe fn call_in_full<'py>(
    cache: &Bound<'py, Cache>,
    slow: &str,
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
    let result = cache.getattr(slow)?.call(positional, Some(&named));
    result.map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(py) {
            return error;
        }
        // The new message names the method that the program called and, for a keyword of another library, the one to
        // use here.
        let explained = call_method(cache.as_any(), "_explain", (slow, error.value(py), &named));
        explained.map_or_else(|error| error, PyErr::from_value)
    })
}

impl Cache {
    /// Returns a new reference to the secret string, if it is in memory and fresh, and the id is an exact `str`.
    #[inline]
    fn string_at_hand(&self, id: &Bound<'_, PyAny>) -> Option<*mut ffi::PyObject> {
        // SAFETY: the host data of a secret is the address of the string object in its `Rendering`, or null.
        self.at_hand(id, |secret| unsafe { new_reference(secret.host_data() as *mut ffi::PyObject) })
    }

    /// Returns a new reference to a field of the secret, if the secret is in memory and fresh, its fields have been
    /// parsed, the id and the field's name are exact `str`, and the field is of an immutable type.
    #[inline]
    fn field_at_hand(&self, id: &Bound<'_, PyAny>, field: &Bound<'_, PyAny>) -> Option<*mut ffi::PyObject> {
        let field = field.cast_exact::<PyString>().ok()?;
        self.at_hand(id, |secret| {
            let fields = secret.filled_extension()?.downcast_ref::<Rendering>()?.fields(id.py())?;
            // SAFETY: both are alive, and `fields` is a `dict` (`Rendering::keep_fields`).
            let value = unsafe { ffi::PyDict_GetItemWithError(fields.as_ptr(), field.as_ptr()) };
            // SAFETY: null or borrowed from `fields`, which no thread changes (`_fields.fields`).
            let value = unsafe { Borrowed::from_ptr_or_opt(id.py(), value) }?;
            let is_constant = value.is_none()
                || value.is_exact_instance_of::<PyString>()
                || value.is_exact_instance_of::<PyInt>()
                || value.is_exact_instance_of::<PyFloat>()
                || value.is_exact_instance_of::<PyBool>();
            // SAFETY: `fields` keeps the value while the reference is taken.
            is_constant.then(|| unsafe { new_reference(value.as_ptr()) })?
        })
    }

    /// Returns what `part` finds in the current version of a secret, if that is in memory and fresh.
    #[inline]
    fn at_hand(
        &self,
        id: &Bound<'_, PyAny>,
        part: impl Fn(&Secret) -> Option<*mut ffi::PyObject>,
    ) -> Option<*mut ffi::PyObject> {
        let Setup { engine, default_stage, .. } = self.setup.get()?;
        if let Some(found) = self.last.hit(id, engine, &part) {
            return Some(found);
        }
        let name = id.cast_exact::<PyString>().ok()?.to_str().ok()?;
        let hit = engine.hit(name, Selector::stage(default_stage))?;
        let found = part(&hit)?;
        self.last.note(id, &hit);
        Some(found)
    }
}

/// # Safety
///
/// The object must be null or alive during the call, and the interpreter attached.
#[inline]
unsafe fn new_reference(object: *mut ffi::PyObject) -> Option<*mut ffi::PyObject> {
    if object.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe { ffi::Py_IncRef(object) };
    Some(object)
}
