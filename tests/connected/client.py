"""One process of a program that connects continuously: `client.py INTEGRATION SECRET HOST PORT WORKERS PAUSE`.

Prints "ready" on standard output once it has connected. Each line on standard input names the phase that begins. At
end of input, the process prints its report as one line of JSON and exits.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

import integrations

import secretcache
from secretcache import _connect, _steps


class Phase:
    """What happened during one phase."""

    def __init__(self) -> None:
        self.connects = 0
        self.failures: list[str] = []
        self.waits: list[float] = []
        """Seconds from the start of each connect to the start of the login that succeeded."""
        self.refused = 0
        self.refused_late = 0
        """Refused logins that began after their version was known to be refused."""
        self.calls = 0
        """Calls to Secrets Manager."""


class Report:
    """What happened, by phase."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self.phases: dict[str, Phase] = {}
        self.refused: dict[str, float] = {}
        """When each version was first refused."""
        self._calls = 0
        self.begin("start")

    def begin(self, name: str) -> None:
        """Begin a phase, or resume it."""
        self.end()
        self.phase = self.phases.setdefault(name, Phase())

    def end(self) -> None:
        """End the current phase."""
        calls = sum(self.cache.stats()["api_calls"].values())
        if self.phases:
            self.phase.calls += calls - self._calls
        self._calls = calls

    def watch(self) -> None:
        """Observe the steps of every connect."""
        original = _connect.connect

        def connect(*arguments: Any) -> Generator[Any, Any, Any]:
            return self._observed(original(*arguments))

        _connect.connect = connect

    def _observed(self, todo: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        begun = login = time.perf_counter()
        sent = None
        while True:
            decided = time.perf_counter()
            step, result = _steps.advance(todo, sent)
            if step is None:
                self.phase.waits.append(login - begun)
                return result
            login = time.perf_counter()
            sent = yield step
            if step[0] == _connect.LOG_IN and sent[1] is not None:
                version = step[1].version_id
                self.phase.refused += 1
                self.phase.refused_late += decided > self.refused.get(version, decided)
                self.refused.setdefault(version, time.perf_counter())

    def done(self, error: BaseException | None) -> None:
        """Record the end of one operation."""
        if error is None:
            self.phase.connects += 1
        elif len(self.phase.failures) < 100:
            self.phase.failures.append(f"{type(error).__name__}: {error}")


def main() -> None:
    report_to = open(os.dup(1), "w")  # noqa: SIM115
    os.dup2(2, 1)  # Airflow logs to standard output
    name, secret, host, port, workers, pause = sys.argv[1:]
    is_asynchronous = name in integrations.ASYNCHRONOUS
    cache = secretcache.AsyncSecretCache() if is_asynchronous else secretcache.SecretCache()
    report, ended = Report(cache), threading.Event()
    report.watch()

    def listen() -> None:
        for line in sys.stdin:
            report.begin(line.strip())
        ended.set()

    def ready() -> None:
        print("ready", file=report_to, flush=True)

    operations = (integrations, name, cache, secret, host, int(port))
    run = _run_tasks if is_asynchronous else _run_threads

    def end() -> None:
        report.end()
        for phase in report.phases.values():
            phase.waits = sorted(round(wait, 5) for wait in phase.waits)
        phases = {phase: vars(seen) for phase, seen in report.phases.items()}
        output = {"name": name, "phases": phases, "rejected": cache.stats()["logins"]["rejected"]}
        print(json.dumps(output), file=report_to, flush=True)
        os._exit(0)  # does not close the pools

    threading.Thread(target=listen, daemon=True).start()
    run(report, ended, operations, int(workers), float(pause), ready, end)


def _make(operations: Any) -> Any:
    module, name, *rest = operations
    return module.make(name, *rest)


def _run_threads(
    report: Report,
    ended: threading.Event,
    operations: Any,
    workers: int,
    pause: float,
    ready: Any,
    end: Any,
) -> None:
    operate = _make(operations)

    def work() -> None:
        while not ended.is_set():
            try:
                operate()
                report.done(None)
            except Exception as error:
                report.done(error)
            time.sleep(pause)

    operate()
    ready()
    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end()


def _run_tasks(
    report: Report,
    ended: threading.Event,
    operations: Any,
    workers: int,
    pause: float,
    ready: Any,
    end: Any,
) -> None:
    async def run() -> None:
        operate = _make(operations)

        async def work() -> None:
            while not ended.is_set():
                try:
                    await operate()
                    report.done(None)
                except Exception as error:
                    report.done(error)
                await asyncio.sleep(pause)

        await operate()
        ready()
        await asyncio.gather(*(work() for _ in range(workers)))
        end()

    asyncio.run(run())


if __name__ == "__main__":
    main()
