"""A daemon that forks, closes every inherited descriptor, and reuses their numbers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from endpoint import Endpoint
from secretcache import SecretCache

NUMBERS = 48


@pytest.mark.parametrize("reads_before", [0, 2])
def test_c1_a_daemon_reads_and_leaves_its_sockets_alone(
    running_endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, reads_before: int
) -> None:
    for name, value in running_endpoint.environment.items():
        monkeypatch.setenv(name, value)
    name = f"daemon-{reads_before}"
    running_endpoint.client().create_secret(Name=name, SecretString="value")
    cache = SecretCache()
    for _ in range(reads_before):
        assert cache.get_secret_string(name) == "value"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if reads_as_daemon(cache, name) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.refresh_secret_now(name)
    cache.close()


def reads_as_daemon(cache: SecretCache, name: str) -> bool:
    """Close the inherited descriptors, reuse their numbers, read, and return whether all went well."""
    os.closerange(3, 1024)
    sockets: list[socket.socket] = []
    while not sockets or sockets[-1].fileno() < NUMBERS:
        pair = socket.socketpair()
        for one, other in (pair, pair[::-1]):
            one.send(b"x")
            other.setblocking(False)
        sockets += pair
    for _ in range(3):
        if cache.get_secret_string(name) != "value" or not cache.refresh_secret_now(name):
            return False
    return all(each.recv(2) == b"x" for each in sockets)


PINNED = """
import os
from secretcache import SecretCache

(cpu, *_) = os.sched_getaffinity(0)
os.sched_setaffinity(0, {cpu})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
cache = SecretCache(endpoint_url="http://127.0.0.1:1", timeout=0.2)
assert not cache.refresh_secret_now("db")
threads = [int(name) for name in os.listdir("/proc/self/task")]
assert len(threads) > 1, "the cache has threads of its own"
for thread in threads:
    assert os.sched_getaffinity(thread) == {cpu}, thread
    assert os.sched_getscheduler(thread) == os.SCHED_IDLE, thread
"""


def test_x4_background_threads_stay_where_the_program_was_put() -> None:
    path = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", PINNED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
