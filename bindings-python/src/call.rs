//! Calls from Rust into Python code. Such a call may be running when the interpreter ends.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::call::PyCallArgs;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Calls a Python function with positional arguments. Every call of Python code goes through here.
///
/// Before Python 3.14, an ending interpreter makes other threads exit as soon as they request the global lock, by
/// unwinding their stacks. The unwinding must not reach a Rust function that catches panics: the process would abort
/// instead of exiting with its own status. So such a thread stops here and never returns, as in Python 3.14.
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

/// Calls a method, like [`call`].
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

/// Runs `work` attached to the interpreter, unless the program is ending. For threads that Rust created.
pub(crate) fn attach(work: impl FnOnce(Python<'_>)) {
    if !IS_ENDING.load(Ordering::Acquire) {
        Python::try_attach(work);
    }
}

/// From now on, keeps threads that Rust created away from the interpreter.
pub(crate) fn end() {
    IS_ENDING.store(true, Ordering::Release);
}

static IS_ENDING: AtomicBool = AtomicBool::new(false);

unsafe extern "C-unwind" {
    // The function that pyo3 declares, declared as one that may unwind.
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
