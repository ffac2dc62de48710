"""Django's backend for PostgreSQL, logging in with a secret."""

from __future__ import annotations

from django.db.backends.postgresql import base
from django.db.backends.postgresql.client import DatabaseClient as PostgresClient

from .._login import LoginMixin, with_credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DatabaseClient(PostgresClient):
    """The command ``psql`` for ``manage.py dbshell``."""

    @classmethod
    def settings_to_cmd_args_env(cls, settings_dict: dict[str, Any], parameters: Any) -> Any:
        """Give the command line and the environment."""
        return super().settings_to_cmd_args_env(with_credential(settings_dict), parameters)


class DatabaseWrapper(LoginMixin, base.DatabaseWrapper):
    """A connection of Django's to PostgreSQL."""

    client_class = DatabaseClient

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, even during a rotation. A pool (``OPTIONS["pool"]``) connects by itself."""
        if getattr(self, "pool", None):
            return super().get_new_connection(conn_params)
        return self.log_in(conn_params)

    @property
    def pool(self) -> Any:
        """Django's pool, whose connections log in with the secret."""
        options = self.settings_dict["OPTIONS"]
        pool = options.get("pool")
        if not pool or (pool is not True and "connection_class" in pool):
            return super().pool
        import psycopg

        from ..._login import Turnover
        from ...psycopg_pool import DEFAULT_LIFETIME, logging_in_class

        turnover = Turnover(self.login)
        lifetime = {} if pool is True else pool
        self.login.check_lifetime(lifetime.get("max_lifetime", DEFAULT_LIFETIME), "max_lifetime of the pool")
        logging_in = logging_in_class(self.login, turnover, psycopg.Connection)
        options["pool"] = ({} if pool is True else pool) | {"connection_class": logging_in}
        made = super().pool
        if made is not None:
            made.secretcache_turnover = turnover
        return made

    def _close(self) -> Any:
        connection = self.connection
        pool: Any = getattr(connection, "_pool", None)
        turnover = getattr(pool, "secretcache_turnover", None)
        if turnover is not None and turnover.is_due(connection.secretcache_stamp):
            pool.drain()
        return super()._close()
