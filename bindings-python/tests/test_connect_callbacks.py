"""What a connect function can do apart from connecting: raise anything, hang, or call the cache again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from rotating import Refused, World

from secretcache import AsyncSecretCache, Credential, LoginRejectedError, SecretCache
from secretcache.errors import RequestTimeoutError
from secretcache.integrations._login import Login
from support import at_once

LONG = 60.0
"""Seconds: longer than anything here takes unless it hangs."""


class Odd(Exception):
    """An error whose text cannot be read."""

    def __str__(self) -> str:
        raise ValueError("this has no text")


class Odder(Exception):
    """An error whose code cannot be read."""

    @property
    def sqlstate(self) -> str:
        raise ValueError("this has no code")


FOREIGN = [
    RuntimeError("no route to host"),
    Odd(),
    Odder(),
    Exception(["unhashable"], {}),
    OSError("not UTF-8: \udcfc"),
    StopIteration("not the end of anything of ours"),
    StopAsyncIteration("nor this"),
    GeneratorExit(),
    KeyboardInterrupt(),
    SystemExit(3),
    asyncio.CancelledError(),
]


@pytest.fixture
def world() -> World:
    return World()


def connect(cache: SecretCache, fn: Callable[[Credential], Any], **options: Any) -> Any:
    """Connect with either kind of cache, in a separate thread, and fail if that hangs."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            made = cache.connect("db", fn, **options)
            results.append(asyncio.run(made) if isinstance(cache, AsyncSecretCache) else made)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LONG)
    if errors:
        raise errors[0]
    assert results, "connect hangs"
    return results[0]


CACHES = [SecretCache, AsyncSecretCache]


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", CACHES)
def test_whatever_else_is_raised_passes_through_untouched(
    world: World, kind: type[SecretCache], error: BaseException
) -> None:
    cache = kind(client=world)

    def fail(credential: Credential) -> None:
        raise error

    with pytest.raises(BaseException) as caught:
        connect(cache, fail)
    # Python turns a StopIteration that leaves a coroutine into a RuntimeError, and makes it the cause.
    is_wrapped = isinstance(error, StopIteration) and kind is AsyncSecretCache
    assert (caught.value.__cause__ if is_wrapped else caught.value) is error
    assert cache.stats()["logins"]["rejected"] == 0
    assert connect(cache, world.log_in) == "AWSCURRENT"


@pytest.mark.parametrize("kind", CACHES)
def test_what_a_classifier_raises_comes_through(world: World, kind: type[SecretCache]) -> None:
    world.password = "changed behind our back"

    def classify(error: BaseException) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        connect(kind(client=world), world.log_in, rejected=classify)


@pytest.mark.parametrize("kind", CACHES)
def test_an_error_without_a_text_can_be_a_refusal(world: World, kind: type[SecretCache]) -> None:
    def fail(credential: Credential) -> None:
        raise Odd

    with pytest.raises(LoginRejectedError, match=r"was refused \(AWSCURRENT version-0.*: Odd"):
        connect(kind(client=world), fail, rejected=lambda error: True, timeout=0.05)


@pytest.mark.parametrize("kind", CACHES)
def test_a_classifier_of_ones_own_decides_alone(world: World, kind: type[SecretCache]) -> None:
    world.begin("version-1")
    with pytest.raises(Refused):
        connect(kind(client=world), world.log_in, rejected=lambda error: False)

    def log_in(credential: Credential) -> str:
        if credential.password != world.password:
            raise RuntimeError("go away")
        return credential.version_stage

    refusal = {"rejected": lambda error: str(error) == "go away"}
    assert connect(kind(client=world), log_in, **refusal) == "AWSPENDING"


