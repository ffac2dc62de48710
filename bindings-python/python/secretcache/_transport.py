"""Chooses the transport of a cache without a client: the native one, or botocore.

Tests that mock AWS inside botocore, and servers whose sockets and threads are patched (gevent, eventlet), only work if
the requests go through botocore. A cache detects both when it is created, and then creates a botocore client, as
AWS's own library does.
"""

from __future__ import annotations

import os
import sys

from . import _core
from .errors import ConfigurationError, SecretCacheError, from_client, unanswered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "SECRETCACHE_TRANSPORT"
"""The environment variable that overrides the choice: ``native`` or ``botocore``."""


def reason_for_botocore() -> str | None:
    """Return why a botocore client is needed; None if the native transport will do."""
    wish = os.environ.get(VARIABLE, "")
    if wish == "botocore":
        return f"{VARIABLE} is set to botocore"
    if wish == "native":
        return None
    if wish:
        raise ConfigurationError(f"{VARIABLE} is {wish!r}; it must be native or botocore")
    if "moto.core.models" in sys.modules:
        # moto answers botocore's requests only. A program that imports it is a test.
        return "moto is loaded, which answers botocore's requests only"
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        return "gevent has patched this process, and the native transport would block its hub"
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("socket"):
        return "eventlet has patched this process, and the native transport would block its hub"
    return _reason_in_tests()


_PATCHED = (
    ("botocore.client", "BaseClient._make_api_call"),
    ("botocore.session", "get_session"),
    ("botocore.session", "Session.create_client"),
    ("botocore.httpsession", "URLLib3Session.send"),
    ("boto3", "client"),
)
"""Functions that tests replace to keep requests from leaving the process."""


def _reason_in_tests() -> str | None:
    for module, path in _PATCHED:
        if _is_replaced(module, path):
            return f"{module}.{path} has been replaced, as tests do to keep requests from going out"
    socket = sys.modules.get("socket")
    if socket is not None and "pytest_socket" in sys.modules and socket.socket.__module__ == "pytest_socket":
        return "pytest-socket allows no connections"
    return None


def _is_replaced(module: str, path: str) -> bool:
    """Return whether a function is not its module's own. A tracing wrapper keeps ``__module__`` and does not count."""
    found: Any = sys.modules.get(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    if found is None:
        return False
    return getattr(found, "__module__", None) != module or hasattr(found, "mock")


class GivenClient:
    """A client that the program passed."""

    __slots__ = ("_client",)

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self) -> Any:
        """Return the client."""
        return self._client

    def endpoint(self) -> str | None:
        """Return the client's endpoint URL, if it has one: caches with the same endpoint slow down together."""
        return _endpoint(self._client)


def _endpoint(client: Any) -> str | None:
    url = getattr(getattr(client, "meta", None), "endpoint_url", None)
    return url if isinstance(url, str) else None


class OwnClient:
    """A botocore client that the cache creates: a new one in each forked child, which must not share connections."""

    __slots__ = ("_client", "_config", "_pid", "_session", "_settings")

    def __init__(self, settings: dict[str, Any], session: Any = None, config: Any = None) -> None:
        self._settings = settings
        self._session = session
        self._config = config
        self._make()

    def __repr__(self) -> str:
        return "<a botocore client created by the cache>"

    def get(self) -> Any:
        """Return this process's client."""
        if self._pid != os.getpid():
            self._make()
        return self._client

    def endpoint(self) -> str | None:
        """Return the client's endpoint URL."""
        return _endpoint(self._client)

    def _make(self) -> None:
        try:
            self._client = botocore_client(self._settings, _core.__version__, self._session, self._config)
        except SecretCacheError:
            raise
        except Exception as error:
            kind = unanswered(error) or ("invalid_configuration" if isinstance(error, ValueError) else None)
            if kind is None:
                raise
            raise from_client(kind, error) from None
        self._pid = os.getpid()


def botocore_client(settings: dict[str, Any], version: str, session: Any = None, config: Any = None) -> Any:
    """Create the client that the settings describe. botocore finds what they leave out."""
    try:
        from botocore import session as sessions
        from botocore.config import Config
    except ImportError as error:
        raise ConfigurationError(f"the botocore transport needs botocore: {error}") from error

    connection = dict(settings)
    option = connection.get
    timeout: Any = option("timeout")
    seconds = timeout.total_seconds() if hasattr(timeout, "total_seconds") else timeout
    options: dict[str, Any] = {"user_agent_extra": f"secretcache/{version}"}
    if seconds is not None:
        options |= {"connect_timeout": seconds, "read_timeout": seconds}
    if option("proxy_url") is not None:
        options["proxies"] = {"http": option("proxy_url"), "https": option("proxy_url")}
    if option("use_fips") is not None:
        options["use_fips_endpoint"] = option("use_fips")
    made = Config(**options)
    if session is None:
        session = sessions.get_session()
        if option("profile_name") is not None:
            session.set_config_variable("profile", option("profile_name"))
    elif option("profile_name") is not None:
        raise TypeError("profile_name cannot be combined with session; set it there")
    create = getattr(session, "create_client", None) or session.client
    if "boto3" in sys.modules and _is_replaced("boto3", "client"):
        create = sys.modules["boto3"].client
    if option("role_arn") is not None:
        _assume_role(getattr(session, "_session", session), connection)
    return create(
        "secretsmanager",
        region_name=option("region_name"),
        endpoint_url=option("endpoint_url"),
        aws_access_key_id=option("aws_access_key_id"),
        aws_secret_access_key=option("aws_secret_access_key"),
        aws_session_token=option("aws_session_token"),
        verify=option("ca_bundle"),
        config=made if config is None else made.merge(config),
    )


def _assume_role(session: Any, connection: dict[str, Any]) -> None:
    """Make the session assume a role, with its current credentials."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    key, secret = connection.get("aws_access_key_id"), connection.get("aws_secret_access_key")
    if key is not None:
        session.set_credentials(key, secret, connection.get("aws_session_token"))
    extra = {"RoleSessionName": "secretcache"}
    if connection.get("external_id") is not None:
        extra["ExternalId"] = connection["external_id"]
    fetcher = AssumeRoleCredentialFetcher(
        session.create_client, session.get_credentials(), connection["role_arn"], extra_args=extra
    )
    session._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
        connection.pop(name, None)
