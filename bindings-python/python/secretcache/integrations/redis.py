"""redis-py, synchronous and for asyncio.

>>> logging_in = connection_class(cache, "prod/checkout/redis")  # doctest: +SKIP
>>> pool = redis.ConnectionPool(connection_class=logging_in, host="cache.example")  # doctest: +SKIP
>>> client = redis.Redis(connection_pool=pool)  # doctest: +SKIP
>>> client = cluster(cache, "prod/checkout/redis", "redis://cache.example")  # doctest: +SKIP

If both passwords work during a rotation (the dual-password strategy), a `CredentialProvider` is enough:

>>> provider = CredentialProvider(cache, "prod/checkout/redis")  # doctest: +SKIP
>>> client = redis.Redis(host="cache.example", credential_provider=provider)  # doctest: +SKIP
"""

from __future__ import annotations

import redis
import redis.asyncio

from ._login import NOT_YOURS, Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretcache import Credential
    from secretcache._base import BaseCache


class CredentialProvider(redis.CredentialProvider):
    """Gives redis-py the user name and password from one version of a secret.

    redis-py does not report to a provider whether the login succeeded, so this one cannot try another version when the
    current one is refused. `connection_class` can.
    """

    def __init__(self, cache: BaseCache, secret_id: str, **options: Any) -> None:
        self._login = Login.taking(cache, secret_id, options)

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return user name and password, for a synchronous client."""
        return _pair(self._login.first())

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return user name and password, for a client for asyncio."""
        return _pair(await self._login.first_async())


def connection_class(
    cache: BaseCache,
    secret_id: str,
    base: type[Any] = redis.Connection,
    **options: Any,
) -> type[Any]:
    """Return a class of connections that log in with a secret, even during a rotation.

    `base` is redis-py's class to start from, such as ``redis.SSLConnection`` or ``SentinelManagedConnection``.
    """
    return logging_in_class(Login.taking(cache, secret_id, options), base)


def logging_in_class(login: Login, base: type[Any]) -> type[Any]:
    """Return a class of connections that log in with a secret, for clients that create their own pools."""
    # redis-py retries what it takes for a broken connection, including refused logins, by calling this method again.
    method = "connect_check_health" if hasattr(base, "connect_check_health") else "connect"

    def connect(self: Any, **kwargs: Any) -> None:
        if self.is_connected if hasattr(base, "is_connected") else self._sock:  # older redis-py
            if not _has_to_leave(self, login):
                return
            self.disconnect()

        def log_in(credential: Credential) -> None:
            _prepare(self, login, credential)
            getattr(super(logging_in, self), method)(**kwargs)

        login.connect(log_in)

    logging_in = type(base.__name__, (base,), {method: connect} | _retirement(login, base))
    return logging_in


def async_connection_class(
    cache: BaseCache,
    secret_id: str,
    base: type[Any] = redis.asyncio.Connection,
    **options: Any,
) -> type[Any]:
    """Return such a class for ``redis.asyncio``. The cache may be synchronous or asynchronous."""
    return _async_class(Login.taking(cache, secret_id, options), base)


def cluster(cache: BaseCache, secret_id: str, url: str, **kwargs: Any) -> redis.RedisCluster:
    """Return a cluster client that logs in to each node with a secret, even during a rotation.

    `kwargs` are those of ``redis.RedisCluster.from_url``.
    """
    login = Login.taking(cache, secret_id, kwargs)

    class Pool(redis.ConnectionPool):
        def __init__(self, connection_class: type[Any] = redis.Connection, **kwargs: Any) -> None:
            super().__init__(connection_class=logging_in_class(login, connection_class), **kwargs)

    return redis.RedisCluster.from_url(url, connection_pool_class=Pool, **kwargs)


def async_cluster(cache: BaseCache, secret_id: str, url: str, **kwargs: Any) -> redis.asyncio.RedisCluster:
    """Return such a client for ``redis.asyncio``. The cache may be synchronous or asynchronous."""
    login = Login.taking(cache, secret_id, kwargs)
    client = redis.asyncio.RedisCluster.from_url(url, **kwargs)
    settings = client.connection_kwargs
    settings["connection_class"] = _async_class(login, settings["connection_class"])
    for node in client.nodes_manager.startup_nodes.values():
        node.connection_class = settings["connection_class"]
    return client


def _async_class(login: Login, base: type[Any]) -> type[Any]:
    method = "connect_check_health" if hasattr(base, "connect_check_health") else "connect"

    async def connect(self: Any, **kwargs: Any) -> None:
        if self.is_connected:
            if not _has_to_leave(self, login):
                return
            await self.disconnect()

        async def log_in(credential: Credential) -> None:
            _prepare(self, login, credential)
            await getattr(super(logging_in, self), method)(**kwargs)

        await login.connect_async(log_in)

    logging_in = type(base.__name__, (base,), {method: connect} | _retirement(login, base))
    return logging_in


def _prepare(connection: Any, login: Login, credential: Credential) -> None:
    if getattr(connection, "password", None):
        raise TypeError(f"password: {NOT_YOURS}")
    connection.credential_provider = _Fixed(credential)
    # Set before connecting, when a subscriber resubscribes: it would reconnect if the connection seemed outdated.
    connection._secretcache_version = credential.version_id or ""
    if login.endpoint_from_secret:
        connection.host = credential.host or connection.host
        connection.port = credential.port or connection.port


def _has_to_leave(connection: Any, login: Login) -> bool:
    """Return whether a connection must log in again as it is checked out. Newer pools ask when it is returned."""
    if hasattr(connection, "should_reconnect") or connection._secretcache_subscribes:
        return False
    return login.is_outdated(connection._secretcache_version)


def _retirement(login: Login, base: type[Any]) -> dict[str, Any]:
    """Return the methods that let a pool replace outdated connections. With a subscriber, a connection is in use."""

    def should_reconnect(self: Any) -> bool:
        is_outdated = not self._secretcache_subscribes and login.is_outdated(self._secretcache_version)
        return base.should_reconnect(self) or is_outdated

    def register_connect_callback(self: Any, callback: Any) -> None:
        self._secretcache_subscribes = True
        base.register_connect_callback(self, callback)

    def deregister_connect_callback(self: Any, callback: Any) -> None:
        self._secretcache_subscribes = False
        base.deregister_connect_callback(self, callback)

    ours = (should_reconnect, register_connect_callback, deregister_connect_callback)
    overridden = {each.__name__: each for each in ours if hasattr(base, each.__name__)}
    return {"_secretcache_version": None, "_secretcache_subscribes": False} | overridden


class _Fixed(redis.CredentialProvider):
    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        return _pair(self._credential)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return _pair(self._credential)


def _pair(credential: Credential) -> tuple[str] | tuple[str, str]:
    user, password = credential.username, credential.password
    return (password,) if user is None else (user, password)
