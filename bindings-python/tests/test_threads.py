"""Many threads on one cache. On a free-threaded interpreter they run at the same time: no global lock orders them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import boto3
import pytest

from endpoint import Endpoint
from secretcache import Credential, SecretCache
from support import at_once

THREADS = 12
ROUNDS = 4
IS_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.fixture
def asm(endpoint: Endpoint) -> Any:
    """Provide a boto3 client of the endpoint, to set things up with."""
    return boto3.client("secretsmanager")


@pytest.mark.parametrize("package", ["secretcache", "aws_secretsmanager_caching"])
def test_importing_it_leaves_the_global_lock_as_it_is(package: str) -> None:
    code = f"import sys, {package}; print(getattr(sys, '_is_gil_enabled', lambda: True)())"
    # Without a setting, an extension module that needs the lock turns it on when it is imported.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == (str(not IS_FREE_THREADED), "")


@pytest.mark.parametrize("transport", ["native", "client"])
def test_threads_read_refresh_and_connect_while_the_secret_rotates(asm: Any, transport: str) -> None:
    name, forgotten = f"threads/{transport}", f"threads/{transport}/forgotten"
    for each in (name, forgotten):
        asm.create_secret(Name=each, SecretString=version(0))
    cache = SecretCache(client=asm) if transport == "client" else SecretCache()
    steps: list[Callable[[], object]] = [
        lambda: [whole(json.loads(cache.get_secret_string(name))) for _ in range(50)],
        lambda: [int(cache.get_secret_field(name, "password")) for _ in range(50)],
        lambda: [whole(cache.get_secret_json("".join(["threads/", transport]))) for _ in range(50)],
        lambda: cache.connect(name, log_in),
        lambda: whole(json.loads(cache.get_secret_value(name).secret_string or "")),
        lambda: cache.refresh_secret_now(name),
        lambda: cache.credential(name).password,
        lambda: cache.watch(name).close(),
        lambda: cache.peek(name, "AWSPREVIOUS"),
        lambda: [cache.invalidate(forgotten), whole(cache.get_secret_json(forgotten))],
        lambda: cache.stats(),
    ]
    start = Barrier(THREADS + 1)

    def work(number: int) -> None:
        start.wait()
        for step in range(number, number + ROUNDS * len(steps)):
            steps[step % len(steps)]()

    with ThreadPoolExecutor(THREADS) as pool:
        working = [pool.submit(work, number) for number in range(THREADS)]
        start.wait()
        newest = 0
        while newest == 0 or not all(thread.done() for thread in working):
            newest += 1
            asm.put_secret_value(SecretId=name, SecretString=version(newest))
        for thread in working:
            thread.result()
        assert cache.refresh_secret_now(name)
        read = pool.map(lambda _: cache.get_secret_field(name, "password"), range(THREADS))
        assert set(read) == {str(newest)}
    cache.close()


def test_each_thread_makes_and_closes_its_own_cache(asm: Any) -> None:
    asm.create_secret(Name="threads/own", SecretString=version(0))

    def run() -> str:
        with SecretCache() as cache:
            return cache.connect("threads/own", log_in)

    assert at_once(THREADS, run) == ["0"] * THREADS


def version(number: int) -> str:
    """Return a secret string whose user and password belong together."""
    return json.dumps({"username": f"app{number}", "password": str(number)})


def whole(fields: dict[str, str]) -> str:
    """Return the password, and check that the user name is of the same version."""
    assert fields["username"] == f"app{fields['password']}"
    return fields["password"]


def log_in(credential: Credential) -> str:
    """Log in as a database would: with a user name and a password of one version."""
    return whole({"username": credential.username, "password": credential.password})