ACTIONS: dict[str, Callable[[Any, World], Any]] = {
    "reads the same secret": lambda cache, _: cache.get_secret_string("db"),
    "reads its pending version": lambda cache, _: cache.get_secret_string("db", "AWSPENDING"),
    "reads another secret": lambda cache, _: cache.get_secret_string("other"),
    "refreshes the same secret": lambda cache, _: cache.refresh_secret_now("db"),
    "refreshes another secret": lambda cache, _: cache.refresh_secret_now("other"),
    "connects with the same secret": lambda cache, world: cache.connect("db", world.log_in),
    "connects with another secret": lambda cache, world: cache.connect("other", world.log_in),
    "asks for a credential": lambda cache, _: cache.credential("db"),
    "forgets the secret": lambda cache, _: cache.invalidate("db"),
    "looks at the figures": lambda cache, _: cache.stats(),
}


def reentering(
    cache: SecretCache, world: World, action: Callable[[Any, World], Any]
) -> Callable[[Credential], Any]:
    """Return a connect function that first calls the cache, and awaits the result if necessary."""

    def log_in(credential: Credential) -> str:
        action(cache, world)
        return world.log_in(credential)

    async def log_in_async(credential: Credential) -> str:
        made = action(cache, world)
        if hasattr(made, "__await__"):
            await made
        return world.log_in(credential)

    return log_in_async if isinstance(cache, AsyncSecretCache) else log_in


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", CACHES)
def test_the_cache_may_be_called_again(world: World, kind: type[SecretCache], action: str) -> None:
    cache = kind(client=world)
    log_in = reentering(cache, world, ACTIONS[action])
    world.begin("version-1")
    assert connect(cache, log_in) == "AWSPENDING"
    assert world.refused <= 2, "more refusals than one in the outer and one in the inner login"


@pytest.mark.parametrize("action", ACTIONS)
def test_threads_may_call_the_cache_again_in_mid_rotation(world: World, action: str) -> None:
    cache = SecretCache(client=world)
    log_in = reentering(cache, world, ACTIONS[action])
    assert cache.connect("db", world.log_in) == "AWSCURRENT"
    world.begin("version-1")
    assert at_once(8, lambda: connect(cache, log_in)) == ["AWSPENDING"] * 8


@pytest.mark.parametrize("action", ACTIONS)
def test_tasks_may_call_the_cache_again_in_mid_rotation(world: World, action: str) -> None:
    async def run() -> list[str]:
        async with AsyncSecretCache(client=world) as cache:
            log_in = reentering(cache, world, ACTIONS[action])
            await cache.connect("db", world.log_in)
            world.begin("version-1")
            todo = (cache.connect("db", log_in) for _ in range(8))
            return await asyncio.wait_for(asyncio.gather(*todo), LONG)

    assert asyncio.run(run()) == ["AWSPENDING"] * 8


@pytest.mark.parametrize("kind", CACHES)
def test_the_native_driver_may_be_called_again_too(
    endpoint: Any, world: World, kind: type[SecretCache]
) -> None:
    import boto3

    client = boto3.client("secretsmanager")
    for name in ("db", "other"):
        client.create_secret(Name=name, SecretString='{"username": "app", "password": "version-0"}')
        pending = '{"username": "app", "password": "version-1"}'
        client.put_secret_value(SecretId=name, SecretString=pending, VersionStages=["AWSPENDING"])
    world.password = "version-1"
    try:
        for action in ACTIONS.values():
            cache = kind()
            assert connect(cache, reentering(cache, world, action)) == "AWSPENDING"
    finally:
        for name in ("db", "other"):
            client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize("kind", CACHES)
def test_closing_the_cache_meanwhile_spoils_no_connection(world: World, kind: type[SecretCache]) -> None:
    cache = kind(client=world)
    log_in = reentering(cache, world, lambda cache, _: cache.close())
    assert connect(cache, log_in) == "AWSCURRENT"


def test_a_login_that_hangs_holds_up_nobody_else(world: World) -> None:
    cache = SecretCache(client=world)
    hangs, go_on = threading.Event(), threading.Event()

    def hang(credential: Credential) -> str:
        hangs.set()
        go_on.wait(LONG)
        return "late"

    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(cache.connect("db", hang, timeout=0.05)))
    thread.start()
    hangs.wait(LONG)
    world.begin("version-1")
    assert at_once(4, lambda: connect(cache, world.log_in)) == ["AWSPENDING"] * 4
    assert results == []
    go_on.set()
    thread.join()
    # A thread cannot be interrupted, and a connection that is made late is not thrown away.
    assert results == ["late"]


