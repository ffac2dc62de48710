"""`AsyncSecretCache`: the same cache, awaited."""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import botocore.exceptions
import pytest

import secretcache
from secretcache import AsyncSecretCache, SecretCache, errors
from support import DESCRIBE, GET, Service, service_error
from trouble import TRANSPORTS, Trouble

CLIENTS = (*TRANSPORTS, "coroutines")
every_client = pytest.mark.parametrize("client", CLIENTS)
SYNCHRONOUS = {
    *("peek", "invalidate", "watch", "is_outdated", "stats"),
    *("on_new_version", "on_stale", "on_error", "on_fallback_login", "on_replica"),
}


class Coroutines:
    """A client with coroutine methods, around one with ordinary methods."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def describe_secret(self, **arguments: Any) -> Any:
        """Answer as the client does, without blocking the event loop."""
        return await asyncio.to_thread(self._client.describe_secret, **arguments)

    async def get_secret_value(self, **arguments: Any) -> Any:
        """Answer as the client does, without blocking the event loop."""
        return await asyncio.to_thread(self._client.get_secret_value, **arguments)


@pytest.fixture(scope="module")
def running() -> Iterator[Trouble]:
    """Run an endpoint for this file."""
    with Trouble() as trouble:
        yield trouble


@pytest.fixture
def trouble(running: Trouble) -> Iterator[Trouble]:
    """Provide the endpoint; remove its faults afterwards."""
    yield running
    running.calm()


@pytest.fixture
def secret_id(trouble: Trouble) -> str:
    """Make a secret with the value one."""
    name = f"async/{uuid.uuid4()}"
    trouble.client().create_secret(Name=name, SecretString="one")
    trouble.forget_calls()
    return name


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on either kind of loop."""
    if request.param == "asyncio":
        return asyncio.run
    return pytest.importorskip("uvloop").run


def make(trouble: Trouble, client: str, timeout: float = 10, **settings: Any) -> AsyncSecretCache:
    if client == "coroutines":
        return AsyncSecretCache(client=Coroutines(trouble.client(timeout)), **settings)
    return trouble.cache(client, timeout, face=AsyncSecretCache, **settings)


async def eventually(read: Callable[[], Awaitable[Any]], expected: Any, within: float = 10) -> None:
    """Read until the expected value appears."""
    deadline = time.monotonic() + within
    while (got := await read()) != expected:
        assert time.monotonic() < deadline, f"still {got!r}, not {expected!r}"
        await asyncio.sleep(0.02)


async def trouble_is_met(trouble: Trouble) -> None:
    await asyncio.to_thread(trouble.wait_for_trouble)


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_") and hasattr(cls, name)}


def test_both_faces_have_the_same_names_and_parameters() -> None:
    assert public(AsyncSecretCache) == public(SecretCache)
    assert inspect.signature(AsyncSecretCache) == inspect.signature(SecretCache)
    for name in public(SecretCache):
        theirs, ours = getattr(SecretCache, name), getattr(AsyncSecretCache, name)
        parameters = [
            [(each.name, each.kind, each.default) for each in list(signature.parameters.values())[1:]]
            for signature in (inspect.signature(theirs), inspect.signature(ours))
        ]
        assert parameters[0] == parameters[1], name
        assert inspect.iscoroutinefunction(ours) == (name not in SYNCHRONOUS), name
        assert ours.__doc__, name


@every_client
def test_every_method_answers_as_its_synchronous_twin(run: Any, trouble: Trouble, client: str) -> None:
    name = f"async/{uuid.uuid4()}"
    arn = trouble.client().create_secret(Name=name, SecretString='{"user": "app"}')["ARN"]
    trouble.client().create_secret(Name=f"{name}-binary", SecretBinary=b"\x00\x01")

    async def main() -> None:
        async with make(trouble, client) as cache:
            assert cache.peek(name) is None
            assert await cache.get_secret_string(name) == '{"user": "app"}'
            assert await cache.get_secret_json(name) == {"user": "app"}
            assert await cache.get_secret_field(name, "user") == "app"
            assert await cache.get_secret_binary(f"{name}-binary") == b"\x00\x01"
            value = await cache.get_secret_value(name)
            assert (value.arn, value.version_stages) == (arn, ["AWSCURRENT"])
            assert await cache.get_secret_string(name, version_id=value.version_id) == '{"user": "app"}'
            assert await cache.refresh_secret_now(name) is True
            assert await cache.refresh_secret_now(f"{name}-missing") is False
            assert cache.stats()["refreshes"] >= 1
            cache.invalidate(name)
            assert cache.peek(name) is None
            with pytest.raises(errors.WrongTypeError):
                await cache.get_secret_string(f"{name}-binary")
            with pytest.raises(errors.VersionNotFoundError):
                await cache.get_secret_string(name, "NO-SUCH-STAGE")
        with pytest.raises(errors.CacheClosedError):
            await cache.get_secret_string(name)

    run(main())


