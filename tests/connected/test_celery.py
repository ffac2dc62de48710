"""Workers of Celery through rotations: nothing fails, and no task is lost or done twice. Costs about 25 s."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from brokers import until
from databases import USERS, Database
from rotating import ByHand, Secret

from endpoint import Endpoint

BROKERS = {"redis": "redis", "rabbitmq": "amqp"}
STRATEGIES = {"redis": ("single-user",) * 3, "rabbitmq": ("single-user", "alternating-users", "single-user")}
TASKS = 4
"""At a time, for each worker."""
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
"""Sends tasks and waits for their results, in a new process each time, whose connections are new."""


class Worker:
    """A worker, and a program that gives it tasks."""

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
        """End both."""
        assert self._sender.stdin is not None
        self._sender.stdin.close()
        self._sender.wait(60)
        self._worker.send_signal(signal.SIGTERM)
        self._worker.wait(60)


@contextmanager
def workers(
    endpoint: Endpoint, database: Database, backend: Database, secrets: tuple[str, str], folder: Path
) -> Iterator[dict[str, Worker]]:
    """Run a worker of each kind."""
    broker = BROKERS[database.engine]
    environment = endpoint.environment | {
        "BROKER_URL": f"{broker}://{database.host}:{database.port}/{'/' if broker == 'amqp' else ''}",
        "BACKEND_URL": f"redis://{backend.host}:{backend.port}/1",
        "BROKER_SECRET": secrets[0],
        "BACKEND_SECRET": secrets[1],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    made = {}
    with ExitStack() as stack:
        for kind in ("prefork", "gevent", "solo"):
            place = folder / kind
            place.mkdir()
            queue = {"QUEUE": f"{database.engine}-{kind}"}
            made[kind] = Worker(environment | queue, kind, place)
            stack.callback(made[kind].close)
        yield made


@pytest.mark.parametrize("kind", BROKERS)
def test_no_task_is_lost_or_done_twice(
    endpoint: Endpoint, client: Any, databases: Callable[[str], Any], tmp_path: Path, kind: str
) -> None:
    database, backend = databases(kind), databases("redis")
    secret = Secret(client, database, f"celery/{kind}")
    results = secret if backend is database else Secret(client, backend, "celery/results")
    names = (secret.secret_id, results.secret_id)
    with (
        workers(endpoint, database, backend, names, tmp_path) as made,
        ThreadPoolExecutor() as threads,
    ):

        def work() -> None:
            """Have all work, once their connections are gone: none is cut off while there is a task."""
            time.sleep(0.5)  # a solo worker acknowledges after it has sent the result, and tells nobody
            for server in {database, backend}:
                for user in USERS:
                    server.end_sessions(user)
            list(threads.map(Worker.work, made.values()))

        list(threads.map(Worker.work, made.values()))
        for strategy in STRATEGIES[kind]:
            rotations = [ByHand(secret, strategy)]
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
    for name, worker in made.items():
        assert sorted(map(int, worker.notes.read_text().split())) == worker.sent, name
        log = worker.log.read_text()
        assert "connected with the AWSPENDING version" in log, log
        assert not re.search("LoginRejected|Authentication|Unrecoverable", log), log
