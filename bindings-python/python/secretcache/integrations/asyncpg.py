"""asyncpg.

>>> pool = await create_pool(cache, "prod/checkout/db", "postgres://db.example/shop")  # doctest: +SKIP
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import asyncpg

from ._login import Login, Turnover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from secretcache._base import BaseCache

_DEFAULT_LIFETIME = 300.0
"""Seconds: asyncpg's own default."""


def _check_dsn(dsn: str | None) -> None:
    """Refuse a URL with a password, because that would be ignored."""
    from urllib.parse import parse_qs, urlsplit

    url = urlsplit(dsn or "")
    if url.password or "password" in parse_qs(url.query):
        raise TypeError("dsn holds a password, but user name and password come from the secret: leave it out")


async def connect(
    cache: BaseCache,
    secret_id: str,
    dsn: str | None = None,
    **kwargs: Any,
) -> asyncpg.Connection[Any]:
    """Connect as `asyncpg.connect` does, with user name and password from a secret, even during a rotation."""
    _check_dsn(dsn)
    login = Login.taking(cache, secret_id, kwargs)
    connection, _ = await login.connect_async(
        lambda credential: asyncpg.connect(dsn, **(kwargs | login.arguments(credential)))
    )
    return connection


def create_pool(
    cache: BaseCache,
    secret_id: str,
    dsn: str | None = None,
    *,
    connect: Callable[..., Any] = asyncpg.connect,
    reset: Callable[[Any], Any] | None = None,
    **kwargs: Any,
) -> asyncpg.Pool[Any]:
    """Create a pool as `asyncpg.create_pool` does, whose connections log in with a secret, even during a rotation.

    The cache may be synchronous or asynchronous.
    """
    _check_dsn(dsn)
    login = Login.taking(cache, secret_id, kwargs)
    lifetime = kwargs.get("max_inactive_connection_lifetime", _DEFAULT_LIFETIME)
    login.check_lifetime(lifetime, "max_inactive_connection_lifetime")
    turnover = Turnover(login)
    stamps: WeakKeyDictionary[Any, tuple[str, int]] = WeakKeyDictionary()

    async def log_in(*args: Any, **settings: Any) -> Any:
        connection, version = await login.connect_async(
            lambda credential: connect(*args, **(settings | login.arguments(credential)))
        )
        stamps[connection] = turnover.stamp(version)
        return connection

    async def given_back(connection: Any) -> None:
        if reset is not None:
            await reset(connection)
        if turnover.is_due(stamps.get(connection)):
            await pool.expire_connections()

    pool = asyncpg.create_pool(dsn, connect=log_in, reset=given_back, **kwargs)
    return pool
