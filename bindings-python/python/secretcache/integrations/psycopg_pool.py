"""Pools of psycopg 3.

>>> pool = ConnectionPool(cache, "prod/checkout/db", "host=db.example dbname=shop")  # doctest: +SKIP
>>> with pool.connection() as connection: ...  # doctest: +SKIP
"""

from __future__ import annotations

import psycopg
import psycopg_pool

from ._login import Login, Turnover
from .psycopg import check_conninfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretcache._base import BaseCache

    _Pool = psycopg_pool.ConnectionPool[Any]
    _AsyncPool = psycopg_pool.AsyncConnectionPool[Any]
else:
    _Pool, _AsyncPool = psycopg_pool.ConnectionPool, psycopg_pool.AsyncConnectionPool

DEFAULT_LIFETIME = 3600.0
"""Seconds: psycopg_pool's own default."""


class _LoggingIn:
    """Shared by both kinds of pool: everything that is not awaited."""

    _connection_class: type[Any]

    def __init__(
        self,
        cache: BaseCache,
        secret_id: str,
        conninfo: str = "",
        *,
        connection_class: type[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(conninfo, str):
            check_conninfo(conninfo)
        login = Login.taking(cache, secret_id, kwargs)
        login.check_lifetime(kwargs.get("max_lifetime", DEFAULT_LIFETIME), "max_lifetime")
        self._turnover = Turnover(login)
        base = connection_class or self._connection_class
        make = logging_in_class if issubclass(base, psycopg.Connection) else _async_class
        logging_in = make(login, self._turnover, base)
        super().__init__(conninfo, connection_class=logging_in, **kwargs)  # type: ignore[call-arg]


def logging_in_class(login: Login, turnover: Turnover, base: type[Any]) -> type[Any]:
    """Return a class of connections that log in with a secret."""

    class Connection(base):
        secretcache_stamp: tuple[str, int] | None = None

        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            def log_in(credential: Any) -> Any:
                arguments = kwargs | login.arguments(credential, "dbname")
                return super(Connection, cls).connect(conninfo, **arguments)

            connection, version = login.connect(log_in)
            connection.secretcache_stamp = turnover.stamp(version)
            return connection

    return Connection


def _async_class(login: Login, turnover: Turnover, base: type[Any]) -> type[Any]:
    class AsyncConnection(base):
        secretcache_stamp: tuple[str, int] | None = None

        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            def log_in(credential: Any) -> Any:
                arguments = kwargs | login.arguments(credential, "dbname")
                return super(AsyncConnection, cls).connect(conninfo, **arguments)

            connection, version = await login.connect_async(log_in)
            connection.secretcache_stamp = turnover.stamp(version)
            return connection

    return AsyncConnection


def has_to_drain(pool: Any, turnover: Turnover, connection: Any) -> bool:
    """Return whether a pool must replace all its connections, as one is returned. Without `drain`, expire that one."""
    if hasattr(pool, "drain"):
        return turnover.is_due(connection.secretcache_stamp)
    if turnover.is_outdated(connection.secretcache_stamp):
        connection._expire_at = 0.0  # psycopg_pool before 3.3 checks this
    return False


class ConnectionPool(_LoggingIn, _Pool):
    """`psycopg_pool.ConnectionPool`, whose connections log in with a secret, even during a rotation.

    Takes the cache and the secret's id, then the same arguments.
    """

    _connection_class = psycopg.Connection

    def putconn(self, conn: Any) -> None:
        """Return a connection to the pool."""
        if has_to_drain(self, self._turnover, conn):
            self.drain()
        super().putconn(conn)


class AsyncConnectionPool(_LoggingIn, _AsyncPool):
    """Like `ConnectionPool`, but `psycopg_pool.AsyncConnectionPool`. The cache may be synchronous or asynchronous."""

    _connection_class = psycopg.AsyncConnection

    async def putconn(self, conn: Any) -> None:
        """Return a connection to the pool."""
        if has_to_drain(self, self._turnover, conn):
            await self.drain()
        await super().putconn(conn)
