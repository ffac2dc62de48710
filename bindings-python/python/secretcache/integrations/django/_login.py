"""What the two backends share.

In a project's settings::

    DATABASES = {
        "default": {
            "ENGINE": "secretcache.integrations.django.postgresql",
            "HOST": "db.example",
            "NAME": "shop",
            "OPTIONS": {"secret_id": "prod/checkout/db"},
        }
    }

Further options: ``secret_cache``, a `SecretCache` or where to import one from ("shop.secrets.cache"); without it, the
process has one for all such databases. ``stages``, ``login_timeout`` and ``rejected`` (likewise, a function or where to
import one from) as in `secretcache.integrations`.
Everything else in ``OPTIONS`` is the driver's.
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
"""What Django calls the arguments that a credential decides."""


@once
def shared_cache() -> SecretCache:
    """Give the cache of databases that name none."""
    return SecretCache()


class LoginMixin:
    """Makes a ``DatabaseWrapper`` log in with a secret, and part from connections that are outdated."""

    settings_dict: dict[str, Any]
    connection: Any
    word_for_database = "database"
    """The driver's."""
    _login: Login | None = None
    _version: str | None = None

    @property
    def login(self) -> Login:
        """The secret of this database."""
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
        """Give what the driver gets."""
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
        """Give this database's settings with user name and password filled in, for its command-line client."""
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
        """Look at a connection between requests."""
        super().close_if_unusable_or_obsolete()  # type: ignore[misc]
        is_idle = self.connection is not None and not self.in_atomic_block  # type: ignore[attr-defined]
        if is_idle and self.login.is_outdated(self._version):
            self.close()  # type: ignore[attr-defined]


def _found(thing: Any) -> Any:
    return import_string(thing) if isinstance(thing, str) else thing
