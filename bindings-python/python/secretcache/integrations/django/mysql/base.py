"""Django's backend for MySQL and MariaDB, logging in with a secret."""

from __future__ import annotations

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.mysql import base
from django.db.backends.mysql.client import DatabaseClient as MySqlClient

from .._login import LoginMixin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DatabaseClient(MySqlClient):
    """The command ``mysql`` for ``manage.py dbshell``."""

    @classmethod
    def settings_to_cmd_args_env(cls, settings_dict: dict[str, Any], parameters: Any) -> Any:
        """Return the command line and the environment, with user name and password from the secret."""
        settings = DatabaseWrapper(settings_dict, NO_DB_ALIAS).settings_that_log_in()
        return super().settings_to_cmd_args_env(settings, parameters)


class DatabaseWrapper(LoginMixin, base.DatabaseWrapper):
    """Django's connection to MySQL or MariaDB, logging in with a secret."""

    client_class = DatabaseClient

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, even during a rotation."""
        return self.log_in(conn_params)
