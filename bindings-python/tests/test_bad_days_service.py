"""The service has a bad day: what readers notice, through either transport."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from misfortunes import DELAY, MISFORTUNES
from support import eventually
from trouble import TRANSPORTS, Trouble

CASES = [pytest.param(t, m, id=f"{t}-{m.replace(' ', '-')}") for t in TRANSPORTS for m in MISFORTUNES]


@pytest.fixture(scope="module")
def trouble() -> Iterator[Trouble]:
    """Run an endpoint for this file."""
    with Trouble() as trouble:
        yield trouble


@pytest.fixture(scope="module")
def asm(trouble: Trouble) -> Any:
    """Provide a boto3 client to set things up with."""
    return trouble.client()


def patience(transport: str, name: str) -> float:
    """Return seconds for an attempt: enough for the SDK's three, with its pauses, unless no answer ever comes."""
    return 1.5 if transport == "boto3" or name == "no answer" else 3.0


@dataclass
class Seen:
    """What the readers of one secret saw."""

    values: set[str] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)
    slowest: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)


def read(cache: Any, secret_id: str, seen: Seen) -> None:
    start = time.monotonic()
    try:
        seen.values.add(cache.get_secret_string(secret_id))
    except Exception as error:
        seen.errors.append(error)
    seen.slowest = max(seen.slowest, time.monotonic() - start)


