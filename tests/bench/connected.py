"""Compare programs that keep connecting while their secret rotates with the same programs while it does not.

Run in the tests' environment: `target/venv/connected/bin/python tests/bench/connected.py`.

Some integrations of a server at a time share its rotations. This script runs half of those step by step ("by hand"),
one of them with a long gap between setSecret and finishSecret; our engine runs the other half. Where our engine does
not rotate, all are by hand.
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
"""The quiet phase of one way to rotate. Each way has its own, because the machine's speed can change within an hour."""
COLUMNS: dict[str, tuple[Callable[[dict[str, Any]], float], str, Callable[[float], bool]]] = {
    "connects/s": (lambda row: row["rate"], "{:.0f}", lambda _: True),
    "of quiet (>= 90 %)": (lambda row: row["rate"] / row["quiet"], "{:.0%}", lambda share: share >= 0.9),
    "failures (0)": (lambda row: len(row["failures"]), "{}", lambda count: count == 0),
    "wait p99 (<= 250 ms)": (lambda row: at(row["waits"], 0.99) * 1e3, "{:.0f} ms", lambda ms: ms <= 250),
    "quiet p99": (lambda row: at(row["quiet waits"], 0.99) * 1e3, "{:.0f} ms", lambda _: True),
    "wait max (<= 1000 ms)": (lambda row: at(row["waits"], 1) * 1e3, "{:.0f} ms", lambda ms: ms <= 1000),
    "refused/rotation": (lambda row: row["refused"] / row["rotations"], "{:.1f}", lambda _: True),
    "late (<= 1)": (lambda row: row["refused_late"] / row["rotations"], "{:.1f}", lambda late: late <= 1),
    "calls/rotation": (lambda row: row["calls"] / row["rotations"], "{:.1f}", lambda _: True),
}
"""The table's columns: each has a value, a format and a check against its target. `late` counts logins that began after
their version was known to be refused."""


def main(integrations: dict[str, tuple[str, ...]] = ALL, program: tuple[str, ...] = PROGRAM) -> None:
    """Print the table for each server's integrations, which `program` runs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--rotations", type=int, default=3, help="rotations in each of the two ways (default: 3)"
    )
    arguments.add_argument(
        "--long-gap", type=float, default=10, help="seconds, in one additional rotation (default: 10)"
    )
    # Without a pause, the waits show how fast this machine can log in, because 16 workers keep two processors busy.
    arguments.add_argument(
        "--pause", type=float, default=0.2, help="seconds between two connects of a worker (default: 0.2)"
    )
    arguments.add_argument("--profile", default="release", help="which build of `secretcache` to run")
    arguments.add_argument("--only", nargs="*", default=list(SERVERS), choices=SERVERS)
    arguments.add_argument("--integrations", nargs="*", help="only these of a server's integrations")
    arguments.add_argument(
        "--at-once", type=int, default=8, help="how many integrations share the rotations (default: 8)"
    )
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
                for some in batched(names, given.at_once):
                    for row in measure(endpoint, server, strategy, some, program, given):
                        cells = [server, strategy, row["way"], row["name"]]
                        for value, text, is_reached in COLUMNS.values():
                            cell = text.format(value(row))
                            cells.append(cell if is_reached(value(row)) else f"{cell} MISSED")
                            missed += not is_reached(value(row))
                        print(line(cells), flush=True)
    if missed:
        raise SystemExit(f"{missed} figures missed their target")


def measure(
    endpoint: Endpoint,
    server: str,
    strategy: str,
    names: list[str],
    program: tuple[str, ...],
    given: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Alternate between equally long periods with and without a rotation.

    Half of the quiet time comes before the rotation and half after it, so that anything else that changes meanwhile,
    such as the speed of a shared machine, affects both equally.
    """
    secret_id = f"bench/{server}/{strategy}/{names[0]}"
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
            quiet, seen = report["phases"][QUIET.format(way)], report["phases"][way]
            beside = {
                "rate": seen["connects"] / spent[way],
                "quiet": quiet["connects"] / spent[QUIET.format(way)],
                "quiet waits": quiet["waits"],
            }
            rows.append(seen | beside | {"way": way, "name": report["name"], "rotations": counts[way]})
            for failure in seen["failures"]:
                print(f"{report['name']}: {failure}", file=sys.stderr)
    return rows


def batched(names: list[str], size: int) -> list[list[str]]:
    """Divide names into lists of at most this size, as equal as possible."""
    groups = -(-len(names) // size)
    return [names[number::groups] for number in range(groups)]


def at(sorted_values: list[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return (
        sorted_values[min(int(len(sorted_values) * share), len(sorted_values) - 1)] if sorted_values else 0.0
    )


def line(cells: list[str]) -> str:
    """Write a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
