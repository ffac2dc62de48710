"""Programs that connect all the time while their secret rotates, beside the same programs while it does not.

Run with the environment of the tests: `target/venv/connected/bin/python tests/bench/connected.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "connected"), str(HERE.parent / "tools")]

import boto3  # noqa: E402
from databases import DATABASES  # noqa: E402
from fleet import Fleet  # noqa: E402
from integrations import OF  # noqa: E402
from rotating import ByHand  # noqa: E402

from endpoint import Endpoint  # noqa: E402
from figures import Figure, table  # noqa: E402

RUNS = {
    "postgres": ("single-user", "alternating-users"),
    "mariadb": ("single-user", "alternating-users", "dual-password"),
    "redis": ("single-user", "dual-password"),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rotations", type=int, default=20)
    arguments.add_argument("--long-gap", type=float, default=60, help="seconds, of one more rotation")
    arguments.add_argument("--only", nargs="*", default=list(RUNS), choices=RUNS)
    given = arguments.parse_args()
    figures = []
    with Endpoint() as endpoint:
        os.environ.update(endpoint.environment)
        for server in given.only:
            for strategy in RUNS[server]:
                figures += measure(endpoint, server, strategy, given.rotations, given.long_gap)
    print(table(figures))
    if not all(figure.reached for figure in figures):
        raise SystemExit("not every figure was reached")


def measure(endpoint: Endpoint, server: str, strategy: str, rotations: int, long_gap: float) -> list[Figure]:
    """Let times with a rotation and times without take turns, equally long."""
    secret_id = f"bench/{server}/{strategy}"
    with DATABASES[server]() as database:
        secret = ByHand(boto3.client("secretsmanager"), database, strategy, secret_id)
        fleet = Fleet(list(OF[server]), database, endpoint.environment, pause=0, secret_id=secret_id)
        gaps = [random.uniform(0.2, 5) for _ in range(rotations)] + [long_gap]
        spent = {"rotating": 0.0, "quiet": 0.0}
        for gap in gaps:
            fleet.begin("rotating")
            begun = time.monotonic()
            secret.rotate(gap)
            time.sleep(0.2)
            took = time.monotonic() - begun
            fleet.begin("quiet")
            time.sleep(took)
            spent["rotating"] += took
            spent["quiet"] += time.monotonic() - begun - took
        reports = fleet.end()
    return [figure for report in reports for figure in _figures(server, strategy, report, spent, len(gaps))]


def _figures(
    server: str, strategy: str, report: dict[str, Any], spent: dict[str, float], rotations: int
) -> list[Figure]:
    what = f"{server}, {strategy}, {report['name']}"
    rates = {phase: report["connects"].get(phase, 0) / spent[phase] for phase in spent}
    waits = report["waits"].get("rotating", [0.0])
    calls = [sum(each.values()) for each in report["calls"].values()]
    detail = (
        f"{rotations} rotations, {rates['rotating']:.0f}/s, {max(calls) / rotations:.1f} calls per rotation"
    )
    return [
        Figure(f"{what}: failures", len(report["failures"]), 0, unit="", detail=detail),
        Figure(f"{what}: connects, rotating/quiet", rates["rotating"] / rates["quiet"], 0.9, at_least=True),
        Figure(f"{what}: added wait p99", waits[int(len(waits) * 0.99)] * 1e3, 250, unit="ms"),
        Figure(f"{what}: added wait max", waits[-1] * 1e3, 1000, unit="ms"),
        Figure(f"{what}: refused late", report["refused_late"] / rotations, 1, unit="per rotation"),
    ]


if __name__ == "__main__":
    main()
