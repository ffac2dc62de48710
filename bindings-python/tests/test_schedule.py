"""A secret's rotation schedule, as returned by a given client, reaches the refresher."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from secretcache import SecretCache
from support import Service

INTERVAL = 1000.0
SECRETS = [f"secret-{number}" for number in range(40)]


class Scheduled(Service):
    """A client whose secrets have a schedule."""

    schedule: dict[str, Any]

    def describe_secret(self, **kwargs: Any) -> dict[str, Any]:
        return super().describe_secret(**kwargs) | self.schedule


def soonest_refresh(schedule: dict[str, Any]) -> float:
    """Read many secrets; return the time until the first one is refreshed."""
    client = Scheduled()
    client.schedule = schedule
    for secret_id in SECRETS:
        client.put(secret_id, "v1", "value")
    with SecretCache(client=client, refresh_interval=INTERVAL) as cache:
        for secret_id in SECRETS:
            cache.get_secret_string(secret_id)
        return min(secret["next_refresh_seconds"] for secret in cache.stats()["secrets"])


def schedule(when: Any) -> dict[str, Any]:
    rules = {"ScheduleExpression": "rate(1 day)", "Duration": "2h"}
    return {"RotationEnabled": True, "NextRotationDate": when, "RotationRules": rules}


def test_what_boto3_says_of_the_next_rotation_is_heeded() -> None:
    # Polls are saved for a coming rotation window from the first one on: none is due in the first half interval.
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    assert soonest_refresh(schedule(tomorrow)) > 0.7 * INTERVAL


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        schedule(None),
        schedule("soon"),
        schedule(datetime(2026, 1, 1)),
        schedule(datetime(1901, 1, 1, tzinfo=timezone.utc)),
        schedule(datetime.now(timezone.utc) + timedelta(days=1)) | {"RotationEnabled": False},
        {"RotationEnabled": 7, "RotationRules": "none", "LastRotatedDate": 0},
    ],
)
def test_without_a_date_that_makes_sense_refreshing_is_as_ever(nothing: dict[str, Any]) -> None:
    assert INTERVAL / 2 - 1 < soonest_refresh(nothing) < 0.7 * INTERVAL
