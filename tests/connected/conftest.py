"""Fixtures of the tests of staying connected: `secretcache local`, and real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import boto3
import pytest
from brokers import SERVERS
from databases import DATABASES, Database

from endpoint import Endpoint


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """Run one endpoint for all tests; each uses its own secret."""
    with Endpoint("debug", "--db-plaintext") as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients of this process find the endpoint."""
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client(environment: None) -> Any:
    """Provide a boto3 client of the endpoint."""
    return boto3.client("secretsmanager")


@pytest.fixture(scope="session")
def databases() -> Iterator[Callable[[str], Any]]:
    """Provide servers by name, each started on first use."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(SERVERS[name]()))


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, databases: Callable[[str], Any]) -> Database:
    """Provide each server in turn."""
    return databases(request.param)


@pytest.fixture
def postgres(databases: Callable[[str], Any]) -> Database:
    """Provide PostgreSQL."""
    return databases("postgres")
