"""Measures one part after another. A part that lacks something or fails does not affect the others."""

from __future__ import annotations

import subprocess
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from figures import Figure


@dataclass(frozen=True)
class Part:
    """One part of the figures."""

    measure: Callable[[], list[Figure]]
    needs: dict[str, str] = field(default_factory=dict)
    """Glob patterns of required files below the root, each with the command that makes them."""

    def lacks(self, root: Path) -> list[str]:
        """List what is missing, each with the command that makes it."""
        return [
            f"{pattern} (make it with: {command})"
            for pattern, command in self.needs.items()
            if not any(root.glob(pattern))
        ]


@dataclass
class Outcome:
    """The results of all parts."""

    figures: list[Figure] = field(default_factory=list)
    unmeasured: dict[str, str] = field(default_factory=dict)
    """Why a part was not measured, by name."""

    def verdict(self) -> str:
        """List missed figures and unmeasured parts; empty if every target was reached."""
        missed = [f"missed: {each.what}" for each in self.figures if not each.reached]
        return "\n".join(
            missed + [f"not measured: {name}: {reason}" for name, reason in self.unmeasured.items()]
        )


def measure_all(
    parts: dict[str, Part], root: Path, keep: Callable[[list[Figure]], None], say: Callable[[str], None]
) -> Outcome:
    """Report what is missing, then measure part by part. After each, `keep` gets all figures so far."""
    outcome = Outcome()
    for name, part in parts.items():
        if lacks := part.lacks(root):
            outcome.unmeasured[name] = f"{', '.join(lacks)} is missing"
            say(f"{name} cannot be measured: {outcome.unmeasured[name]}")
    begin = time.monotonic()
    able = [name for name in parts if name not in outcome.unmeasured]
    for place, name in enumerate(able):
        minutes = (time.monotonic() - begin) / 60
        say(f"[{place + 1} of {len(able)}, {minutes:.0f} min so far] {name}")
        try:
            outcome.figures += parts[name].measure()
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            outcome.unmeasured[name] = f"{type(error).__name__}: {error}"
        keep(outcome.figures)
    return outcome


def program(command: Iterable[str], output: Path) -> Callable[[], list[Figure]]:
    """Make a part of a program that prints its own table and fails if it misses a figure."""

    def measure() -> list[Figure]:
        output.parent.mkdir(parents=True, exist_ok=True)
        with (
            output.open("w", buffering=1) as file,
            subprocess.Popen(list(command), stdout=subprocess.PIPE, text=True) as process,
        ):
            assert process.stdout is not None
            # Some take more than an hour: show each line as it comes.
            for line in process.stdout:
                file.write(line)
                print(line, end="", flush=True)
        if process.returncode:
            raise RuntimeError(f"{output.name} has missed figures (exit status {process.returncode})")
        return []

    return measure
