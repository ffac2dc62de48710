"""Rotations while something else is wrong: all integrations stay connected, on real servers."""

from __future__ import annotations

import json
import time
from email.message import Message
from typing import Any

import pytest
from databases import Database, Replica
from programs import PATIENCE, Programs, done
from relay import Relay
from rotating import ByHand, Secret

from endpoint import Endpoint


class Service(Relay):
    """Secrets Manager for the programs, with outages and a policy that denies a staging label."""

    def __init__(self, endpoint: Endpoint, client: Any) -> None:
        super().__init__(endpoint.url)
        self._client = client
        self.is_down = False
        self.denied = ""
        """The staging label that the policy denies."""
        self.denials = 0

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        if self.is_down:
            return 503, b'{"__type": "ServiceUnavailable"}'
        if self.denied and headers["X-Amz-Target"].endswith(".GetSecretValue"):
            wanted = json.loads(body)
            versions = self._client.describe_secret(SecretId=wanted["SecretId"])["VersionIdsToStages"]
            labels = versions.get(wanted.get("VersionId"), [wanted.get("VersionStage")])
            if self.denied in labels:
                self.denials += 1
                return 400, b'{"__type": "AccessDeniedException", "Message": "not for you"}'
        return super().answer(headers, body)


@pytest.fixture
def service(endpoint: Endpoint, client: Any) -> Any:
    with Service(endpoint, client) as service:
        yield service


def until_refused(programs: Programs) -> None:
    """Wait until each program has been refused."""
    deadline = time.monotonic() + PATIENCE
    while missing := [each.name for each in programs if not each.logins["rejected"]]:
        assert time.monotonic() < deadline, missing
        time.sleep(0.01)


def test_where_the_pending_version_is_denied_the_end_of_the_rotation_is_waited_for(
    client: Any, database: Database, service: Service
) -> None:
    secret = Secret(client, database, f"denied/{database.kind}")
    with Programs(secret.secret_id, database, service.url) as programs:
        programs.operate()
        service.denied = "AWSPENDING"
        by_hand = ByHand(secret, "single-user")
        token, pending = by_hand.create()
        by_hand.set(pending)
        operations = programs.start()
        until_refused(programs)
        by_hand.finish(token)
        done(operations)
    assert 0 < service.denials <= len(operations), "at most one per program: denied calls raise alarms"


def test_while_the_service_is_down_connections_go_on_and_a_rotation_is_waited_out(
    client: Any, database: Database, service: Service
) -> None:
    secret = Secret(client, database, f"down/{database.kind}")
    with Programs(secret.secret_id, database, service.url) as programs:
        programs.operate()
        service.is_down = True
        programs.operate()
        ByHand(secret, "single-user").rotate(0)
        operations = programs.start()
        until_refused(programs)
        service.is_down = False
        done(operations)


def test_a_version_that_became_current_without_ever_working_does_not_matter(
    client: Any, database: Database
) -> None:
    secret = Secret(client, database, f"damaged/{database.kind}")
    by_hand = ByHand(secret, "single-user")
    token, _ = by_hand.create()
    by_hand.finish(token)
    with Programs(secret.secret_id, database) as programs:
        programs.operate()
        for each in programs:
            assert each.logins["fallback_logins"] > 0, each.name


def test_a_replica_that_lags_behind_is_logged_in_to_until_it_has_caught_up_and_after(
    client: Any, postgres: Database
) -> None:
    with Replica(postgres) as replica:
        secret = Secret(client, postgres, "lagging")
        replica.catch_up()
        with Programs(secret.secret_id, replica) as programs, Programs(secret.secret_id, replica) as late:
            programs.operate()
            replica.pause()
            ByHand(secret, "single-user").rotate(0)
            late.operate()
            for each in late:
                assert each.logins["fallback_logins"] > 0, each.name
            programs.operate()
            replica.resume()
            replica.catch_up()
            programs.operate()
            late.operate()
