"""The exceptions that this package raises.

All of them are `SecretCacheError`. Where a program written for boto3 would catch one of botocore's classes, the
exception is of that class too: an error returned by the service is also a ``ClientError`` with a ``response``, and a
missing Region is also a ``NoRegionError``. botocore is imported only when such an exception is raised; if it is not
installed, the exception is of this package's class only.

If the cache uses botocore or a client that the program passed, the exception is a copy of the client's own, whose class
is derived from the client's class and from the one in this module.
"""

from __future__ import annotations

from . import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar


class SecretCacheError(Exception):
    """Any failure of this package."""

    kind: ClassVar[str] = "internal"
    """A stable name for this kind of failure, as in `stats`."""
    secret_id: str | None = None
    """The id of the secret, as the program passed it; None if the failure is not about a single secret."""
    response: dict[str, Any]
    """The service's error response, in botocore's form. Set only if the service returned the error."""

    def __init__(self, message: str, *, secret_id: str | None = None) -> None:
        Exception.__init__(self, message)
        if secret_id is not None:
            self.secret_id = secret_id

    @property
    def retryable(self) -> bool:
        """Whether the call can succeed if you retry it soon. The cache itself always retries."""
        return _core.is_retryable(self.kind)

    def __str__(self) -> str:
        return _named(self, str(self.args[0]) if self.args else "")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle or copy the exception, even if its class was made at run time."""
        origin = vars(type(self)).get("_origin", (type(self), None, False))
        return _restore, (origin[0], _portable(origin[1]), origin[2], self.args, self.__dict__)


class InvalidArgumentError(SecretCacheError, ValueError):
    """An argument is wrong. Fix the call."""

    kind = "invalid_argument"


class ConfigurationError(SecretCacheError, ValueError):
    """A setting is wrong or missing. Fix the configuration."""

    kind = "invalid_configuration"


class NoRegionError(ConfigurationError):
    """No AWS Region is configured."""

    kind = "no_region"


class NoCredentialsError(SecretCacheError):
    """No AWS credentials were found in any of the usual places."""

    kind = "no_credentials"


class InvalidCredentialsError(SecretCacheError):
    """The credentials have expired or the service does not accept them."""

    kind = "invalid_credentials"


class AccessDeniedError(SecretCacheError):
    """The caller is not allowed to read this secret, or to use its KMS key."""

    kind = "access_denied"


class SecretNotFoundError(SecretCacheError):
    """There is no such secret in this account and Region."""

    kind = "secret_not_found"


class VersionNotFoundError(SecretCacheError):
    """The secret exists, but not the requested staging label or version id."""

    kind = "version_not_found"


class SecretDeletedError(SecretCacheError):
    """The secret is marked for deletion."""

    kind = "secret_deleted"


class KeyUnavailableError(SecretCacheError):
    """The KMS key is disabled, pending deletion or otherwise unable to decrypt."""

    kind = "key_unavailable"


class InvalidRequestError(SecretCacheError):
    """The service refused the request for another reason."""

    kind = "invalid_request"


class ThrottledError(SecretCacheError):
    """Too many requests; retry later."""

    kind = "throttled"


class ServiceUnavailableError(SecretCacheError):
    """The service failed."""

    kind = "service_unavailable"


class EndpointConnectionError(SecretCacheError, ConnectionError):
    """The endpoint is unreachable: DNS, connection refused or reset; or TLS failed."""

    kind = "connection"


class TlsError(EndpointConnectionError):
    """TLS failed: the endpoint's certificate is not trusted, or it speaks no TLS."""

    kind = "tls"


class RequestTimeoutError(SecretCacheError, TimeoutError):
    """The response did not arrive in time."""

    kind = "timeout"


class InvalidResponseError(SecretCacheError):
    """The response is not what the service sends."""

    kind = "invalid_response"


class WrongTypeError(SecretCacheError, TypeError):
    """The secret contains no string (or no binary value), but one was requested."""

    kind = "wrong_type"


class NotJsonError(SecretCacheError, ValueError):
    """The secret string is not JSON, but a JSON value was requested."""

    kind = "not_json"


class FieldNotFoundError(SecretCacheError, KeyError):
    """The secret's JSON has no such field."""

    kind = "field_not_found"


class CacheClosedError(SecretCacheError):
    """The cache has been closed, or the process is ending."""

    kind = "closed"


class SourceError(SecretCacheError):
    """The client that the program passed failed."""

    kind = "source"


class InternalError(SecretCacheError):
    """A bug in this package. Please report it."""

    kind = "internal"


class ResourceExhaustedError(SecretCacheError, OSError):
    """The process or the system has no thread, file descriptor or memory left; the message says which."""

    kind = "resource_exhausted"


_CLASSES: dict[str, type[SecretCacheError]] = {
    cls.kind: cls
    for cls in (
        InvalidArgumentError,
        ConfigurationError,
        NoRegionError,
        NoCredentialsError,
        InvalidCredentialsError,
        AccessDeniedError,
        SecretNotFoundError,
        VersionNotFoundError,
        SecretDeletedError,
        KeyUnavailableError,
        InvalidRequestError,
        ThrottledError,
        ServiceUnavailableError,
        EndpointConnectionError,
        TlsError,
        RequestTimeoutError,
        InvalidResponseError,
        WrongTypeError,
        NotJsonError,
        FieldNotFoundError,
        CacheClosedError,
        SourceError,
        InternalError,
        ResourceExhaustedError,
    )
}

# Failures without a response from the service, and the class that botocore raises for each.
_BOTOCORE = {
    "no_region": "NoRegionError",
    "no_credentials": "NoCredentialsError",
    "connection": "EndpointConnectionError",
    "tls": "SSLError",
    "timeout": "ReadTimeoutError",
}


