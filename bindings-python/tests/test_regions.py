"""Several Regions in one cache: replicas are read while a secret's own Region does not respond."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from endpoint import Endpoint
from secretcache import AsyncSecretCache, Replica, SecretCache, errors
from support import eventually


class World:
    """An endpoint with both Regions, and faults in either."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.url = endpoint.url
        self.client = endpoint.client()
        self.arn: str = self.client.create_secret(
            Name="db", SecretString="v1", AddReplicaRegions=[{"Region": "eu-west-1"}]
        )["ARN"]

    def control(self, method: str, path: str, body: Any = None) -> None:
        """Send a control request."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_control/{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request, timeout=10).close()

    def spoil(self, region: str = "us-east-1", **fault: Any) -> None:
        """Add a fault to reads in a Region."""
        operations = ["GetSecretValue", "DescribeSecret"]
        arn = self.arn.replace("us-east-1", region)
        self.control("POST", "faults", {"operations": operations, "secret_id": arn, **fault})

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return the settings of a cache for both Regions."""
        regions: Any = ["eu-west-1"]
        return {"endpoint_url": self.url, "fallback_regions": regions, "fallback_after": 0.5, **more}


@pytest.fixture
def world() -> Iterator[World]:
    """Run a separate endpoint."""
    with Endpoint("debug", "--control") as endpoint:
        yield World(endpoint)


def test_a_replica_is_read_while_its_region_hangs_and_no_longer(world: World) -> None:
    world.spoil(effect="hang")
    events: list[Replica] = []
    with SecretCache(**world.settings(refresh_interval=0.3)) as cache:
        cache.on_replica(events.append)
        value = cache.get_secret_value("db")
        assert (value.secret_string, value.arn) == ("v1", world.arn)
        eventually(lambda: [(event.secret_id, event.region) for event in events], [("db", "eu-west-1")])
        assert isinstance(events[0].error, errors.RequestTimeoutError)
        world.client.put_secret_value(SecretId="db", SecretString="v2")
        eventually(lambda: cache.get_secret_string("db"), "v2")
        assert cache.stats()["replica_reads"] >= 2
        world.control("DELETE", "faults")
        eventually(
            lambda: (cache.get_secret_string("db"), "DescribeSecret" in cache.stats()["api_calls"])[1], True
        )
        assert len(events) == 1


def test_a_region_that_refuses_connections_is_not_called_slow(world: World) -> None:
    events: list[Replica] = []
    regions = [f"eu-west-1={world.url}"]
    settings = world.settings(
        endpoint_url="http://127.0.0.1:1", fallback_regions=regions, fallback_after=0.05
    )
    with SecretCache(**settings) as cache:
        cache.on_replica(events.append)
        assert cache.get_secret_string("db") == "v1"
        eventually(lambda: len(events), 1)
    assert isinstance(events[0].error, errors.EndpointConnectionError)
    assert "Connection refused" in str(events[0].error)


def test_awaited_reads_do_the_same(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.spoil(effect={"error": {"type": "InternalServiceError", "status": 500}})

    async def read() -> str:
        async with AsyncSecretCache(**world.settings()) as cache:
            value = await cache.get_secret_string("db")
            while "is read from its replica in eu-west-1" not in caplog.text:
                await asyncio.sleep(0.01)
            return value

    assert asyncio.run(asyncio.wait_for(read(), 10)) == "v1"


def test_a_replica_that_is_behind_moves_nothing_back(world: World) -> None:
    world.control("POST", "clock", {"advance_seconds": 3600})
    world.client.put_secret_value(SecretId="db", SecretString="v2")
    with SecretCache(**world.settings(refresh_interval=0.2)) as cache:
        assert cache.get_secret_string("db") == "v2"
        world.spoil("eu-west-1", effect={"stale": {"seconds": 1800}})
        world.spoil(effect="throttle")
        eventually(
            lambda: (cache.get_secret_string("db"), sum(cache.stats()["failures"].values()) >= 2),
            ("v2", True),
        )
        assert cache.stats()["replica_reads"] == 0


def test_a_refusal_is_an_answer(world: World) -> None:
    world.spoil(effect="deny")
    with SecretCache(**world.settings()) as cache:
        with pytest.raises(errors.AccessDeniedError):
            cache.get_secret_string("db")
        with pytest.raises(errors.SecretNotFoundError):
            cache.get_secret_string("missing")
        assert cache.stats()["replica_reads"] == 0


def test_a_forked_child_finds_the_replica_itself(world: World) -> None:
    world.spoil(effect="hang")
    with SecretCache(**world.settings()) as cache:
        assert cache.get_secret_string("db") == "v1"
        child = os.fork()
        if not child:
            status = 1
            try:
                status = (
                    0 if cache.get_secret_string("db") == "v1" and cache.stats()["replica_reads"] == 1 else 2
                )
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_no_region_is_an_error_when_the_cache_is_made() -> None:
    for wrong in ("Ireland", "", "eu-west-1=", "eu-west-1=localhost"):
        with pytest.raises(errors.ConfigurationError, match="fallback Region|endpoint URL"):
            SecretCache(fallback_regions=[wrong])
    with pytest.raises(errors.ConfigurationError, match="set twice"):
        SecretCache(fallback_regions=["eu-west-1", "eu-west-1"])
    with pytest.raises(errors.ConfigurationError, match="fallback_after is 0"):
        SecretCache(fallback_regions=["eu-west-1"], fallback_after=0)
    with pytest.raises(TypeError, match="fallback_regions must be a list"):
        SecretCache(fallback_regions="eu-west-1")
    with pytest.raises(TypeError, match="fallback_regions: cannot be combined with client"):
        SecretCache(client=object(), fallback_regions=["eu-west-1"])
    with pytest.raises(errors.ConfigurationError, match="only the native client supports this"):
        SecretCache(session=boto3.Session(), fallback_regions=["eu-west-1"])
