"""`SecretCache`, and the settings it shares with `AsyncSecretCache`."""

from __future__ import annotations

from . import _core
from ._base import BaseCache, PlainCache, Recipe
from ._migration import explained
from .errors import NotJsonError, SecretCacheError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta
    from typing import Any

    from ._core import SecretValue


@explained
class Configured(BaseCache):
    """The settings of `SecretCache` and `AsyncSecretCache`."""

    def __init__(
        self,
        *,
        client: Any = None,
        session: Any = None,
        config: Any = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        profile_name: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        role_arn: str | None = None,
        external_id: str | None = None,
        roles: Mapping[str, str | Mapping[str, str]] | None = None,
        fallback_regions: Sequence[str] | None = None,
        fallback_after: float | timedelta = 2,
        proxy_url: str | None = None,
        ca_bundle: str | None = None,
        use_fips: bool | None = None,
        timeout: float | timedelta | None = None,
        refresh_interval: float | timedelta = 300,
        refresh_intervals: Mapping[str, float | timedelta] | None = None,
        max_wait: float | timedelta = 2,
        max_stale: float | timedelta | None = None,
        max_size: int = 1024,
        stale_on_denied: bool = True,
        version_stage: str = "AWSCURRENT",
    ) -> None:
        connection = {
            "region_name": region_name,
            "endpoint_url": endpoint_url,
            "profile_name": profile_name,
            "aws_access_key_id": aws_access_key_id,
            "aws_secret_access_key": aws_secret_access_key,
            "aws_session_token": aws_session_token,
            "role_arn": role_arn,
            "external_id": external_id,
            "roles": None if roles is None else dict(roles),
            "fallback_regions": fallback_regions,
            "proxy_url": proxy_url,
            "ca_bundle": ca_bundle,
            "use_fips": use_fips,
            "timeout": timeout,
        }
        given = [name for name, value in connection.items() if value is not None]
        given += [name for name, value in (("session", session), ("config", config)) if value is not None]
        if client is not None and given:
            raise TypeError(
                f"{', '.join(given)}: cannot be combined with client; configure the client instead"
            )
        behaviour = {
            "fallback_after": fallback_after,
            "refresh_interval": refresh_interval,
            "refresh_intervals": None if refresh_intervals is None else dict(refresh_intervals),
            "max_wait": max_wait,
            "max_stale": max_stale,
            "max_size": max_size,
            "stale_on_denied": stale_on_denied,
        }
        own = {"client": client, "session": session, "config": config, "version_stage": version_stage}
        self._recipe = Recipe((), connection | behaviour | own)
        reach = {"session": session, "config": config}
        self._start(connection | behaviour, client, None, stage=version_stage, lenient=False, **reach)

    def __repr__(self) -> str:
        driver = "botocore" if self._uses_botocore else "the native client"
        if self._given_client is not None:
            driver = "the given client"
        return f"<secretcache.{type(self).__name__} with {driver}>"


