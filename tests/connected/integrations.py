"""Every integration as an operation for tests and benchmarks: connect, query the user, disconnect.

Each is imported only in the process that uses it. An operation that leaves something open has a method `close`.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

_numbers = itertools.count()
Operation = Callable[[], object]
AsyncOperation = Callable[[], Awaitable[object]]

OF: dict[str, tuple[str, ...]] = {
    "postgres": (
        "psycopg",
        "psycopg_async",
        "psycopg_pool",
        "psycopg_pool_async",
        "psycopg2",
        "psycopg2_pool",
        "asyncpg",
        "asyncpg_pool",
        "sqlalchemy_psycopg",
        "sqlalchemy_pool",
        "sqlalchemy_asyncpg",
        "django_postgresql",
        "django_postgresql_pool",
        "peewee_psycopg2",
        "peewee_pool",
        "tortoise_asyncpg",
        "tortoise_psycopg",
        "sqlmodel",
        "dj_database_url",
    ),
    "mariadb": (
        "pymysql",
        "mysqlclient",
        "mysql_connector",
        "sqlalchemy_pymysql",
        "sqlalchemy_aiomysql",
        "django_mysql",
        "peewee_pymysql",
    ),
    "redis": ("redis", "redis_async", "kombu_redis"),
    "rabbitmq": ("pika", "aio_pika", "aio_pika_robust", "kombu_amqp"),
    "redis-cluster": ("cluster", "cluster_async"),
    "redis-sentinel": ("sentinel", "sentinel_async"),
    "redis-tls": ("redis_tls", "kombu_rediss"),
}
SEPARATE: dict[str, tuple[str, ...]] = {
    "postgres": ("airflow_metadata", "airflow_metadata_async", "airflow_hook")
}
"""Operations that need an environment with Airflow, and a process each: Airflow has one metadata database."""
ALL = {server: names + SEPARATE.get(server, ()) for server, names in OF.items()}
ASYNCHRONOUS = frozenset(
    (
        "psycopg_async",
        "psycopg_pool_async",
        "asyncpg",
        "asyncpg_pool",
        "sqlalchemy_asyncpg",
        "sqlalchemy_aiomysql",
        "redis_async",
        "tortoise_asyncpg",
        "tortoise_psycopg",
        "aio_pika",
        "aio_pika_robust",
        "airflow_metadata_async",
        "cluster_async",
        "sentinel_async",
    )
)
MODULES = (__name__, "orms", "messaging", "workflows")
"""The modules that define the operations."""


def make(
    name: str, cache: Any, secret: str, host: str, port: int, **options: Any
) -> Operation | AsyncOperation:
    """Return the operation of an integration, created with these options."""
    modules = map(importlib.import_module, MODULES)
    kind = next(vars(module)[f"_{name}"] for module in modules if f"_{name}" in vars(module))
    return kind(cache, secret, {"host": host, "port": port}, options)


ASK = "SELECT current_user"


def _psycopg(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    from secretcache.integrations.psycopg import connect

    def operate() -> None:
        with connect(cache, secret, dbname="postgres", **where, **options) as connection:
            connection.execute(ASK)

    return operate


def _psycopg_async(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> AsyncOperation:
    from secretcache.integrations.psycopg import connect_async

    async def operate() -> None:
        async with await connect_async(cache, secret, dbname="postgres", **where, **options) as connection:
            await connection.execute(ASK)

    return operate


def _psycopg_pool(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    from secretcache.integrations.psycopg_pool import ConnectionPool

    where = where | {"dbname": "postgres"}
    pool = ConnectionPool(
        cache, secret, kwargs=where, min_size=2, max_size=4, max_lifetime=0.02, open=True, **options
    )

    def operate() -> None:
        with pool.connection() as connection:
            connection.execute(ASK)

    operate.close = pool.close  # type: ignore[attr-defined]
    return operate


def _psycopg_pool_async(
    cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]
) -> AsyncOperation:
    from secretcache.integrations.psycopg_pool import AsyncConnectionPool

    where = where | {"dbname": "postgres"}
    options = options | {"min_size": 2, "max_size": 4, "max_lifetime": 0.02, "open": False}
    pool = AsyncConnectionPool(cache, secret, kwargs=where, **options)

    async def operate() -> None:
        await pool.open()
        async with pool.connection() as connection:
            await connection.execute(ASK)

    operate.close = pool.close  # type: ignore[attr-defined]
    return operate


def _psycopg2(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    import psycopg2

    return _dbapi(psycopg2.connect, cache, secret, where | options | {"dbname": "postgres"})


def _psycopg2_pool(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    from secretcache.integrations.psycopg2_pool import ThreadedConnectionPool

    def operate() -> None:
        pool = ThreadedConnectionPool(cache, secret, 1, 2, dbname="postgres", **where, **options)
        connection = pool.getconn()
        with connection.cursor() as cursor:
            cursor.execute(ASK)
        pool.putconn(connection)
        pool.closeall()

    return operate


def _asyncpg(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> AsyncOperation:
    from secretcache.integrations.asyncpg import connect

    async def operate() -> None:
        connection = await connect(cache, secret, database="postgres", **where, **options)
        await connection.fetch(ASK)
        await connection.close()

    return operate


def _asyncpg_pool(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> AsyncOperation:
    from secretcache.integrations.asyncpg import create_pool

    options = options | {"min_size": 0, "max_size": 4, "max_queries": 1}
    pool = create_pool(cache, secret, database="postgres", **where, **options)

    async def operate() -> None:
        async with (await pool).acquire() as connection:
            await connection.fetch(ASK)

    return operate


def _engine(create: Any, driver: str, database: str, where: dict[str, Any], **how: Any) -> Any:
    return create(f"{driver}://{where['host']}:{where['port']}/{database}", **how)


def _sqlalchemy(
    driver: str,
    database: str,
    cache: Any,
    secret: str,
    where: dict[str, Any],
    options: dict[str, Any],
    **how: Any,
) -> Operation:
    from sqlalchemy import create_engine, text

    from secretcache.integrations.sqlalchemy import stay_connected

    engine = _engine(create_engine, driver, database, where, **how)
    stay_connected(engine, cache, secret, **options)

    def operate() -> None:
        with engine.connect() as connection:
            connection.execute(text(ASK))

    return operate


def _sqlalchemy_async(
    driver: str, database: str, cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]
) -> AsyncOperation:
    from sqlalchemy import NullPool, text
    from sqlalchemy.ext.asyncio import create_async_engine

    from secretcache.integrations.sqlalchemy import stay_connected

    engine = _engine(create_async_engine, driver, database, where, poolclass=NullPool)
    stay_connected(engine, cache, secret, **options)

    async def operate() -> None:
        async with engine.connect() as connection:
            await connection.execute(text(ASK))

    return operate


def _sqlalchemy_psycopg(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    from sqlalchemy import NullPool

    return _sqlalchemy("postgresql+psycopg", "postgres", cache, secret, where, options, poolclass=NullPool)


def _sqlalchemy_pool(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    """A pool whose connections expire at once, so that it connects each time."""
    return _sqlalchemy(
        "postgresql+psycopg2", "postgres", cache, secret, where, options, pool_size=2, pool_recycle=0
    )


def _sqlalchemy_asyncpg(
    cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]
) -> AsyncOperation:
    return _sqlalchemy_async("postgresql+asyncpg", "postgres", cache, secret, where, options)


def _sqlalchemy_pymysql(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    from sqlalchemy import NullPool

    return _sqlalchemy("mysql+pymysql", "shop", cache, secret, where, options, poolclass=NullPool)


def _sqlalchemy_aiomysql(
    cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]
) -> AsyncOperation:
    return _sqlalchemy_async("mysql+aiomysql", "shop", cache, secret, where, options)


def _dbapi(connect: Any, cache: Any, secret: str, settings: dict[str, Any]) -> Operation:
    from secretcache.integrations.dbapi import Connector

    connector = Connector(connect, cache, secret, **settings)

    def operate() -> None:
        connection = connector()
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.fetchall()
        connection.close()

    return operate


def _pymysql(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    import pymysql

    return _dbapi(pymysql.connect, cache, secret, where | options | {"database": "shop"})


def _mysqlclient(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    import MySQLdb

    return _dbapi(MySQLdb.connect, cache, secret, where | options | {"database": "shop"})


def _mysql_connector(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    import mysql.connector

    return _dbapi(
        mysql.connector.connect, cache, secret, where | options | {"database": "shop", "use_pure": True}
    )


def django(
    backend: str, cache: Any, secret: str, where: dict[str, Any], name: str, **more: Any
) -> Callable[[], Any]:
    """Set up a Django database; return a function that returns the thread's connection to it."""
    database = {
        "ENGINE": f"secretcache.integrations.django.{backend}",
        "NAME": name,
        "HOST": where["host"],
        "PORT": str(where["port"]),
        "OPTIONS": {"secret_id": secret, "secret_cache": cache} | more.pop("OPTIONS", {}),
    }
    return django_connection(database | more)


