"""Values must not appear in tracebacks with local variables, or when programs log our objects."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import traceback
from collections.abc import Callable, Iterator
from pprint import pformat
from typing import Any

import boto3
import pytest

import aws_secretsmanager_caching as dropin
import secretcache
from secretcache import AsyncSecretCache, Credential, LoginRejectedError, SecretCache, errors
from support import Service, raised

CANARY = "canary-8e21"


class Refused(Exception):
    """The error of a driver, whose frames hold the password."""

    sqlstate = "28P01"


def refusing(credential: Credential) -> None:
    """Log in as drivers do: with the password in local variables."""
    settings = {"user": credential.username, "password": credential.password}
    raise Refused(f"no {len(settings)}")


@pytest.fixture
def service() -> Iterator[Service]:
    """Provide a client object with secrets that hold a canary."""
    service = Service()
    service.put(
        "db", "v1", f'{{"username": "app", "password": "{CANARY}", "port": 5432, "tags": ["{CANARY}"]}}'
    )
    service.put("broken", "v1", f'{{"password": "{CANARY}"')
    service.put("list", "v1", f'["{CANARY}"]')
    yield service
    service.release()


def with_locals(error: BaseException) -> str:
    """Render an error as rich, Sentry and ``pytest --showlocals`` do; frames of this file are the program's own."""
    rendered = traceback.TracebackException.from_exception(error, capture_locals=True)
    todo, parts = [rendered], []
    while todo:
        each = todo.pop()
        parts += list(each.format_exception_only())
        parts += [str(frame.locals) for frame in each.stack if frame.filename != __file__]
        todo += [other for other in (each.__cause__, each.__context__) if other is not None]
    return " ".join(parts)


@dataclasses.dataclass
class Holder:
    """An object of the program that holds one of ours."""

    thing: Any


FAILURES: dict[str, Callable[[SecretCache], Any]] = {
    "a login refused": lambda cache: cache.connect("db", refusing, timeout=0.1),
    "a login that fails otherwise": lambda cache: cache.connect(
        "db", lambda it: refusing(it), rejected=lambda e: False
    ),
    "a value that is no JSON": lambda cache: cache.get_secret_json("broken"),
    "a field of no JSON": lambda cache: cache.get_secret_field("broken", "password"),
    "a field that is not there": lambda cache: cache.get_secret_field("db", "missing"),
    "no object": lambda cache: cache.get_secret_field("list", "password"),
    "a login with no object": lambda cache: cache.connect("list", refusing),
    "a secret that is not there": lambda cache: cache.get_secret_string("missing"),
}


def test_s4_no_traceback_of_a_constructor_shows_a_credential() -> None:
    given = {"aws_access_key_id": "key", "aws_secret_access_key": CANARY}
    wrong: list[dict[str, Any]] = [
        {"refresh_interval": "often"},
        {"max_size": 0},
        {"ttl": 5},
    ]
    for each in wrong:
        error = raised(lambda each=each: SecretCache(**given, **each))  # type: ignore[misc]
        assert CANARY not in with_locals(error)


@pytest.mark.parametrize("what", FAILURES)
def test_s4_no_traceback_with_locals_shows_a_value(service: Service, what: str) -> None:
    with SecretCache(client=service) as cache:
        error = raised(lambda: FAILURES[what](cache))
        assert CANARY not in with_locals(error)


def test_s4_no_traceback_of_a_decorated_function_shows_a_value(service: Service) -> None:
    cache = dropin.SecretCache(client=service)

    def failing(secret: str, *, user: str = "") -> None:
        raise LookupError

    async def failing_too(secret: str) -> None:
        raise LookupError

    whole = secretcache.InjectSecretString("db", cache)
    part = secretcache.InjectKeywordedSecretString("db", cache, secret="password")
    lacking = secretcache.InjectKeywordedSecretString("db", cache, secret="password", user="nobody")
    calls = [whole(failing), part(failing), lacking(failing), lambda: asyncio.run(whole(failing_too)())]
    for call in calls:
        error = raised(call)  # type: ignore[arg-type]
        assert CANARY not in with_locals(error)


def test_s4_no_object_that_a_program_may_log_shows_a_value(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"aws_access_key_id": "key", "aws_secret_access_key": CANARY, "aws_session_token": CANARY}
    own = SecretCache(region_name="us-east-1", proxy_url=f"http://me:{CANARY}@127.0.0.1:1", **given)
    botocores = SecretCache(session=boto3.Session(), region_name="us-east-1", **given)
    asynchronous = AsyncSecretCache(region_name="us-east-1", **given)
    cache = SecretCache(client=service)
    seen: list[Any] = []
    cache.on_error(seen.append)
    cache.on_new_version(seen.append)
    cache.get_secret_field("db", "password")
    service.put("db", "v2", f'{{"username": "app", "password": "{CANARY}-2"}}')
    cache.refresh_secret_now("db")
    raised(lambda: cache.get_secret_string("missing"))
    refused = raised(lambda: cache.connect("db", refusing, timeout=0.1))
    things = [own, botocores, asynchronous, cache, *seen, refused, errors, secretcache]
    things += [cache.get_secret_value("db"), cache.credential("db"), cache.watch("db"), cache.stats()]
    things += [cache._driver, asynchronous._driver, botocores._driver]
    logger = logging.getLogger("a program's")
    for each in things:
        logger.warning("%s %r %s", each, each, pformat(each))
        logger.warning("%r %r", Holder(each), dataclasses.asdict(Holder(None)) | {"thing": each})
        logger.warning(f"{each} {[each]} {getattr(each, '__dict__', '')}")
    try:
        raise refused
    except LoginRejectedError:
        logger.exception("with its traceback")
    assert seen and len(caplog.records) > 30
    assert CANARY not in caplog.text


def test_s4_a_password_that_would_not_be_used_is_refused(service: Service) -> None:
    from secretcache.integrations.dbapi import Connector

    with pytest.raises(TypeError, match="password: user name and password come from the secret"):
        Connector(lambda **_: None, SecretCache(client=service), "db", password="another")
