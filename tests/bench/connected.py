"""Programs that connect all the time while their secret rotates, beside the same programs while it does not.

Run with the environment of the tests: `target/venv/connected/bin/python tests/bench/connected.py`. All integrations of
a server share its rotations, half of them done by hand, among those one with a long gap between setSecret and
finishSecret, and half by our engine; all of them by hand where our engine does not rotate.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "connected"), str(HERE.parent / "tools")]

import boto3  # noqa: E402
from brokers import SERVERS  # noqa: E402
from fleet import PROGRAM, Fleet  # noqa: E402
from integrations import ALL  # noqa: E402
from rotating import BY_HAND_ALONE, STRATEGIES, ByEngine, ByHand, Rotation, Secret  # noqa: E402

from endpoint import Endpoint  # noqa: E402

QUIET = "quiet, {}"
"""What is not disturbed is compared with the same way alone, for a machine may be another an hour later."""
COLUMNS: dict[str, tuple[Callable[[dict[str, Any]], float], str, Callable[[float], bool]]] = {
    "connects/s": (lambda row: row["rate"], "{:.0f}", lambda _: True),
    "of quiet (>= 90 %)": (lambda row: row["rate"] / row["quiet"], "{:.0%}", lambda share: share >= 0.9),
    "failures (0)": (lambda row: len(row["failures"]), "{}", lambda count: count == 0),
    "wait p99 (<= 250 ms)": (lambda row: at(row["waits"], 0.99) * 1e3, "{:.0f} ms", lambda ms: ms <= 250),
    "wait max (<= 1000 ms)": (lambda row: at(row["waits"], 1) * 1e3, "{:.0f} ms", lambda ms: ms <= 1000),
    "refused/rotation": (lambda row: row["refused"] / row["rotations"], "{:.1f}", lambda _: True),
    "late (<= 1)": (lambda row: row["refused_late"] / row["rotations"], "{:.1f}", lambda late: late <= 1),
    "calls/rotation": (lambda row: row["calls"] / row["rotations"], "{:.1f}", lambda _: True),
}
"""Each figure of the table: what it is, how it is written, and whether it is reached. `late` are logins that began
after their version was known to be refused."""


def main(integrations: dict[str, tuple[str, ...]] = ALL, program: tuple[str, ...] = PROGRAM) -> None:
    """Print the table of these integrations of each server, as a program has them."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rotations", type=int, default=20, help="in either of two ways")
    arguments.add_argument("--long-gap", type=float, default=60, help="seconds, of one more rotation")
    arguments.add_argument("--pause", type=float, default=0, help="seconds between two connects of a worker")
    arguments.add_argument("--profile", default="release", help="which build of `secretcache` to run")
    arguments.add_argument("--only", nargs="*", default=list(SERVERS), choices=SERVERS)
    arguments.add_argument("--integrations", nargs="*", help="these alone, of those that a server has")
    given = arguments.parse_args()
    head = ["server", "strategy", "rotated", "integration", *COLUMNS]
    print(line(head), line(["---"] * len(head)), sep="\n", flush=True)
    missed = 0
    with Endpoint(given.profile) as endpoint:
        os.environ.update(endpoint.environment)
        for server in given.only:
            for strategy in STRATEGIES[server]:
                names = [
                    name for name in integrations.get(server, ()) if name in (given.integrations or [name])
                ]
                for row in measure(endpoint, server, strategy, names, program, given) if names else ():
                    cells = [server, strategy, row["way"], row["name"]]
                    for value, text, is_reached in COLUMNS.values():
                        cell = text.format(value(row))
                        cells.append(cell if is_reached(value(row)) else f"{cell} MISSED")
                        missed += not is_reached(value(row))
                    print(line(cells), flush=True)
    if missed:
        raise SystemExit(f"{missed} figures were not reached")


def measure(
    endpoint: Endpoint,
    server: str,
    strategy: str,
    names: list[str],
    program: tuple[str, ...],
    given: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Let times with a rotation and times without take turns, equally long.

    Half of the time without comes before the rotation and half after it, so that whatever else changes meanwhile, as
    the speed of a shared machine does, is the same for both.
    """
    secret_id = f"bench/{server}/{strategy}"
    with SERVERS[server]() as database:
        secret = Secret(boto3.client("secretsmanager"), database, secret_id, address=True)
        ways: dict[str, Rotation] = {"by hand": ByHand(secret, strategy)}
        each_way = given.rotations
        if server in BY_HAND_ALONE:
            each_way *= 2
        else:
            ways["by our engine"] = ByEngine(secret, strategy, endpoint)
        where = (database, endpoint.environment, secret_id)
        fleet = Fleet(names, *where, pause=given.pause, program=program)
        spent = dict.fromkeys([*ways, *map(QUIET.format, ways)], 0.0)
        counts: dict[str, int] = {}
        for way, rotation in ways.items():
            gaps = [random.uniform(0.2, 5) for _ in range(each_way)] + [given.long_gap] * (way == "by hand")
            counts[way] = len(gaps)
            for gap in gaps:
                fleet.begin(QUIET.format(way))
                begun = time.monotonic()
                time.sleep(gap / 2)
                before = time.monotonic()
                fleet.begin(way)
                rotation.rotate(gap)
                time.sleep(0.2)
                after = time.monotonic()
                fleet.begin(QUIET.format(way))
                time.sleep(after - before - gap / 2)
                spent[way] += after - before
                spent[QUIET.format(way)] += time.monotonic() - after + before - begun
        reports = fleet.end()
    rows = []
    for report in reports:
        for way in ways:
            without = QUIET.format(way)
            quiet = report["phases"][without]["connects"] / spent[without]
            seen = report["phases"][way]
            rate = {"rate": seen["connects"] / spent[way], "quiet": quiet}
            rows.append(seen | rate | {"way": way, "name": report["name"], "rotations": counts[way]})
            for failure in seen["failures"]:
                print(f"{report['name']}: {failure}", file=sys.stderr)
    return rows


def at(sorted_values: list[float], share: float) -> float:
    """Give the value below which this share of the values is."""
    return (
        sorted_values[min(int(len(sorted_values) * share), len(sorted_values) - 1)] if sorted_values else 0.0
    )


def line(cells: list[str]) -> str:
    """Write a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
