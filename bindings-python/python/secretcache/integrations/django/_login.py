"""Shared by the two backends.

In a project's settings::

    DATABASES = {
        "default": {
            "ENGINE": "secretcache.integrations.django.postgresql",
            "HOST": "db.example",
            "NAME": "shop",
            "OPTIONS": {"secret_id": "prod/checkout/db"},
        }
    }

More options: ``secret_cache``, a `SecretCache` or the dotted path to one ("shop.secrets.cache"); by default all such
databases of a process share a cache. ``stages``, ``login_timeout`` and ``rejected`` (a function or the dotted path to
one) as in `secretcache.integrations`. Everything else in ``OPTIONS`` goes to the driver.
"""

from __future__ import annotations

from functools import cache as once

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from secretcache import SecretCache

from .._login import OPTIONS, Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretcache import Credential

_OURS = ("secret_id", "secret_cache", *OPTIONS)
_NAMES = {
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
    "database": "NAME",
    "dbname": "NAME",
}
"""Django's names for the arguments that come from a credential."""


@once
def shared_cache() -> SecretCache:
    """Return the cache for databases that name none."""
    return SecretCache()


class LoginMixin:
    """Makes a ``DatabaseWrapper`` log in with a secret, and close outdated connections."""

    settings_dict: dict[str, Any]
    connection: Any
    word_for_database = "database"
    """The driver's name for the database argument."""
    _login: Login | None = None
    _version: str | None = None

    @property
    def login(self) -> Login:
        """The login of this database, set up on first use."""
        if self._login is None:
            options = dict(self.settings_dict["OPTIONS"])
            if "secret_id" not in options:
                raise ImproperlyConfigured(
                    'OPTIONS of this database need a "secret_id": the secret\'s name or ARN'
                )
            cache = _found(options.get("secret_cache")) or shared_cache()
            options["rejected"] = _found(options.get("rejected"))
            self._login = Login.taking(cache, options["secret_id"], options)
            lifetime = self.settings_dict.get("CONN_MAX_AGE")
            self._login.check_lifetime(lifetime, "CONN_MAX_AGE")
        return self._login

    def get_connection_params(self) -> dict[str, Any]:
        """Return the driver's arguments, without secretcache's options."""
        parameters: dict[str, Any] = super().get_connection_params()  # type: ignore[misc]
        return {name: value for name, value in parameters.items() if name not in _OURS}

    def log_in(self, parameters: dict[str, Any]) -> Any:
        """Connect, even during a rotation."""
        connect = super().get_new_connection  # type: ignore[misc]
        connection, self._version = self.login.connect(
            lambda credential: connect(parameters | self._arguments(credential))
        )
        return connection

    def settings_that_log_in(self) -> dict[str, Any]:
        """Return this database's settings with user name and password filled in, for its command-line client."""
        connect = super().get_new_connection  # type: ignore[misc]
        parameters = self.get_connection_params()

        def log_in(credential: Credential) -> dict[str, Any]:
            arguments = self._arguments(credential)
            connect(parameters | arguments).close()
            return arguments

        arguments, _ = self.login.connect(log_in)
        filled = {_NAMES[word]: value for word, value in arguments.items()}
        theirs = {name: each for name, each in self.settings_dict["OPTIONS"].items() if name not in _OURS}
        return self.settings_dict | filled | {"OPTIONS": theirs}

    def _arguments(self, credential: Credential) -> dict[str, Any]:
        return self.login.arguments(credential, self.word_for_database)

    def close_if_unusable_or_obsolete(self) -> None:
        """Close the connection between requests, also if it is outdated."""
        super().close_if_unusable_or_obsolete()  # type: ignore[misc]
        is_idle = self.connection is not None and not self.in_atomic_block  # type: ignore[attr-defined]
        if is_idle and self.login.is_outdated(self._version):
            self.close()  # type: ignore[attr-defined]


def _found(thing: Any) -> Any:
    return import_string(thing) if isinstance(thing, str) else thing
