"""What the packages say about a failure, where they say it, and how old a value may be."""

from __future__ import annotations

import asyncio
import pydoc
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

import secretcache
from aws_secretsmanager_caching import SecretCache as DropIn
from secretcache import AsyncSecretCache, SecretCache, errors
from support import Service, raised, service_error


@pytest.fixture
def service() -> Iterator[Service]:
    """Provide a client object with a secret."""
    service = Service()
    service.put("db", "v1", '{"password": "old"}')
    yield service
    service.release()


def test_p10_messages_name_what_the_program_wrote(service: Service) -> None:
    cache = SecretCache(client=service)
    assert "Return the secret string" in (SecretCache.get_secret_string.__doc__ or "")
    assert cache.get_secret_string.__name__ == "get_secret_string"
    text = str(raised(lambda: cache.get_secret_string(id="db")))  # type: ignore[call-arg]
    assert text.startswith("get_secret_string() has no keyword argument 'id'")
    text = str(raised(lambda: cache.get_secret_binary(id="db")))  # type: ignore[call-arg]
    assert text.startswith("get_secret_binary() has no keyword argument 'id'")
    text = str(raised(lambda: cache.get_secret_string()))  # type: ignore[call-arg]
    assert text.startswith("get_secret_string() missing 1 required positional argument")


def test_p10_help_shows_what_a_method_takes_and_does() -> None:
    for cache in (SecretCache, AsyncSecretCache):
        for name in ("string", "binary", "json", "field", "value"):
            shown = pydoc.render_doc(getattr(cache, f"get_secret_{name}"), renderer=pydoc.plaintext)
            assert re.search(r"\(\s*self,\s*(/,\s*)?secret_id", shown) and "max_age" in shown, shown
            assert "Return" in shown, shown


def test_p10_an_endpoint_that_cannot_be_reached_is_named_with_the_reason() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for timeout in (None, 0.3):
            with SecretCache(endpoint_url=url, timeout=timeout) as cache:
                error = raised(lambda: cache.get_secret_string("db"))
            assert isinstance(error, errors.EndpointConnectionError), repr(error)
            assert url in str(error) and "refused" in str(error)


