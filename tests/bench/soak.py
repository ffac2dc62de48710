"""Repeat for hours what the tests do a few times, and report every failure: `make soak PARTS="kill rows"`.

ROTATIONS=N sets another number than each part's own: rotations in a row for `rows` (1,000), and rotations under running
programs for the others (40).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "bench"
OUTPUT = ROOT / "target" / "bench"
sys.path.insert(0, str(HERE))

from measuring import Part, measure_all, program  # noqa: E402

from figures import Figure, table  # noqa: E402
from rotation import proofs  # noqa: E402

ROTATIONS = os.environ.get("ROTATIONS")
IN_A_ROW = ROTATIONS or "1000"
UNDER_PROGRAMS = int(ROTATIONS or 40)
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
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "kill.md").write_text(f"{found['table']}\n{found['details']}")
    for fault in found["faults"]:
        print(f"    {fault}")
    detail = f"{found['kills']} kills, see target/bench/kill.md"
    return [
        Figure("rotations killed at every effect: faults", len(found["faults"]), 0, unit="", detail=detail)
    ]


def rows() -> list[Figure]:
    """Rotate again and again while two plain clients log in."""
    figures = []
    for row in proofs("rows", IN_A_ROW):
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


CONNECTED = ROOT / "target" / "venv" / "connected" / "bin" / "python"
UNDER_LOAD = ("--rotations", str(UNDER_PROGRAMS // 2), "--long-gap", "60", "--pause", "0")
"""Programs that connect as fast as they can; `make bench` measures waits with a pause."""
PROGRAMS = {
    "connected": (CONNECTED, HERE / "connected.py", *UNDER_LOAD),
    "node-connected": (CONNECTED, HERE / "node_connected.py", *UNDER_LOAD),
    "connected-endurance": (HERE / "connected_endurance",),
    "node-endurance": (HERE / "node_endurance",),
}
NEEDS = {"target/venv/connected/bin/python": "make venv-connected"}
PARTS = {"kill": Part(kill), "rows": Part(rows), "model": Part(model)} | {
    name: Part(program(map(str, command), OUTPUT / f"{name}-soak.md"), NEEDS)
    for name, command in PROGRAMS.items()
}


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("parts", nargs="*", default="all", choices=["all", *PARTS], help="default: all")
    parts = arguments.parse_args().parts
    chosen = PARTS if "all" in parts else {name: PARTS[name] for name in parts}
    say = partial(print, "   ", flush=True)
    # After each part, because the next one can take hours.
    outcome = measure_all(chosen, ROOT, lambda found: print(table(found), flush=True), say)
    if verdict := outcome.verdict():
        raise SystemExit(verdict)


if __name__ == "__main__":
    main()
