"""What the tests of staying connected run against: `secretcache local`, and real servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from databases import DATABASES, Database

from endpoint import Endpoint


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """Run one endpoint for all tests; each has a secret of its own."""
    with Endpoint() as endpoint:
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


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Provide each server in turn."""
    with DATABASES[request.param]() as database:
        yield database


@pytest.fixture(scope="module")
def postgres() -> Iterator[Database]:
    """Provide PostgreSQL."""
    with DATABASES["postgres"]() as database:
        yield database
