"""A program opens only the connections that docs/security/network.md lists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from endpoint import Endpoint

CONSTRUCT = """
import aws_secretsmanager_caching
from secretcache import SecretCache

SecretCache(region_name="eu-central-1").close()
aws_secretsmanager_caching.SecretCache()
"""
READ = """
from secretcache import SecretCache

with SecretCache() as cache:
    assert cache.get_secret_field("watched", "password") == "one"
    assert cache.refresh_secret_now("watched")
    cache.connect("watched", lambda credential: None)
"""


def sockets(script: str, folder: Path, environment: dict[str, str]) -> tuple[list[str], set[str]]:
    """Return the calls that create internet sockets, and the addresses that they connect to."""
    log = folder / "calls"
    command = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg", "-o", log]
    subprocess.run(
        [*command, sys.executable, "-c", script], env=os.environ | environment, check=True, timeout=300
    )
    calls = [line for line in log.read_text().splitlines() if "AF_INET" in line]
    destination = re.compile(r'_port=htons\((\d+)\), .*?"([^"]+)"')
    return calls, {f"{host}:{port}" for call in calls for port, host in destination.findall(call)}


def test_no_socket_is_opened_by_importing_or_constructing(tmp_path: Path) -> None:
    calls, _ = sockets(CONSTRUCT, tmp_path, {"AWS_DEFAULT_REGION": "eu-central-1"})
    assert calls == []


def test_only_the_endpoint_is_connected_to(running_endpoint: Endpoint, tmp_path: Path) -> None:
    running_endpoint.client().create_secret(
        Name="watched", SecretString='{"username": "app", "password": "one"}'
    )
    _, addresses = sockets(READ, tmp_path, running_endpoint.environment)
    assert {f"http://{address}" for address in addresses} == {running_endpoint.url}
