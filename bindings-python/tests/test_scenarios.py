"""Runs the scenarios shared by all languages on `secretcache.SecretCache`, with a scripted client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from scenarios import BESIDE, load, run

from secretcache import Credential, LoginRejectedError, SecretCache
from support import at_once, eventually, service_error

TIMES = {"ttl": "refresh_interval", "max_wait": "max_wait", "max_stale": "max_stale"}
OTHERS = {"max_size": "max_size", "stale_on_denied": "stale_on_denied"}
MISSING = "Secrets Manager can't find the specified secret."
NO_VALUE = "Secrets Manager can't find the specified secret value for staging label: it"


class RefusedError(Exception):
    """The resource refuses the user name and password."""

    sqlstate = "28P01"


class ResourceError(Exception):
    """The resource fails for another reason."""


class Store:
    """A client object that serves what the scenario says is stored."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.held: dict[str, Any] = {}
        self.change(held)
        self.fault: dict[str, Any] | None = None
        self.codes = {"ResourceNotFoundException"}
        self.calls: list[str] = []
        self.answers = threading.Event()
        self.answers.set()
        self.resource: dict[str, Any] = {}
        self.logins: list[str] = []
        self.later: list[tuple[float, Callable[[], object]]] = []
        self.lock = threading.RLock()

    def catch_up(self) -> None:
        """Apply the changes that are due."""
        with self.lock:
            now = time.monotonic()
            happening = [what for when, what in self.later if when <= now]
            self.later = [(when, what) for when, what in self.later if when > now]
            for what in happening:
                what()

    def log_in(self, credential: Credential) -> str:
        """Log in to the resource; return the label and version used."""
        self.catch_up()
        name = f"{credential.version_stage} {credential.version_id}"
        taken = [
            scenario_value(held["versions"][version_id])
            for held in self.held.values()
            for version_id in self.resource.get("accepts", [])
            if version_id in held["versions"]
        ]
        given = (credential.username, credential.password)
        if self.resource.get("fails"):
            self.logins.append(f"{name} failed")
            raise ResourceError("the network is down")
        if all(given != (fields["username"], fields["password"]) for fields in map(json.loads, taken)):
            self.logins.append(f"{name} refused")
            raise RefusedError("password authentication failed")
        self.logins.append(f"{name} accepted")
        return name

    def change(self, changes: dict[str, Any]) -> None:
        """Add versions and stages; remove the stages that are null."""
        for name, change in changes.items():
            assert change.keys() <= {"arn", "versions", "stages"}, change
            held = self.held.setdefault(name, {"versions": {}, "stages": {}})
            held["versions"].update(change.get("versions", {}))
            held["stages"].update(change.get("stages", {}))
            held["arn"] = change.get("arn", held.get("arn"))

    def describe_secret(self, *, SecretId: str) -> dict[str, Any]:
        """Answer as boto3's client does."""
        held = self._call("DescribeSecret", SecretId)
        labels = {version: self._labels(held, version) for version in held["stages"].values() if version}
        return self._head(held) | {"VersionIdsToStages": labels}

    def get_secret_value(self, *, SecretId: str, VersionId: str) -> dict[str, Any]:
        """Answer as boto3's client does."""
        held = self._call("GetSecretValue", SecretId)
        if self.fault and {*self.fault.get("of", [])} & {*self._labels(held, VersionId)}:
            self._fail("GetSecretValue")
        if VersionId not in held["versions"]:
            raise service_error("ResourceNotFoundException", "GetSecretValue", NO_VALUE)
        value = scenario_value(held["versions"][VersionId])
        field = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        stages = self._labels(held, VersionId)
        return self._head(held) | {"VersionId": VersionId, "VersionStages": stages, field: value}

    def _call(self, operation: str, secret_id: str) -> dict[str, Any]:
        self.catch_up()
        self.calls.append(operation)
        fault = self.fault
        self.answers.wait()
        if fault and "of" not in fault and operation in fault.get("on", [operation]):
            self._fail(operation, fault)
        for name, held in self.held.items():
            if name == secret_id:
                return held
        for held in self.held.values():
            if held["arn"] and secret_id in (held["arn"], held["arn"][:-7]):
                return held
        raise service_error("ResourceNotFoundException", operation, MISSING)

    def _fail(self, operation: str, fault: dict[str, Any] | None = None) -> NoReturn:
        fault = fault or self.fault or {}
        assert fault.keys() <= {"code", "message", "on", "of"}, fault
        self.codes.add(fault["code"])
        raise service_error(fault["code"], operation, fault["message"])

    @staticmethod
    def _head(held: dict[str, Any]) -> dict[str, Any]:
        return {"ARN": held["arn"]} if held["arn"] else {}

    @staticmethod
    def _labels(held: dict[str, Any], version_id: str) -> list[str]:
        return [label for label, version in held["stages"].items() if version == version_id]


