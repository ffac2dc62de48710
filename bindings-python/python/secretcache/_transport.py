"""Which transport serves a cache that was given no client: the native one, or botocore's.

Tests that mock AWS inside botocore, and servers whose sockets and threads are patched for cooperation, only work if
the requests go through botocore. A cache notices both and then makes a botocore client, as AWS's own library does.
"""

from __future__ import annotations

import os
import sys

from .errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "SECRETCACHE_TRANSPORT"
"""Set to ``native`` or ``botocore`` to decide what is otherwise decided by looking around."""


def reason_for_botocore() -> str | None:
    """Tell why a botocore client is to be made; None if the native transport will do."""
    wish = os.environ.get(VARIABLE, "")
    if wish == "botocore":
        return f"{VARIABLE} asks for it"
    if wish == "native":
        return None
    if wish:
        raise ConfigurationError(f"{VARIABLE} is {wish!r}; it must be native or botocore")
    if "moto.core.models" in sys.modules:
        # moto answers botocore's requests only. A program that imports it is a test.
        return "moto is loaded, which answers botocore's requests only"
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        return "gevent has patched this process, and native waiting would block its hub"
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("socket"):
        return "eventlet has patched this process, and native waiting would block its hub"
    return None


def botocore_client(connection: dict[str, Any], version: str) -> Any:
    """Make the client that the options describe. What they leave open is found as botocore finds it."""
    try:
        from botocore import session as sessions
        from botocore.config import Config
    except ImportError as error:
        raise ConfigurationError(f"the botocore transport needs botocore: {error}") from error

    def option(name: str) -> Any:
        return connection.get(name)

    timeout = option("timeout")
    seconds = timeout.total_seconds() if hasattr(timeout, "total_seconds") else timeout
    config: dict[str, Any] = {"user_agent_extra": f"secretcache/{version}"}
    if seconds is not None:
        config |= {"connect_timeout": seconds, "read_timeout": seconds}
    if option("proxy_url") is not None:
        config["proxies"] = {"http": option("proxy_url"), "https": option("proxy_url")}
    if option("use_fips") is not None:
        config["use_fips_endpoint"] = option("use_fips")
    session = sessions.Session(profile=option("profile_name"))
    if option("role_arn") is not None:
        _assume_role(session, connection)
    return session.create_client(
        "secretsmanager",
        region_name=option("region_name"),
        endpoint_url=option("endpoint_url"),
        aws_access_key_id=option("aws_access_key_id"),
        aws_secret_access_key=option("aws_secret_access_key"),
        aws_session_token=option("aws_session_token"),
        verify=option("ca_bundle"),
        config=Config(**config),
    )


def _assume_role(session: Any, connection: dict[str, Any]) -> None:
    """Have the session assume a role with the credentials it has."""
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
