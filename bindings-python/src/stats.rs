//! Statistics as plain Python objects.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use secretcache::{SecretStatus, Stats};

pub(crate) fn to_dict<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("hits", stats.hits)?;
    dict.set_item("misses_absent", stats.misses_absent)?;
    dict.set_item("misses_expired", stats.misses_expired)?;
    dict.set_item("stale_served", stats.stale_served)?;
    dict.set_item("coalesced", stats.coalesced)?;
    dict.set_item("refreshes", stats.refreshes)?;
    dict.set_item("rotations_observed", stats.rotations_observed)?;
    dict.set_item("replica_reads", stats.replica_reads)?;
    dict.set_item("evictions", stats.evictions)?;
    dict.set_item("api_calls", &stats.api_calls)?;
    dict.set_item("failures", &stats.failures)?;
    let logins = PyDict::new(py);
    logins.set_item("accepted", stats.logins.accepted)?;
    logins.set_item("fallback_logins", stats.logins.fallback_logins)?;
    logins.set_item("rejected", stats.logins.rejected)?;
    dict.set_item("logins", logins)?;
    let secrets = PyList::empty(py);
    for status in &stats.secrets {
        secrets.append(status_dict(py, status)?)?;
    }
    dict.set_item("secrets", secrets)?;
    Ok(dict)
}

fn status_dict<'py>(py: Python<'py>, status: &SecretStatus) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("secret_id", &status.secret_id)?;
    dict.set_item("version_stage", &status.version_stage)?;
    dict.set_item("version_id", &status.version_id)?;
    dict.set_item("age_seconds", status.age.map(|age| age.as_secs_f64()))?;
    dict.set_item("next_refresh_seconds", status.next_refresh_in.map(|wait| wait.as_secs_f64()))?;
    dict.set_item("last_error", status.last_error.map(secretcache::ErrorKind::name))?;
    dict.set_item("failures", status.failures)?;
    Ok(dict)
}
