"""Loads the scenarios that all languages share, for runners written in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
FIELDS = {"title", "runs", "real_time", "config", "store", "steps"}
LANGUAGES = {"rust", "python", "c", "node"}
BESIDE = {
    "read": {"stage", "version_id", "readers", "value", "error"},
    "refresh": {"error"},
    "peek": {"value"},
    "connect": {"stages", "timeout", "connected", "error", "tried"},
    "store": {"after"},
    "fail": {"after"},
    "restore": {"after"},
    "resource": {"after"},
}
"""Fields allowed next to a step's verb; other verbs allow none."""


def load(language: str) -> list[Any]:
    """Return the scenarios that run in a language. Check the fields of all of them."""
    scenarios = []
    for path in sorted(FOLDER.glob("*.json")):
        scenario = json.loads(path.read_text(encoding="utf-8"))
        assert scenario.keys() <= FIELDS, f"{path.name} has unknown fields"
        assert scenario["runs"].keys() == LANGUAGES, f"{path.name} does not say where it runs"
        runs = scenario["runs"][language]
        assert runs is True or (isinstance(runs, str) and runs), f"{path.name} gives no reason"
        if runs is True:
            times = {"pass", "after"}
            has_times = any(times & step.keys() for step in scenario["steps"])
            assert "real_time" in scenario or not has_times, path.name
            scenarios.append(pytest.param(scenario, id=path.stem))
    assert scenarios, f"no scenarios in {FOLDER}"
    return scenarios


def run(world: Any, scenario: dict[str, Any]) -> None:
    """Run the steps of a scenario; a failure names its step."""
    try:
        for place, step in enumerate(scenario["steps"], 1):
            try:
                world.step(step)
            except AssertionError as error:
                raise AssertionError(f"{scenario['title']}: step {place}, {step}: {error}") from error
    finally:
        world.end()
