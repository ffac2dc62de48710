"""Programs that connect continuously do not notice a rotation of their secret, however they connect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from brokers import SERVERS, Sentinels
from databases import Database
from fleet import Fleet
from integrations import ALL
from rotating import BY_HAND_ALONE, STRATEGIES, ByEngine, ByHand, ByService, Rotation, Secret

from endpoint import Endpoint

GAPS = {"by hand": (0.2, 0.5, 1.1), "by our engine": (0.7,), "by RotateSecret": (0.0,)}
"""Seconds between setSecret and finishSecret, for each rotation."""
CALLS = 8
"""The most calls to Secrets Manager per process and rotation of about a second. Usually there are two or three."""


class Run:
    """What the programs of one server experienced during its rotations, and how many logins the server refused."""

    def __init__(self, endpoint: Endpoint, client: Any, database: Database) -> None:
        server = database.engine
        fail_over = database.fail_over if isinstance(database, Sentinels) else lambda: None
        secret = Secret(client, database, server, address=True)
        fleet = Fleet(list(ALL[server]), database, endpoint.environment, server)
        before = database.refused()
        self.workers = fleet.workers
        self.rotations = 0
        for strategy in STRATEGIES[server]:
            ways: dict[str, Rotation] = {"by hand": ByHand(secret, strategy)}
            if server not in BY_HAND_ALONE:
                ways["by our engine"] = ByEngine(secret, strategy, endpoint)
            if (server, strategy) in ByService.TEMPLATES:
                ways["by RotateSecret"] = ByService(secret, strategy)
            for way, rotation in ways.items():
                fleet.begin(f"{strategy} {way}")
                for gap in GAPS[way]:
                    rotation.rotate(gap)
                    self.rotations += 1
                fail_over()
        self.reports = fleet.end()
        self.refused = database.refused() - before


@pytest.fixture(scope="module")
def runs(endpoint: Endpoint, databases: Callable[[str], Any]) -> Iterator[dict[str, Future[Run]]]:
    """Rotate the secrets of all servers at the same time, because most of that is waiting."""
    where = {"endpoint_url": endpoint.url, "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("secretsmanager", **where, **keys)
    with ThreadPoolExecutor() as threads:
        servers = [databases(name) for name in SERVERS]
        yield {each.engine: threads.submit(Run, endpoint, client, each) for each in servers}


@pytest.mark.parametrize("server", SERVERS)
def test_nobody_notices_a_rotation(runs: dict[str, Future[Run]], server: str) -> None:
    run = runs[server].result()
    for report in run.reports:
        report["phases"].pop("start")
        seen = report["phases"].values()
        phases = {phase: seen | {"waits": seen["waits"][-9:]} for phase, seen in report["phases"].items()}
        assert not any(phase["failures"] for phase in seen), (report["name"], phases)
        # A rotation by our engine can be so short that it falls between two connections.
        assert sum(phase["connects"] for phase in seen), (report["name"], phases)
        sums = {what: sum(phase[what] for phase in seen) for what in ("refused", "refused_late", "calls")}
        assert sums["refused_late"] <= run.rotations, (report["name"], phases)
        assert sums["refused"] <= run.rotations * (1 + run.workers), (report["name"], phases)
        assert sums["calls"] <= run.rotations * CALLS, (report["name"], phases)
    # The caches know of every refusal that the server counted: no driver retries on its own.
    assert run.refused == sum(report["rejected"] for report in run.reports)