def from_core(
    kind: str,
    message: str,
    fault: tuple[str, str, str, int | None, str | None] | None,
    secret_id: str | None = None,
) -> Exception:
    """Return the exception for a failure that the core reports; the module's docstring describes its classes."""
    ours = _CLASSES.get(kind, InternalError)
    if fault is not None:
        return _of_service(ours, fault, secret_id)
    name = _BOTOCORE.get(kind)
    return (_with_botocore(ours, name) if name else ours)(message, secret_id=secret_id)


def _of_service(
    ours: type[SecretCacheError],
    fault: tuple[str, str, str, int | None, str | None],
    secret_id: str | None,
) -> Exception:
    code, message, operation, status, request_id = fault
    text = f"An error occurred ({code}) when calling the {operation} operation: {message}"
    error = _with_botocore(ours, "ClientError")(text, secret_id=secret_id)
    metadata = {"HTTPStatusCode": status, "RequestId": request_id or "", "RetryAttempts": 0}
    error.response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    error.operation_name = operation  # type: ignore[attr-defined]
    return error


def _with_botocore(
    ours: type[SecretCacheError], name: str, is_clients: bool = False
) -> type[SecretCacheError]:
    """Return a class that is both `ours` and botocore's class of that name; just `ours` without botocore."""
    try:
        from botocore import exceptions
    except ImportError:
        return ours
    return _derived(ours, getattr(exceptions, name), is_clients)


def _derived(ours: type[SecretCacheError], theirs: Any, is_clients: bool) -> type[SecretCacheError]:
    """Return a class derived from both. For an exception of a client, it has the client's name and text."""
    origin = (ours, theirs, is_clients)
    # Python knows the subclasses that are in use. A table would keep the classes of every client.
    for known in theirs.__subclasses__():
        if vars(known).get("_origin") == origin:
            return known
    like = theirs if is_clients else ours
    body: dict[str, Any] = {"__module__": like.__module__, "__doc__": like.__doc__}
    if is_clients:
        body["__init__"] = theirs.__init__
        body["__str__"] = lambda error: _named(error, theirs.__str__(error))
    derived: Any = type(like.__name__, (ours, theirs), body)
    derived._origin = origin
    return derived


def _named(error: SecretCacheError, text: str) -> str:
    """Add the secret's id to the service's text, unless the text names the secret."""
    secret_id = error.secret_id
    is_named = secret_id is None or f" {secret_id} " in f"{text} "
    if is_named or not isinstance(getattr(error, "response", None), dict):
        return text
    return f"{text} (secret {secret_id!r})"


def _portable(theirs: type[Any] | None) -> type[Any] | str | None:
    """Return what to pickle for a class: the name of botocore's class, as a client makes its own classes of those."""
    mro = theirs.__mro__ if theirs is not None else ()
    return next((cls.__name__ for cls in mro if cls.__module__ == "botocore.exceptions"), theirs)


def _restore(
    ours: type[SecretCacheError],
    theirs: type[Any] | str | None,
    is_clients: bool,
    args: tuple[Any, ...],
    state: dict[str, Any],
) -> SecretCacheError:
    if isinstance(theirs, str):
        cls = _with_botocore(ours, theirs, is_clients)
    else:
        cls = ours if theirs is None else _derived(ours, theirs, is_clients)
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


_UNANSWERED = {
    "EndpointConnectionError": "connection",
    "ConnectionClosedError": "connection",
    "ProxyConnectionError": "connection",
    "SSLError": "tls",
    "ConnectTimeoutError": "timeout",
    "ReadTimeoutError": "timeout",
    "NoCredentialsError": "no_credentials",
    "NoRegionError": "no_region",
    "ProfileNotFound": "invalid_configuration",
    "InvalidRetryConfigurationError": "invalid_configuration",
}
"""botocore's exceptions without a response of the service, and their kinds."""


def unanswered(exception: BaseException) -> str | None:
    """Return the kind of an exception that a client raises without a response; None if it is unknown."""
    names = (cls.__name__ for cls in type(exception).__mro__ if cls.__module__.startswith("botocore"))
    found = next((_UNANSWERED[name] for name in names if name in _UNANSWERED), None)
    if found is None and isinstance(exception, TimeoutError):
        return "timeout"
    return "connection" if found is None and isinstance(exception, ConnectionError) else found


def classify(exception: BaseException) -> tuple[str | None, str, int | None]:
    """Return what the core needs of a client's exception: service code, message, HTTP status."""
    response = getattr(exception, "response", None)
    if not isinstance(response, dict):
        return None, type(exception).__name__, None
    error = response.get("Error") or {}
    code, message = error.get("Code"), error.get("Message")
    status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode")
    return (
        code if isinstance(code, str) else None,
        message if isinstance(message, str) else type(exception).__name__,
        status if isinstance(status, int) and 0 <= status < 1000 else None,
    )


def from_client(kind: str, exception: BaseException, secret_id: str | None = None) -> BaseException:
    """Return a copy of a client's exception, to be raised once. Its class is also this package's class for `kind`.

    Raising the same object repeatedly would make its traceback longer each time, and threads would share it.
    """
    cls = type(exception)
    if not isinstance(exception, SecretCacheError):
        try:
            cls = _derived(_CLASSES.get(kind, SourceError), cls, True)
        except TypeError:  # a class that cannot be combined with another
            pass
    try:
        copy = cls.__new__(cls, *exception.args)
        copy.__dict__.update(exception.__dict__)
        copy.args = exception.args
        copy.__cause__ = exception.__cause__
        copy.__suppress_context__ = exception.__suppress_context__
    except Exception:  # a class that cannot be copied this way
        return exception.with_traceback(None)
    if isinstance(copy, SecretCacheError) and secret_id is not None:
        copy.secret_id = secret_id
    return copy
