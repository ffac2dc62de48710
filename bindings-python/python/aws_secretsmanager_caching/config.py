"""The options of a cache (secretcache's drop-in for AWS's caching library)."""

from __future__ import annotations

from math import isfinite

from .cache.secret_cache_hook import SecretCacheHook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, ClassVar, Protocol, TypedDict

    from typing_extensions import Unpack

    class _Hook(Protocol):
        """Any object with the two methods of `SecretCacheHook`."""

        def put(self, obj: Any) -> Any: ...
        def get(self, cached_obj: Any) -> Any: ...

    class _Options(TypedDict, total=False):
        """The keyword arguments of `SecretCacheConfig`."""

        max_cache_size: int
        exception_retry_delay_base: float
        exception_retry_growth_factor: float
        exception_retry_delay_max: float
        default_version_stage: str
        secret_refresh_interval: float | timedelta
        secret_cache_hook: SecretCacheHook | _Hook | None


class SecretCacheConfig:
    """The options of a `SecretCache`, each a keyword argument and an attribute.

    A cache copies these values when it is created; the hook itself is not copied.
    An unknown option or an unusable value raises an error here.
    """

    OPTION_DEFAULTS: ClassVar[dict[str, Any]] = {
        "max_cache_size": 1024,
        "exception_retry_delay_base": 1,
        "exception_retry_growth_factor": 2,
        "exception_retry_delay_max": 3600,
        "default_version_stage": "AWSCURRENT",
        "secret_refresh_interval": 3600,
        "secret_cache_hook": None,
    }

    max_cache_size: int
    """How many secrets to keep; rarely read secrets are evicted first."""
    exception_retry_delay_base: float
    """Seconds to wait before the first retry after a failure."""
    exception_retry_growth_factor: float
    """The factor by which that wait grows with each consecutive failure."""
    exception_retry_delay_max: float
    """The longest such wait, in seconds."""
    default_version_stage: str
    """The staging label read when a call names none."""
    secret_refresh_interval: float | timedelta
    """Seconds, or a ``timedelta``, until a secret is refreshed; 0 asks the service on every read."""
    secret_cache_hook: SecretCacheHook | _Hook | None
    """Converts everything that is stored or returned; see `SecretCacheHook`."""

    def __init__(self, **kwargs: Unpack[_Options]) -> None:
        for name in kwargs:
            if name not in self.OPTION_DEFAULTS:
                raise TypeError(f"Unexpected keyword argument {name}")
        for name, value in (self.OPTION_DEFAULTS | kwargs).items():
            setattr(self, name, value)
        check(self)


def check(config: Any) -> None:
    """Raise `TypeError` or `ValueError` if an option is unusable."""
    refresh_seconds(config.secret_refresh_interval)
    size = config.max_cache_size
    if not isinstance(size, int):
        raise TypeError(f"max_cache_size must be a number of secrets, not {type(size).__name__}")
    if size < 1:
        raise ValueError(f"max_cache_size must be at least 1; got {size}")
    hook = config.secret_cache_hook
    if hook is not None and not all(callable(getattr(hook, name, None)) for name in ("put", "get")):
        raise TypeError(f"secret_cache_hook needs methods put(obj) and get(cached_obj), which {hook!r} lacks")


def refresh_seconds(interval: Any) -> float:
    """Return a refresh interval, a number of seconds or a ``timedelta``, in seconds."""
    seconds = interval.total_seconds() if hasattr(interval, "total_seconds") else interval
    if not isinstance(seconds, (int, float)):
        kind = type(interval).__name__
        raise TypeError(f"secret_refresh_interval must be a number of seconds or a timedelta, not {kind}")
    if not (isfinite(seconds) and seconds >= 0):
        raise ValueError(f"secret_refresh_interval must be zero or more seconds; got {interval!r}")
    return float(seconds)
