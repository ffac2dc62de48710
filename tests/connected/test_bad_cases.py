"""What staying connected does when it cannot: real servers, and secrets that are wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import psycopg
import pytest
from databases import USERS, Database
from rotating import ByHand, Secret

from secretcache import AsyncSecretCache, LoginRejectedError, SecretCache
from secretcache.integrations.psycopg import connect

MODULES = ("sqlalchemy", "psycopg", "psycopg_pool", "asyncpg", "dbapi", "redis", "requests", "httpx")
DRIVERS = (
    "sqlalchemy",
    "psycopg",
    "psycopg_pool",
    "asyncpg",
    "pymysql",
    "redis",
    "requests",
    "httpx",
    "django",
)
NEEDS = {"psycopg_pool": {"psycopg_pool", "psycopg"}, "dbapi": set()}


def test_a_secret_that_is_wrong_says_what_was_tried_and_what_the_server_answered(
    client: Any, postgres: Database
) -> None:
    secret = ByHand(Secret(client, postgres, "wrong"), "single-user")
    version, _ = secret.current()
    postgres.set_password(USERS[0], "changed behind our back")
    before, cache = postgres.refused(), SecretCache()
    with pytest.raises(LoginRejectedError) as caught:
        connect(cache, "wrong", dbname="postgres", login_timeout=0.9, **postgres.settings)
    assert f"AWSCURRENT {version}" in str(caught.value)
    assert "password authentication failed" in str(caught.value)
    assert postgres.refused() - before <= 5
    assert sum(cache.stats()["api_calls"].values()) <= 3


def test_other_errors_pass_through_untouched(client: Any, postgres: Database) -> None:
    ByHand(Secret(client, postgres, "untouched"), "single-user")
    cache = SecretCache()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(cache, "untouched", dbname="no such database", **postgres.settings)
    assert cache.stats()["api_calls"] == {"GetSecretValue": 1}


def test_only_the_stages_asked_for_are_tried(client: Any, postgres: Database) -> None:
    secret = ByHand(Secret(client, postgres, "stages"), "single-user")
    _, pending = secret.create()
    secret.set(pending)
    where = {"dbname": "postgres", "login_timeout": 0.5} | postgres.settings
    with pytest.raises(LoginRejectedError):
        connect(SecretCache(), "stages", stages=["AWSCURRENT"], **where)
    connect(SecretCache(), "stages", **where).close()


def test_a_plain_function_refuses_the_cache_for_asyncio(client: Any, postgres: Database) -> None:
    with pytest.raises(TypeError, match="needs a SecretCache"):
        connect(AsyncSecretCache(), "any", **postgres.settings)


def test_a_pool_parts_from_old_connections_at_check_in(client: Any, postgres: Database) -> None:
    from sqlalchemy import create_engine, text

    from secretcache.integrations.sqlalchemy import stay_connected

    secret = ByHand(Secret(client, postgres, "check-in"), "alternating-users")
    cache = SecretCache()
    engine = create_engine(f"postgresql+psycopg://{postgres.host}:{postgres.port}/postgres", pool_size=1)
    stay_connected(engine, cache, "check-in")
    user = text("SELECT current_user")
    with engine.connect() as connection:
        assert connection.execute(user).scalar() == USERS[0]
        secret.rotate(0)
        cache.refresh_secret_now("check-in")
        assert connection.execute(user).scalar() == USERS[0]  # not cut off in use
    with engine.connect() as connection:
        assert connection.execute(user).scalar() == USERS[1]


@pytest.mark.parametrize("module", MODULES)
def test_an_integration_imports_no_other_driver(module: str) -> None:
    program = f"import sys, secretcache.integrations.{module}\nprint(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    loaded = {name.partition(".")[0] for name in output.stdout.split()} & set(DRIVERS)
    assert loaded == NEEDS.get(module, {module})


def test_a_credential_provider_gives_what_is_current_where_both_passwords_work(client: Any) -> None:
    import redis
    from databases import Redis

    from secretcache.integrations.redis import CredentialProvider

    with Redis() as database:
        secret = ByHand(Secret(client, database, "provider"), "dual-password")
        cache = SecretCache()
        provider = CredentialProvider(cache, "provider")
        refused = database.refused()

        def ping() -> Any:
            with redis.Redis(credential_provider=provider, **database.settings) as connection:
                return connection.ping()

        assert ping()
        token, pending = secret.create()
        secret.set(pending)
        assert ping()
        secret.finish(token)
        assert ping()
        cache.refresh_secret_now("provider")
        secret.rotate(0)
        assert ping()
        assert database.refused() == refused
