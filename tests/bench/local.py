#!/usr/bin/env python3
"""Measures `secretcache local` against moto_server: start-up, memory, and requests with 10,000 secrets.

Run with the Python of target/venv/tests, where moto_server is installed. Prints a Markdown table.

Each client sends plain HTTP over one persistent connection, without an SDK, so that it costs next to nothing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(os.environ.get("SECRETCACHE", ROOT / "target" / "release" / "secretcache"))
SCOPE = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0"


@dataclass
class Running:
    """A running server, with the seconds until its first answer."""

    port: int
    process: subprocess.Popen
    started: float

    def memory(self) -> float:
        """Resident memory now, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Client:
    """One persistent connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, operation: str, **parameters: object) -> bytes:
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"secretsmanager.{operation}",
            "Authorization": SCOPE,
        }
        self._connection.request("POST", "/", json.dumps(parameters), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (operation, body[:300])
        return body


@contextmanager
def running(command: list[str]) -> Iterator[Running]:
    """Start a server and wait for its first answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.perf_counter()
    command = [part.format(port=port) for part in command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                Client(port).call("ListSecrets")
                break
            except OSError:
                assert process.poll() is None, command
                time.sleep(0.001)
        yield Running(port, process, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(20)


def timed(client: Client, seconds: float, operation: str, *parameters: dict) -> list[float]:
    """Send requests one after another; return how long each took, in seconds."""
    took = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        client.call(operation, **parameters[len(took) % len(parameters)])
        took.append(time.perf_counter() - began)
    return took


def summary(took: list[float]) -> str:
    """Format requests per second and the 99th percentile."""
    p99 = statistics.quantiles(took, n=100)[98]
    return f"{len(took) / sum(took):,.0f}/s, p99 {p99 * 1e3:,.2f} ms"


def measure(name: str, command: list[str], secrets: int, seconds: float) -> dict[str, str]:
    starts = []
    for _ in range(3):
        with running(command) as server:
            starts.append(server.started)
    with running(command) as server:
        empty = server.memory()
        client = Client(server.port)
        for number in range(secrets):
            value = json.dumps({"username": "app", "password": f"password-{number}"})
            token = f"{number:032}"
            client.call(
                "CreateSecret",
                Name=f"team{number % 50}/db{number}",
                SecretString=value,
                ClientRequestToken=token,
            )
        full = server.memory()
        reads = [{"SecretId": f"team{n % 50}/db{n}"} for n in range(0, secrets, max(1, secrets // 997))]
        figures = {
            "start, to the first answer": f"{min(starts) * 1e3:,.0f} ms",
            "memory when empty": f"{empty:,.0f} MB",
            f"memory with {secrets:,} secrets": f"{full:,.0f} MB",
            "GetSecretValue": summary(timed(client, seconds, "GetSecretValue", *reads)),
            "ListSecrets, a page of 100": summary(timed(client, seconds, "ListSecrets", {"MaxResults": 100})),
        }
        # A separate process lists, so that this one only reads.
        listing = [sys.executable, __file__, "--list", str(server.port), "--seconds", str(seconds + 1)]
        with subprocess.Popen(listing) as lister:
            time.sleep(0.5)
            figures["GetSecretValue while another client lists"] = summary(
                timed(client, seconds, "GetSecretValue", *reads)
            )
            lister.wait()
    print(f"{name}: done", file=sys.stderr)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secrets", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5, help="how long each kind of request is sent")
    parser.add_argument("--list", type=int, metavar="PORT", help="only send ListSecrets to this port")
    options = parser.parse_args()
    if options.list:
        timed(Client(options.list), options.seconds, "ListSecrets", {"MaxResults": 100})
        return 0
    moto = Path(sys.executable).parent / "moto_server"
    for needed in (COMMAND, moto):
        if not needed.exists():
            print(f"{needed} is missing", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory() as folder:
        ours = [str(COMMAND), "local", "--port", "{port}"]
        columns = {
            "secretcache local": measure("secretcache local", ours, options.secrets, options.seconds),
            "with --data": measure(
                "with --data", [*ours, "--data", f"{folder}/data"], options.secrets, options.seconds
            ),
            "moto_server": measure(
                "moto_server",
                [str(moto), "-H", "127.0.0.1", "-p", "{port}"],
                options.secrets,
                options.seconds,
            ),
        }
    print("| what | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for what in next(iter(columns.values())):
        print(f"| {what} | " + " | ".join(column[what] for column in columns.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
