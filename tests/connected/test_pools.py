"""Outdated connections leave their pool when they are next returned, and none is cut off in use."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from databases import USERS
from pools import POOLS, Pool
from programs import PATIENCE
from rotating import ByHand, Secret

from secretcache import AsyncSecretCache, SecretCache

WHO = {
    "postgres": "SELECT current_user",
    "mariadb": "SELECT SUBSTRING_INDEX(USER(), '@', 1)",
    "redis": "ACL WHOAMI",
}
"""Statements that return the user and thus, with alternating users, the version of a connection."""


@pytest.mark.parametrize("kind", POOLS, ids=lambda kind: kind.__name__)
def test_a_query_in_flight_ends_in_peace_and_its_connection_leaves_when_given_back(
    client: Any, databases: Callable[[str], Any], kind: type[Pool]
) -> None:
    database, who = databases(kind.server), WHO[kind.server]
    secret = Secret(client, database, f"pool/{kind.__name__}")
    by_hand = ByHand(secret, "alternating-users")
    cache = (AsyncSecretCache if kind.is_asynchronous else SecretCache)()
    for user in USERS:
        database.end_sessions(user)  # left behind by other tests
    pool = kind(cache, secret.secret_id, database.settings)
    with ThreadPoolExecutor(1) as threads:
        with pool.taken() as ask:
            assert ask(who) == USERS[0]
        until(lambda: database.sessions(USERS[0]) == 1)  # the pool keeps one connection
        with pool.taken() as ask:
            with database.obstacle() as statement:
                in_flight = threads.submit(ask, statement)
                until(database.blocked)
                by_hand.rotate(0)
                refreshed = cache.refresh_secret_now(secret.secret_id)
                assert refreshed if pool.loop is None else pool.loop.run(refreshed)
                assert not in_flight.done()
            assert in_flight.result(PATIENCE), "the connection was cut off in use"
            assert ask(who) == USERS[0]
        with pool.taken() as ask:
            assert ask(who) == USERS[1]
    until(lambda: not database.sessions(USERS[0]))
    pool.close()


def until(what: Callable[[], object]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)
