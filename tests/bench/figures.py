"""The table of figures: measured values next to their targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    value: float
    target: float
    at_least: bool = False
    """Whether more is better."""
    unit: str = "x"
    detail: str = ""

    @property
    def reached(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target

    def cells(self) -> list[str]:
        """Return the row's cells as text."""
        sign = ">=" if self.at_least else "<="
        verdict = "reached" if self.reached else "MISSED"
        return [
            self.what,
            f"{number(self.value)} {self.unit}",
            f"{sign} {number(self.target)}",
            verdict,
            self.detail,
        ]


HEAD = ["figure", "measured", "target", "", "how"]


def ratio(
    of: list[float], to: list[float], pick: Callable[[list[float]], float] = min
) -> tuple[float, float, float]:
    """Return the ratio of the fastest rounds of `of` and `to`, and both rounds.

    On a busy machine, the fastest of many interleaved rounds says most about the code and least about the
    machine.
    """
    return pick(of) / pick(to), pick(of), pick(to)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def nano(seconds: float) -> str:
    return f"{seconds * 1e9:,.0f} ns"


def table(figures: list[Figure]) -> str:
    """Lay the rows out as a Markdown table that reads well as plain text too."""
    rows = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write(figures: list[Figure], folder: Path, about: dict[str, str]) -> None:
    """Write the figures as Markdown and as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(figure) | {"reached": figure.reached} for figure in figures]
    (folder / "figures.json").write_text(json.dumps({"about": about, "figures": rows}, indent=2) + "\n")
    facts = "".join(f"- {name}: {value}\n" for name, value in about.items())
    (folder / "figures.md").write_text(f"# Figures\n\n{facts}\n{table(figures)}\n")
