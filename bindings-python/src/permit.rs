//! Fetch permits and flights of the core, for drivers written in Python.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use secretcache::host::{Answer, DescribeAnswer, Operation, Outcome, SystemClock, Waiter, sign_token};
use secretcache::{Credentials, Description, Error, ErrorKind, Fetched, IamLogin, Value};

use crate::call::call;
use crate::deferred::{DeferredDecref, drain};
use crate::errors;
use crate::rendering::Rendering;
use crate::value::SecretValue;

/// Version ids, each with its staging labels.
type Versions = Vec<(String, Vec<String>)>;

/// The obligation to fetch once, for all readers that wait. End it with ``succeed``, ``confirm``, ``fail`` or
/// ``abandon``.
#[pyclass(frozen, module = "secretcache")]
pub(crate) struct FetchPermit {
    permit: Mutex<Option<secretcache::host::FetchPermit>>,
    cache: secretcache::host::Cache,
}

impl FetchPermit {
    pub(crate) fn new(permit: secretcache::host::FetchPermit, cache: secretcache::host::Cache) -> Self {
        Self { permit: Mutex::new(Some(permit)), cache }
    }

    fn look<R>(&self, look: impl FnOnce(&secretcache::host::FetchPermit) -> R) -> PyResult<R> {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit.as_ref().map(look).ok_or_else(|| PyRuntimeError::new_err("this permit has been used"))
    }

    fn take(&self) -> Option<secretcache::host::FetchPermit> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn complete(&self, py: Python<'_>, result: Result<Answer, Error>) {
        if let Some(permit) = self.take() {
            permit.complete(result, SystemClock::now());
        }
        drain(py);
    }
}

#[pymethods]
impl FetchPermit {
    /// Return the secret id to request.
    #[getter]
    fn id(&self) -> PyResult<String> {
        self.look(|permit| permit.id().to_owned())
    }

    /// Return the staging label to request, or None.
    #[getter]
    fn stage(&self) -> PyResult<Option<String>> {
        self.look(|permit| permit.selector().as_stage().map(str::to_owned))
    }

    /// Return the version id to request, or None.
    #[getter]
    fn version_id(&self) -> PyResult<Option<String>> {
        self.look(|permit| permit.selector().as_version_id().map(str::to_owned))
    }

    /// Return the id of the cached version, which ``confirm`` would confirm, or None.
    #[getter]
    fn known_version_id(&self) -> PyResult<Option<String>> {
        self.look(|permit| permit.known()?.version_id().map(str::to_owned))
    }

    /// Return the cached version, or None.
    #[getter]
    fn known(&self) -> PyResult<Option<SecretValue>> {
        self.look(|permit| permit.known().cloned().map(SecretValue))
    }

    /// Return the version with this id if it is cached for another selector, or None.
    fn held(&self, version_id: &str) -> PyResult<Option<SecretValue>> {
        self.look(|permit| permit.held(version_id).cloned().map(SecretValue))
    }

