"""Programs that end while the cache works, fork after a read, or read after their main thread has ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from endpoint import Endpoint
from secretcache import SecretCache
from support import eventually, run_python
from trouble import SCRIPTS


class Malformed(BaseHTTPRequestHandler):
    """Answers with something that is not JSON."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"{not json")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def malformed() -> Iterator[str]:
    """Provide the URL of an endpoint that returns malformed bodies."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Malformed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


EXITS = [("native", "log", 30), ("native", "listener", 10), ("native", "daemon", 10)]
EXITS += [("boto3", "listener", 2), ("boto3", "daemon", 4)]
"""Each case with its number of runs; `SECRETCACHE_EXITS=200` runs more."""


@pytest.mark.parametrize(("transport", "what", "times"), EXITS)
def test_p3_a_program_ends_with_its_own_status(malformed: str, transport: str, what: str, times: int) -> None:
    times = int(os.environ.get("SECRETCACHE_EXITS", times))
    path = os.pathsep.join(each for each in sys.path if each)
    command = [sys.executable, str(SCRIPTS / "exits.py"), transport, what, malformed]

    def status(_: int) -> int:
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, timeout=60, check=False
        )
        return done.returncode

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(status, range(times))) == {3}


def test_p4_gevent_workers_forked_after_a_read_get_their_own_answers(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRETCACHE_TRANSPORT")
    names = [f"gevent/{number}" for number in range(8)]
    client = boto3.client("secretsmanager")
    for name in names:
        client.create_secret(Name=name, SecretString=f"value of {name}")
    log = tmp_path / "log"
    command = ["-m", "gunicorn", "--preload", "-k", "gevent", "--workers=2", "--bind=127.0.0.1:0"]
    # A worker that gets SIGTERM before it has set its handlers misses it. It is killed after this time (default: 30 s).
    command.append("--graceful-timeout=5")
    path = os.pathsep.join([str(SCRIPTS), *(each for each in sys.path if each)])
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, *command, "--no-control-socket", "preloaded_gevent:app"],
            env={**os.environ, "PYTHONPATH": path},
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: "Listening at" in log.read_text() or server.poll() is not None, True, 30)
        address = re.search(r"Listening at: (\S+)", log.read_text())
        assert address, log.read_text()[-2000:]

        def read(name: str) -> tuple[str, str]:
            return name, urllib.request.urlopen(f"{address[1]}/{name}", timeout=30).read().decode()

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(read, names * 10))
        assert [(name, value) for name, value in answers if value != f"value of {name}"] == []
    finally:
        server.terminate()
        server.wait(20)


def test_p4_a_client_of_the_caches_own_is_made_anew_in_a_child(endpoint: Endpoint) -> None:
    cache = SecretCache(session=boto3.Session())
    before = cache._driver._reach.get()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"another" if cache._driver._reach.get() is not before else b"the same")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 20) == b"another"
    assert cache._driver._reach.get() is before


def test_p11_coroutines_work_after_the_main_thread_has_ended(endpoint: Endpoint) -> None:
    """By then, the executor that asyncio runs blocking calls in has shut down."""
    name = f"late/{uuid.uuid4()}"
    boto3.client("secretsmanager").create_secret(Name=name, SecretString='{"password": "one"}')
    code = f"""
import asyncio, threading, time
from secretcache import AsyncSecretCache, SecretCache
from secretcache.integrations._login import Login
from aws_secretsmanager_caching import InjectSecretString

@InjectSecretString({name!r}, SecretCache())
async def injected(secret):
    return secret

async def log_in(credential):
    return credential.password

async def work():
    async with AsyncSecretCache() as cache:
        print(await cache.prefetch([{name!r}]), await cache.get_secret_field({name!r}, "password"))
        print(await cache.refresh_secret_now({name!r}), await cache.get_secret_field({name!r}, "password", max_age=0))
    print(await injected(), (await Login(SecretCache(), {name!r}).connect_async(log_in))[0])

def later():
    threading.main_thread().join()
    time.sleep(0.1)
    asyncio.run(work())

threading.Thread(target=later).start()
"""
    path = os.pathsep.join(each for each in sys.path if each)
    done = run_python(code, path)
    printed = '{} one\nTrue one\n{"password": "one"} one\n'
    assert (done.stdout, done.returncode) == (printed, 0), done.stderr
