"""An endpoint that makes trouble on request, and caches that reach it through either transport."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from endpoint import Endpoint
from secretcache import SecretCache
from support import eventually

TRANSPORTS = ("native", "boto3")
SCRIPTS = Path(__file__).with_name("scripts")


class Control:
    """The control requests of a running endpoint, and clients and caches for it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fault(self, effect: Any = None, *operations: str, **rule: Any) -> None:
        """Add a fault: `effect` happens to the requests that match."""
        self._control("POST", "faults", {"effect": effect, "operations": list(operations), **rule})

    def calm(self) -> None:
        """Remove all faults."""
        self._control("DELETE", "faults")

    def wait_for_trouble(self) -> None:
        """Wait until a request has hit a fault."""
        eventually(lambda: any(rule["seen"] for rule in self._control("GET", "faults")["faults"]), True, 10)

    def calls(self) -> dict[str, int]:
        """Count the calls answered so far, by operation."""
        return {name: sum(by.values()) for name, by in self._control("GET", "calls").items()}

    def forget_calls(self) -> None:
        """Count from zero again."""
        self._control("DELETE", "calls")

    def advance(self, seconds: float) -> None:
        """Move the service's clock."""
        self._control("POST", "clock", {"advance_seconds": seconds})

    def client(self, timeout: float = 10, **settings: Any) -> Any:
        """Make a boto3 client that tries once."""
        config = Config(connect_timeout=timeout, read_timeout=timeout, retries={"total_max_attempts": 1})
        connection = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }
        return boto3.client("secretsmanager", config=config, **{**connection, **settings})

    def cache(
        self, transport: str, timeout: float = 10, *, face: type[SecretCache] = SecretCache, **settings: Any
    ) -> Any:
        """Make a cache; `timeout` limits a single attempt."""
        if transport == "native":
            # One attempt gets two fifths of the native timeout.
            connection = {"endpoint_url": self.url, "region_name": "us-east-1", "timeout": timeout * 2.5}
            return face(**connection, **settings)
        return face(client=self.client(timeout), **settings)

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_control/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


class Trouble(Control, Endpoint):
    """`secretcache local --control`, with its control requests as methods, and clients that try once."""

    def __init__(self, *options: str) -> None:
        Endpoint.__init__(self, "debug", "--control", *options)


def start_script(name: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a script of this folder in a new process with the import path of the tests."""
    path = os.pathsep.join(each for each in sys.path if each)
    return subprocess.Popen(
        [sys.executable, str(SCRIPTS / name), *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(name: str, *arguments: str, **environment: str) -> str:
    """Run a script, check that it succeeds, and return its output."""
    with start_script(name, *arguments, **environment) as process:
        try:
            output, problems = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, problems[-3000:]
    # Warnings of the cache are expected; a traceback never is.
    assert not re.search("Traceback|Exception|panicked", problems), problems[-3000:]
    return output.strip()
