"""The slow proofs of rotation: the full kill matrix, a thousand rotations in a row, the overhead, the model checker.

`python tests/bench/rotation.py [kill|rows|overhead|model ...]` runs them alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bench"))

from figures import Figure, table  # noqa: E402

ROTATIONS = 1000
"""How many in a row, with each strategy."""
TURNS = 40
"""How many times a full rotation and its bare calls alternate."""
WIDER_BOUNDS = {
    "one more disturbance beside a second driver": {"ROTATION_MODEL_SECOND_DRIVER": "2"},
    "one more disturbance beside a person's command": {
        "ROTATION_MODEL_COMMAND": "1",
        "ROTATION_MODEL_COMMAND_BESIDE": "2",
    },
}
"""Bounds of the model checker, wider than in the tests."""


def kill() -> list[Figure]:
    """Kill rotations before and after every effect, on every server."""
    found = proofs("kill")
    written = ROOT / "target" / "kill-matrix.md"
    written.write_text(f"{found['table']}\n{found['details']}")
    for fault in found["faults"]:
        print(f"    {fault}")
    detail = f"{found['kills']} kills, the table is in target/{written.name}"
    return [
        Figure("rotations killed at every effect: faults", len(found["faults"]), 0, unit="", detail=detail)
    ]


def rows() -> list[Figure]:
    """Rotate again and again while two plain clients log in."""
    figures = []
    for row in proofs("rows", str(ROTATIONS)):
        what = f"{row['rotations']:,} rotations in a row, {row['server']}, {row['strategy']}"
        detail = f"{row['logins']:,} logins; the last tenth took {row['slowdown']:.1f}x the time of the first"
        if row["has window"]:
            median, longest = row["window, median"], row["window, 99 of 100"]
            refused = row["refused in the window"]
            detail += (
                f"; window {median:.0f} ms, 99 of 100 within {longest:.0f} ms; {refused:,} refused in it"
            )
        figures.append(Figure(f"{what}: locked out", row["refused"], 0, unit="", detail=detail))
    return figures


def overhead() -> list[Figure]:
    """Compare full rotations with their bare calls, in turn."""
    return [
        Figure(
            f"a rotation against its bare calls, {row['server']}, {row['strategy']}",
            row["ratio"],
            2,
            detail=f"{row['full']:.0f} ms, bare {row['bare']:.0f} ms, unoptimised build",
        )
        for row in proofs("overhead", str(TURNS))
    ]


def model() -> list[Figure]:
    """Explore further than the tests: with a second driver, or a person's command, one more thing can go wrong."""
    optimised = "profile.dev.package.secretcache-rotation.opt-level=3"
    command = ["cargo", "test", "--config", optimised, "--package", "secretcache-rotation", "--test", "model"]
    figures = []
    for what, bounds in WIDER_BOUNDS.items():
        print(f"    the model checker, {what} (some minutes)", flush=True)
        done = subprocess.run(command, env=os.environ | bounds, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        states = [int(number) for number in re.findall(r"(\d+) states", done.stderr)]
        broken = 0 if done.returncode == 0 and states else 1
        if broken:
            print(done.stderr)
        detail = f"{sum(states):,} states"
        figures.append(Figure(f"model checker, {what}: invariants broken", broken, 0, unit="", detail=detail))
    return figures


PARTS = {"kill": kill, "rows": rows, "overhead": overhead, "model": model}


def rotation(only: list[str]) -> list[Figure]:
    """Build the proofs and run these parts."""
    build = ["cargo", "build", "--package", "secretcache-tests", "--bins"]
    subprocess.run(build, check=True, cwd=ROOT)
    figures = []
    for part in only:
        found = PARTS[part]()
        # At once, because the next part can take an hour.
        print(table(found), flush=True)
        figures += found
    return figures


def proofs(*arguments: str) -> Any:
    print(f"    {' '.join(arguments)}", flush=True)
    command = [str(ROOT / "target" / "debug" / "secretcache-proofs"), *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", default=list(PARTS), choices=PARTS)
    figures = rotation(arguments.parse_args().parts)
    if not all(figure.reached for figure in figures):
        raise SystemExit("not every figure was reached")


if __name__ == "__main__":
    main()