def test_a_login_refused_after_the_time_is_up_is_the_last(world: World) -> None:
    world.password = "changed behind our back"
    waiting = threading.Event()

    def log_in_late(credential: Credential) -> str:
        waiting.wait(0.1)
        return world.log_in(credential)

    with pytest.raises(LoginRejectedError, match="AWSCURRENT version-0"):
        connect(SecretCache(client=world), log_in_late, timeout=0.05)
    assert world.refused == 1


def test_a_task_that_hangs_is_cancelled_when_the_time_is_up(world: World) -> None:
    cleaned_up: list[str] = []

    async def hang(credential: Credential) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(credential.version_stage)

    cache = AsyncSecretCache(client=world)
    with pytest.raises(RequestTimeoutError, match='version-0 of secret "db" did not finish in time'):
        connect(cache, hang, timeout=0.1)
    assert cleaned_up == ["AWSCURRENT"]
    assert connect(cache, world.log_in) == "AWSCURRENT", "a login that hung was counted as refused"


@pytest.mark.parametrize("kind", CACHES)
def test_a_task_that_hangs_after_a_refusal_has_timed_out(world: World, kind: type[SecretCache]) -> None:
    async def log_in(credential: Credential) -> str:
        if credential.version_stage == "AWSPENDING":
            await asyncio.Event().wait()
        return world.log_in(credential)

    world.begin("version-1")
    # An asynchronous login with a synchronous cache is what an integration for asyncio makes.
    login = Login(kind(client=world), "db", login_timeout=1.0)
    with pytest.raises(RequestTimeoutError) as caught:
        asyncio.run(login.connect_async(log_in))
    assert str(caught.value) == 'the login with version version-1 of secret "db" did not finish in time'
    assert (caught.value.secret_id, world.refused) == ("db", 1)


@pytest.mark.parametrize("kind", CACHES)
def test_an_attempt_that_tries_nothing_says_what_was_refused_before(
    world: World, kind: type[SecretCache]
) -> None:
    world.password = "changed behind our back"
    cache = kind(client=world)
    refused = 'every version of secret "db" was refused (AWSCURRENT version-0'
    for text, cause in (
        (f"{refused}): password authentication failed", Refused),
        (f"{refused}, refused before)", type(None)),
    ):
        with pytest.raises(LoginRejectedError) as caught:
            connect(cache, world.log_in, timeout=0.1)
        assert (str(caught.value), type(caught.value.__cause__)) == (text, cause)
        assert caught.value.tried == [("AWSCURRENT", "version-0")]
        assert (caught.value.secret_id, caught.value.retryable) == ("db", True)
    assert world.refused == 1


def test_a_timeout_of_the_functions_own_passes_through(world: World) -> None:
    error = TimeoutError("the driver's own")

    async def fail(credential: Credential) -> None:
        raise error

    with pytest.raises(TimeoutError) as caught:
        connect(AsyncSecretCache(client=world), fail)
    assert caught.value is error


def test_a_task_that_is_cancelled_takes_nobody_along(world: World) -> None:
    async def run() -> list[str]:
        async with AsyncSecretCache(client=world) as cache:
            begun = asyncio.Event()

            async def hang(credential: Credential) -> None:
                begun.set()
                await asyncio.Event().wait()

            hanging = asyncio.create_task(cache.connect("db", hang))
            await begun.wait()
            others = [asyncio.create_task(cache.connect("db", world.log_in)) for _ in range(4)]
            hanging.cancel()
            results = await asyncio.gather(*others)
            with pytest.raises(asyncio.CancelledError):
                await hanging
            return results

    assert asyncio.run(run()) == ["AWSCURRENT"] * 4
