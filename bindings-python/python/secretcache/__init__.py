"""Secrets from AWS Secrets Manager: read from memory, refreshed in the background, right through a rotation.

>>> from secretcache import SecretCache
>>> cache = SecretCache(region_name="us-east-1")

then ``cache.get_secret_string("prod/checkout/db")`` wherever the secret is needed.
"""

from . import _doctor, errors
from ._cache import SecretCache
from ._core import SecretValue, Watch, __version__
from ._credential import Credential, LoginRejectedError
from ._events import Event, NewVersion, OtherVersion, RefreshError, Stale
from .errors import SecretCacheError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._aio import AsyncSecretCache

__all__ = [
    "AsyncSecretCache",
    "Credential",
    "Event",
    "LoginRejectedError",
    "NewVersion",
    "OtherVersion",
    "RefreshError",
    "SecretCache",
    "SecretCacheError",
    "SecretValue",
    "Stale",
    "Watch",
    "__version__",
    "errors",
]


def __getattr__(name: str) -> object:
    """Load the asyncio face when first asked for: asyncio takes longer to import than all the rest."""
    if name == "AsyncSecretCache":
        from ._aio import AsyncSecretCache

        globals()[name] = AsyncSecretCache
        return AsyncSecretCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_problem = _doctor.quick_warning()
if _problem is not None:
    import warnings

    warnings.warn(_problem, RuntimeWarning, stacklevel=2)
del _problem
