"""Apache Airflow: its metadata database, and hooks of SQL databases. `airflow.secrets_manager` is a secrets backend.

In ``airflow_local_settings.py``:

>>> create_metadata_engine, create_async_metadata_engine = metadata_engines(cache, "prod/airflow")  # doctest: +SKIP

In a task:

>>> hook = PostgresHook("shop")  # doctest: +SKIP
>>> stay_connected(hook, cache, "prod/checkout/db")  # doctest: +SKIP
"""

from __future__ import annotations

from contextvars import ContextVar
from copy import deepcopy

from .._login import Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from secretcache import Credential
    from secretcache._base import BaseCache

_credential: ContextVar[Credential | None] = ContextVar("credential", default=None)
"""The credential that a hook is logging in with."""


def metadata_engines(
    cache: BaseCache, secret_id: str, **options: Any
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return ``create_metadata_engine`` and ``create_async_metadata_engine`` for ``airflow_local_settings.py``.

    They create the same engines as Airflow's own, but these log in with a secret, even during a rotation. The URLs in
    Airflow's settings need no user name or password.
    """
    from airflow import __version__, settings

    from ..sqlalchemy import stay_connected

    if not hasattr(settings, "create_metadata_engine"):
        raise RuntimeError(
            f"Airflow {__version__} does not take its engines from airflow_local_settings.py; use 3.2.1 or newer"
        )

    def connected(make: Callable[..., Any]) -> Callable[..., Any]:
        def make_engine(*args: Any, **kwargs: Any) -> Any:
            engine = make(*args, **kwargs)
            stay_connected(engine, cache, secret_id, **options)
            return engine

        return make_engine

    return connected(settings.create_metadata_engine), connected(settings.create_async_metadata_engine)


def stay_connected(hook: Any, cache: BaseCache, secret_id: str, **options: Any) -> None:
    """Make a hook of a SQL database log in with a secret, even during a rotation, by driver and by SQLAlchemy.

    Everything but user name and password comes from the Airflow connection.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    if not isinstance(hook, DbApiHook):
        raise TypeError(
            f"{type(hook).__name__} is not a hook of a SQL database: only subclasses of DbApiHook are supported"
        )
    kind: type[Any] = type(hook)
    login = Login.taking(cache, secret_id, dict(options))

    class LoggingIn(kind):
        @property
        def connection(self) -> Any:
            connection = deepcopy(super().connection)
            credential = _credential.get()
            given = {} if credential is None else login.arguments(credential, "schema")
            for name, value in given.items():
                setattr(connection, "login" if name == "user" else name, value)
            return connection

        def get_conn(self) -> Any:
            def log_in(credential: Credential) -> Any:
                before = _credential.set(credential)
                try:
                    return super(LoggingIn, self).get_conn()
                finally:
                    _credential.reset(before)

            return login.connect(log_in)[0]

        def get_sqlalchemy_engine(self, *args: Any, **kwargs: Any) -> Any:
            from ..sqlalchemy import stay_connected

            engine = super().get_sqlalchemy_engine(*args, **kwargs)
            stay_connected(engine, cache, secret_id, **options)
            return engine

    hook.__class__ = LoggingIn
