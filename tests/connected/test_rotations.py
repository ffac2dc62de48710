"""Programs that connect all the time do not notice that their secret rotates, whichever way they connect."""

from __future__ import annotations

from typing import Any

import pytest
from databases import DATABASES
from fleet import Fleet
from integrations import OF
from rotating import STRATEGIES, ByEngine, ByHand, Rotation, Secret

from endpoint import Endpoint

GAPS = {"by hand": (0.2, 0.5, 1.1), "by our engine": (0.7,)}
"""Seconds between setSecret and finishSecret, of each rotation."""
CALLS = 12
"""Calls to Secrets Manager that a process may make in one rotation of about a second."""


@pytest.mark.parametrize("server", DATABASES)
def test_nobody_notices_a_rotation(endpoint: Endpoint, client: Any, server: str) -> None:
    with DATABASES[server]() as database:
        secret = Secret(client, database, server, address=True)
        fleet = Fleet(list(OF[server]), database, endpoint.environment, server)
        before = database.refused()
        rotations: dict[str, int] = {}
        for strategy in STRATEGIES[server]:
            ways: dict[str, Rotation] = {
                "by hand": ByHand(secret, strategy),
                "by our engine": ByEngine(secret, strategy, endpoint.url),
            }
            for way, rotation in ways.items():
                phase = f"{strategy} {way}"
                fleet.begin(phase)
                for gap in GAPS[way]:
                    rotation.rotate(gap)
                rotations[phase] = len(GAPS[way])
        reports = fleet.end()
        refused = database.refused() - before
    for report in reports:
        for phase, count in rotations.items():
            seen = report["phases"][phase]
            told = f"{report['name']}, {phase}: {seen | {'waits': seen['waits'][-10:]}}"
            assert seen["failures"] == [], told
            assert seen["connects"] > 0, told
            assert seen["refused_late"] <= count, told
            assert seen["refused"] <= count * (1 + fleet.workers), told
            assert seen["calls"] <= count * CALLS, told
    # What the server saw is what the caches know of: no driver tries again on its own.
    assert refused == sum(report["rejected"] for report in reports)
