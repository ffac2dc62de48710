"""Celery workers during rotations: nothing fails, and no task is lost or run twice. Takes about 40 s."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from brokers import until
from databases import USERS
from rotating import ROTATIONS, ByHand, Secret

from endpoint import Endpoint

STRATEGIES = {"rabbitmq": ("single-user", "alternating-users", "single-user")}
"""Strategies of consecutive rotations. The other brokers always rotate a single user."""
ALL_KINDS = ("prefork", "gevent", "solo")


class Setup(NamedTuple):
    """A broker and a result backend."""

    broker: str
    backend: str
    kinds: tuple[str, ...] = ("prefork",)
    over_tls: bool = False


SETUPS = {
    "redis": Setup("redis", "redis", ALL_KINDS),
    "rabbitmq": Setup("rabbitmq", "redis", ALL_KINDS),
    "sentinel": Setup("redis-sentinel", "redis-sentinel"),
    "redis-tls": Setup("redis-tls", "redis-tls"),
    "rabbitmq-tls": Setup("rabbitmq", "redis-tls", over_tls=True),
}


def configured(broker: Any, backend: Any, *, over_tls: bool) -> dict[str, Any]:
    """Return Celery's settings for a broker and a result backend."""
    required, place, results = (
        ssl.CERT_REQUIRED,
        f"{broker.host}:{broker.port}",
        f"{backend.host}:{backend.port}",
    )
    settings: dict[str, Any] = {"result_backend": f"redis://{results}/1"}
    if backend.engine == "redis-tls":
        trust = urlencode({"ssl_cert_reqs": "CERT_REQUIRED", "ssl_ca_certs": backend.certificate})
        settings["result_backend"] = f"rediss://{results}/1?{trust}"
    if broker.engine == "redis":
        settings["broker_url"] = f"redis://{place}/"
    elif broker.engine == "redis-tls":
        settings["broker_url"] = f"rediss://{place}/"
        settings["broker_use_ssl"] = {"ssl_cert_reqs": required, "ssl_ca_certs": str(broker.certificate)}
    elif broker.engine == "redis-sentinel":
        settings["broker_url"], settings["result_backend"] = f"sentinel://{place}/", f"sentinel://{results}/1"
        for which in ("broker", "result_backend"):
            settings[f"{which}_transport_options"] = {"master_name": "shop"}
    elif over_tls:
        settings["broker_url"] = f"amqps://{broker.host}:{broker.tls_port}//"
        settings["broker_use_ssl"] = {"cert_reqs": required, "ca_certs": str(broker.certificate)}
    else:
        settings["broker_url"] = f"amqp://{place}//"
    return settings


TASKS = 4
"""Tasks at a time, for each worker."""
SENDER = """
import os, sys
from tasks import double
for line in sys.stdin:
    if not os.fork():
        results = [double.delay(int(number)) for number in line.split()]
        print(*(result.get(timeout=60) for result in results), flush=True)
        os._exit(0)
    os.wait()
"""
"""Sends tasks and waits for their results, each time in a new process with new connections."""


class Worker:
    """A worker, and a program that sends it tasks."""

    def __init__(self, environment: dict[str, str], kind: str, folder: Path) -> None:
        self.notes = folder / "notes"
        self.log = folder / "log"
        environment = os.environ | environment | {"NOTES": str(self.notes)}
        here = {"cwd": Path(__file__).parent, "env": environment}
        options = ["--pool", kind, "--concurrency", "2", "--without-gossip", "--without-mingle"]
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tasks",
            "worker",
            "-l",
            "INFO",
            "-n",
            f"{kind}@%h",
            *options,
        ]
        self._worker = subprocess.Popen(command, stdout=self.log.open("w"), stderr=subprocess.STDOUT, **here)
        sender = [sys.executable, "-c", SENDER]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._sender = subprocess.Popen(sender, **pipes, **here)
        self.sent: list[int] = []

    def work(self) -> None:
        """Send tasks, and wait for all of them."""
        numbers = [len(self.sent) + each for each in range(TASKS)]
        self.sent += numbers
        assert self._sender.stdin is not None and self._sender.stdout is not None
        print(*numbers, file=self._sender.stdin, flush=True)
        results = self._sender.stdout.readline().split()
        assert results == [str(2 * number) for number in numbers], self.log.read_text()

    def close(self) -> None:
        """Stop both."""
        assert self._sender.stdin is not None
        self._sender.stdin.close()
        self._sender.wait(60)
        self._worker.send_signal(signal.SIGTERM)
        self._worker.wait(60)


@contextmanager
def workers(
    endpoint: Endpoint,
    kinds: tuple[str, ...],
    settings: dict[str, Any],
    secrets: tuple[str, str],
    folder: Path,
) -> Iterator[dict[str, Worker]]:
    """Run a worker of each kind."""
    environment = endpoint.environment | {
        "SETTINGS": json.dumps(settings),
        "BROKER_SECRET": secrets[0],
        "BACKEND_SECRET": secrets[1],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    made = {}
    with ExitStack() as stack:
        for kind in kinds:
            place = folder / kind
            place.mkdir()
            queue = {"QUEUE": f"{secrets[0]}-{kind}"}
            made[kind] = Worker(environment | queue, kind, place)
            stack.callback(made[kind].close)
        yield made


@pytest.mark.parametrize("name", SETUPS)
def test_no_task_is_lost_or_done_twice(
    endpoint: Endpoint, client: Any, databases: Callable[[str], Any], tmp_path: Path, name: str
) -> None:
    setup = SETUPS[name]
    database, backend = databases(setup.broker), databases(setup.backend)
    secret = Secret(client, database, f"celery/{name}")
    results = secret if backend is database else Secret(client, backend, f"celery/{name}/results")
    names = (secret.secret_id, results.secret_id)
    settings = configured(database, backend, over_tls=setup.over_tls)
    with (
        workers(endpoint, setup.kinds, settings, names, tmp_path) as made,
        ThreadPoolExecutor() as threads,
    ):

        def work() -> None:
            """Make all workers work on new connections. Connections are cut only while no task is running."""
            # A worker acknowledges after it has sent the result.
            until(lambda: not database.unacknowledged())
            for server in {database, backend}:
                for user in USERS:
                    server.end_sessions(user)
            list(threads.map(Worker.work, made.values()))

        list(threads.map(Worker.work, made.values()))
        strategies = STRATEGIES.get(setup.broker, ("single-user",))
        for number in range(ROTATIONS):
            rotations = [ByHand(secret, strategies[number % len(strategies)])]
            if results is not secret:
                rotations.append(ByHand(results, "single-user"))
            begun = [(each, *each.create()) for each in rotations]
            for each, _, pending in begun:
                each.set(pending)
            work()
            for each, token, _ in begun:
                each.finish(token)
            work()
        until(
            lambda: all(len(worker.notes.read_text().split()) >= len(worker.sent) for worker in made.values())
        )
    for kind, worker in made.items():
        assert sorted(map(int, worker.notes.read_text().split())) == worker.sent, kind
        log = worker.log.read_text()
        assert "connected with the AWSPENDING version" in log, log
        assert not re.search("LoginRejected|Authentication|Unrecoverable", log), log
