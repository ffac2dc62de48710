"""Which exceptions a program catches: the same classes, whatever the cache reaches the service with."""

from __future__ import annotations

import asyncio
import gc
import uuid
import weakref
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.exceptions import EndpointConnectionError as BotocoresConnectionError
from botocore.exceptions import NoCredentialsError as BotocoresNoCredentialsError
from botocore.exceptions import NoRegionError as BotocoresNoRegionError

from aws_secretsmanager_caching import SecretCache as DropIn
from endpoint import Endpoint
from secretcache import AsyncSecretCache, LoginRejectedError, SecretCache, SecretCacheError, errors
from support import DESCRIBE, Service, eventually, raised, service_error

TRANSPORTS = ("native", "botocore", "client")


@pytest.fixture(params=TRANSPORTS)
def make(
    request: pytest.FixtureRequest, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Return a function that makes a cache with one of the transports."""
    if request.param == "client":
        return lambda cls: cls(client=boto3.Session().client("secretsmanager"))
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", request.param)
    return lambda cls: cls()


def read_async(make: Callable[..., Any], read: Callable[[AsyncSecretCache], Any]) -> BaseException:
    """Return what a read of an asynchronous cache raises."""

    async def run() -> None:
        async with make(AsyncSecretCache) as cache:
            await read(cache)

    return raised(lambda: asyncio.run(run()))


def check_missing(error: BaseException, secret_id: str) -> None:
    """Check that an error is both ours and botocore's, and names the secret."""
    assert isinstance(error, errors.SecretNotFoundError) and isinstance(error, ClientError), repr(error)
    assert error.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.secret_id == secret_id
    assert str(error).startswith("An error occurred (ResourceNotFoundException) when calling the ")
    assert str(error).endswith(f"Secrets Manager can't find the specified secret. (secret {secret_id!r})")


def test_a_missing_secret_is_one_error_on_every_transport_and_named(make: Callable[..., Any]) -> None:
    for cls in (SecretCache, DropIn):
        cache = make(cls)
        for _ in range(2):  # fetched, then remembered
            check_missing(raised(lambda: cache.get_secret_string("errors/missing")), "errors/missing")  # noqa: B023
    check_missing(raised(lambda: make(SecretCache).get_secret_string("a", max_age=0)), "a")
    check_missing(raised(lambda: make(SecretCache).connect("a", print)), "a")
    check_missing(read_async(make, lambda cache: cache.get_secret_value("a")), "a")


def test_of_several_secrets_the_missing_one_is_named(make: Callable[..., Any]) -> None:
    there, missing = f"errors/{uuid.uuid4()}", f"errors/{uuid.uuid4()}"
    boto3.client("secretsmanager").create_secret(Name=there, SecretString="value")
    cache = make(SecretCache)
    check_missing(raised(lambda: cache.get_secrets([there, missing])), missing)
    failed = cache.prefetch([there, missing, "errors/another"])
    assert set(failed) == {missing, "errors/another"}
    for secret_id, error in failed.items():
        check_missing(error, secret_id)
    check_missing(read_async(make, lambda cache: cache.get_secrets([there, missing])), missing)


def test_a_service_that_names_the_secret_need_not_be_repeated(service: Service) -> None:
    text = "You may not perform GetSecretValue on resource: db because no policy allows it"
    service.failures[DESCRIBE] = service_error("AccessDeniedException", message=text)
    error = raised(lambda: SecretCache(client=service).get_secret_string("db"))
    assert isinstance(error, errors.AccessDeniedError)
    assert (
        str(error)
        == f"An error occurred (AccessDeniedException) when calling the DescribeSecret operation: {text}"
    )


def test_an_event_has_the_same_error(make: Callable[..., Any]) -> None:
    cache, seen = make(SecretCache), []
    cache.on_error(seen.append)
    raised(lambda: cache.get_secret_string("errors/missing"))
    eventually(lambda: len(seen), 1)
    check_missing(seen[0].error, "errors/missing")


def test_an_endpoint_that_is_down_is_one_error_too(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    error = raised(lambda: make(SecretCache).get_secret_string("db"))
    assert isinstance(error, errors.EndpointConnectionError) and isinstance(error, BotocoresConnectionError)
    assert error.secret_id == "db"


def test_missing_credentials_are_one_error_too(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = raised(lambda: make(SecretCache).get_secret_string("db"))
    assert isinstance(error, errors.NoCredentialsError) and isinstance(error, BotocoresNoCredentialsError)


@pytest.mark.parametrize("transport", ["native", "botocore"])
def test_a_missing_region_is_one_error_too(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    error = raised(lambda: SecretCache().get_secret_string("db"))
    assert isinstance(error, errors.NoRegionError) and isinstance(error, BotocoresNoRegionError)


@pytest.mark.parametrize("transport", ["native", "botocore"])
def test_a_profile_that_does_not_exist_is_a_wrong_setting(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    error = raised(lambda: SecretCache().get_secret_string("db"))
    assert isinstance(error, errors.ConfigurationError)
    assert "nobodys" in str(error)


def test_an_error_says_whether_a_retry_may_help_soon(service: Service) -> None:
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, Exception)]
    assert {cls.__name__ for cls in [*classes, LoginRejectedError] if cls("text").retryable} == {
        "EndpointConnectionError",
        "InvalidResponseError",
        "LoginRejectedError",
        "RequestTimeoutError",
        "ResourceExhaustedError",
        "ServiceUnavailableError",
        "SourceError",
        "ThrottledError",
        "TlsError",
    }
    for failure, verdict in (
        (service_error("ThrottlingException"), True),
        (service_error("AccessDeniedException"), False),
        (ConnectionRefusedError(111, "refused"), True),
    ):
        service.failures[DESCRIBE] = failure
        error = raised(lambda: SecretCache(client=service).get_secret_string("db"))
        assert isinstance(error, SecretCacheError) and error.retryable is verdict
        with pytest.raises(AttributeError):
            error.retryable = not verdict  # type: ignore[misc]


class Odd(Exception):
    """An exception of a test double, with a constructor that copying cannot call."""

    def __init__(self, where: str, *, port: int) -> None:
        super().__init__(f"{where}:{port}")
        self.port = port

    def __str__(self) -> str:
        return f"odd {self.port}"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (KeyError("db"), errors.SourceError),
        (Odd("vault", port=4584), errors.SourceError),
        (ConnectionRefusedError(111, "refused"), errors.EndpointConnectionError),
    ],
)
def test_another_exception_of_a_client_is_both_that_and_ours(
    service: Service, failure: Exception, kind: type[Exception]
) -> None:
    service.failures[DESCRIBE] = failure
    cache = SecretCache(client=service)
    for _ in range(3):
        error = raised(lambda: cache.get_secret_string("db"))
        assert isinstance(error, type(failure)) and isinstance(error, kind)
        assert (type(error).__name__, str(error), error.args) == (
            type(failure).__name__,
            str(failure),
            failure.args,
        )
        assert getattr(error, "errno", None) == getattr(failure, "errno", None)
        assert error.secret_id == "db"


def test_a_class_that_cannot_be_combined_is_raised_unchanged(service: Service) -> None:
    class Sealed(Exception):
        def __init_subclass__(cls) -> None:
            raise TypeError("no subclasses")

    service.failures[DESCRIBE] = Sealed("closed")
    error = raised(lambda: SecretCache(client=service).get_secret_string("db"))
    assert type(error) is Sealed and error.args == ("closed",)


def test_classes_of_a_client_that_is_gone_are_not_kept(service: Service) -> None:
    def fail() -> weakref.ref[Any]:
        theirs = type("Theirs", (ClientError,), {})
        service.failures[DESCRIBE] = theirs(service_error("AccessDeniedException").response, "DescribeSecret")
        with SecretCache(client=service) as cache:
            assert isinstance(raised(lambda: cache.get_secret_string("db")), theirs)
        service.failures.clear()
        return weakref.ref(theirs)

    gone = fail()

    def is_gone() -> bool:
        gc.collect()
        with SecretCache(client=service) as cache:  # releases what other caches have dropped
            cache.get_secret_string("db")
        return gone() is None

    eventually(is_gone, True)


@pytest.mark.parametrize("cls", [SecretCache, AsyncSecretCache])
def test_a_value_of_the_wrong_form_names_its_secret_too(endpoint: Endpoint, cls: type[Any]) -> None:
    name = f"errors/{uuid.uuid4()}"
    boto3.client("secretsmanager").create_secret(Name=name, SecretString="plain")
    for method, kind in (
        ("get_secret_binary", errors.WrongTypeError),
        ("get_secret_json", errors.NotJsonError),
    ):
        if cls is SecretCache:
            error = raised(lambda: getattr(SecretCache(), method)(name))  # noqa: B023
        else:
            error = read_async(lambda made: made(), lambda cache: getattr(cache, method)(name))  # noqa: B023
        assert isinstance(error, kind) and error.secret_id == name and name in str(error)
        assert not isinstance(error, BotoCoreError)
