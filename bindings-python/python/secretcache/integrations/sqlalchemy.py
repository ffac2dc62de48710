"""SQLAlchemy engines, synchronous and for asyncio, with any pool.

>>> engine = create_engine("postgresql+psycopg://db.example/shop")  # doctest: +SKIP
>>> stay_connected(engine, cache, "prod/checkout/db")  # doctest: +SKIP
"""

from __future__ import annotations

from sqlalchemy import event
from sqlalchemy.util import await_only

from ._login import Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from secretcache import Credential
    from secretcache._base import BaseCache

_VERSION = "secretcache_version"
_WORDS = dict.fromkeys(("psycopg", "psycopg_async", "psycopg2"), "dbname") | dict.fromkeys(
    ("aiomysql", "asyncmy"), "db"
)
"""What drivers call the database argument, if not ``database``."""


def stay_connected(
    engine: Engine | AsyncEngine,
    cache: BaseCache,
    secret_id: str,
    **options: Any,
) -> None:
    """Make an engine log in with a secret, even during a rotation.

    User name and password in the engine's URL are ignored. An asynchronous engine takes an `AsyncSecretCache`, or
    a `SecretCache`, which then waits in threads.
    """
    login = Login.taking(cache, secret_id, options)
    plain: Any = getattr(engine, "sync_engine", engine)
    login.check_lifetime(getattr(plain.pool, "_recycle", None), "pool_recycle")
    database = _WORDS.get(plain.dialect.driver, "database")

    def do_connect(dialect: Any, record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Any:
        def log_in(credential: Credential) -> Any:
            return dialect.connect(*arguments, **(parameters | login.arguments(credential, database)))

        if dialect.is_async:
            connection, version = login.connect_awaiting(log_in, await_only)
        else:
            connection, version = login.connect(log_in)
        if record is not None:
            record.info[_VERSION] = version
        return connection

    def checkin(connection: Any, record: Any) -> None:
        if connection is not None and login.is_outdated(record.info.get(_VERSION)):
            record.close()

    event.listen(plain, "do_connect", do_connect)
    event.listen(plain, "checkin", checkin)
