"""A simulated month of rotations: how soon processes hold new versions, at what cost, with ours and AWS's library.

The simulation is a Rust program, `simulation/`, around the I/O-free part of the cache. This script turns its results
into figures, a table (`target/bench/simulation.md`) and a plot (`target/bench/simulation.svg`).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from html import escape
from pathlib import Path
from typing import Any

from figures import Figure, number, table

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "target" / "bench"
FLEET = 10_000
"""The size of the fleet in figures and plot."""
NOISE = 1.02
"""The largest ratio between two samples of the same behaviour."""
OFFICIAL = "both permissions"
KNOWN = ("schedule known", "schedule known, one secret")
USUAL = 0.15
"""Targets relative to AWS's library: staleness p99 after rotations at a usual time and, in `CALLS`, the calls."""
CALLS = 1.05
HABITS = {
    "regular": ("at a usual time", "come at a usual time within their window, give or take a minute"),
    "anywhere": ("anywhere in the window", "come at any time within their window"),
}
PLAIN, THEIR_P99 = 0.75, 0.913
"""AWS's library, in intervals: the average time between two polls, and the p99 of its staleness."""
WIDEST = THEIR_P99 / 0.99
"""The largest distance between evenly spaced polls that are no later than AWS's library, in intervals."""

Row = dict[str, Any]


def simulation(processes: int = 20) -> list[Figure]:
    """Build and run the simulation, write table and plot, and return the figures. `processes` is the sample size."""
    rows = run(processes)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "simulation.md").write_text(report(rows), encoding="utf-8")
    (OUTPUT / "simulation.svg").write_text(plot(rows), encoding="utf-8")
    return figures(rows)


def run(processes: int) -> list[Row]:
    target = OUTPUT / "simulation"
    manifest = HERE / "simulation" / "Cargo.toml"
    build = ["cargo", "build", "--release", "--manifest-path", str(manifest), "--target-dir", str(target)]
    subprocess.run(build, check=True)
    program = target / "release" / "secretcache-simulation"
    output = subprocess.run([program, str(processes)], check=True, stdout=subprocess.PIPE, text=True)
    rows: list[Row] = json.loads(output.stdout)
    for row in rows:
        row["staleness"] = {each["rotations"]: each for each in row["staleness"]}
    return rows


def figures(rows: list[Row]) -> list[Figure]:
    """Compare staleness and calls of processes with all ten secrets with the official library at the same interval."""
    found = []
    for row in (row for row in rows if row["fleet"] == FLEET and row["access"] not in (OFFICIAL, KNOWN[1])):
        other = official(rows, row)
        is_known = row["access"] == KNOWN[0]
        where = f"simulated month, {row['access']}, interval {row['ttl']} s"
        if is_known:
            where += f", {HABITS[row['habit']][0]}"
        calls = row["calls"] / other["calls"]
        detail = f"${row['dollars']:,.0f} for {FLEET:,} processes, theirs ${other['dollars']:,.0f}"
        found.append(Figure(f"{where}: calls against 1.2.0", calls, CALLS, detail=detail))
        for kind in ("scheduled", "unscheduled"):
            mine, theirs = row["staleness"][kind]["p99"], other["staleness"][kind]["p99"]
            target, detail = NOISE, f"{mine:.1f} s, theirs {theirs:.0f} s"
            if is_known and kind == "scheduled" and row["habit"] == "regular":
                target = USUAL
            elif is_known and kind == "scheduled":
                detail += "; a tenth is beyond this budget, see simulation.md"
            what = f"{where}: staleness after {kind} rotations, p99 against 1.2.0"
            found.append(Figure(what, mine / theirs, target, detail=detail))
    return found


def least(share: float) -> float:
    """Return the lowest p99, relative to theirs, that polls within the budget can reach if rotations come anywhere in a
    window of this share of the time. Polls in the window are evenly spaced; before it, they are as far apart as
    unexpected rotations permit.
    """
    watched = share / 2  # on average, the rotation comes in the middle
    distance = watched / (1 / PLAIN - (1 - watched) / WIDEST)
    return min(0.99 * distance / THEIR_P99, 1)


