"""psycopg 3.

>>> with connect(cache, "prod/checkout/db", "host=db.example dbname=shop") as connection: ...  # doctest: +SKIP

Pools: see `secretcache.integrations.psycopg_pool`.
"""

from __future__ import annotations

import psycopg

from ._login import Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretcache._base import BaseCache


def check_conninfo(conninfo: str) -> None:
    """Refuse a connection string with a password, because that would be ignored."""
    if psycopg.conninfo.conninfo_to_dict(conninfo).get("password"):
        raise TypeError(
            "conninfo holds a password, but user name and password come from the secret: leave it out"
        )


def connect(
    cache: BaseCache,
    secret_id: str,
    conninfo: str = "",
    **kwargs: Any,
) -> psycopg.Connection[Any]:
    """Connect as `psycopg.connect` does, with user name and password from a secret, even during a rotation."""
    check_conninfo(conninfo)
    login = Login.taking(cache, secret_id, kwargs)
    connection, _ = login.connect(
        lambda credential: psycopg.connect(conninfo, **(kwargs | login.arguments(credential, "dbname")))
    )
    return connection


async def connect_async(
    cache: BaseCache,
    secret_id: str,
    conninfo: str = "",
    **kwargs: Any,
) -> psycopg.AsyncConnection[Any]:
    """Connect as `psycopg.AsyncConnection.connect` does. The cache may be synchronous or asynchronous."""
    check_conninfo(conninfo)
    login = Login.taking(cache, secret_id, kwargs)
    connection, _ = await login.connect_async(
        lambda credential: psycopg.AsyncConnection.connect(
            conninfo, **(kwargs | login.arguments(credential, "dbname"))
        )
    )
    return connection
