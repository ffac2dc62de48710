"""Rules that all integrations follow, and special cases of single ones."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from databases import Database, Redis
from fleet import IN_AIRFLOW
from rotating import ByHand, Secret

import secretcache.integrations
from secretcache import AsyncSecretCache, SecretCache
from secretcache.integrations.psycopg import connect

DRIVERS = {
    "MySQLdb",
    "aio_pika",
    "aiomysql",
    "airflow",
    "asyncpg",
    "celery",
    "django",
    "httpx",
    "kombu",
    "mysql",
    "peewee",
    "pika",
    "psycopg",
    "psycopg2",
    "psycopg_pool",
    "pydantic_settings",
    "pymysql",
    "redis",
    "requests",
    "sqlalchemy",
    "tortoise",
}
IF_THERE = {
    "airflow": {"httpx", "sqlalchemy"},
    "celery": {"django"},
    "peewee": {"psycopg", "psycopg2", "pymysql"},
}
"""Modules that libraries import on their own if they are installed."""
IMPORTS = {
    "": set(),
    "_http": set(),
    "_login": set(),
    "aio_pika": {"aio_pika"},
    "airflow": set(),
    "airflow.secrets_manager": {"airflow", *IF_THERE["airflow"]},
    "asyncpg": {"asyncpg"},
    "celery": {"celery", "kombu", *IF_THERE["celery"]},
    "dbapi": set(),
    "django": set(),
    "django._login": {"django"},
    "django.mysql": set(),
    "django.mysql.base": {"django", "MySQLdb"},
    "django.postgresql": set(),
    "django.postgresql.base": {"django", "psycopg"},
    "httpx": {"httpx"},
    "kombu": {"kombu"},
    "peewee": {"peewee", *IF_THERE["peewee"]},
    "pika": {"pika"},
    "psycopg": {"psycopg"},
    "psycopg2_pool": {"psycopg2"},
    "psycopg_pool": {"psycopg", "psycopg_pool"},
    "pydantic_settings": {"pydantic_settings"},
    "redis": {"redis"},
    "requests": {"requests"},
    "sqlalchemy": {"sqlalchemy"},
    "tortoise": set(),
    "tortoise._login": set(),
    "tortoise.asyncpg": {"asyncpg", "tortoise"},
    "tortoise.psycopg": {"psycopg", "psycopg_pool", "tortoise"},
}
"""Every module, and the drivers that it imports."""


def test_every_module_is_known() -> None:
    package = secretcache.integrations
    found = pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=print)
    assert {name.removeprefix(package.__name__).lstrip(".") for _, name, _ in found} | {""} == IMPORTS.keys()


@pytest.mark.parametrize("module", IMPORTS)
def test_an_integration_imports_no_other_driver(module: str) -> None:
    name = f"secretcache.integrations.{module}".rstrip(".")
    program = f"import sys, {name}\nprint(*sys.modules)"
    python = IN_AIRFLOW[0] if module.startswith("airflow") else sys.executable
    output = subprocess.run([python, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    loaded = {name.partition(".")[0] for name in output.stdout.split()} & DRIVERS
    assert loaded == IMPORTS[module]


def test_the_cache_is_imported_without_the_integrations() -> None:
    program = "import sys, secretcache\nprint(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert [name for name in output.stdout.split() if name.startswith("secretcache.integrations")] == []


PRIVATE = {
    "celery.app.base": ("_get_backend",),
    "django.db.backends.postgresql.base": ("_close",),
    "kombu.connection": ("__eqhash__",),
    "peewee": ("_connect",),
    "playhouse.pool": ("_can_reuse", "_connect", "_stale_timeout"),
    "psycopg_pool.pool": ("_pool",),
    "psycopg2.pool": ("_args", "_connect", "_kwargs", "_pool", "_rused", "_used"),
    "sqlalchemy.pool.base": ("_recycle",),
}
"""Private API of libraries that integrations use, by module."""


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in PRIVATE for name in PRIVATE[module]]
)
def test_a_private_name_that_an_integration_relies_on_is_still_there(module: str, name: str) -> None:
    source = inspect.getsource(importlib.import_module(module))
    known = (
        f"{module} has no {name} any more: see what its integration does with it, and what is there instead"
    )
    assert re.search(rf"\b{name}\b", source), known


def _sqlalchemy(cache: SecretCache, seconds: float | None) -> None:
    from sqlalchemy import create_engine

    from secretcache.integrations.sqlalchemy import stay_connected

    options = {} if seconds is None else {"pool_recycle": int(seconds)}
    stay_connected(create_engine("postgresql+psycopg://db.example/shop", **options), cache, "db")


def _sqlalchemy_async(cache: SecretCache, seconds: float | None) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    from secretcache.integrations.sqlalchemy import stay_connected

    options = {} if seconds is None else {"pool_recycle": int(seconds)}
    stay_connected(create_async_engine("postgresql+asyncpg://db.example/shop", **options), cache, "db")


def _psycopg_pool(cache: SecretCache, seconds: float | None) -> None:
    from secretcache.integrations.psycopg_pool import ConnectionPool

    ConnectionPool(cache, "db", open=False, **({} if seconds is None else {"max_lifetime": seconds}))


def _psycopg_pool_async(cache: SecretCache, seconds: float | None) -> None:
    from secretcache.integrations.psycopg_pool import AsyncConnectionPool

    AsyncConnectionPool(cache, "db", open=False, **({} if seconds is None else {"max_lifetime": seconds}))


def _asyncpg(cache: SecretCache, seconds: float | None) -> None:
    import asyncio

    from secretcache.integrations.asyncpg import create_pool

    async def make() -> None:
        create_pool(cache, "db", **({} if seconds is None else {"max_inactive_connection_lifetime": seconds}))

    asyncio.run(make())


def _django(cache: SecretCache, seconds: float | None, **options: Any) -> None:
    import integrations

    where = {"host": "db.example", "port": 5432}
    age = {} if seconds is None else {"CONN_MAX_AGE": seconds}
    wrapper = integrations.django("postgresql", cache, "db", where, "shop", OPTIONS=options, **age)()
    assert wrapper.login
    assert wrapper.pool is None or options


def _django_pool(cache: SecretCache, seconds: float | None) -> None:
    _django(cache, None, pool=True if seconds is None else {"max_lifetime": seconds})


LIFETIMES: dict[Callable[[SecretCache, float | None], None], tuple[str, float | None]] = {
    _sqlalchemy: ("pool_recycle", None),
    _sqlalchemy_async: ("pool_recycle", None),
    _psycopg_pool: ("max_lifetime", 3600),
    _psycopg_pool_async: ("max_lifetime", 3600),
    _asyncpg: ("max_inactive_connection_lifetime", 300),
    _django: ("CONN_MAX_AGE", None),
    _django_pool: ("max_lifetime of the pool", 3600),
}
"""Every integration that knows its connections' lifetime: the name of that setting, and its default."""


