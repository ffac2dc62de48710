"""The endpoint under test, and the clients that real users have.

SECRETCACHE_BIN is the path of the command. Default: `target/debug/secretcache` in this repository.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).parent))
from service_model import check_response

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-psecretcache.testing", "-pno:cacheprovider", "."]
"""Runs a program's own tests with the plugin."""
START = re.compile(r"^secretcache local listening on (https?://\S+)$")


def binary() -> str:
    """Return the path of the command under test."""
    path = os.environ.get("SECRETCACHE_BIN") or str(ROOT / "target" / "debug" / "secretcache")
    if not os.access(path, os.X_OK):
        pytest.exit(f"{path} is missing: build it (cargo build -p secretcache-cli) or set SECRETCACHE_BIN", 4)
    return path


@dataclass
class Endpoint:
    """A running `secretcache local`."""

    url: str
    process: subprocess.Popen
    output: list[str]
    reader: threading.Thread | None = None

    def client(
        self, region: str = REGION, key: str = "AKIDEXAMPLE", checked: bool = True, verify=None, **settings
    ):
        """Return a real boto3 client that checks every response against the service model."""
        settings = {"retries": {"total_max_attempts": 1}, "read_timeout": 10, **settings}
        client = boto3.client(
            "secretsmanager",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key="any",
            verify=verify,
            config=Config(**settings),
        )
        if checked:
            client.meta.events.register("before-parse.secrets-manager", check_response)
        return client

    def control(self, method: str, path: str, **body):
        """Send a control request; return the answer, or the status and answer if it fails."""
        data = json.dumps(body).encode() if body else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_control/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def events(self) -> list[dict]:
        """Return the rotation events so far."""
        return self.control("GET", "events")["events"]

    def wait_for_event(self, name: str, count: int = 1) -> dict:
        """Wait until an event has happened `count` times, and return the last one."""
        deadline = time.monotonic() + 60
        while True:
            found = [event for event in self.events() if event["event"] == name]
            if len(found) >= count:
                return found[count - 1]
            assert time.monotonic() < deadline, f"no {name} ({count}) but {self.events()}"
            time.sleep(0.02)

    def stop(self) -> int:
        """Stop it with SIGTERM, and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(10)
        if self.reader is not None:
            # From here on, `output` is complete.
            self.reader.join(10)
        return status

    def kill(self) -> None:
        """Kill it without notice, as a crash would."""
        self.process.kill()
        self.process.wait(10)


def start(*arguments: str, **settings) -> Endpoint:
    """Start the command and wait for its start line; settings are those of Popen."""
    port = [] if "--port" in arguments else ["--port", "0"]
    process = subprocess.Popen(
        [binary(), "local", *port, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **settings,
    )
    first = process.stdout.readline().rstrip("\n")
    match = START.match(first)
    if not match:
        process.kill()
        pytest.fail(f"no start line but: {first!r} {process.communicate()[0]!r}")
    output = [first]

    def drain():
        for line in process.stdout:
            output.append(line.rstrip("\n"))

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    return Endpoint(match.group(1), process, output, reader)


@pytest.fixture
def run():
    """Return a function that starts endpoints, which are stopped after the test."""
    started = []

    def run(*arguments, **settings):
        started.append(start(*arguments, **settings))
        return started[-1]

    yield run
    for endpoint in started:
        endpoint.stop()


@pytest.fixture(scope="session")
def endpoint():
    """Start an endpoint shared by all tests that only need unique secret names."""
    endpoint = start()
    yield endpoint
    assert endpoint.stop() == 0


@pytest.fixture
def client(endpoint):
    """Return a boto3 client for the shared endpoint."""
    return endpoint.client()


@pytest.fixture
def name(request):
    """Return a secret name that no other test uses."""
    return re.sub(r"[^A-Za-z0-9/_+=.@!-]", "-", request.node.name)
