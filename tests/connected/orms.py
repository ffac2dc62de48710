"""Operations of `integrations`: object-relational mappers."""

from __future__ import annotations

import itertools
from typing import Any

ASK = "SELECT current_user"
_numbers = itertools.count()


def _peewee(database: Any, cache: Any, secret: str, options: dict[str, Any], ask: str = ASK) -> Any:
    from secretcache.integrations.peewee import stay_connected

    stay_connected(database, cache, secret, **options)

    def operate() -> None:
        with database.connection_context():
            database.execute_sql(ask)

    return operate


def _peewee_psycopg2(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from peewee import PostgresqlDatabase

    return _peewee(PostgresqlDatabase("postgres", **where), cache, secret, options)


def _peewee_pool(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    """A pool whose connections expire at once, so that it connects each time."""
    import peewee
    from playhouse.pool import PooledPostgresqlDatabase

    # Before peewee 4, its pools support only psycopg2.
    driver = {"prefer_psycopg3": True} if int(peewee.__version__.split(".")[0]) >= 4 else {}
    pool = PooledPostgresqlDatabase("postgres", stale_timeout=0.001, **driver, **where)
    return _peewee(pool, cache, secret, options)


def _peewee_pymysql(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from peewee import MySQLDatabase

    return _peewee(MySQLDatabase("shop", **where), cache, secret, options, "SELECT 1")


def _tortoise(
    driver: str, cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any], **pool: Any
) -> Any:
    from tortoise.context import TortoiseContext

    credentials = (
        where | options | pool | {"database": "postgres", "secret_id": secret, "secret_cache": cache}
    )
    engine = f"secretcache.integrations.tortoise.{driver}"
    connections = {"default": {"engine": engine, "credentials": credentials}}
    context = TortoiseContext()

    async def operate() -> None:
        if not context.inited:
            await context.init({"connections": connections, "apps": {"shop": {"models": [__name__]}}})
        await context.connections.get("default").execute_query(ASK)

    operate.close = context.close_connections  # type: ignore[attr-defined]
    return operate


def _tortoise_asyncpg(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    return _tortoise("asyncpg", cache, secret, where, options, minsize=0, max_queries=1)


def _tortoise_psycopg(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    return _tortoise("psycopg", cache, secret, where, options, minsize=2, maxsize=4, max_lifetime=0.02)


def _sqlmodel(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from sqlalchemy import NullPool
    from sqlmodel import Session, create_engine, text

    from secretcache.integrations.sqlalchemy import stay_connected

    url = f"postgresql+psycopg://{where['host']}:{where['port']}/postgres"
    engine = create_engine(url, poolclass=NullPool)
    stay_connected(engine, cache, secret, **options)

    def operate() -> None:
        with Session(engine) as session:
            session.exec(text(ASK))

    return operate


def _dj_database_url(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    import dj_database_url
    from integrations import django_connection

    engine = "secretcache.integrations.django.postgresql"
    url = f"postgres://{where['host']}:{where['port']}/postgres?secret_id={secret}"
    database = dj_database_url.parse(url, engine=engine)
    database["OPTIONS"] |= {"secret_cache": cache} | options
    connection = django_connection(database)

    def operate() -> None:
        with connection().cursor() as cursor:
            cursor.execute("SELECT 1")
        connection().close()

    return operate
