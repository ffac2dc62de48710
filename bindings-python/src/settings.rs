//! Settings: converts the keyword arguments of the Python packages to the core's types.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyMapping};
use secretcache::host::{Options, Role};
use secretcache::{Config, Credentials};

use crate::arguments::Span;

/// Settings of the cache, and of the native driver.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) options: Options,
}

impl Settings {
    /// Reads a dictionary of keyword arguments. A missing one and None mean the default.
    pub(crate) fn read(settings: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut config = Config::default();
        let mut options = Options::default();
        let mut credentials: [Option<String>; 3] = [None, None, None];
        for (name, value) in settings.iter() {
            let name: String = name.extract()?;
            if value.is_none() {
                continue;
            }
            let span = || Span::read(&value, &name).map(|span| span.0);
            match name.as_str() {
                "refresh_interval" | "secret_refresh_interval" => config.ttl = span()?,
                "refresh_intervals" => config.ttl_of = spans(&value, &name)?,
                "max_wait" => config.max_wait = span()?,
                "max_stale" => config.max_stale = Some(span()?),
                "max_size" | "max_cache_size" => config.max_size = size(&value, &name)?,
                "stale_on_denied" => config.stale_on_denied = value.extract()?,
                "backoff_base" | "exception_retry_delay_base" => config.backoff.base = span()?,
                "backoff_growth" | "exception_retry_growth_factor" => {
                    config.backoff.growth = value.extract()?
                }
                "backoff_max" | "exception_retry_delay_max" => config.backoff.max = span()?,
                "region_name" => options.region = Some(value.extract()?),
                "endpoint_url" => options.endpoint_url = Some(value.extract()?),
                "profile_name" => options.profile = Some(value.extract()?),
                "ca_bundle" => options.ca_bundle = Some(value.extract()?),
                "role_arn" => options.role_arn = Some(value.extract()?),
                "external_id" => options.external_id = Some(value.extract()?),
                "roles" => options.roles = roles(&value)?,
                "fallback_regions" => options.fallback_regions = regions(&value)?,
                "fallback_after" => options.fallback_after = Some(span()?),
                "proxy_url" => options.proxy_url = Some(value.extract()?),
                "use_fips" => options.use_fips = Some(value.extract()?),
                "timeout" => options.timeout = Some(span()?),
                "aws_access_key_id" => credentials[0] = Some(value.extract()?),
                "aws_secret_access_key" => credentials[1] = Some(value.extract()?),
                "aws_session_token" => credentials[2] = Some(value.extract()?),
                _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument {name:?}"))),
            }
        }
        options.credentials = match credentials {
            [Some(id), Some(key), token] => Some(Credentials::new(id, key, token)),
            [None, None, None] => None,
            _ => {
                let text =
                    "aws_access_key_id and aws_secret_access_key belong together; pass both or neither";
                return Err(PyValueError::new_err(text));
            }
        };
        Ok(Self { config, options })
    }
}

fn spans(value: &Bound<'_, PyAny>, name: &str) -> PyResult<HashMap<String, Duration>> {
    let Ok(intervals) = value.cast::<PyDict>() else {
        return Err(PyTypeError::new_err(format!("{name} must be a dict of secret id to seconds")));
    };
    intervals.iter().map(|(id, interval)| Ok((id.extract()?, Span::read(&interval, name)?.0))).collect()
}

fn roles(value: &Bound<'_, PyAny>) -> PyResult<BTreeMap<String, Role>> {
    let wrong = || {
        let form = "roles must be a dict of prefix to role ARN, or to a dict with role_arn and external_id";
        PyTypeError::new_err(form)
    };
    let each = |pair: Bound<'_, PyAny>| {
        let (prefix, role): (String, Bound<'_, PyAny>) = pair.extract().map_err(|_| wrong())?;
        if let Ok(arn) = role.extract() {
            return Ok((prefix, Role { arn, external_id: None }));
        }
        let mut settings: BTreeMap<String, Option<String>> = role.extract().map_err(|_| wrong())?;
        let arn = settings.remove("role_arn").flatten().ok_or_else(wrong)?;
        let external_id = settings.remove("external_id").flatten();
        if settings.is_empty() { Ok((prefix, Role { arn, external_id })) } else { Err(wrong()) }
    };
    value.cast::<PyMapping>().map_err(|_| wrong())?.items()?.iter().map(each).collect()
}

fn regions(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    // A str is a sequence of letters, but `extract` refuses it.
    let wrong = |_| PyTypeError::new_err("fallback_regions must be a list of Region names");
    value.extract().map_err(wrong)
}

fn size(value: &Bound<'_, PyAny>, name: &str) -> PyResult<usize> {
    let is_number = value.cast::<PyInt>().is_ok() && value.cast::<PyBool>().is_err();
    if !is_number {
        let kind = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{name} must be an int (a number of secrets), not {kind}")));
    }
    match value.extract::<usize>() {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(PyValueError::new_err(format!("{name} must be at least 1; got {value}"))),
    }
}
