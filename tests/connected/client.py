"""One process of a program that connects all the time: `client.py INTEGRATION SECRET HOST PORT WORKERS PAUSE`.

Says "ready" on standard output once it has connected. Each line on standard input names the phase that begins; its
end ends the process, which then reports as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Generator
from typing import Any

import integrations

import secretcache
from secretcache import _steps as steps


class Report:
    """What happened, by phase."""

    def __init__(self) -> None:
        self.phase = "start"
        self.connects: Counter[str] = Counter()
        self.failures: list[str] = []
        self.waits: dict[str, list[float]] = defaultdict(list)
        """Seconds from the beginning of a connect to the beginning of the login that succeeded."""
        self.refused: dict[str, float] = {}
        """When each version was first refused."""
        self.refused_late = 0
        """Logins that began after their version was known to be refused, and were refused."""
        self.calls: dict[str, dict[str, int]] = {}

    def watch(self) -> None:
        """Have every plan of a connection looked at while it is carried out."""
        original = steps.connect

        def connect(*arguments: Any) -> Generator[Any, Any, Any]:
            return self._observed(original(*arguments))

        steps.connect = connect

    def _observed(self, todo: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        begun = login = time.perf_counter()
        sent = None
        while True:
            decided = time.perf_counter()
            step, result = steps.advance(todo, sent)
            if step is None:
                self.waits[self.phase].append(login - begun)
                return result
            login = time.perf_counter()
            sent = yield step
            if step[0] == steps.LOG_IN and sent[1] is not None:
                version = step[1].version_id
                self.refused_late += decided > self.refused.get(version, decided)
                self.refused.setdefault(version, time.perf_counter())

    def done(self, error: BaseException | None) -> None:
        """Note the end of one operation."""
        if error is None:
            self.connects[self.phase] += 1
        elif len(self.failures) < 100:
            self.failures.append(f"{type(error).__name__}: {error}")


def main() -> None:
    name, secret, host, port, workers, pause = sys.argv[1:]
    report, ended = Report(), threading.Event()
    report.watch()
    is_asynchronous = name in integrations.ASYNCHRONOUS
    cache = secretcache.AsyncSecretCache() if is_asynchronous else secretcache.SecretCache()

    def count() -> None:
        report.calls[report.phase] = dict(cache.stats()["api_calls"])

    def listen() -> None:
        for line in sys.stdin:
            count()
            report.phase = line.strip()
        ended.set()

    operations = (integrations, name, cache, secret, host, int(port))
    run = _run_tasks if is_asynchronous else _run_threads

    def end() -> None:
        count()
        told = {
            "name": name,
            "connects": report.connects,
            "failures": report.failures,
            "waits": {
                phase: sorted(round(wait, 5) for wait in waits) for phase, waits in report.waits.items()
            },
            "refused_late": report.refused_late,
            "calls": report.calls,
            "logins": cache.stats()["logins"],
        }
        print(json.dumps(told), flush=True)
        os._exit(0)  # pools are left as they are

    threading.Thread(target=listen, daemon=True).start()
    run(report, ended, operations, int(workers), float(pause), end)


def _make(operations: Any) -> Any:
    module, name, *rest = operations
    return module.make(name, *rest)


def _run_threads(
    report: Report, ended: threading.Event, operations: Any, workers: int, pause: float, end: Any
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
    print("ready", flush=True)
    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end()


def _run_tasks(
    report: Report, ended: threading.Event, operations: Any, workers: int, pause: float, end: Any
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
        print("ready", flush=True)
        await asyncio.gather(*(work() for _ in range(workers)))
        end()

    asyncio.run(run())


if __name__ == "__main__":
    main()
