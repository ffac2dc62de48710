"""Runs the scenarios shared by all languages in C: `programs/scenario.c` with a scripted source, in real time."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import HERE, Installed
from scenarios import BESIDE, load, run

COUNTERS = [
    "hits",
    "misses_absent",
    "misses_expired",
    "stale_served",
    "coalesced",
    "refreshes",
    "rotations_observed",
    "evictions",
]
TIMES, OTHERS = {"ttl", "max_wait", "max_stale"}, {"max_size", "stale_on_denied"}


def hexed(value: Any) -> str:
    """Format a value like the program."""
    binary = isinstance(value, dict)
    return f"{'b' if binary else 's'} {(bytes(value['bytes']) if binary else value.encode()).hex()}"


class World:
    """The program, running one scenario."""

    def __init__(self, program: Path, scenario: dict[str, Any]) -> None:
        self.scale: float = scenario.get("real_time", 1)
        config = scenario.get("config", {})
        assert config.keys() <= TIMES | OTHERS, config
        settings = [f"{key}={round(config[key] * self.scale * 1000)}" for key in TIMES & config.keys()]
        settings += [f"{key}={int(config[key])}" for key in OTHERS & config.keys()]
        self.process = subprocess.Popen(
            [program, *settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stores = [scenario["store"], *(step["store"] for step in scenario["steps"] if "store" in step)]
        self.versions = {
            version: value
            for store in stores
            for held in store.values()
            for version, value in held.get("versions", {}).items()
        }
        for line in self.changes({"store": scenario["store"]}):
            assert self.say(line) == ""

    def say(self, line: str) -> str:
        """Send one line to the program and return its answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the program ended at {line!r}"
        return answer.rstrip("\n")

    def changes(self, step: dict[str, Any]) -> Iterator[str]:
        """Yield the lines for a step that changes the store or the resource."""
        if fault := step.get("fail"):
            assert fault.keys() <= {"code", "message", "on", "of"}, fault
            name, where = ("fail_of", fault["of"]) if "of" in fault else ("fail", fault.get("on", []))
            yield "\t".join([name, fault["code"], fault["message"], ",".join(where)])
        elif "restore" in step:
            yield "restore"
        elif "resource" in step:
            resource = step["resource"]
            assert resource.keys() <= {"accepts", "fails"}, step
            pairs = "".join(map(self.login, resource.get("accepts", [])))
            yield f"resource\t{int(resource.get('fails', False))}\t{pairs}"
        for name, held in step.get("store", {}).items():
            assert held.keys() <= {"arn", "versions", "stages"}, held
            for version, value in held.get("versions", {}).items():
                yield "\t".join(["put", name, version, *hexed(value).split(" ", 1)])
            for stage, version in held.get("stages", {}).items():
                yield f"label\t{name}\t{stage}\t{version or ''}"
            if "arn" in held:
                yield f"arn\t{name}\t{held['arn']}"

    def login(self, version: str) -> str:
        """Format the user name and password of a version for the program; return "" if it has none."""
        try:
            fields = json.loads(self.versions.get(version, ""))
        except ValueError:
            return ""
        return f"|{fields['username']}/{fields['password']}|"

    def step(self, step: dict[str, Any]) -> None:
        """Do one step."""
        verbs = {
            *BESIDE,
            "invalidate",
            "close",
            "hold",
            "pass",
            "calls",
            "events",
            "stats",
            "logins",
            "at_most",
        }
        (verb,) = step.keys() & verbs
        assert step.keys() <= {verb} | BESIDE.get(verb, set()), step
        if verb in ("store", "fail", "restore", "resource"):
            later = f"after\t{step['after'] * self.scale}\t" if "after" in step else ""
            for line in self.changes(step):
                assert self.say(later + line) == ""
        else:
            getattr(self, f"do_{verb}")(step)

    def do_read(self, step: dict[str, Any]) -> None:
        fields = [
            step["read"].encode().hex(),
            step.get("stage", ""),
            step.get("version_id", ""),
            str(step.get("readers", 1)),
        ]
        expected = f"error {step['error']}" if "error" in step else hexed(step["value"])
        assert set(self.say("\t".join(["read", *fields])).split("\t")) == {expected}

    def do_refresh(self, step: dict[str, Any]) -> None:
        got = self.say(f"refresh\t{step['refresh']}")
        assert got == f"error {step['error']}" if "error" in step else not got.startswith("error")

    def do_peek(self, step: dict[str, Any]) -> None:
        expected = hexed(step["value"]) if "value" in step else "error not_cached"
        assert self.say(f"peek\t{step['peek']}") == expected

    def do_connect(self, step: dict[str, Any]) -> None:
        timeout = round(step.get("timeout", 0) * self.scale * 1000)
        got = self.say("\t".join(["connect", step["connect"], str(timeout), *step.get("stages", [])]))
        if "connected" in step:
            assert got == f"connected {step['connected']}"
            return
        kind, text = got.split("\t", 1)
        assert kind == f"error {'login_failed' if step['error'] == 'resource' else step['error']}", got
        if "tried" in step:
            named = re.search(r"\((.*)\)$", text)
            assert named
            assert named.group(1).split("; ") == step["tried"]

    def do_invalidate(self, step: dict[str, Any]) -> None:
        self.say(f"invalidate\t{step['invalidate']}")

    def do_close(self, step: dict[str, Any]) -> None:
        self.say("close")

    def do_hold(self, step: dict[str, Any]) -> None:
        self.say(f"hold\t{int(step['hold'])}")

    def do_pass(self, step: dict[str, Any]) -> None:
        # These scenarios are about the passing of time, so there is nothing else to wait for.
        time.sleep(step["pass"] * self.scale)

    def do_calls(self, step: dict[str, Any]) -> None:
        assert self.say("calls").split() == step["calls"]["native"]

    def do_events(self, step: dict[str, Any]) -> None:
        events: list[str] = []
        deadline = time.monotonic() + 10
        while True:
            events += [event for event in self.say("events").split("\t") if event and event not in events]
            if events == step["events"] or time.monotonic() > deadline:
                break
        events = list(dict.fromkeys(events))
        assert events == step["events"]

    def do_stats(self, step: dict[str, Any]) -> None:
        for name, expected in step["stats"].items():
            assert (name, int(self.say(f"stats\t{COUNTERS.index(name)}"))) == (name, expected)

    def do_logins(self, step: dict[str, Any]) -> None:
        assert [login for login in self.say("logins").split("\t") if login] == step["logins"]

    def do_at_most(self, step: dict[str, Any]) -> None:
        assert step["at_most"].keys() == {"logins", "calls"}, step
        assert len([login for login in self.say("logins").split("\t") if login]) <= step["at_most"]["logins"]
        assert len(self.say("calls").split()) <= step["at_most"]["calls"]

    def end(self) -> None:
        """End the program, and check that it exits successfully."""
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


@pytest.fixture(scope="module")
def program(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [HERE / "programs" / name for name in ("scenario.c", "store.c")]
    return installed.compile(tmp_path_factory.mktemp("scenarios") / "scenario", sources)


@pytest.mark.parametrize("scenario", load("c"))
def test_scenario(program: Path, scenario: dict[str, Any]) -> None:
    run(World(program, scenario), scenario)


@pytest.mark.parametrize("step", [{"raed": "db"}, {"read": "db", "valeu": "x"}, {"read": "db", "peek": "db"}])
def test_a_step_that_is_not_understood_is_an_error(program: Path, step: dict[str, Any]) -> None:
    world = World(program, {"store": {}, "steps": []})
    with pytest.raises((AssertionError, ValueError)):
        world.step(step)
    world.end()
