"""Pools of psycopg2.

>>> pool = ThreadedConnectionPool(cache, "prod/checkout/db", 1, 10, host="db.example", dbname="shop")  # doctest: +SKIP
>>> connection = pool.getconn()  # doctest: +SKIP
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import psycopg2
import psycopg2.pool

from ._login import Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretcache._base import BaseCache


class _LoggingIn:
    """Shared by both kinds of pool."""

    _used: dict[Any, Any]
    _rused: dict[int, Any]
    _pool: list[Any]

    def __init__(
        self,
        cache: BaseCache,
        secret_id: str,
        minconn: int,
        maxconn: int,
        dsn: str | None = None,
        **kwargs: Any,
    ) -> None:
        if dsn is not None and psycopg2.extensions.parse_dsn(dsn).get("password"):
            raise TypeError(
                "dsn holds a password, but user name and password come from the secret: leave it out"
            )
        self._login = Login.taking(cache, secret_id, kwargs)
        self._versions: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        super().__init__(minconn, maxconn, dsn, **kwargs)  # type: ignore[call-arg]

    def _connect(self, key: Any = None) -> Any:
        # Replaces psycopg2's own, which creates every connection of a pool.
        dsn, options = self._args[0], self._kwargs  # type: ignore[attr-defined]
        connection, version = self._login.connect(
            lambda credential: psycopg2.connect(
                dsn, **(options | self._login.arguments(credential, "dbname"))
            )
        )
        self._versions[connection] = version
        if key is None:
            self._pool.append(connection)
        else:
            self._used[key] = connection
            self._rused[id(connection)] = key
        return connection

    def getconn(self, key: Any = None) -> Any:
        """Check out a connection."""
        connection = super().getconn(key)  # type: ignore[misc]
        while key is None and self.is_outdated(connection):
            super().putconn(connection, close=True)  # type: ignore[misc]
            connection = super().getconn()  # type: ignore[misc]
        return connection

    def putconn(self, conn: Any, key: Any = None, close: bool = False) -> None:
        """Return a connection to the pool."""
        super().putconn(conn, key, close or self.is_outdated(conn))  # type: ignore[misc]

    def is_outdated(self, connection: Any) -> bool:
        """Return whether a connection was made with a version that has been replaced."""
        return self._login.is_outdated(self._versions.get(connection))


class SimpleConnectionPool(_LoggingIn, psycopg2.pool.SimpleConnectionPool):
    """`psycopg2.pool.SimpleConnectionPool`, whose connections log in with a secret, even during a rotation.

    Takes the cache and the secret's id, then the same arguments. A connection that was made with a replaced version is
    closed when it is returned, or instead of being checked out.
    """


class ThreadedConnectionPool(_LoggingIn, psycopg2.pool.ThreadedConnectionPool):
    """Like `SimpleConnectionPool`, but `psycopg2.pool.ThreadedConnectionPool`, for several threads."""