@pytest.mark.parametrize("make", LIFETIMES, ids=lambda make: make.__name__.lstrip("_"))
def test_an_interval_longer_than_connections_live_is_warned_of(
    caplog: pytest.LogCaptureFixture, make: Callable[[SecretCache, float | None], None]
) -> None:
    caplog.set_level(logging.WARNING, "secretcache")
    setting, usual = LIFETIMES[make]

    def warned(interval: float, lifetime: float | None) -> str:
        caplog.clear()
        make(SecretCache(refresh_interval=interval), lifetime)
        return caplog.text

    text = warned(120, 60)
    assert f"live for 60 s ({setting})" in text
    assert "every 120 s: set a refresh_interval of at most 60 s" in text
    assert warned(60, 60) == ""
    if usual is None:
        assert warned(1e6, None) == "", "connections without a lifetime caused a warning"
    else:
        assert f"live for {usual:g} s ({setting})" in warned(usual + 1, None)
        assert warned(usual, None) == ""


def test_another_database_error_passes_through_untouched(client: Any, postgres: Database) -> None:
    Secret(client, postgres, "untouched")
    cache = SecretCache()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(cache, "untouched", dbname="no such database", **postgres.settings)
    assert cache.stats()["api_calls"] == {"GetSecretValue": 1}


def test_a_plain_function_refuses_the_cache_for_asyncio(client: Any, postgres: Database) -> None:
    with pytest.raises(TypeError, match="needs a SecretCache"):
        connect(AsyncSecretCache(), "any", **postgres.settings)


NAMED = {"postgres": {"dbname": "postgres"}, "mariadb": {"dbname": "shop"}}
"""The databases that the secrets name."""


def test_host_port_and_database_come_from_the_secret_if_asked_for(
    client: Any, databases: Callable[[str], Any]
) -> None:
    from programs import Programs

    for server in ("postgres", "mariadb", "redis"):
        database = databases(server)
        secret = Secret(client, database, f"endpoint/{server}", address=True)
        value = secret.current()[1] | NAMED.get(server, {})
        client.put_secret_value(SecretId=secret.secret_id, SecretString=json.dumps(value))
        elsewhere = type("Elsewhere", (), {"host": "127.0.0.1", "port": 1, "engine": database.engine})
        with Programs(secret.secret_id, elsewhere, endpoint_from_secret=True) as programs:
            programs.operate()


def test_a_credential_provider_gives_what_is_current_where_both_passwords_work(
    client: Any, databases: Callable[[str], Any]
) -> None:
    import redis

    database: Redis = databases("redis")
    secret = Secret(client, database, "provider")
    by_hand = ByHand(secret, "dual-password")
    cache = SecretCache()
    provider = importlib.import_module("secretcache.integrations.redis").CredentialProvider(cache, "provider")
    refused = database.refused()

    def ping() -> Any:
        with redis.Redis(credential_provider=provider, **database.settings) as connection:
            return connection.ping()

    assert ping()
    token, pending = by_hand.create()
    by_hand.set(pending)
    assert ping()
    by_hand.finish(token)
    assert ping()
    cache.refresh_secret_now("provider")
    by_hand.rotate(0)
    assert ping()
    assert database.refused() == refused
