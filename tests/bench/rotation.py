"""Compare the time of a rotation with its bare calls: `python tests/bench/rotation.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bench"))

from figures import Figure, table  # noqa: E402

TURNS = 40
"""How many times a full rotation and its bare calls alternate."""


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


def proofs(*arguments: str) -> Any:
    """Build the program that drives rotations on real servers, run it, and return what it measured."""
    print(f"    {' '.join(arguments)}", flush=True)
    build = ["cargo", "build", "--quiet", "--package", "secretcache-tests", "--bins"]
    subprocess.run(build, check=True, cwd=ROOT)
    command = [str(ROOT / "target" / "debug" / "secretcache-proofs"), *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    found = overhead()
    print(table(found))
    raise SystemExit(not all(figure.reached for figure in found))
