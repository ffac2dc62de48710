"""peewee, with and without its pools.

>>> database = PooledPostgresqlDatabase("shop", host="db.example")  # doctest: +SKIP
>>> stay_connected(database, cache, "prod/checkout/db")  # doctest: +SKIP
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from playhouse.pool import PooledDatabase

from ._login import Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import peewee

    from secretcache import Credential
    from secretcache._base import BaseCache


def stay_connected(database: peewee.Database, cache: BaseCache, secret_id: str, **options: Any) -> None:
    """Make a database log in with a secret, even during a rotation."""
    login = Login.taking(cache, secret_id, options | database.connect_params)
    login.check_lifetime(getattr(database, "_stale_timeout", None), "stale_timeout")
    versions: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
    kind = type(database)
    plain = next(
        each for each in kind.__mro__ if "_connect" in vars(each) and not issubclass(each, PooledDatabase)
    )

    class LoggingIn(plain):  # type: ignore[misc,valid-type]
        database: Any
        connect_params: Any

        def _connect(self) -> Any:
            before = self.database, self.connect_params

            def log_in(credential: Credential) -> Any:
                arguments = login.arguments(credential)
                self.database = arguments.pop("database", self.database)
                self.connect_params = before[1] | arguments  # peewee holds its lock meanwhile
                try:
                    return super(LoggingIn, self)._connect()
                finally:
                    self.database, self.connect_params = before

            connection, version = login.connect(log_in)
            versions[connection] = version
            return connection

    if not issubclass(kind, PooledDatabase):
        database.__class__ = LoggingIn
        return

    class Pool(kind, LoggingIn):  # type: ignore[misc,valid-type]
        def _can_reuse(self, connection: Any) -> bool:
            is_outdated = login.is_outdated(versions.get(connection))
            return not is_outdated and super()._can_reuse(connection)

    database.__class__ = Pool
