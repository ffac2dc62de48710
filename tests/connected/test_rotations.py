"""Programs that connect all the time do not notice that their secret rotates, whichever way they connect."""

from __future__ import annotations

import random
from typing import Any

import pytest
from databases import DATABASES
from fleet import Fleet
from integrations import OF
from rotating import ByHand

from endpoint import Endpoint

STRATEGIES = [
    ("postgres", "single-user"),
    ("postgres", "alternating-users"),
    ("mariadb", "single-user"),
    ("mariadb", "alternating-users"),
    ("mariadb", "dual-password"),
    ("redis", "single-user"),
    ("redis", "dual-password"),
]
ROTATIONS = 3


@pytest.mark.parametrize(("server", "strategy"), STRATEGIES)
def test_nobody_notices_a_rotation(endpoint: Endpoint, client: Any, server: str, strategy: str) -> None:
    secret_id = f"{server}/{strategy}"
    with DATABASES[server]() as database:
        secret = ByHand(client, database, strategy, secret_id)
        fleet = Fleet(list(OF[server]), database, endpoint.environment, secret_id=secret_id)
        refused = database.refused()
        fleet.begin("rotating")
        for _ in range(ROTATIONS):
            secret.rotate(random.uniform(0.2, 2))
        reports = fleet.end()
        refused = database.refused() - refused
    for report in reports:
        assert report["failures"] == [], report["name"]
        assert report["connects"]["rotating"] > 0, report["name"]
        assert report["refused_late"] <= ROTATIONS, report["name"]
        assert report["logins"]["rejected"] <= ROTATIONS * (1 + fleet.workers), report["name"]
    # What the server saw is what the caches know of: no driver tries again on its own.
    assert refused == sum(report["logins"]["rejected"] for report in reports)
