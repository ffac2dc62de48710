//! Watches, as Python objects.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

/// Makes a secret count as in use until this is closed or garbage-collected.
#[pyclass(frozen, module = "secretcache")]
pub(crate) struct Watch {
    #[pyo3(get)]
    secret_id: String,
    watch: Mutex<Option<secretcache::Watch>>,
}

impl Watch {
    pub(crate) fn new(watch: secretcache::Watch) -> Self {
        Self { secret_id: watch.secret_id().to_owned(), watch: Mutex::new(Some(watch)) }
    }
}

#[pymethods]
impl Watch {
    /// End the watch. Closing it twice is fine.
    fn close(&self) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        self.close();
    }

    fn __repr__(&self) -> String {
        format!("<secretcache.Watch of {:?}>", self.secret_id)
    }
}