    /// Return the object stored with a description that is still fresh, or None.
    #[getter]
    fn description<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.look(|permit| Some(permit.description()?.extension()?.downcast_ref::<DeferredDecref>()?.get(py)))
    }

    /// Return the versions of a description that is still fresh, each with its labels, or None.
    #[getter]
    fn versions(&self) -> PyResult<Option<Versions>> {
        let owned = |(id, labels): (&str, &[String])| (id.to_owned(), labels.to_vec());
        self.look(|permit| Some(permit.description()?.versions().map(owned).collect()))
    }

    /// Return whether the id is an IAM login, whose token is signed (``sign``) instead of fetched.
    #[getter]
    fn is_iam_login(&self) -> PyResult<bool> {
        self.look(|permit| permit.id().parse::<IamLogin>().is_ok())
    }

    /// Sign the token with the client's credentials, which are valid for another `expires_in` seconds.
    fn sign(
        &self,
        py: Python<'_>,
        region_name: &str,
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
        expires_in: f64,
    ) -> PyResult<()> {
        let credentials = Credentials::new(access_key_id, secret_access_key, session_token);
        let expires_in = Duration::try_from_secs_f64(expires_in).unwrap_or_default();
        let signed = self.look(|permit| sign_token(permit.id(), region_name, &credentials, expires_in))?;
        self.complete(py, signed.map(Answer::value));
        Ok(())
    }

    /// Count a call to the service.
    fn count(&self, operation: &str) {
        self.cache.count_call(match operation {
            "DescribeSecret" => Operation::DescribeSecret,
            _ => Operation::GetSecretValue,
        });
    }

    /// Report that the client returned a value. `response` is its response, from which the metadata is read; `stored`
    /// is what a hook made from it.
    ///
    /// `version_id` is the requested one; a test double's response need not repeat it. `description` is the response of
    /// ``describe_secret``, if that was called too, and `described` is what a hook made from it.
    #[pyo3(signature = (response, stored, version_id, versions=None, described=None, description=None))]
    #[expect(clippy::too_many_arguments, reason = "a call from Python")]
    fn succeed(
        &self,
        py: Python<'_>,
        response: &Bound<'_, PyAny>,
        stored: Option<Bound<'_, PyAny>>,
        version_id: String,
        versions: Option<Versions>,
        described: Option<Bound<'_, PyAny>>,
        description: Option<&Bound<'_, PyAny>>,
    ) {
        let mut fetched = fetched(response, stored);
        fetched.version_id = Some(version_id);
        let answer = Answer::value(fetched);
        self.complete(py, Ok(with_description(answer, description.unwrap_or(response), versions, described)));
    }

    /// Report that the client found the cached version to be current.
    fn confirm(
        &self,
        py: Python<'_>,
        response: &Bound<'_, PyAny>,
        versions: Versions,
        described: Option<Bound<'_, PyAny>>,
    ) {
        let answer = with_description(Answer::unchanged(), response, Some(versions), described);
        self.complete(py, Ok(answer));
    }

    /// Raise if a response is larger than any secret can be.
    fn check_size(&self, py: Python<'_>, response: &Bound<'_, PyAny>) -> PyResult<()> {
        let length = |name: &str| field(response, name)?.len().ok();
        let size = length("SecretString").or_else(|| length("SecretBinary")).unwrap_or(0);
        let checked = self.look(|permit| secretcache::host::check_size(permit.id(), size))?;
        checked.map_err(|error| errors::to_exception(py, &error, None))
    }

    /// Report that the client failed.
    fn fail(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) {
        self.complete(py, Err(errors::from_exception(exception)));
    }

    /// Report that the secret has no such version.
    fn fail_version_not_found(&self, py: Python<'_>) -> PyResult<()> {
        let text = self
            .look(|permit| format!("secret {:?} has no version with {}", permit.id(), permit.selector()))?;
        self.complete(py, Err(Error::new(ErrorKind::VersionNotFound, text)));
        Ok(())
    }

    /// Give up the permit without a request: the waiting readers start again. Does nothing if the permit has ended.
    fn abandon(&self, py: Python<'_>) {
        drop(self.take());
        drain(py);
    }
}

fn field<'py>(response: &Bound<'py, PyAny>, name: &str) -> Option<Bound<'py, PyAny>> {
    response.cast::<PyDict>().ok()?.get_item(name).ok()?
}

/// Extracts the fields of a response that the core keeps. A response of an unusual shape (a test double) has fewer.
fn fetched(response: &Bound<'_, PyAny>, stored: Option<Bound<'_, PyAny>>) -> Fetched {
    let field = |name: &str| field(response, name);
    let text = |name: &str| field(name)?.extract::<String>().ok();
    let (string, binary) = (field("SecretString"), field("SecretBinary"));
    let mut fetched = Fetched::default();
    fetched.arn = text("ARN");
    fetched.name = text("Name");
    fetched.version_id = text("VersionId");
    fetched.version_stages =
        field("VersionStages").and_then(|stages| stages.extract().ok()).unwrap_or_default();
    fetched.created_date = field("CreatedDate").and_then(|date| date.extract().ok());
    let as_text = string.as_ref().and_then(|string| string.cast::<PyString>().ok()?.to_str().ok());
    let as_bytes = binary.as_ref().and_then(|binary| Some(binary.cast::<PyBytes>().ok()?.as_bytes()));
    fetched.value = match (as_text, as_bytes) {
        (Some(text), _) => Value::String(text.to_owned().into()),
        (None, Some(bytes)) => Value::Binary(bytes.to_vec().into()),
        (None, None) => Value::Absent,
    };
    fetched.extension = Some(Box::new(Rendering::of_host(string, binary, stored)));
    fetched
}

