"""Every pool behind one interface: check out a connection, query, return it. Each keeps one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from programs import Loop

Ask = Callable[[str], Any]
"""Executes a statement; returns its single value."""


class Pool:
    """A pool whose connections log in with a secret. Subclasses implement creation and queries."""

    server = "postgres"
    is_asynchronous = False

    def __init__(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        self.loop = Loop() if self.is_asynchronous else None
        self.make(cache, secret_id, where)

    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        """Make the pool."""
        raise NotImplementedError

    def taken(self) -> Any:
        """Check out a connection for a `with` block; provide a function that queries it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the pool."""


class AsyncPool(Pool):
    """A pool for asyncio, in its own event loop."""

    is_asynchronous = True

    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        self.loop.run(self.make_async(cache, secret_id, where))

    async def make_async(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        """Make the pool."""
        raise NotImplementedError

    def acquire(self) -> Any:
        """Return the asynchronous context manager that checks out a connection."""
        raise NotImplementedError

    async def ask(self, connection: Any, statement: str) -> Any:
        """Execute a statement; return its single value."""
        raise NotImplementedError

    @contextmanager
    def taken(self) -> Iterator[Ask]:
        run = self.loop.run
        acquiring = self.acquire()
        connection = run(acquiring.__aenter__())
        try:
            yield lambda statement: run(self.ask(connection, statement))
        finally:
            run(acquiring.__aexit__(None, None, None))


class PsycopgPool(Pool):
    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        from secretcache.integrations.psycopg_pool import ConnectionPool

        kwargs = where | {"dbname": "postgres", "autocommit": True}
        self._pool = ConnectionPool(cache, secret_id, kwargs=kwargs, min_size=1, open=True)
        self.close = self._pool.close

    @contextmanager
    def taken(self) -> Iterator[Ask]:
        with self._pool.connection() as connection:
            yield lambda statement: connection.execute(statement).fetchone()[0]


class PsycopgAsyncPool(AsyncPool):
    async def make_async(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        from secretcache.integrations.psycopg_pool import AsyncConnectionPool

        kwargs = where | {"dbname": "postgres", "autocommit": True}
        self._pool = AsyncConnectionPool(cache, secret_id, kwargs=kwargs, min_size=1, open=False)
        await self._pool.open()
        self.acquire = self._pool.connection

    async def ask(self, connection: Any, statement: str) -> Any:
        return (await (await connection.execute(statement)).fetchone())[0]

    def close(self) -> None:
        self.loop.run(self._pool.close())


class Psycopg2Pool(Pool):
    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        from secretcache.integrations.psycopg2_pool import ThreadedConnectionPool

        self._pool = ThreadedConnectionPool(cache, secret_id, 1, 1, dbname="postgres", **where)
        self.close = self._pool.closeall

    @contextmanager
    def taken(self) -> Iterator[Ask]:
        connection = self._pool.getconn()

        def ask(statement: str) -> Any:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchone()[0]

        try:
            yield ask
        finally:
            self._pool.putconn(connection)


class AsyncpgPool(AsyncPool):
    async def make_async(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        from secretcache.integrations.asyncpg import create_pool

        options = {"database": "postgres", "min_size": 1, "max_size": 1}
        self._pool = await create_pool(cache, secret_id, **options, **where)
        self.acquire = self._pool.acquire

    async def ask(self, connection: Any, statement: str) -> Any:
        return await connection.fetchval(statement)

    def close(self) -> None:
        self.loop.run(self._pool.close())


class SqlAlchemyPool(Pool):
    driver = "postgresql+psycopg"
    database = "postgres"

    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        from sqlalchemy import create_engine, text

        from secretcache.integrations.sqlalchemy import stay_connected

        url = f"{self.driver}://{where['host']}:{where['port']}/{self.database}"
        self._engine = create_engine(url, pool_size=1, max_overflow=0)
        self._text = text
        stay_connected(self._engine, cache, secret_id)
        self.close = self._engine.dispose

    @contextmanager
    def taken(self) -> Iterator[Ask]:
        with self._engine.connect() as connection:
            yield lambda statement: connection.execute(self._text(statement)).scalar()


class SqlAlchemyPsycopg2Pool(SqlAlchemyPool):
    driver = "postgresql+psycopg2"


class SqlAlchemyPyMySqlPool(SqlAlchemyPool):
    server, driver, database = "mariadb", "mysql+pymysql", "shop"


class SqlAlchemyAsyncPool(AsyncPool):
    driver = "postgresql+asyncpg"
    database = "postgres"

    async def make_async(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine

        from secretcache.integrations.sqlalchemy import stay_connected

        url = f"{self.driver}://{where['host']}:{where['port']}/{self.database}"
        self._engine = create_async_engine(url, pool_size=1, max_overflow=0)
        self._text = text
        stay_connected(self._engine, cache, secret_id)
        self.acquire = self._engine.connect

    async def ask(self, connection: Any, statement: str) -> Any:
        return (await connection.execute(self._text(statement))).scalar()

    def close(self) -> None:
        self.loop.run(self._engine.dispose())


class SqlAlchemyAiomysqlPool(SqlAlchemyAsyncPool):
    server, driver, database = "mariadb", "mysql+aiomysql", "shop"


class DjangoConnection(Pool):
    """A persistent connection, which Django checks between requests."""

    backend, name = "postgresql", "postgres"
    more: dict[str, Any] = {}

    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        import integrations

        options = {"CONN_MAX_AGE": None} | self.more
        self._connection = integrations.django(self.backend, cache, secret_id, where, self.name, **options)()
        self.close = self._connection.close

    @contextmanager
    def taken(self) -> Iterator[Ask]:
        connection = self._connection
        connection.inc_thread_sharing()
        with connection.cursor() as cursor:

            def ask(statement: str) -> Any:
                cursor.execute(statement)
                return cursor.fetchone()[0]

            yield ask
        connection.close_if_unusable_or_obsolete()  # as at the end of a request


class DjangoMySqlConnection(DjangoConnection):
    server, backend, name = "mariadb", "mysql", "shop"


class DjangoPool(DjangoConnection):
    """Django's own pool of connections."""

    more = {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": 1}}}

    def close(self) -> None:
        self._connection.close_pool()


class RedisPool(Pool):
    server = "redis"

    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        import redis

        from secretcache.integrations.redis import connection_class

        logging_in = connection_class(cache, secret_id)
        self._pool = redis.ConnectionPool(connection_class=logging_in, decode_responses=True, **where)

    @contextmanager
    def taken(self) -> Iterator[Ask]:
        connection = self._pool.get_connection("_")

        def ask(statement: str) -> Any:
            connection.send_command(*statement.split())
            return connection.read_response()

        yield ask
        self._pool.release(connection)

    def close(self) -> None:
        self._pool.disconnect()


class RedisAsyncPool(AsyncPool):
    server = "redis"

    async def make_async(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        import redis.asyncio

        from secretcache.integrations.redis import async_connection_class

        logging_in = async_connection_class(cache, secret_id)
        self._pool = redis.asyncio.ConnectionPool(connection_class=logging_in, decode_responses=True, **where)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        connection = await self._pool.get_connection("_")
        yield connection
        await self._pool.release(connection)

    async def ask(self, connection: Any, statement: str) -> Any:
        await connection.send_command(*statement.split())
        return await connection.read_response()

    def close(self) -> None:
        self.loop.run(self._pool.disconnect())


class PeeweePool(Pool):
    def make(self, cache: Any, secret_id: str, where: dict[str, Any]) -> None:
        from playhouse.pool import PooledPostgresqlDatabase

        from secretcache.integrations.peewee import stay_connected

        self._database = PooledPostgresqlDatabase("postgres", max_connections=1, **where)
        stay_connected(self._database, cache, secret_id)
        self.close = self._database.close_all

    @contextmanager
    def taken(self) -> Iterator[Ask]:
        with self._database.connection_context():
            connection = self._database.connection()

            def ask(statement: str) -> Any:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
                    return cursor.fetchone()[0]

            yield ask


POOLS: list[type[Pool]] = [
    PsycopgPool,
    PsycopgAsyncPool,
    AsyncpgPool,
    SqlAlchemyPool,
    SqlAlchemyPsycopg2Pool,
    SqlAlchemyAsyncPool,
    SqlAlchemyPyMySqlPool,
    SqlAlchemyAiomysqlPool,
    DjangoConnection,
    DjangoMySqlConnection,
    DjangoPool,
    PeeweePool,
    RedisPool,
    RedisAsyncPool,
]
