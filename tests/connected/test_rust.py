"""Pools of Rust drivers, set up as in docs/staying-connected-rust.md, during rotations."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from databases import ROOT, USERS, Database
from rotating import ROTATIONS, ByHand, Secret

POOLS = {"deadpool": "postgres", "sqlx": "postgres", "diesel": "postgres", "bb8": "redis", "fred": "redis"}
PROGRAM = ROOT / "target" / "pools" / "debug" / "secretcache-pools"
STRATEGIES = {
    "postgres": ("single-user", "alternating-users"),
    "redis": ("single-user", "alternating-users", "dual-password"),
}


@contextmanager
def started(pool: str, secret: Secret) -> Iterator[Callable[[], list[str]]]:
    """Run the program of a pool; yield a function that makes it query once, with its existing pool and a new one."""
    where = [secret.secret_id, secret.database.host, str(secret.database.port)]
    process = subprocess.Popen(
        [PROGRAM, pool, *where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin
    assert stdout

    def operate() -> list[str]:
        stdin.write("\n")
        stdin.flush()
        return stdout.readline().split()

    yield operate
    stdin.close()
    assert "rejected" in stdout.read()
    assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("pool", "strategy"),
    [(pool, strategy) for pool, server in POOLS.items() for strategy in STRATEGIES[server]],
)
def test_a_pool_stays_connected(
    client: Any, databases: Callable[[str], Database], pool: str, strategy: str
) -> None:
    assert PROGRAM.exists(), f"{PROGRAM} is missing; `make pools` builds it"
    database = databases(POOLS[pool])
    secret = Secret(client, database, f"rust/{pool}/{strategy}")
    before = database.refused()
    users = USERS if strategy == "alternating-users" else USERS[:1]
    with started(pool, secret) as operate:

        def log_in_again() -> None:
            """Query with both pools; for Redis, after the existing pool's connections are gone."""
            if database.engine == "redis":
                for user in users:
                    database.end_sessions(user)
            assert set(operate()) <= set(users)

        rotation = ByHand(secret, strategy)
        assert operate() == [USERS[0], USERS[0]]
        for _ in range(ROTATIONS):
            token, pending = rotation.create()
            log_in_again()
            rotation.set(pending)
            # With a single user, only the new version logs in now.
            log_in_again()
            rotation.finish(token)
            log_in_again()
    assert database.refused() - before <= 2 * ROTATIONS
