"""Kombu: connections to RabbitMQ and Redis.

>>> Connection = connection_class(cache, "prod/rabbit")  # doctest: +SKIP
>>> with Connection("amqp://rabbit.example/shop") as connection: ...  # doctest: +SKIP
"""

from __future__ import annotations

from functools import cache as once

from kombu import connection as kombus
from kombu.connection import Connection, ConnectionPool
from kombu.utils.collections import HashedSeq

from ._login import NOT_YOURS, Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretcache import Credential
    from secretcache._base import BaseCache


def connection_class(
    cache: BaseCache, secret_id: str, base: type[Any] = Connection, **options: Any
) -> type[Any]:
    """Return a class of connections that log in with a secret, even during a rotation.

    An open connection stays open through a rotation. A broker that refuses every version raises `LoginRejectedError`.
    """
    login = Login.taking(cache, secret_id, options)
    logging_in = once(lambda transport: _transport_class(login, transport))

    class LoggingIn:
        password: Any

        def __init__(self, *args: Any, **params: Any) -> None:
            super().__init__(*args, **params)
            self._check()

        def switch(self, conn_str: str) -> None:
            super().switch(conn_str)  # type: ignore[misc]
            self._check()

        def _check(self) -> None:
            if self.password:
                raise TypeError(f"password: {NOT_YOURS}")

        def get_transport_cls(self) -> type[Any]:
            return logging_in(super().get_transport_cls())  # type: ignore[misc]

        def __eqhash__(self) -> Any:
            # Equal connections share Kombu's pools.
            return HashedSeq(super().__eqhash__(), login)  # type: ignore[misc]

        def Pool(self, limit: int | None = None, **kwargs: Any) -> Any:
            return Pool(self, limit, **kwargs)

    # Before Kombu 5.5, a pool's connections are copies of the one that it was created from.
    pooled = getattr(kombus, "PooledConnection", None)
    Pooled = None if pooled is None else type("Pooled", (LoggingIn, pooled), {})

    class Pool(ConnectionPool):
        def new(self) -> Any:
            connection = super().new()
            if Pooled is not None:
                connection.__class__ = Pooled
            return connection

    return type(base.__name__, (LoggingIn, base), {})


def _transport_class(login: Login, base: type[Any]) -> type[Any]:
    if base.driver_type == "amqp":
        return _amqp_transport(login, base)
    if base.driver_type == "redis":
        return _redis_transport(login, base)
    raise TypeError(f"{base.__module__} is not supported: only RabbitMQ (amqp, amqps) and Redis are")


def _amqp_transport(login: Login, base: type[Any]) -> type[Any]:
    class Transport(base):
        default_connection_params = property(
            lambda self: super().default_connection_params | {"userid": None, "password": None}
        )

        def establish_connection(self) -> Any:
            def log_in(credential: Credential) -> Any:
                who = {"userid": credential.username, "password": credential.password}
                if login.endpoint_from_secret:
                    who["host"] = f"{credential.host}:{credential.port or self.default_port}"
                self.Connection = lambda **options: base.Connection(**(options | who))
                try:
                    return super(Transport, self).establish_connection()
                finally:
                    del self.Connection

            return login.connect(log_in)[0]

    return Transport


def _redis_transport(login: Login, base: type[Any]) -> type[Any]:
    from .redis import logging_in_class

    class Channel(base.Channel):  # type: ignore[name-defined]
        connection_class = logging_in_class(login, base.Channel.connection_class)
        connection_class_ssl = logging_in_class(login, base.Channel.connection_class_ssl)

    return type(base.__name__, (base,), {"Channel": Channel})