def django_connection(database: dict[str, Any]) -> Callable[[], Any]:
    """Set up a Django database from its settings; return the same as `django`."""
    from django import setup
    from django.conf import settings
    from django.db.utils import ConnectionHandler

    if not settings.configured:
        settings.configure()
        setup()
    # Django keeps one pool for each alias.
    alias = f"database-{next(_numbers)}"
    connections = ConnectionHandler({"default": {}, alias: database})
    return lambda: connections[alias]


def _django(*arguments: Any, **options: Any) -> Operation:
    connection = django(*arguments, OPTIONS=options)

    def operate() -> None:
        with connection().cursor() as cursor:
            cursor.execute("SELECT 1")
        connection().close()

    if "pool" in options:
        operate.close = lambda: connection().close_pool()  # type: ignore[attr-defined]
    return operate


def _django_postgresql(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    return _django("postgresql", cache, secret, where, "postgres", **options)


def _django_postgresql_pool(
    cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]
) -> Operation:
    pool = {"min_size": 2, "max_size": 4, "max_lifetime": 0.02}
    return _django("postgresql", cache, secret, where, "postgres", pool=pool, **options)


def _django_mysql(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    return _django("mysql", cache, secret, where, "shop", **options)


def _redis(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Operation:
    import redis

    from secretcache.integrations.redis import connection_class

    pool = redis.ConnectionPool(connection_class=connection_class(cache, secret, **options), **where)
    client = redis.Redis(connection_pool=pool)

    def operate() -> None:
        client.ping()
        pool.disconnect(inuse_connections=False)

    return operate


def _redis_async(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> AsyncOperation:
    import redis.asyncio

    from secretcache.integrations.redis import async_connection_class

    pool = redis.asyncio.ConnectionPool(
        connection_class=async_connection_class(cache, secret, **options), **where
    )

    async def operate() -> None:
        # Makes its own connection: emptying the pool could close one that another task has just checked out.
        connection = pool.make_connection()
        await connection.connect()
        await connection.send_command("PING")
        await connection.read_response()
        await connection.disconnect()

    return operate
