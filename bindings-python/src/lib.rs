//! The extension module `secretcache._core`: conversion and calls, no logic.
//!
//! Everything here is private to the two Python packages, which provide the public interface.

mod arguments;
mod attempt;
mod cache;
mod call;
mod deferred;
mod engine;
mod errors;
mod events;
#[cfg_attr(Py_GIL_DISABLED, path = "no_last.rs")]
mod last;
mod permit;
mod quick;
mod rendering;
mod settings;
mod stats;
mod value;
mod watch;

use pyo3::prelude::*;

/// Wipes freed memory, because secrets also pass through the buffers of HTTP and TLS.
#[global_allocator]
static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;

/// The native half of the packages `secretcache` and `aws_secretsmanager_caching`.
// Free-threaded interpreters may run this without the global lock: what relies on it, `last`, is left out there.
#[pymodule(gil_used = false)]
mod _core {
    use std::time::Duration;

    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use secretcache::{ErrorKind, IamLogin, Retry};

    #[pymodule_export]
    use crate::attempt::ConnectAttempt;
    #[pymodule_export]
    use crate::cache::Cache;
    #[pymodule_export]
    use crate::permit::{FetchPermit, Flight};
    #[pymodule_export]
    use crate::value::SecretValue;
    #[pymodule_export]
    use crate::watch::Watch;

    /// The first member of what ``_lookup`` returns: a fresh value.
    #[pymodule_export]
    pub(crate) const HIT: &str = "hit";
    /// A value that is due for a refresh, and the permit to fetch it.
    #[pymodule_export]
    pub(crate) const DUE: &str = "due";
    /// This caller has to fetch; also returned by ``_force``, as are the next two.
    #[pymodule_export]
    pub(crate) const LEADER: &str = "leader";
    /// Another caller is fetching.
    #[pymodule_export]
    pub(crate) const FOLLOWER: &str = "follower";
    /// Another caller began to fetch before the refresh was forced, so its value can be too old.
    #[pymodule_export]
    pub(crate) const SUPERSEDED: &str = "superseded";

    /// End the background work of this process, waiting at most `patience` seconds for requests in progress.
    #[pyfunction]
    fn shutdown(py: Python<'_>, patience: f64) {
        crate::call::end();
        // Releases the lock: a background thread may be waiting for it.
        py.detach(|| secretcache::host::shutdown(Duration::from_secs_f64(patience)));
    }

    /// Return whether an error means a refused login: judged by its code if it has one, otherwise by its text.
    #[pyfunction]
    #[pyo3(signature = (message, code=None))]
    fn says_login_refused(message: &str, code: Option<&str>) -> bool {
        secretcache::login_refused(code, message)
    }

    /// Return whether a retry may help soon after an error of this kind; False if there is no such kind.
    #[pyfunction]
    fn is_retryable(kind: &str) -> bool {
        ErrorKind::from_name(kind).is_some_and(|kind| kind.retry() == Retry::Later)
    }

    /// Return the id of an IAM login; raise ValueError if a part of it is missing or invalid.
    #[pyfunction]
    #[pyo3(signature = (service, user, name, port=0, region_name=None, serverless=false))]
    fn iam_login(
        service: &str,
        user: &str,
        name: &str,
        port: u16,
        region_name: Option<&str>,
        serverless: bool,
    ) -> PyResult<String> {
        let login = match service {
            "elasticache" => IamLogin::elasticache(user, name),
            "memorydb" => IamLogin::memorydb(user, name),
            _ => IamLogin::rds(user, name, port),
        };
        let login = if serverless { login.serverless() } else { login };
        let login = region_name.map_or_else(|| login.clone(), |region| login.clone().region(region));
        login.check().map_err(|error| PyValueError::new_err(error.message().to_owned()))?;
        Ok(login.into())
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::quick::install(module)?;
        let stages = secretcache::Stage::ALL.map(secretcache::Stage::as_str);
        module.add("STAGES", pyo3::types::PyTuple::new(module.py(), stages)?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
