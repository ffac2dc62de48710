"""Programs that connect all the time do not notice that their secret rotates, whichever way they connect."""

from __future__ import annotations

from typing import Any

from databases import Database
from fleet import Fleet
from integrations import OF
from rotating import STRATEGIES, ByEngine, ByHand, ByService, Rotation, Secret

from endpoint import Endpoint

GAPS = {"by hand": (0.2, 0.5, 1.1), "by our engine": (0.7,), "by RotateSecret": (0.0,)}
"""Seconds between setSecret and finishSecret, of each rotation."""
CALLS = 8
"""Calls to Secrets Manager that a process may make in one rotation of about a second. It makes two or three."""


def test_nobody_notices_a_rotation(endpoint: Endpoint, client: Any, database: Database) -> None:
    server = database.engine
    secret = Secret(client, database, server, address=True)
    fleet = Fleet(list(OF[server]), database, endpoint.environment, server)
    before = database.refused()
    rotations = 0
    for strategy in STRATEGIES[server]:
        ways: dict[str, Rotation] = {
            "by hand": ByHand(secret, strategy),
            "by our engine": ByEngine(secret, strategy, endpoint.url),
        }
        if (server, strategy) in ByService.TEMPLATES:
            ways["by RotateSecret"] = ByService(secret, strategy)
        for way, rotation in ways.items():
            fleet.begin(f"{strategy} {way}")
            for gap in GAPS[way]:
                rotation.rotate(gap)
                rotations += 1
    reports = fleet.end()
    refused = database.refused() - before
    for report in reports:
        report["phases"].pop("start")
        seen = report["phases"].values()
        told = {phase: seen | {"waits": seen["waits"][-9:]} for phase, seen in report["phases"].items()}
        assert not any(phase["failures"] for phase in seen), (report["name"], told)
        assert all(phase["connects"] for phase in seen), (report["name"], told)
        sums = {what: sum(phase[what] for phase in seen) for what in ("refused", "refused_late", "calls")}
        assert sums["refused_late"] <= rotations, (report["name"], told)
        assert sums["refused"] <= rotations * (1 + fleet.workers), (report["name"], told)
        assert sums["calls"] <= rotations * CALLS, (report["name"], told)
    # What the server saw is what the caches know of: no driver tries again on its own.
    assert refused == sum(report["rejected"] for report in reports)
