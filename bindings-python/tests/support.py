"""Shared by the tests of the Python packages."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

T = TypeVar("T")

DESCRIBE, GET = "describe_secret", "get_secret_value"
CLOCK_STEP = Path(__file__).resolve().parents[2] / "tests" / "tools" / "clock_step.c"


def service_error(code: str, operation: str = "DescribeSecret", message: str = "as scripted") -> ClientError:
    """Return the error that boto3 raises for an error code of the service."""
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(response, operation)


class Service:
    """A hand-written client with the two methods that a cache calls. It records the calls."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, dict[str, Any]]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.threads: list[threading.Thread] = []
        self.failures: dict[str, BaseException] = {}
        self.delays: dict[str, float] = {}
        self._released = threading.Event()

    def put(self, secret_id: str, version_id: str, value: str | bytes | None, *stages: str) -> None:
        """Store a version as the current one, or with the given stages. Other versions lose these stages."""
        versions = self.secrets.setdefault(secret_id, {})
        labels = list(stages or ("AWSCURRENT",))
        for version in versions.values():
            moved = [stage for stage in version["stages"] if stage in labels]
            version["stages"] = [s for s in version["stages"] if s not in [*labels, "AWSPREVIOUS"]]
            if "AWSCURRENT" in moved:
                version["stages"].append("AWSPREVIOUS")
        versions[version_id] = {"stages": labels, "value": value}

    def describe_secret(self, **kwargs: Any) -> dict[str, Any]:
        """Answer as boto3's client does."""
        versions = self._serve(DESCRIBE, kwargs)
        stages = {version_id: version["stages"] for version_id, version in versions.items()}
        return copy.deepcopy({**self._head(kwargs), "VersionIdsToStages": stages})

    def get_secret_value(self, **kwargs: Any) -> dict[str, Any]:
        """Answer as boto3's client does."""
        versions = self._serve(GET, kwargs)
        version_id = kwargs["VersionId"]
        if version_id not in versions:
            raise service_error("ResourceNotFoundException", "GetSecretValue")
        version = versions[version_id]
        answer = {**self._head(kwargs), "VersionId": version_id, "VersionStages": version["stages"]}
        if (value := version["value"]) is not None:
            answer["SecretBinary" if isinstance(value, bytes) else "SecretString"] = value
        return copy.deepcopy(answer)

    def count(self, operation: str, secret_id: str | None = None) -> int:
        """Count the calls of an operation, for one secret or all."""
        return sum(name == operation and secret_id in (None, kw["SecretId"]) for name, kw in list(self.calls))

    def names(self) -> list[str]:
        """List the operations called, in order."""
        return [name for name, _ in self.calls]

    def release(self) -> None:
        """End all delays, so that no thread outlives its test."""
        self._released.set()

    def _serve(self, operation: str, kwargs: dict[str, Any]) -> dict[str, dict[str, Any]]:
        self.calls.append((operation, kwargs))
        self.threads.append(threading.current_thread())
        if delay := self.delays.get(operation):
            self._released.wait(delay)
        if failure := self.failures.get(operation):
            raise failure
        if kwargs["SecretId"] not in self.secrets:
            raise service_error("ResourceNotFoundException", message="Secrets Manager can't find the secret.")
        return self.secrets[kwargs["SecretId"]]

    @staticmethod
    def _head(kwargs: dict[str, Any]) -> dict[str, Any]:
        name = kwargs["SecretId"]
        arn = f"arn:aws:secretsmanager:us-east-1:111122223333:secret:{name}-AbCdEf"
        return {"ARN": arn, "Name": name, "ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}


class Canned:
    """A client that returns prepared responses, whatever they are."""

    def __init__(self, describe: dict[str, Any], value: dict[str, Any] | None = None) -> None:
        self.describe, self.value = describe, value

    def describe_secret(self, **_: Any) -> Any:
        """Return the first response."""
        return copy.deepcopy(self.describe)

    def get_secret_value(self, **_: Any) -> Any:
        """Return the second response."""
        assert self.value is not None, "the cache was not expected to ask for a value"
        return copy.deepcopy(self.value)


def eventually(read: Callable[[], T], expected: T, within: float = 5.0) -> None:
    """Read until the expected value appears."""
    deadline = time.monotonic() + within
    while (got := read()) != expected:
        assert time.monotonic() < deadline, f"still {got!r} after {within} s, not {expected!r}"
        time.sleep(0.02)


def at_once(times: int, call: Callable[[], T]) -> list[T]:
    """Call from several threads at the same time."""
    barrier = threading.Barrier(times)

    def run(_: int) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def raised(call: Callable[[], Any]) -> BaseException:
    """Return what a call raises."""
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def run_python(code: str, path: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a snippet in a new interpreter that imports from `path`."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
