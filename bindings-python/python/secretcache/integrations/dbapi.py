"""PyMySQL, mysqlclient, mysql-connector-python, psycopg2, and other drivers whose connect function takes keywords.

>>> settings = {"host": "db.example", "database": "shop"}
>>> connect = Connector(pymysql.connect, cache, "prod/checkout/db", **settings)  # doctest: +SKIP
>>> with connect() as connection: ...  # doctest: +SKIP

Pools that take a connect function accept a `Connector`, for example DBUtils: ``PooledDB(creator=connect)``.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ._login import Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from secretcache._base import BaseCache


class Connector:
    """Connects with a driver's function, with user name and password from a secret, even during a rotation."""

    def __init__(
        self,
        connect: Callable[..., Any],
        cache: BaseCache,
        secret_id: str,
        **kwargs: Any,
    ) -> None:
        self._connect = connect
        self._kwargs = kwargs
        self._database = "dbname" if "psycopg" in getattr(connect, "__module__", "") else "database"
        self._versions: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._login = Login.taking(cache, secret_id, kwargs)

    def __call__(self, **kwargs: Any) -> Any:
        """Connect. Keyword arguments are added to the connector's own."""
        settings = self._kwargs | kwargs
        connection, version = self._login.connect(
            lambda credential: self._connect(**(settings | self._login.arguments(credential, self._database)))
        )
        self._versions[connection] = version
        return connection

    def is_outdated(self, connection: Any) -> bool:
        """Return whether a connection was made with a version that has been replaced; for custom pools."""
        return self._login.is_outdated(self._versions.get(connection))
