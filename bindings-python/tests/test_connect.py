"""Programs stay connected while their secret rotates: a scripted store, a scripted database, real threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rotating import Refused, World

from secretcache import AsyncSecretCache, Credential, LoginRejectedError, SecretCache, SecretCacheError
from secretcache._credential import is_rejected_login


@pytest.fixture
def world() -> World:
    return World()


def test_threads_stay_connected_through_rotations(world: World) -> None:
    cache = SecretCache(client=world)
    ended = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        while not ended.is_set():
            try:
                cache.connect("db", world.log_in)
            except Exception as failure:
                failures.append(failure)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for number in (1, 2, 3):
        world.rotate(f"version-{number}", 0.3)
        time.sleep(0.1)
    ended.set()
    for worker in workers:
        worker.join()
    assert failures == []
    assert world.refused <= 3 * len(workers)


def test_tasks_stay_connected_through_rotations(world: World) -> None:
    async def run() -> set[str]:
        async with AsyncSecretCache(client=world) as cache:
            rotation = asyncio.create_task(asyncio.to_thread(world.rotate, "version-1", 0.3))
            stages = set()
            while not rotation.done():
                stages.add(await cache.connect("db", world.log_in))
                await asyncio.sleep(0)
            return stages

    assert "AWSPENDING" in asyncio.run(run())
    assert world.refused <= 1


def test_between_the_steps_of_a_rotation_the_pending_version_connects(world: World) -> None:
    cache = SecretCache(client=world)
    assert cache.connect("db", world.log_in) == "AWSCURRENT"
    world.begin("version-1")
    assert [cache.connect("db", world.log_in) for _ in range(20)] == ["AWSPENDING"] * 20
    assert world.refused == 1


def test_a_coroutine_may_connect(world: World) -> None:
    async def log_in(credential: Credential) -> int | None:
        await asyncio.sleep(0)
        return credential.port

    async def run() -> int:
        async with AsyncSecretCache(client=world) as cache:
            return await cache.connect("db", log_in)

    assert asyncio.run(run()) == 5432


def test_a_wrong_secret_fails_in_time_and_says_what_was_tried(world: World) -> None:
    world.password = "changed behind our back"
    cache = SecretCache(client=world)
    with pytest.raises(LoginRejectedError, match="AWSCURRENT version-0") as caught:
        cache.connect("db", world.log_in, timeout=0.8)
    assert isinstance(caught.value.__cause__, Refused)
    assert caught.value.tried[0] == ("AWSCURRENT", "version-0")
    assert world.refused <= 5


@pytest.mark.parametrize("error", [RuntimeError("no route"), KeyboardInterrupt()])
def test_other_errors_pass_through_untouched(world: World, error: BaseException) -> None:
    def fail(credential: Credential) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        SecretCache(client=world).connect("db", fail)
    assert caught.value is error
    assert world.refused == 0


def test_only_the_stages_that_are_asked_for_are_tried(world: World) -> None:
    world.begin("version-1")
    cache = SecretCache(client=world)
    with pytest.raises(LoginRejectedError):
        cache.connect("db", world.log_in, timeout=0.3, stages=["AWSCURRENT"])
    with pytest.raises(ValueError, match="stages must be among"):
        cache.connect("db", world.log_in, stages=["AWSCURENT"])


def test_a_secret_that_is_no_credential_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer: Callable[..., dict[str, Any]] = lambda **_: {"SecretString": "hunter2-canary"}  # noqa: E731
    monkeypatch.setattr(world, "get_secret_value", answer)
    with pytest.raises(SecretCacheError, match="a login needs a JSON object") as caught:
        SecretCache(client=world).connect("db", world.log_in)
    assert "canary" not in str(caught.value)


class Answered(Exception):
    """An error of an HTTP client, with the response."""

    def __init__(self, status_code: int, text: str) -> None:
        super().__init__(text)
        self.response = SimpleNamespace(status_code=status_code)


class Named(Exception):
    """An error from PostgreSQL, with a code."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "is_refusal"),
    [
        (Named("28P01", "in whatever language"), True),
        (Named("3D000", "password authentication failed for whatever else"), False),
        (Named("08P01", "SASL authentication failed"), True),
        (Named("08P01", "unsupported startup parameter"), False),
        (Exception("FATAL:  The password that was provided for the role app is wrong."), True),
        (Exception("FATAL:  This RDS proxy has no credentials for the role app_clone."), True),
        (Exception("FATAL:  This RDS Proxy requires TLS connections"), False),
        (Exception(1045, "in whatever language"), True),
        (Exception(1049, "Unknown database"), False),
        (Exception("WRONGPASS invalid username-password pair or user is disabled."), True),
        (Exception("NOAUTH Authentication required."), False),
        (Answered(401, "in whatever language"), True),
        (Answered(403, "Forbidden"), False),
        (Answered(500, "password authentication failed, says the server behind this one"), False),
    ],
)
def test_refusals_are_distinguished_from_other_errors(error: Exception, is_refusal: bool) -> None:
    assert is_rejected_login(error) is is_refusal


def test_a_credential_does_not_show_its_password() -> None:
    credential = Credential({"username": "app", "password": "hunter2"}, "version-1", "AWSCURRENT")
    assert "hunter2" not in repr(credential)
    assert credential["username"] == credential.get("username") == "app"