class World:
    """One cache, its store, and its events."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.scale: float = scenario.get("real_time", 1)
        config = scenario.get("config", {})
        assert config.keys() <= TIMES.keys() | OTHERS.keys(), config
        settings = {name: config[key] * self.scale for key, name in TIMES.items() if key in config}
        settings |= {name: config[key] for key, name in OTHERS.items() if key in config}
        self.store = Store(scenario["store"])
        self.cache = SecretCache(client=self.store, **settings)
        self.events: list[str] = []
        self.cache.on_new_version(
            lambda event: self.record(
                "new_version", event.secret_id, event.old_version_id, event.new_version_id
            )
        )
        self.cache.on_stale(lambda event: self.record("stale", event.secret_id))
        self.cache.on_error(lambda event: self.record("error", event.secret_id, self.kind_of(event.error)))

    def record(self, *words: str) -> None:
        """Record an event, unless it is recorded already."""
        if (event := " ".join(words)) not in self.events:
            self.events.append(event)

    def kind_of(self, exception: BaseException) -> str:
        """Return the kind of a failure; for a client's exception, the kind that the cache counts it as."""
        if kind := getattr(exception, "kind", None):
            return str(kind)
        code = exception.response["Error"]["Code"]  # type: ignore[attr-defined]
        assert code in self.store.codes, "the client's exception was not raised unchanged"
        (kind,) = self.cache.stats()["failures"]
        return str(kind)

    def read(self, step: dict[str, Any]) -> None:
        """Read, at the same time if there are several readers."""

        def one() -> Any:
            try:
                value = self.cache.get_secret_value(
                    step["read"], step.get("stage"), version_id=step.get("version_id")
                )
            except Exception as exception:
                return {"error": self.kind_of(exception)}
            return {"value": plain(value)}

        expected = {"error": step["error"]} if "error" in step else {"value": scenario_value(step["value"])}
        for got in at_once(step.get("readers", 1), one):
            assert got == expected

    def refresh(self, step: dict[str, Any]) -> None:
        """Force a refresh."""
        assert self.cache.refresh_secret_now(step["refresh"]) is ("error" not in step)
        if (kind := step.get("error", "closed")) != "closed":
            assert kind in self.cache.stats()["failures"]

    def peek(self, step: dict[str, Any]) -> None:
        """Peek: read from memory only."""
        value = self.cache.peek(step["peek"])
        assert (None if value is None else plain(value)) == scenario_value(step.get("value"))

    def connect(self, step: dict[str, Any]) -> None:
        """Connect to the resource."""
        settings = {"timeout": step["timeout"] * self.scale} if "timeout" in step else {}
        settings |= {"stages": step["stages"]} if "stages" in step else {}
        tried = []
        try:
            got = self.cache.connect(step["connect"], self.store.log_in, **settings)
        except ResourceError:
            got = {"error": "resource"}
        except LoginRejectedError as error:
            assert isinstance(error.__cause__, RefusedError)
            got, tried = {"error": error.kind}, [f"{stage} {version}" for stage, version in error.tried]
        except Exception as error:
            got = {"error": self.kind_of(error)}
        assert got == step.get("connected", {"error": step.get("error")})
        assert tried == step.get("tried", tried)

    def resource(self, step: dict[str, Any]) -> None:
        """Set what the resource does from now on."""
        assert step["resource"].keys() <= {"accepts", "fails"}, step
        self.store.resource = step["resource"]

    def take_logins(self, step: dict[str, Any]) -> None:
        """Compare the logins since the last check."""
        assert self.store.logins == step["logins"]
        self.store.logins.clear()

    def check_bounds(self, step: dict[str, Any]) -> None:
        """Compare the number of logins and calls since the last check with their bounds."""
        assert step["at_most"].keys() == {"logins", "calls"}, step
        assert len(self.store.logins) <= step["at_most"]["logins"], self.store.logins
        assert len(self.store.calls) <= step["at_most"]["calls"], self.store.calls
        self.store.logins.clear()
        self.store.calls.clear()

    def hold(self, step: dict[str, Any]) -> None:
        """Make the service hang, or respond again."""
        (self.store.answers.clear if step["hold"] else self.store.answers.set)()

    def step(self, step: dict[str, Any]) -> None:
        """Do one step."""
        verbs: dict[str, Any] = {
            "read": self.read,
            "refresh": self.refresh,
            "peek": self.peek,
            "hold": self.hold,
            "connect": self.connect,
            "resource": self.resource,
            "logins": self.take_logins,
            "at_most": self.check_bounds,
            "invalidate": lambda step: self.cache.invalidate(step["invalidate"]),
            "close": lambda _: self.cache.close(),
            "store": lambda step: self.store.change(step["store"]),
            "fail": lambda step: setattr(self.store, "fault", step["fail"]),
            "restore": lambda _: setattr(self.store, "fault", None),
            # These scenarios are about the passage of time: there is no event to wait for.
            "pass": lambda step: time.sleep(step["pass"] * self.scale),
            "calls": lambda step: self.take_calls(step["calls"]["host"]),
            "events": lambda step: self.take_events(step["events"]),
            "stats": lambda step: self.check_stats(step["stats"]),
        }
        (verb,) = step.keys() & verbs.keys()
        assert step.keys() <= {verb} | BESIDE.get(verb, set()), step
        self.store.catch_up()
        if "after" in step:
            when = time.monotonic() + step["after"] * self.scale
            self.store.later.append((when, lambda: verbs[verb](step)))
        else:
            verbs[verb](step)

    def take_calls(self, expected: list[str]) -> None:
        """Compare the calls since the last check."""
        assert self.store.calls == expected
        self.store.calls.clear()

    def take_events(self, expected: list[str]) -> None:
        """Compare the events since the last check; those of the background thread can be a moment late."""
        eventually(lambda: list(self.events), expected)
        self.events.clear()

    def check_stats(self, expected: dict[str, int]) -> None:
        """Compare counters."""
        stats = self.cache.stats()
        assert {name: stats[name] for name in expected} == expected

    def end(self) -> None:
        """Close the cache, so that no thread outlives the scenario."""
        self.store.answers.set()
        self.cache.close()


def scenario_value(value: Any) -> Any:
    """Return a scenario's value as a Python value."""
    return bytes(value["bytes"]) if isinstance(value, dict) else value


def plain(value: Any) -> Any:
    """Return the bytes or the string of a version."""
    return value.secret_string if value.secret_binary is None else value.secret_binary


@pytest.mark.parametrize("scenario", load("python"))
def test_scenario(scenario: dict[str, Any]) -> None:
    run(World(scenario), scenario)


@pytest.mark.parametrize(
    "step",
    [
        {"raed": "db"},
        {"read": "db", "valeu": "x"},
        {"peek": "db", "error": "x"},
        {"read": "db", "tried": []},
        {"close": True, "after": 1},
        {"resource": {"accept": ["v1"]}},
        {"read": "db", "peek": "db"},
    ],
)
def test_a_step_that_is_not_understood_is_an_error(step: dict[str, Any]) -> None:
    world = World({"store": {}})
    with pytest.raises((AssertionError, ValueError)):
        world.step(step)
    world.end()
