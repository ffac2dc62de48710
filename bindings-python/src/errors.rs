//! Errors of the core as Python exceptions. The classes live in `secretcache.errors`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use secretcache::host::ErrorExt as _;
use secretcache::{Error, ErrorKind};

use crate::call::call;
use crate::deferred::DeferredDecref;

/// Returns the exception to raise for an error: a copy of the client's own exception that is also of the class for its
/// kind, or just one of that class. `id` is the secret that the error is about, if it is about one.
pub(crate) fn to_exception(py: Python<'_>, error: &Error, id: Option<&str>) -> PyErr {
    let kind = error.kind().name();
    let made = match error.host::<DeferredDecref>() {
        Some(exception) => {
            maker(py, "from_client").and_then(|from_client| call(&from_client, (kind, exception.get(py), id)))
        }
        None => maker(py, "from_core").and_then(|from_core| {
            let fault = error.fault().map(|fault| {
                (&fault.code, &fault.message, fault.operation, fault.status, fault.request_id.as_deref())
            });
            call(&from_core, (kind, error.message(), fault, id))
        }),
    };
    made.map_or_else(|error| error, PyErr::from_value)
}

/// Wraps a Python exception in an error, for the core to keep.
pub(crate) fn from_exception(exception: &Bound<'_, PyAny>) -> Error {
    // An exception of this package carries its kind.
    let kind = exception.getattr("kind").and_then(|kind| kind.extract::<String>()).ok();
    if let Some(kind) = kind.as_deref().and_then(ErrorKind::from_name) {
        let text = exception.str().map_or_else(|_| kind.name().to_owned(), |text| text.to_string());
        return Error::new(kind, text).with_host(Box::new(DeferredDecref::new(exception.clone())));
    }
    let (kind, message) = match maker(exception.py(), "classify").and_then(|classify| {
        call(&classify, (exception,))?.extract::<(Option<String>, String, Option<u16>)>()
    }) {
        Ok((Some(code), message, status)) => (ErrorKind::from_service(&code, &message, status), message),
        Ok((None, message, _)) => {
            let kind = maker(exception.py(), "unanswered")
                .and_then(|unanswered| call(&unanswered, (exception,))?.extract::<Option<String>>());
            let kind = kind.ok().flatten().as_deref().and_then(ErrorKind::from_name);
            (kind.unwrap_or(ErrorKind::Source), message)
        }
        Err(_) => (ErrorKind::Source, "the client raised an exception".to_owned()),
    };
    Error::new(kind, message).with_host(Box::new(DeferredDecref::new(exception.clone())))
}

fn maker<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || py.import("secretcache.errors").map(Bound::unbind))?;
    module.bind(py).getattr(name)
}
