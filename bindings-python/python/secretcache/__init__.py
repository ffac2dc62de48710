"""Secrets from AWS Secrets Manager: read from memory, refreshed in the background, right through a rotation.

>>> from secretcache import SecretCache
>>> cache = SecretCache(region_name="us-east-1")

then ``cache.get_secret_string("prod/checkout/db")`` wherever the secret is needed.
"""

from . import errors
from ._cache import SecretCache
from ._core import SecretValue, __version__
from ._events import Event, NewVersion, RefreshError, Stale
from .errors import SecretCacheError

__all__ = [
    "Event",
    "NewVersion",
    "RefreshError",
    "SecretCache",
    "SecretCacheError",
    "SecretValue",
    "Stale",
    "__version__",
    "errors",
]
