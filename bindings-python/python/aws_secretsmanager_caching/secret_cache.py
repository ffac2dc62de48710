"""The cache with the name and the behavior of AWS's library."""

from __future__ import annotations

import copy
import os

from secretcache import _core
from secretcache._base import PlainCache, Recipe
from secretcache._fetch import response_of
from secretcache._transport import OwnClient
from secretcache.errors import from_core

from .config import SecretCacheConfig, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any, ClassVar

_OPTIONS = {
    "max_cache_size": "max_size",
    "secret_refresh_interval": "refresh_interval",
    "exception_retry_delay_base": "backoff_base",
    "exception_retry_growth_factor": "backoff_growth",
    "exception_retry_delay_max": "backoff_max",
}


class SecretCache(PlainCache):
    """A cache for programs written for AWS's caching library.

    A `client` (boto3's, or any object with ``describe_secret`` and ``get_secret_value``) is used as is,
    with the calls AWS's library makes. Without one, secrets are fetched natively, and boto3 is not needed.

    A read returns None where AWS's library returns None: for a staging label that no version has, and for the string of
    a binary secret. Failures are the client's own exceptions, and also instances of a class in `secretcache.errors`.
    """

    __version__: ClassVar[str] = _core.__version__

    def __init__(self, config: SecretCacheConfig | None = None, client: Any = None) -> None:
        # A copy, so that later changes to the caller's object have no effect; the hook itself is not copied.
        self._config = copy.copy(config) if config is not None else SecretCacheConfig()
        check(self._config)
        self._recipe = Recipe((self._config, client), {})
        self._refresh_times: dict[str, datetime] = {}
        hook = self._config.secret_cache_hook
        if client is None and hook is None:
            _require_region()
        settings = {ours: getattr(self._config, theirs) for theirs, ours in _OPTIONS.items()}
        self._start(settings, client, hook, stage=self._config.default_version_stage, lenient=True)

    get_secret_string = _core.Cache._get_lenient_string
    get_secret_binary = _core.Cache._get_lenient_binary

    def _get_cached_secret(self, secret_id: str) -> CachedSecret:
        return CachedSecret(self, secret_id)

    @property
    def _client(self) -> Any:
        """The client, for programs that use this private attribute of AWS's library; made on demand."""
        if self._given_client is not None:
            return self._given_client
        if self._own is None:
            self._own = OwnClient({})
        return self._own.get()

    _own: OwnClient | None = None


class CachedSecret:
    """One secret of a cache, for programs that use this private class of AWS's library."""

    def __init__(self, cache: SecretCache, secret_id: str) -> None:
        self._cache = cache
        self._secret_id = secret_id

    def get_secret_value(self, version_stage: str | None = None) -> dict[str, Any] | None:
        """Return the whole response of GetSecretValue; the caller may change it."""
        cache = self._cache
        if cache._driver is not None:
            stage = version_stage or cache._config.default_version_stage
            return copy.deepcopy(cache._driver.response(self._secret_id, stage, None))
        value = cache._get_value(self._secret_id, version_stage)
        return None if value is None else response_of(value)

    def refresh_secret_now(self) -> bool:
        """Fetch the secret now, whatever its age, and return whether that worked."""
        return self._cache.refresh_secret_now(self._secret_id)

    @property
    def _next_refresh_time(self) -> datetime:
        from datetime import datetime, timedelta, timezone

        cache = self._cache
        stage = cache._config.default_version_stage
        due = datetime.now(timezone.utc)
        for status in cache.stats()["secrets"]:
            if (status["secret_id"], status["version_stage"]) == (self._secret_id, stage):
                due += timedelta(seconds=status["next_refresh_seconds"] or 0)
        # Keep the time stable: without a change of schedule, it differs only by the duration of this call.
        known = cache._refresh_times.get(self._secret_id)
        if known is not None and abs(due - known) <= timedelta(seconds=1):
            return known
        if len(cache._refresh_times) >= cache._config.max_cache_size:
            cache._refresh_times.clear()
        cache._refresh_times[self._secret_id] = due
        return due


def _require_region() -> None:
    """Raise at once, as botocore does, if no Region can possibly be found."""
    if os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        return
    files = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
    if not any(os.path.exists(os.path.expanduser(os.environ.get(name) or path)) for name, path in files):
        text = "You must specify a region: set AWS_REGION, or give a profile one in ~/.aws/config."
        raise from_core("no_region", text, None)