def official(rows: list[Row], row: Row) -> Row:
    """Return the row of AWS's library under the same circumstances."""
    same = ("habit", "ttl", "fleet")
    return next(o for o in rows if o["policy"] == "official" and all(o[key] == row[key] for key in same))


def report(rows: list[Row]) -> str:
    """Return the report as Markdown."""
    parts = ["# A simulated month of rotations", ""]
    parts += [
        "Thirty simulated days with ten secrets. Two each rotate hourly, every 4 hours, daily, weekly and monthly by"
        " schedule, in windows of 1, 1, 1, 4 and 24 hours; a fifth of all rotations come at any other time. A rotation"
        " takes 5 to 30 s from its first step to its last. All processes read all secrets all the time and run for the"
        " whole month. They are independent of each other, so fleets are samples of processes, with calls scaled up,"
        " in twenty worlds that each have their own rotations; the maximum is the sample's. Staleness is the time in"
        " seconds from the end of a rotation until a process holds its version. 10,000 calls cost $0.05. The secrets"
        ' of one process share the calls they save; "one secret" is a process per secret, which has nothing to share.',
        "",
        "The service rotates every four hours at most. Hourly rotation represents jobs outside the service, which run"
        " at a usual time if anything does. With an interval of an hour, a process with one such secret has no calls to"
        " spare for unexpected rotations: after those it is a few per cent later than 1.2.0. The figures are for"
        " processes with all ten secrets.",
    ]
    for habit, (_, meaning) in HABITS.items():
        parts += ["", f"## Where scheduled rotations {meaning}", ""]
        head = ["interval", "processes", "sampled", "policy", "calls", "dollars"]
        head += [
            f"{kind} {share}" for kind in ("scheduled", "unscheduled") for share in ("p50", "p99", "max")
        ]
        lines = [head]
        for row in (row for row in rows if row["habit"] == habit):
            name = "1.2.0" if row["policy"] == "official" else f"ours, {row['access']}"
            line = [f"{row['ttl']} s", f"{row['fleet']:,}", str(row["sampled"]), name]
            line += [f"{row['calls']:,.0f}", f"{row['dollars']:,.2f}"]
            for kind in ("scheduled", "unscheduled"):
                line += [number(row["staleness"][kind][share]) for share in ("p50", "p99", "max")]
            lines.append(line)
        parts.append(markdown(lines))
        parts += [
            "",
            f"By schedule, for {FLEET:,} processes: calls and p99 staleness relative to 1.2.0's.",
            "",
        ]
        head = ["interval", "processes with", "schedule", "calls", "scheduled p99", "unscheduled p99"]
        lines = [[*head, "least scheduled p99"] if habit == "anywhere" else head]
        for row in rows:
            if row["habit"] == habit and row["fleet"] == FLEET and row["access"] in KNOWN:
                lines += by_schedule(row, official(rows, row))
        parts.append(markdown(lines))
        if habit == "anywhere":
            parts += ["", WHY]
    return "\n".join([*parts, "", table(figures(rows)), ""])


def by_schedule(row: Row, other: Row) -> list[list[str]]:
    """Compare the secrets of each schedule."""
    lines = []
    for mine, theirs in zip(row["calls_of"], other["calls_of"], strict=True):
        name = mine["schedule"]
        line = [f"{row['ttl']} s", "one secret" if row["access"] == KNOWN[1] else "ten secrets", name]
        line.append(f"{mine['calls'] / theirs['calls']:.3f}")
        for kind in ("scheduled", "unscheduled"):
            ours, its = (each["staleness"][f"{kind}, {name}"]["p99"] for each in (row, other))
            line.append(f"{ours / its:.2f}")
        if row["habit"] == "anywhere":
            line.append(f"{least(mine['share']):.2f}")
        lines.append(line)
    return lines


WHY = (
    "The last column is arithmetic. 1.2.0 makes one call in three quarters of the interval. To be no later than 1.2.0"
    " after unexpected rotations takes one poll in 0.92 of the interval, so a quarter of a poll is saved in each"
    " interval. A tenth of 1.2.0's p99 takes 10.8 polls in an interval, on average for half the window, until the"
    " rotation has come. That is possible for windows of up to a twentieth of the time, once enough polls are saved"
    " for the first; it is not for an hour in four, nor for hourly rotation at any time of the hour. (At 60 s, fewer"
    " are enough, because polls see a rotation under way.)"
)


