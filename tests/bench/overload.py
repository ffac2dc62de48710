"""Runs many processes with many secrets through an outage, throttling and recovery; counts calls and waiting reads.

To run it alone: `python tests/bench/overload.py --profile debug --processes 8 --interval 20`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

from endpoint import Endpoint  # noqa: E402
from figures import Figure, table  # noqa: E402

PROCESSES, SECRETS, INTERVAL = 50, 200, 30
TROUBLES: dict[str, Any] = {
    "outage": {"error": {"type": "ServiceUnavailable", "status": 503}},
    "throttling": "throttle",
}
STRETCH = 3
"""Seconds over which a peak is averaged."""


@dataclass
class Trial:
    """Call rates before and during one fault, and in the recovery after it."""

    before: float
    """Calls per second."""
    during: float
    peak: float
    ended: float
    """When the fault ended, in seconds since the epoch."""


@dataclass
class Watch:
    """Samples the number of calls that an endpoint has answered, every second."""

    url: str
    counts: list[tuple[float, int]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()

    def rates(self, begin: float, end: float) -> list[float]:
        """Return the calls per second between successive samples in this time."""
        samples = [each for each in self.counts if begin <= each[0] <= end]
        pairs = zip(samples, samples[1:], strict=False)
        return [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairs]

    def _look(self) -> None:
        while not self.done.wait(1):
            calls = control(self.url, "GET", "calls")
            self.counts.append((time.time(), sum(sum(each.values()) for each in calls.values())))


def overload(endpoint: Endpoint, official: str = "") -> list[Figure]:
    """Run a fleet through each fault."""
    return measure(endpoint.profile, PROCESSES, SECRETS, INTERVAL)


def measure(profile: str, processes: int, secrets: int, interval: float) -> list[Figure]:
    with Endpoint(profile, "--control") as endpoint, Watch(endpoint.url) as watch:
        client = endpoint.client()
        for number in range(secrets):
            client.create_secret(Name=f"overload/{number}", SecretString="value")
        command = [sys.executable, str(HERE / "overload_process.py"), str(secrets), str(interval)]
        environment = os.environ | endpoint.environment
        fleet = [
            subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(processes)
        ]
        try:
            for each in fleet:
                assert each.stdout is not None
                each.stdout.readline()  # all of its secrets are cached
            # Until refreshes are spread out as in the long run.
            time.sleep(3 * interval)
            trials = {name: trial(endpoint.url, watch, effect, interval) for name, effect in TROUBLES.items()}
            reports = [json.loads(each.communicate("end\n", timeout=60)[0]) for each in fleet]
        finally:
            for each in fleet:
                each.kill()
                each.wait()
    return [
        figure
        for name, seen in trials.items()
        for figure in figures(name, seen, reports, processes, secrets, interval)
    ]


def trial(url: str, watch: Watch, effect: Any, interval: float) -> Trial:
    begin = time.time()
    time.sleep(2 * interval)
    trouble = time.time()
    control(url, "POST", "faults", {"effect": effect})
    time.sleep(3 * interval)
    control(url, "DELETE", "faults")
    ended = time.time()
    time.sleep(3 * interval)
    recovery = watch.rates(ended, time.time())
    stretches = [recovery[place : place + STRETCH] for place in range(len(recovery) - STRETCH + 1)]
    peak = max(mean(each) for each in stretches)
    return Trial(mean(watch.rates(begin, trouble)), mean(watch.rates(trouble, ended)), peak, ended)


def figures(
    name: str, seen: Trial, reports: list[Any], processes: int, secrets: int, interval: float
) -> list[Figure]:
    late = sorted(
        min((each for each in confirmed if each >= seen.ended), default=float("inf")) - seen.ended
        for report in reports
        for confirmed in report["confirmed"].values()
    )
    p99 = late[int(len(late) * 0.99)]
    waited = sum(report["waited"] for report in reports)
    still = sum(report["stood_still"] for report in reports)
    pauses = f"both faults together; {still} times, a process did not get to run for two seconds"
    what = f"{processes} processes x {secrets} secrets, {name}"
    rates = f"{seen.during:.0f} a second, before {seen.before:.0f}"
    peaks = f"{seen.peak:.0f} a second over {STRETCH} s, before {seen.before:.0f}"
    return [
        Figure(f"{what}: calls against before", seen.during / seen.before, 1, detail=rates),
        Figure(f"{what}: peak at recovery against before", seen.peak / seen.before, 2, detail=peaks),
        Figure(f"{what}: reads that waited", waited, 0, unit="", detail=pauses),
        Figure(
            f"{what}: 99 of 100 secrets fresh again, in intervals",
            p99 / interval,
            1,
            unit="",
            detail=f"{p99:.1f} s",
        ),
    ]


def control(url: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/_control/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--profile", default="release")
    arguments.add_argument("--processes", type=int, default=PROCESSES)
    arguments.add_argument("--secrets", type=int, default=SECRETS)
    arguments.add_argument("--interval", type=float, default=INTERVAL)
    given = arguments.parse_args()
    found = measure(given.profile, given.processes, given.secrets, given.interval)
    print(table(found))
    if not all(each.reached for each in found):
        raise SystemExit("not every figure was reached")


if __name__ == "__main__":
    main()
