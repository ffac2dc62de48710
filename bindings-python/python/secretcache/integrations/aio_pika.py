"""aio-pika, for RabbitMQ.

>>> connection = await connect_robust(cache, "prod/rabbit", "amqp://rabbit.example/")  # doctest: +SKIP
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aio_pika
from aio_pika.connection import Connection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aio_pika.robust_connection import RobustConnection

from secretcache.errors import SecretCacheError

from ._login import NOT_YOURS, Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from aio_pika.abc import AbstractConnection, AbstractRobustConnection
    from yarl import URL

    from secretcache import Credential
    from secretcache._base import BaseCache


async def connect(
    cache: BaseCache, secret_id: str, url: str | URL | None = None, **kwargs: Any
) -> AbstractConnection:
    """Connect as `aio_pika.connect` does, with user name and password from a secret, even during a rotation.

    An open connection stays open through a rotation. The cache may be synchronous or asynchronous.
    """
    login = _login(cache, secret_id, url, kwargs)

    class LoggingIn(Connection):
        async def connect(self, timeout: Any = None) -> None:
            await _log_in(self, login, timeout)

    return await aio_pika.connect(url, connection_class=LoggingIn, **kwargs)


async def connect_robust(
    cache: BaseCache, secret_id: str, url: str | URL | None = None, **kwargs: Any
) -> AbstractRobustConnection:
    """Connect as `aio_pika.connect_robust` does. A reconnect logs in with the version that works at that time."""
    login = _login(cache, secret_id, url, kwargs)
    is_patient = not kwargs.pop("fail_fast", True)
    interval = kwargs.get("reconnect_interval", 5)
    kind: type[Any] = kwargs.pop("connection_class", RobustConnection)
    chosen: Credential

    class LoggingIn(kind):
        _is_ending = False
        _search: asyncio.Future[None] | None = None

        # aio-pika reads this each time it connects.
        @property
        def url(self) -> URL:
            return _url(self._bare, login, chosen)

        @url.setter
        def url(self, bare: URL) -> None:
            self._bare = bare

        async def close(self, *args: Any, **kwargs: Any) -> None:
            self._is_ending = True
            if self._search is not None:
                self._search.cancel()
            await super().close(*args, **kwargs)

    async def choose(connection: Any) -> None:
        """Find the version that works, with a connection that is closed at once."""
        nonlocal chosen

        async def log_in(credential: Credential) -> Credential:
            where = _url(connection._bare, login, credential)
            await (await aio_pika.connect(where, ssl_context=kwargs.get("ssl_context"))).close()
            return credential

        with suppress(Exception):  # aio-pika logs why its own attempts fail
            chosen, _ = await login.connect_async(log_in)

    async def keep_choosing(connection: Any) -> None:
        await asyncio.sleep(interval)
        while not connection.connected.is_set():
            await choose(connection)
            await asyncio.sleep(interval)

    async def lost(connection: Any, *_: Any) -> None:
        """Choose a version before aio-pika reconnects, and again until it succeeds."""
        if not connection._is_ending:
            await choose(connection)
            connection._search = asyncio.ensure_future(keep_choosing(connection))

    async def log_in(credential: Credential) -> Any:
        nonlocal chosen
        chosen = credential
        return await aio_pika.connect_robust(url, connection_class=LoggingIn, **kwargs)

    while True:
        try:
            connection, _ = await login.connect_async(log_in)
        except (*CONNECTION_EXCEPTIONS, SecretCacheError):
            if not is_patient:
                raise
            await asyncio.sleep(interval)
        else:
            connection.close_callbacks.add(lost)
            return connection


def _login(cache: BaseCache, secret_id: str, url: str | URL | None, kwargs: dict[str, Any]) -> Login:
    if kwargs.get("login") or "@" in str(url or ""):
        raise TypeError(f"login: {NOT_YOURS}")
    return Login.taking(cache, secret_id, kwargs)


async def _log_in(connection: Any, login: Login, timeout: Any) -> None:
    bare = connection.url

    async def log_in(credential: Credential) -> None:
        connection.url = _url(bare, login, credential)
        try:
            await Connection.connect(connection, timeout)
        finally:
            connection.url = bare

    await login.connect_async(log_in)


def _url(bare: URL, login: Login, credential: Credential) -> URL:
    url = bare.with_user(credential.username).with_password(credential.password)
    if login.endpoint_from_secret:
        url = url.with_host(credential.host or bare.host or "").with_port(credential.port or bare.port)
    return url