def watch_readers(trouble: Trouble, asm: Any, transport: str) -> dict[str, tuple[Seen, Seen]]:
    """Read one secret per misfortune continuously, first during the misfortunes, then after they have ended."""
    ids = {name: f"in-use/{transport}/{name.replace(' ', '-')}" for name in MISFORTUNES}
    settings = {"refresh_interval": 1, "max_wait": 30}
    caches = {name: trouble.cache(transport, patience(transport, name), **settings) for name in ids}
    during = {name: Seen() for name in ids}
    after = {name: Seen() for name in ids}

    def read_all(seen: dict[str, Seen], done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not done() and time.monotonic() < deadline:
            for name, secret_id in ids.items():
                read(caches[name], secret_id, seen[name])
            time.sleep(0.01)

    def all_failed_twice() -> bool:
        return all(sum(cache.stats()["failures"].values()) >= 2 for cache in caches.values())

    def all_new() -> bool:
        return all("two" in seen.values for seen in after.values())

    for name, secret_id in ids.items():
        asm.create_secret(Name=secret_id, SecretString="one")
        read(caches[name], secret_id, during[name])
        during[name].slowest = 0.0
    for name, secret_id in ids.items():
        # With a new version, refreshes fetch the value too, and not only the description.
        asm.put_secret_value(SecretId=secret_id, SecretString="two")
        MISFORTUNES[name].start(trouble, asm, secret_id)
    read_all(during, all_failed_twice)
    for name, secret_id in ids.items():
        during[name].failures = caches[name].stats()["failures"]
        if end := MISFORTUNES[name].end:
            end(asm, secret_id)
    trouble.calm()
    read_all(after, all_new)
    for cache in caches.values():
        cache.close()
    return {name: (during[name], after[name]) for name in ids}


@pytest.fixture(scope="module")
def in_use(trouble: Trouble, asm: Any) -> Callable[[str, str], tuple[Seen, Seen]]:
    """Return what readers of a secret in use saw; all misfortunes of a transport happen at the same time."""
    watched: dict[str, dict[str, tuple[Seen, Seen]]] = {}

    def seen(transport: str, name: str) -> tuple[Seen, Seen]:
        if transport not in watched:
            watched[transport] = watch_readers(trouble, asm, transport)
        return watched[transport][name]

    return seen


@pytest.mark.parametrize(("transport", "name"), CASES)
def test_readers_of_a_value_in_use_notice_nothing(in_use: Any, transport: str, name: str) -> None:
    during, after = in_use(transport, name)
    assert sum(during.failures.values()) >= 2, "no refresh failed"
    assert during.errors == []
    assert during.values == {"one"} or during.values == {"one", "two"}
    assert during.slowest < DELAY * 0.6, "a reader waited for the service"
    assert after.errors == []
    assert "two" in after.values, "the misfortune is over, but the new value has not arrived"


def watch_late_readers(trouble: Trouble, asm: Any, transport: str) -> dict[str, dict[str, Any]]:
    """Read secrets that were idle for a while, each during its own misfortune."""
    ids = {name: f"idle/{transport}/{name.replace(' ', '-')}" for name in MISFORTUNES}
    settings = {"refresh_interval": 0.5, "max_wait": 0.4, "max_stale": 5}
    caches = {name: trouble.cache(transport, patience(transport, name), **settings) for name in ids}

    def age(name: str) -> float:
        known = caches[name].stats()["secrets"][0]["age_seconds"]
        return float("inf") if known is None else known

    def come_back(name: str) -> dict[str, Any]:
        cache, secret_id, result = caches[name], ids[name], Seen()
        read(cache, secret_id, result)
        waited, oldest = result.slowest, 0.0
        # While the service fails, the last known value is returned at once, until it is too old. The cache can drop it
        # between two reads; the next reader must get the error.
        deadline = time.monotonic() + 20
        while not result.errors and time.monotonic() < deadline:
            time.sleep(0.02)
            before = age(name)
            read(cache, secret_id, result)
            if not result.errors:
                oldest = before
        return {"waited": waited, "seen": result, "oldest": oldest}

    for name, secret_id in ids.items():
        asm.create_secret(Name=secret_id, SecretString="one")
        assert caches[name].get_secret_string(secret_id) == "one"
    # Each is refreshed once after its first read, and then no more.
    eventually(lambda: [name for name in ids if age(name) < 1], [], within=10)
    for name, secret_id in ids.items():
        asm.put_secret_value(SecretId=secret_id, SecretString="two")
        MISFORTUNES[name].start(trouble, asm, secret_id)
    with ThreadPoolExecutor(len(ids)) as pool:
        results = dict(zip(ids, pool.map(come_back, ids), strict=True))
    for name, secret_id in ids.items():
        if end := MISFORTUNES[name].end:
            end(asm, secret_id)
    trouble.calm()
    for cache in caches.values():
        cache.close()
    return results


@pytest.fixture(scope="module")
def idle() -> Callable[[str, str], dict[str, Any]]:
    """Return what late readers saw; all misfortunes of a transport happen at the same time.

    Each transport has its own endpoint: caches do not wait for one that is known to fail, and the last requests of
    closed caches can still fail when the next caches start.
    """
    watched: dict[str, dict[str, dict[str, Any]]] = {}

    def seen(transport: str, name: str) -> dict[str, Any]:
        if transport not in watched:
            with Trouble() as trouble:
                watched[transport] = watch_late_readers(trouble, trouble.client(), transport)
        return watched[transport][name]

    return seen


@pytest.mark.parametrize(("transport", "name"), CASES)
def test_a_late_reader_waits_no_longer_than_max_wait_and_gets_the_last_known_value(
    idle: Any, transport: str, name: str
) -> None:
    result = idle(transport, name)
    assert result["seen"].values == {"one"}
    assert 0.3 < result["waited"] < DELAY * 0.8, "the wait was not max_wait, which is 0.4 s"


@pytest.mark.parametrize(("transport", "name"), CASES)
def test_after_max_stale_readers_get_the_original_error(idle: Any, transport: str, name: str) -> None:
    result, misfortune = idle(transport, name), MISFORTUNES[name]
    assert result["oldest"] < 5.2, "a value older than max_stale was served"
    (error,) = result["seen"].errors
    assert isinstance(error, misfortune.native if transport == "native" else misfortune.boto3), repr(error)


@pytest.mark.parametrize(("transport", "name"), CASES)
def test_without_a_value_readers_get_the_original_error_afresh(
    trouble: Trouble, asm: Any, transport: str, name: str
) -> None:
    misfortune, secret_id = MISFORTUNES[name], f"absent/{transport}/{name.replace(' ', '-')}"
    asm.create_secret(Name=secret_id, SecretString="one")
    if misfortune.begin:
        misfortune.begin(asm, secret_id)
    trouble.fault(misfortune.effect, *misfortune.operations, secret_id=secret_id)
    trouble.forget_calls()
    timeout = 0.3 if name == "no answer" else 2.0
    cache = trouble.cache(transport, timeout, refresh_interval=2)
    caught = []
    expected = (misfortune.native, misfortune.native_too) if transport == "native" else (misfortune.boto3,)
    for _ in range(20):
        with pytest.raises(expected[0], match=misfortune.text) as info:
            cache.get_secret_string(secret_id)
        assert all(isinstance(info.value, each) for each in expected)
        caught.append(info.value)
    assert len({id(error) for error in caught}) == 20, "one exception object was raised twice"
    assert len({depth(error) for error in caught[1:]}) == 1, "tracebacks grow"
    # The SDK makes up to three attempts; the cache backs off after that.
    assert sum(trouble.calls().values()) <= (3 if transport == "native" else 4)
    if misfortune.end:
        misfortune.end(asm, secret_id)
    trouble.calm()
    eventually(lambda: value_or_none(cache, secret_id), "one")
    cache.close()


def depth(error: BaseException) -> int:
    frames, step = 0, error.__traceback__
    while step:
        frames, step = frames + 1, step.tb_next
    return frames


def value_or_none(cache: Any, secret_id: str) -> str | None:
    try:
        return cache.get_secret_string(secret_id)
    except Exception:
        return None
