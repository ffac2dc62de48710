"""`make bench` continues after a part that fails, and reports what is missing before it measures anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from measuring import Part, measure_all, program

from figures import Figure


def test_a_part_that_fails_costs_no_other(tmp_path):
    def broken():
        raise RuntimeError("no such server")

    # It fails with 1 once its line is written, which must not wait for its end.
    ended = """
import sys, time
print("| a |", flush=True)
for _ in range(600):
    if open(sys.argv[1]).read():
        raise SystemExit(1)
    time.sleep(0.05)
"""
    output = tmp_path / "ended.md"
    said, kept = [], []
    parts = {
        "lacking": Part(lambda: pytest.fail("measured"), {"dist/*.whl": "make wheel"}),
        "broken": Part(broken),
        "ended": Part(program([sys.executable, "-c", ended, str(output)], output)),
        "good": Part(lambda: [Figure("fast", 1, 2)]),
        "slow": Part(lambda: [Figure("slow", 3, 2)]),
    }
    outcome = measure_all(parts, tmp_path, lambda figures: kept.append(len(figures)), said.append)
    assert said[0] == "lacking cannot be measured: dist/*.whl (make it with: make wheel) is missing"
    assert said[1] == "[1 of 4, 0 min so far] broken"
    assert kept == [0, 0, 1, 2], "written after each part"
    assert output.read_text() == "| a |\n"
    assert outcome.verdict().splitlines() == [
        "missed: slow",
        "not measured: lacking: dist/*.whl (make it with: make wheel) is missing",
        "not measured: broken: RuntimeError: no such server",
        "not measured: ended: RuntimeError: ended.md has missed figures (exit status 1)",
    ]
