"""Draws attempts to connect over time, one band for each program, as an SVG file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, BAND, GAP, LEFT, TOP = 960, 150, 56, 64, 64
SLOT = 0.1
"""Seconds per bar."""
GOOD, BAD, INK, FAINT = "#2f7d4f", "#c62828", "#222222", "#8a8a8a"


@dataclass
class Band:
    """One program: its name, and its attempts as seconds since the start, each with whether it failed."""

    name: str
    attempts: Sequence[tuple[float, bool]]

    @property
    def failures(self) -> int:
        """The number of attempts that failed."""
        return sum(failed for _, failed in self.attempts)


def draw(title: str, bands: Sequence[Band], rotations: Sequence[tuple[float, float, str]]) -> str:
    """Draw the bands one below the other, and the rotations (start, end, name) behind all of them."""
    seconds = max(time for band in bands for time, _ in band.attempts) + SLOT
    across = (WIDTH - LEFT - 24) / seconds
    height = TOP + len(bands) * (BAND + GAP) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        f' font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    for start, end, name in rotations:
        x, width = LEFT + start * across, max((end - start) * across, 2)
        parts += [
            f'<rect x="{x:.1f}" y="{TOP - 14}" width="{width:.1f}" height="{height - TOP - 2}" fill="#fff3cd"/>',
            f'<text x="{x:.1f}" y="{TOP - 20}" fill="{FAINT}">{escape(name)}</text>',
        ]
    for place, band in enumerate(bands):
        parts += _band(band, TOP + 18 + place * (BAND + GAP), across, seconds)
    return "\n".join([*parts, "</svg>\n"])


def _band(band: Band, top: float, across: float, seconds: float) -> list[str]:
    slots = [Counter[bool]() for _ in range(int(seconds / SLOT) + 1)]
    for time, failed in band.attempts:
        slots[int(time / SLOT)][failed] += 1
    most = max(sum(slot.values()) for slot in slots)
    up = BAND / max(most, 1)
    bottom, width = top + BAND, SLOT * across
    summary = f"{len(band.attempts):,} connections, {band.failures:,} refused"
    color = BAD if band.failures else GOOD
    parts = [
        f'<text x="{LEFT}" y="{top - 6:.1f}" font-weight="bold">{escape(band.name)}'
        f' <tspan fill="{color}" font-weight="normal">{summary}</tspan></text>',
        f'<text x="{LEFT - 8}" y="{top + 10:.1f}" text-anchor="end" fill="{FAINT}">{most}</text>',
        f'<text x="{LEFT - 8}" y="{bottom:.1f}" text-anchor="end" fill="{FAINT}">0</text>',
        f'<text x="{LEFT - 8}" y="{top + BAND / 2:.1f}" text-anchor="end" fill="{FAINT}">in 0.1 s</text>',
    ]
    for place, slot in enumerate(slots):
        y = bottom
        for failed, fill in ((False, GOOD), (True, BAD)):
            if tall := slot[failed] * up:
                y -= tall
                x = LEFT + place * width
                parts.append(
                    f'<rect x="{x:.2f}" y="{y:.1f}" width="{width * 0.85:.2f}" height="{tall:.1f}" fill="{fill}"/>'
                )
    parts.append(f'<path d="M{LEFT} {bottom:.1f}H{LEFT + seconds * across:.1f}" stroke="{FAINT}"/>')
    step = max(1, round(seconds / 12))
    for second in range(0, int(seconds) + 1, step):
        x = LEFT + second * across
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle" fill="{FAINT}">{second} s</text>'
        )
    return parts