@explained
class SecretCache(Configured, PlainCache):
    """A cache that returns secrets from memory and refreshes them in the background.

    >>> from secretcache import SecretCache
    >>> cache = SecretCache(region_name="eu-central-1", refresh_interval=60)
    >>> cache.peek("prod/checkout/db") is None  # nothing is fetched before it is asked for
    True

    Nothing starts before the first read. Threads that read the same secret at once share one request. Values in use are
    refreshed in the background. If Secrets Manager is unreachable, the cache keeps serving the last known value.

    Durations are seconds or ``timedelta``. Settings of the cache:

    - `refresh_interval`: how long a value counts as fresh; 0 asks the service on every read.
      `refresh_intervals` sets it for single secrets, by id.
    - `max_wait`: how long a reader waits for the service if there is a last known value.
    - `max_stale`: how long after its last successful refresh a value may still be served; None means no limit.
    - `stale_on_denied`: whether the last known value is also served after the service denies access or the secret
      is deleted.
    - `max_size`: how many secrets are kept.
    - `version_stage`: the staging label to read if a call names none.

    How to reach the service: `region_name`, `endpoint_url`, `profile_name`, `aws_access_key_id` with
    `aws_secret_access_key` and `aws_session_token`, `role_arn` with `external_id` (a role to assume),
    `proxy_url`, `ca_bundle` (a file of PEM certificates), `use_fips`, `timeout`. Settings that you leave out are found
    as boto3 finds them. Or pass a boto3 or botocore `session`, with an optional botocore `config`: the cache then
    creates its client from it, and another one in each forked process. Or pass a `client`, which is used as is: boto3's
    or any object with the methods ``describe_secret`` and ``get_secret_value``.

    Several accounts and Regions, without a client or session of your own:

    - `roles`: roles to assume, by prefix of the secret id; the longest matching prefix wins:
      ``{"billing/": role_arn, "shop/": {"role_arn": role_arn, "external_id": external_id}}``.
    - `fallback_regions`: Regions whose replicas are read, in this order, while a secret's own Region does not respond
      within `fallback_after`.
    """

    get_secret_string = _core.Cache._get_secret_string
    get_secret_field = _core.Cache._get_secret_field

    def get_secret_binary(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> bytes:
        """Return the secret binary of the version with a staging label (by default the current one) or an id."""
        return self._get_secret_binary(secret_id, version_stage, version_id=version_id, max_age=max_age)

    def get_secret_value(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> SecretValue:
        """Return a whole version: value, ARN, name, version id, staging labels, creation date."""
        value = self._get_value(secret_id, version_stage, version_id=version_id, max_age=max_age)
        if value is None:
            raise SecretCacheError(f"secret {secret_id!r} has no such version", secret_id=secret_id)
        return value

    def get_secret_json(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> Any:
        """Return the secret string parsed as JSON. The caller may change the result."""
        # No local variable holds the string, because tools show local variables in tracebacks.
        if version_stage is None and version_id is None and max_age is None:
            return checked(secret_id, parse(self.get_secret_string(secret_id)))
        which: Any = {"version_id": version_id, "max_age": max_age}
        return checked(secret_id, parse(self.get_secret_string(secret_id, version_stage, **which)))

    def get_secrets(
        self,
        secret_ids: Iterable[str],
        version_stage: str | None = None,
        *,
        max_age: float | timedelta | None = None,
    ) -> dict[str, str]:
        """Return the secret strings of several secrets, by id. Those that are not cached are fetched twenty per call.

        The first failure is raised; `prefetch` returns all failures.
        """
        ids = self._check_ids(secret_ids)
        if version_stage is None:
            self.prefetch(ids)
        return {each: self.get_secret_string(each, version_stage, max_age=max_age) for each in ids}

    def _read_field(
        self,
        secret_id: str,
        field: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> Any:
        # `get_secret_field` calls this if the field is not in memory.
        from . import _fields

        which: Any = {"version_id": version_id, "max_age": max_age}
        return _fields.pick(secret_id, self.get_secret_value(secret_id, version_stage, **which), field)

    _signatures = BaseCache._signatures | {"_read_field": _read_field}


class _NotJson:
    def __init__(self, line: int, column: int) -> None:
        self.place = f"line {line} column {column}"


_scan: Any = None


def parse(string: str) -> Any:
    """Parse JSON; return a `_NotJson` if the string is not JSON."""
    global _scan
    try:
        if _scan is None:
            from json import JSONDecoder

            _scan = JSONDecoder().scan_once  # type: ignore[attr-defined]
        parsed, end = _scan(string, 0)
        if end == len(string):
            return parsed
    except (StopIteration, ValueError):
        pass
    # White space around the JSON, or not JSON: `loads` accepts the former and locates the error in the latter.
    import json

    try:
        return json.loads(string)
    except ValueError as error:
        return _NotJson(getattr(error, "lineno", 1), getattr(error, "colno", 1))


def checked(secret_id: str, parsed: Any) -> Any:
    """Return the parsed value; raise `NotJsonError` if the string was not JSON."""
    if isinstance(parsed, _NotJson):
        text = f"the value of secret {secret_id!r} is not JSON ({parsed.place})"
        raise NotJsonError(text, secret_id=secret_id)
    return parsed
