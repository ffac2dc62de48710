"""Django's backend for PostgreSQL, logging in with a secret."""

from __future__ import annotations

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from django.db.backends.postgresql.client import DatabaseClient as PostgresClient

from .._login import LoginMixin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DatabaseClient(PostgresClient):
    """The command ``psql`` for ``manage.py dbshell``."""

    @classmethod
    def settings_to_cmd_args_env(cls, settings_dict: dict[str, Any], parameters: Any) -> Any:
        """Return the command line and the environment, with user name and password from the secret."""
        # With this alias, Django uses no pool.
        settings = DatabaseWrapper(settings_dict, NO_DB_ALIAS).settings_that_log_in()
        return super().settings_to_cmd_args_env(settings, parameters)


class DatabaseWrapper(LoginMixin, base.DatabaseWrapper):
    """Django's connection to PostgreSQL, logging in with a secret."""

    client_class = DatabaseClient
    word_for_database = "dbname"

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, even during a rotation. A pool (``OPTIONS["pool"]``) makes its own connections."""
        if getattr(self, "pool", None):
            return super().get_new_connection(conn_params)
        return self.log_in(conn_params)

    @property
    def pool(self) -> Any:
        """Django's pool, whose connections log in with the secret."""
        options = self.settings_dict["OPTIONS"]
        pool = options.get("pool")
        kind = {} if pool is True or not pool else pool
        if not pool or hasattr(kind.get("connection_class"), "secretcache_turnover"):
            return super().pool
        import psycopg

        from ..._login import Turnover
        from ...psycopg_pool import DEFAULT_LIFETIME, logging_in_class

        turnover = Turnover(self.login)
        self.login.check_lifetime(kind.get("max_lifetime", DEFAULT_LIFETIME), "max_lifetime of the pool")
        logging_in = logging_in_class(self.login, turnover, kind.get("connection_class", psycopg.Connection))
        # Kept on the connection class, not the pool: threads can create a pool at once, and a closed one is recreated.
        logging_in.secretcache_turnover = turnover
        options["pool"] = kind | {"connection_class": logging_in}
        return super().pool

    def _close(self) -> Any:
        connection = self.connection
        turnover = getattr(connection, "secretcache_turnover", None)
        if turnover is not None:
            from ...psycopg_pool import has_to_drain

            if has_to_drain(connection._pool, turnover, connection):
                connection._pool.drain()
        return super()._close()
