"""aio-pika, for RabbitMQ.

>>> connection = await connect_robust(cache, "prod/rabbit", "amqp://rabbit.example/")  # doctest: +SKIP
"""

from __future__ import annotations

import aio_pika
from aio_pika.connection import Connection
from aio_pika.robust_connection import RobustConnection

from secretcache.errors import SecretCacheError

from ._login import NOT_YOURS, Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from aio_pika.abc import AbstractConnection, AbstractRobustConnection
    from yarl import URL

    from secretcache import Credential
    from secretcache._cache import BaseCache


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
    """Connect as `aio_pika.connect_robust` does: when it reconnects, it logs in with the version that works then."""
    login = _login(cache, secret_id, url, kwargs)

    class LoggingIn(RobustConnection):
        _RobustConnection__fail_fast_future: Any

        async def connect(self, timeout: Any = None) -> None:
            self._timeout = timeout
            try:
                await super().connect(timeout)
            except _NotConnected as error:
                await self.close()
                raise error.__cause__ or error from None

        # What aio-pika calls for the first connection and for each later one.
        async def _RobustConnection__connect_transport(self) -> None:
            self.transport = None
            self.connected.clear()
            try:
                await _log_in(self, login, self._timeout)
            except SecretCacheError as error:
                raise _NotConnected(str(error)) from error
            future = self._RobustConnection__fail_fast_future
            if not future.done():
                future.set_result(None)

    return await aio_pika.connect_robust(url, connection_class=LoggingIn, **kwargs)


class _NotConnected(ConnectionError):
    """What aio-pika takes for a connection that failed, and tries again unless it is the first."""


def _login(cache: BaseCache, secret_id: str, url: str | URL | None, kwargs: dict[str, Any]) -> Login:
    if kwargs.get("login") or "@" in str(url or ""):
        raise TypeError(f"login: {NOT_YOURS}")
    return Login.taking(cache, secret_id, kwargs)


async def _log_in(connection: Any, login: Login, timeout: Any) -> None:
    bare = connection.url

    async def log_in(credential: Credential) -> None:
        url = bare.with_user(credential.username).with_password(credential.password)
        if login.endpoint_from_secret:
            url = url.with_host(credential.host).with_port(credential.port or bare.port)
        connection.url = url
        try:
            await Connection.connect(connection, timeout)
        finally:
            connection.url = bare

    await login.connect_async(log_in)
