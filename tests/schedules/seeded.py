#!/usr/bin/env python3
"""Plant defects in copies of the core, and check that its tests under shuttle find each of them.

Every defect only shows in some orders of events; single-threaded tests pass with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target" / "schedules"


@dataclass(frozen=True)
class Defect:
    """A change of one place in the core's sources, and the test that finds it."""

    name: str
    file: str
    old: str
    new: str
    found_by: str
    target: str = "flight"


DEFECTS = [
    Defect(
        "a waiter checks for the outcome, and registers its waker only later: it sleeps forever",
        "cache/flight.rs",
        "            State::Running(wakers) => {\n                let index",
        "            State::Running(_) => {\n"
        "                drop(state);\n"
        "                let mut state = flight.lock();\n"
        "                let State::Running(wakers) = &mut *state else { return Poll::Pending };\n"
        "                let index",
        "first_reads_at_once_make_one_request",
    ),
    Defect(
        "a forced refresh takes the answer to a request from before it",
        "cache/cache.rs",
        "if flight.started > mark",
        "if flight.started >= mark",
        "a_forced_refresh_never_gives_what_was_asked_for_before_it",
    ),
    Defect(
        "the counter of changes is incremented before the value is invalidated",
        "cache/shared.rs",
        "        secret.version().validity.invalidate();\n        self.changes.bump(secret);\n",
        "        self.changes.bump(secret);\n        secret.version().validity.invalidate();\n",
        "whoever_looks_at_the_counter_of_changes_hands_nothing_out_that_was_taken_back",
    ),
    Defect(
        "a thread replaces the state that another one has created in the meantime",
        "native/process.rs",
        "        watch_forks();\n        let made",
        "        watch_forks();\n        let old = self.0.load(Ordering::Acquire);\n        let made",
        "all_threads_of_one_process_get_one_value_and_those_of_its_child_another",
        "process",
    ),
]


def sow(defect: Defect) -> Path:
    """Copy the sources, change the copy, and return the manifest of its tests."""
    copy = TARGET / "seeded"
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("core/src", "tests/schedules"):
        shutil.copytree(ROOT / folder, copy / folder)
    path = copy / "core" / "src" / defect.file
    source = path.read_text(encoding="utf-8")
    if source.count(defect.old) != 1:
        raise SystemExit(f"{defect.file} has changed; update the place of this defect: {defect.name}")
    path.write_text(source.replace(defect.old, defect.new), encoding="utf-8")
    # Rename the package: cargo would confuse it with the original under the same name.
    package = copy / "tests" / "schedules"
    for each in (package / "Cargo.toml", package / "Cargo.lock"):
        each.write_text(
            each.read_text(encoding="utf-8").replace("secretcache-schedules", "secretcache-seeded")
        )
    # Cargo compares file times: without new ones it would reuse the build with the previous defect.
    for each in copy.glob("core/src/**/*.rs"):
        os.utime(each)
    return package / "Cargo.toml"


def finds(defect: Defect) -> bool:
    """Run the test that should find the defect."""
    command = [
        "cargo",
        "test",
        "--quiet",
        "--locked",
        "--manifest-path",
        str(sow(defect)),
        "--target-dir",
        str(TARGET),
    ]
    build = subprocess.run(
        [*command, "--test", defect.target, "--no-run"], capture_output=True, text=True, check=False
    )
    if build.returncode:
        raise SystemExit(f"the sources do not compile with this defect: {defect.name}\n{build.stderr}")
    test = [*command, "--test", defect.target, "--", "--exact", defect.found_by]
    # A failing schedule must end soon; a test that hangs does not count as a find.
    result = subprocess.run(test, capture_output=True, text=True, check=False, timeout=300)
    return result.returncode != 0 and "test result: FAILED. 0 passed; 1 failed" in result.stdout


def main() -> int:
    missed = 0
    for defect in DEFECTS:
        found = finds(defect)
        print(f"{'found' if found else 'MISSED'}: {defect.name}")
        missed += not found
    return missed


if __name__ == "__main__":
    sys.exit(main())
