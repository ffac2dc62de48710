"""Celery: brokers (RabbitMQ, Redis) and result backends (Redis; ``rpc://`` is the broker's).

>>> app = Celery("shop", broker="amqp://rabbit.example/shop", backend="redis://cache.example/1")  # doctest: +SKIP
>>> stay_connected(app, cache, broker="prod/rabbit", backend="prod/redis")  # doctest: +SKIP
"""

from __future__ import annotations

from celery.app.backends import by_url

from ._login import Login
from .kombu import connection_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from celery import Celery

    from secretcache._base import BaseCache


def stay_connected(
    app: Celery,
    cache: BaseCache,
    *,
    broker: str | None = None,
    backend: str | None = None,
    **options: Any,
) -> None:
    """Make an app and its workers log in with secrets, even during a rotation.

    `broker` and `backend` are the ids of their secrets; leave out one that needs no secret. Their URLs must not contain
    a password.
    """
    if broker is not None:
        app.amqp.Connection = connection_class(cache, broker, app.amqp.Connection, **options)
    if backend is not None:
        login = Login.taking(cache, backend, dict(options))

        # Celery calls this for a backend in each thread. Before 5.7, setting a class as `backend_cls` is not enough.
        def get_backend() -> Any:
            base, url = by_url(app.backend_cls or app.conf.result_backend, app.loader)
            return _backend_class(login, base)(app=app, url=url)

        app._get_backend = get_backend


def _backend_class(login: Login, base: type[Any]) -> type[Any]:
    from celery.backends.redis import RedisBackend
    from redis.sentinel import SentinelManagedConnection

    from .redis import logging_in_class

    if not issubclass(base, RedisBackend):
        raise TypeError(f"the result backend {base.__module__} is not supported with a secret: only Redis is")

    class Backend(base):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            usual = SentinelManagedConnection if hasattr(base, "sentinel") else self.redis.Connection
            plain = self.connparams.get("connection_class", usual)
            self.connparams["connection_class"] = logging_in_class(login, plain)

    return Backend