fn with_description(
    answer: Answer,
    response: &Bound<'_, PyAny>,
    versions: Option<Versions>,
    described: Option<Bound<'_, PyAny>>,
) -> Answer {
    let Some(versions) = versions else { return answer };
    let text = |of: &Bound<'_, PyAny>, name: &str| field(of, name)?.extract().ok();
    let date = |name: &str| field(response, name)?.extract().ok();
    let rules = field(response, "RotationRules");
    let mut description = Description::from_service(DescribeAnswer {
        arn: text(response, "ARN"),
        versions,
        is_deleted: field(response, "DeletedDate").is_some(),
        rotation_enabled: field(response, "RotationEnabled").and_then(|is_on| is_on.extract().ok()),
        next_rotation_date: date("NextRotationDate"),
        last_rotated_date: date("LastRotatedDate"),
        schedule_expression: rules.as_ref().and_then(|rules| text(rules, "ScheduleExpression")),
        duration: rules.as_ref().and_then(|rules| text(rules, "Duration")),
    });
    description.extension = described.map(|described| Box::new(DeferredDecref::new(described)) as _);
    answer.with_description(description)
}

/// A fetch in progress.
#[pyclass(frozen, module = "secretcache")]
pub(crate) struct Flight {
    waiter: Mutex<Waiter>,
    /// The secret id, for errors.
    id: String,
}

impl Flight {
    pub(crate) fn new(waiter: Waiter, id: &str) -> Self {
        Self { waiter: Mutex::new(waiter), id: id.to_owned() }
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Waiter) -> R) -> R {
        look(&mut self.waiter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Flight {
    /// Return the seconds to wait before the last known value is good enough, or None if there is none.
    #[getter]
    fn patience(&self) -> Option<f64> {
        self.with(|waiter| waiter.patience()).map(|patience| patience.as_secs_f64())
    }

    /// Call `callback` once the fetch has ended, at once if it already has. Return whether it is still in progress.
    fn on_done(&self, callback: Bound<'_, PyAny>) -> bool {
        let waker = Waker::from(Arc::new(Callback(DeferredDecref::new(callback.clone()))));
        let ended = self.with(|waiter| Pin::new(waiter).poll(&mut Context::from_waker(&waker)).is_ready());
        if ended {
            waker.wake();
        }
        !ended
    }

    /// Return how the fetch ended: ``None`` while it is in progress, ``("value", SecretValue)``,
    /// ``("failed", exception, SecretValue | None, is_missing_version)`` or ``("abandoned",)``.
    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(outcome) = self.with(|waiter| waiter.outcome()) else { return Ok(None) };
        let tuple = match outcome {
            Outcome::Value(secret) => ("value", SecretValue(secret)).into_pyobject(py)?,
            Outcome::Failed { error, last_known, .. } => {
                let exception = errors::to_exception(py, &error, Some(&self.id)).into_value(py);
                let is_missing = error.kind() == ErrorKind::VersionNotFound;
                return ("failed", exception, last_known.map(SecretValue), is_missing)
                    .into_pyobject(py)
                    .map(|tuple| Some(tuple.into_any()));
            }
            _ => return ("abandoned",).into_pyobject(py).map(|tuple| Some(tuple.into_any())),
        };
        Ok(Some(tuple.into_any()))
    }
}

struct Callback(DeferredDecref);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        // Flights of host caches end in a Python thread, which is attached already. `try_attach` returns `None` if the
        // interpreter is ending.
        let called = Python::try_attach(|py| call(&self.0.get(py), ()).map(drop));
        if let Some(Err(error)) = called {
            Python::attach(|py| error.write_unraisable(py, None));
        }
    }
}