def test_p10_a_failure_that_the_caller_receives_is_not_logged_as_well(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    cache = SecretCache(client=service)
    for number in range(50):
        raised(lambda: cache.get_secret_string(f"missing-{number}"))  # noqa: B023
    assert not caplog.records
    cache.get_secret_string("db")
    service.failures["describe_secret"] = service_error("AccessDeniedException")
    assert not cache.refresh_secret_now("db")
    assert "could not be fetched" in caplog.text, "the reason was not logged"


def test_a_read_may_say_how_old_its_value_may_be(service: Service) -> None:
    cache = SecretCache(client=service)
    assert cache.get_secret_string("db", max_age=60) == cache.get_secret_string("db")
    before = service.count("describe_secret")
    for read in (cache.get_secret_string, cache.get_secret_json, cache.get_secret_value):
        read("db", max_age=timedelta(minutes=1))  # type: ignore[operator]
    assert service.count("describe_secret") == before
    service.put("db", "v9", '{"password": "new"}')
    assert cache.get_secret_field("db", "password") != "new"
    assert cache.get_secret_field("db", "password", max_age=0) == "new"
    assert cache.get_secrets(["db"], max_age=0) == {"db": '{"password": "new"}'}
    service.failures["describe_secret"] = service_error("InternalServiceError")
    assert isinstance(raised(lambda: cache.get_secret_string("db", max_age=0)), ClientError)
    assert cache.get_secret_string("db") == '{"password": "new"}'
    text = str(raised(lambda: cache.get_secret_string("db", max_age="5")))  # type: ignore[arg-type]
    assert text.startswith("max_age must be a number of seconds")


def test_an_asynchronous_read_may_say_so_too(service: Service) -> None:
    async def read() -> None:
        async with AsyncSecretCache(client=service) as cache:
            await cache.get_secret_string("db")
            service.put("db", "v9", '{"password": "new"}')
            assert await cache.get_secret_field("db", "password", max_age=60) != "new"
            assert await cache.get_secret_field("db", "password", max_age=0) == "new"

    asyncio.run(read())


def test_x3_caches_around_one_endpoint_slow_down_together() -> None:
    class Named(Service):
        meta = SimpleNamespace(endpoint_url="https://x3.invalid", config=None)

    service = Named()
    caches = [SecretCache(client=service, refresh_interval=0.2) for _ in range(2)]
    for place, cache in enumerate(caches):
        for number in range(20):
            service.put(f"{place}/{number}", "v1", "value")
            cache.get_secret_string(f"{place}/{number}")
    service.failures["describe_secret"] = service_error("ThrottlingException")
    before, calls = time.monotonic() + 2, service.count("describe_secret")
    while time.monotonic() < before:
        for place, cache in enumerate(caches):
            for number in range(20):
                assert cache.get_secret_string(f"{place}/{number}") == "value"
        time.sleep(0.02)
    # At full speed, forty secrets would be refreshed 530 times in two seconds.
    assert service.count("describe_secret") - calls < 200
    for cache in caches:
        cache.close()


MIGRATION: dict[str, tuple[Callable[[Any], Any], str]] = {
    "boto3's id": (lambda c: c.get_secret_string(SecretId="db"), "did you mean secret_id?"),
    "boto3's stage": (
        lambda c: c.get_secret_json("db", VersionStage="AWSCURRENT"),
        "did you mean version_stage?",
    ),
    "Powertools' force": (lambda c: c.get_secret_value("db", force_fetch=True), "did you mean max_age=0?"),
    "its spelling in JavaScript": (lambda c: c.get_secret_value("db", forceFetch=True), "max_age=0"),
    "JavaScript's age": (lambda c: c.get_secret_string("db", maxAge=5), "did you mean max_age?"),
    "Powertools' transform": (
        lambda c: c.get_secret_string("db", transform="json"),
        "get_secret_json() for JSON",
    ),
    "Powertools' batch": (lambda c: c.get_secrets_by_name(["db"]), "did you mean get_secrets?"),
    "Powertools' provider": (lambda c: c.get("db"), "did you mean get_secret_string?"),
    "JavaScript's names": (lambda c: c.getSecretString("db"), "did you mean get_secret_string?"),
    "the drop-in's option": (lambda c: type(c)(secret_refresh_interval=5), "did you mean refresh_interval?"),
    "a ttl": (lambda c: type(c)(ttl=5), "did you mean refresh_interval?"),
    "a field's keyword": (
        lambda c: c.get_secret_field("db", "x", VersionId="v1"),
        "did you mean version_id?",
    ),
    "a function": (lambda c: secretcache.get_secret("db"), "did you mean SecretCache().get_secret_string?"),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("what", MIGRATION)
def test_what_other_libraries_call_it_fails_with_the_name_of_what_to_write(
    service: Service, what: str
) -> None:
    call, expected = MIGRATION[what]
    assert expected in str(raised(lambda: call(SecretCache(client=service))))


def test_a_name_of_another_library_is_no_attribute(service: Service) -> None:
    cache = SecretCache(client=service)
    assert not hasattr(cache, "get") and "get" not in dir(cache) and "get_secret_string" in dir(cache)
    # A class with a `__getattr__` makes CPython take its slow path to every method.
    assert not hasattr(SecretCache, "__getattr__") and not hasattr(AsyncSecretCache, "__getattr__")
    assert not hasattr(DropIn, "__getattr__")


def test_python_itself_suggests_what_a_slip_should_have_been() -> None:
    program = "import secretcache; secretcache.SecretCache(region_name='us-east-1').get_secret_strings('db')"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "Did you mean: 'get_secret_string'?" in ended.stderr


def test_an_asynchronous_cache_says_the_same(service: Service) -> None:
    async def read() -> None:
        await AsyncSecretCache(client=service).get_secret_string(SecretId="db")  # type: ignore[call-arg]

    assert "did you mean secret_id?" in str(raised(lambda: asyncio.run(read())))
    assert asyncio.iscoroutinefunction(AsyncSecretCache.get_secret_string)