def markdown(lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


WIDTH, PANEL, LEFT, TOP = 960, 380, 70, 90
SERIES = {
    "schedule known": ("ours, schedule known", "#2f7d4f"),
    "schedule known, one secret": ("the same, one secret each", "#5f9fb4"),
    "no schedule known": ("ours, no schedule known", "#8bbf9f"),
    "GetSecretValue alone": ("ours, GetSecretValue alone", "#b9a44c"),
    OFFICIAL: ("AWS's library 1.2.0", "#c62828"),
}


def plot(rows: list[Row]) -> str:
    """Draw staleness against dollars, both on logarithmic scales: p99 as a dot, with a line down to the median."""
    shown = [row for row in rows if row["fleet"] == FLEET]
    dollars = [row["dollars"] for row in shown]
    low, high = math.log10(min(dollars)) - 0.2, math.log10(max(dollars)) + 0.2
    height = TOP + 2 * (PANEL / 2 + 90)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif"'
        ' font-size="12" fill="#222222">',
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">Staleness against cost: {FLEET:,} processes, ten'
        " secrets, a month</text>",
    ]
    for place, (name, colour) in enumerate(SERIES.values()):
        x = LEFT + place * 180
        parts.append(f'<circle cx="{x + 5}" cy="46" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="50">{escape(name)}</text>')
    for line, habit in enumerate(HABITS):
        for column, kind in enumerate(("scheduled", "unscheduled")):
            left = LEFT + column * (PANEL + 90)
            top = TOP + line * (PANEL / 2 + 90)
            parts += panel([row for row in shown if row["habit"] == habit], kind, left, top, (low, high))
            where = "at a usual time" if habit == "regular" else "anywhere in their windows"
            title = f"{kind} rotations" + (f", {where}" if kind == "scheduled" else f" (the others {where})")
            parts.append(f'<text x="{left}" y="{top - 8:.0f}" font-weight="bold">{title}</text>')
    return "\n".join([*parts, "</svg>", ""])


def panel(rows: list[Row], kind: str, left: float, top: float, across: tuple[float, float]) -> list[str]:
    width, height = PANEL, PANEL / 2
    least, most = 0.0, 4.0
    parts = [
        f'<rect x="{left}" y="{top:.0f}" width="{width}" height="{height:.0f}" fill="none" stroke="#8a8a8a"/>'
    ]

    def at_x(dollars: float) -> float:
        return left + (math.log10(dollars) - across[0]) / (across[1] - across[0]) * width

    def at_y(seconds: float) -> float:
        return top + height - (math.log10(max(seconds, 1.0)) - least) / (most - least) * height

    for power in range(5):
        y = at_y(10.0**power)
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:,} s</text>')
    for dollars in (300, 1_000, 3_000, 10_000, 30_000):
        if across[0] <= math.log10(dollars) <= across[1]:
            x = at_x(dollars)
            parts.append(
                f'<text x="{x:.1f}" y="{top + height + 16:.0f}" text-anchor="middle">${dollars:,}</text>'
            )
    for row in rows:
        _, colour = SERIES[row["access"]]
        x = at_x(row["dollars"]) + 7 * (list(SERIES).index(row["access"]) - 2)
        median, late = (at_y(row["staleness"][kind][share]) for share in ("p50", "p99"))
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{median:.1f}" y2="{late:.1f}" stroke="{colour}" stroke-width="3"/>'
        )
        parts.append(f'<circle cx="{x:.1f}" cy="{late:.1f}" r="5" fill="{colour}"/>')
        if row["access"] == OFFICIAL:
            parts.append(
                f'<text x="{x + 9:.1f}" y="{late + 4:.1f}" fill="#666666">interval {row["ttl"]} s</text>'
            )
    return parts


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--processes", type=int, default=20, help="how many to sample; fewer are faster")
    print(table(simulation(arguments.parse_args().processes)))
    print("\nwritten to target/bench/simulation.md and simulation.svg")