@every_client
def test_ten_thousand_first_reads_are_one_request(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    async def main() -> None:
        cache = make(trouble, client)
        reads = (cache.get_secret_string(secret_id) for _ in range(10_000))
        assert set(await asyncio.gather(*reads)) == {"one"}
        await cache.close()

    run(main())
    expected = {"GetSecretValue": 1} if client == "native" else {"DescribeSecret": 1, "GetSecretValue": 1}
    assert trouble.calls() == expected


@every_client
def test_a_value_in_memory_is_answered_without_giving_up_control(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    async def main() -> None:
        cache = make(trouble, client)
        first = await cache.get_secret_string(secret_id)
        for read in (cache.get_secret_string(secret_id), cache.get_secret_value(secret_id)):
            # A coroutine that suspends would yield a future here.
            with pytest.raises(StopIteration) as end:
                read.send(None)
            assert end.value.value is first or end.value.value.secret_string is first

    run(main())


@every_client
@pytest.mark.parametrize("who", ["the first", "another"])
def test_cancelling_one_reader_cancels_no_other(
    run: Any, trouble: Trouble, secret_id: str, client: str, who: str
) -> None:
    trouble.fault(None, secret_id=secret_id, delay_ms=400)

    async def main() -> None:
        cache = make(trouble, client)
        tasks = [asyncio.create_task(cache.get_secret_string(secret_id)) for _ in range(5)]
        await trouble_is_met(trouble)
        victim = tasks.pop(0 if who == "the first" else 3)
        victim.cancel()
        with pytest.raises(asyncio.CancelledError):
            await victim
        assert await asyncio.gather(*tasks) == ["one"] * 4
        await cache.close()

    run(main())
    assert trouble.calls()["GetSecretValue"] == 1


@every_client
def test_a_fetch_whose_every_reader_is_cancelled_still_serves_the_next(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    trouble.fault(None, secret_id=secret_id, delay_ms=300)

    async def main() -> None:
        cache = make(trouble, client)
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(cache.get_secret_string(secret_id), 0.1)
        assert await cache.get_secret_string(secret_id) == "one"
        await cache.close()

    run(main())
    assert trouble.calls()["GetSecretValue"] == 1


@every_client
def test_failures_are_botocores_and_fresh_each_time(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    async def main() -> None:
        cache = make(trouble, client)
        caught = []
        for _ in range(5):
            with pytest.raises(botocore.exceptions.ClientError) as info:
                await cache.get_secret_string(f"{secret_id}-missing")
            caught.append(info.value)
        assert {error.response["Error"]["Code"] for error in caught} == {"ResourceNotFoundException"}
        assert len({id(error) for error in caught}) == 5
        assert sum(cache.stats()["api_calls"].values()) == 1

    run(main())


@every_client
def test_a_late_reader_waits_no_longer_than_max_wait(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    async def main() -> None:
        cache = make(trouble, client, refresh_interval=0.2, max_wait=0.3)
        assert await cache.get_secret_string(secret_id) == "one"

        async def is_idle() -> bool:
            return cache.stats()["secrets"][0]["age_seconds"] > 0.5

        await eventually(is_idle, True)
        await asyncio.to_thread(trouble.fault, None, secret_id=secret_id, delay_ms=3000)
        start = time.monotonic()
        assert await cache.get_secret_string(secret_id) == "one"
        assert 0.25 < time.monotonic() - start < 2.5
        await cache.close()

    run(main())


@every_client
def test_values_in_use_are_refreshed_in_the_background(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    async def main() -> None:
        news: list[Any] = []
        async with make(trouble, client, refresh_interval=1) as cache:
            cache.on_new_version(news.append)
            assert await cache.get_secret_string(secret_id) == "one"
            put = trouble.client().put_secret_value
            version = await asyncio.to_thread(put, SecretId=secret_id, SecretString="two")
            await eventually(lambda: cache.get_secret_string(secret_id), "two")

            async def is_notified() -> bool:
                return bool(news)

            await eventually(is_notified, True)
            assert news[0].new_version_id == version["VersionId"]

    run(main())


@every_client
def test_one_cache_serves_one_loop_after_another(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    cache = make(trouble, client, refresh_interval=1)
    assert run(cache.get_secret_string(secret_id)) == "one"
    trouble.client().put_secret_value(SecretId=secret_id, SecretString="two")

    async def again() -> None:
        await eventually(lambda: cache.get_secret_string(secret_id), "two")

    run(again())
    run(cache.close())


@every_client
def test_a_loop_that_ends_during_a_fetch_spoils_nothing(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    cache = make(trouble, client)
    trouble.fault(None, secret_id=secret_id, delay_ms=500)

    async def leave() -> None:
        reader = asyncio.create_task(cache.get_secret_string(secret_id))
        await trouble_is_met(trouble)
        reader.cancel()

    run(leave())
    trouble.calm()
    assert run(cache.get_secret_string(secret_id)) == "one"


@every_client
def test_a_slow_service_never_holds_up_the_loop(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    trouble.fault(None, secret_id=secret_id, delay_ms=600)

    async def main() -> None:
        cache = make(trouble, client)
        reader = asyncio.create_task(cache.get_secret_string(secret_id))
        ticks, longest, last = 0, 0.0, time.monotonic()
        while not reader.done():
            await asyncio.sleep(0.01)
            now = time.monotonic()
            ticks, longest, last = ticks + 1, max(longest, now - last), now
        assert await reader == "one"
        assert ticks > 10
        assert longest < 0.4, f"the event loop was blocked for {longest:.2f} s"
        await cache.close()

    run(main())


def test_prefetching_1000_secrets_is_50_calls(run: Any, trouble: Trouble) -> None:
    prefix = f"async/{uuid.uuid4()}"
    ids = [f"{prefix}-{n}" for n in range(1000)]
    asm = trouble.client()
    for name in ids:
        asm.create_secret(Name=name, SecretString=name)

    async def main() -> None:
        async with make(trouble, "native") as cache:
            assert await cache.prefetch(ids) == {}
            assert trouble.calls() == {"BatchGetSecretValue": 50}
            assert await asyncio.gather(*map(cache.get_secret_string, ids)) == ids
            assert await cache.prefetch(ids) == {}
            assert trouble.calls() == {"BatchGetSecretValue": 50}

    trouble.forget_calls()
    run(main())


@every_client
def test_prefetch_returns_which_secrets_it_could_not_have(
    run: Any, trouble: Trouble, secret_id: str, client: str
) -> None:
    async def main() -> None:
        async with make(trouble, client) as cache:
            failed = await cache.prefetch([secret_id, f"{secret_id}-missing"])
            assert list(failed) == [f"{secret_id}-missing"]
            assert isinstance(failed[f"{secret_id}-missing"], botocore.exceptions.ClientError)
            assert cache.peek(secret_id) is not None

    run(main())


def test_an_interval_of_zero_asks_on_every_read(run: Any, service: Service) -> None:
    async def main() -> None:
        cache = AsyncSecretCache(client=service, refresh_interval=0)
        assert await cache.get_secret_string("db") == "value-1"
        service.put("db", "v2", "value-2")
        assert await cache.get_secret_string("db") == "value-2"
        service.failures[DESCRIBE] = service_error("InternalServiceError")
        assert await cache.get_secret_string("db") == "value-2"

    run(main())


def test_a_supplied_client_is_called_as_awss_library_calls_it(run: Any, service: Service) -> None:
    assert run(AsyncSecretCache(client=service).get_secret_string("db")) == "value-1"
    assert service.calls == [(DESCRIBE, {"SecretId": "db"}), (GET, {"SecretId": "db", "VersionId": "v1"})]


def test_a_listener_that_fails_harms_nobody(run: Any, service: Service) -> None:
    def listener(_: secretcache.RefreshError) -> None:
        raise RuntimeError("as scripted")

    async def main() -> None:
        cache = AsyncSecretCache(client=service)
        cache.on_error(listener)
        with pytest.raises(botocore.exceptions.ClientError):
            await cache.get_secret_string("missing")
        assert await cache.get_secret_string("db") == "value-1"

    run(main())


def test_with_without_async_says_what_to_write(service: Service) -> None:
    with pytest.raises(TypeError, match="async with"), AsyncSecretCache(client=service):
        pass
