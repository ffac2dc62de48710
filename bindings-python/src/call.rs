//! Calls from Rust into Python code, which may be under way when the interpreter ends.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::call::PyCallArgs;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Calls a Python function with positional arguments. Every call of Python code goes through here.
///
/// Before version 3.14, an interpreter that ends makes other threads exit as soon as they want the global lock, by
/// unwinding their stacks. That must not reach a Rust function that catches panics: the process would abort in place of
/// ending with its own status. Such a thread stops here and does not return, as in Python 3.14.
pub(crate) fn call<'py, A>(callable: &Bound<'py, PyAny>, arguments: A) -> PyResult<Bound<'py, PyAny>>
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>
        + PyCallArgs<'py>,
{
    let py = callable.py();
    let arguments = arguments.into_pyobject(py).map_err(Into::into)?;
    let stop = StopThread;
    // SAFETY: a callable and a tuple, both alive, and the interpreter is attached.
    let result = unsafe { PyObject_Call(callable.as_ptr(), arguments.as_ptr(), std::ptr::null_mut()) };
    std::mem::forget(stop);
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, result) }
}

/// Calls a method as [`call`] calls a function.
pub(crate) fn call_method<'py, A>(
    object: &Bound<'py, PyAny>,
    name: &str,
    arguments: A,
) -> PyResult<Bound<'py, PyAny>>
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>
        + PyCallArgs<'py>,
{
    call(&object.getattr(name)?, arguments)
}

/// Runs `work` attached to the interpreter, unless the program is ending: for threads that Rust made.
pub(crate) fn attach(work: impl FnOnce(Python<'_>)) {
    if !IS_ENDING.load(Ordering::Acquire) {
        Python::try_attach(work);
    }
}

/// Keeps threads that Rust made away from the interpreter from now on.
pub(crate) fn end() {
    IS_ENDING.store(true, Ordering::Release);
}

static IS_ENDING: AtomicBool = AtomicBool::new(false);

unsafe extern "C-unwind" {
    // The same function as pyo3's, declared as one that may unwind.
    fn PyObject_Call(
        callable: *mut ffi::PyObject,
        arguments: *mut ffi::PyObject,
        keywords: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
}

struct StopThread;

impl Drop for StopThread {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}
