"""Runs the drop-in's contract against either implementation.

`SECRETCACHE_ORACLE=official` means that the interpreter has AWS's library installed. Tests marked `ours_only` are then
strictly expected to fail: one that passes claims a defect that the library does not have.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from endpoint import Endpoint
from support import Service

OFFICIAL = os.environ.get("SECRETCACHE_ORACLE") == "official"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ours_only(reason): a defect of AWS's library that ours does not have")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if OFFICIAL and (mark := item.get_closest_marker("ours_only")):
            item.add_marker(pytest.mark.xfail(reason=mark.args[0], strict=True))


@pytest.fixture(autouse=True)
def no_ambient_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the machine's AWS settings: a fixed Region, worthless credentials, no metadata service."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # Some tests import moto, which would make caches use botocore.
        "SECRETCACHE_TRANSPORT": "native",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def quick_official_refresh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the seconds that AWS's library sleeps in every forced refresh."""
    if OFFICIAL and "real_sleeps" not in request.fixturenames:
        from aws_secretsmanager_caching.cache.items import SecretCacheObject

        monkeypatch.setattr(SecretCacheObject, "FORCE_REFRESH_JITTER_SLEEP", 0)
        monkeypatch.setattr(SecretCacheObject, "FORCE_REFRESH_MAX_SLEEP", 0)


@pytest.fixture
def real_sleeps() -> None:
    """Use AWS's library unchanged, sleeps included."""


@pytest.fixture
def service() -> Iterator[Service]:
    """Provide a client object with the secret `db`, whose current version is `v1`."""
    service = Service()
    service.put("db", "v1", "value-1")
    yield service
    service.release()


@pytest.fixture(scope="session")
def running_endpoint() -> Iterator[Endpoint]:
    """Run one `secretcache local` for all tests that need it."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(running_endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> Endpoint:
    """Provide an endpoint that clients in this process and its children find through the environment."""
    for name, value in running_endpoint.environment.items():
        monkeypatch.setenv(name, value)
    running_endpoint.forget_requests()
    return running_endpoint
