"""A cache for AWS Secrets Manager: reads from memory, refreshes in the background, logins that survive rotations.

>>> from secretcache import SecretCache
>>> cache = SecretCache(region_name="us-east-1")

Then call ``cache.get_secret_string("prod/checkout/db")`` wherever you need the secret.
"""

from . import _doctor, errors
from ._cache import SecretCache
from ._core import SecretValue, Watch, __version__
from ._credential import Credential, LoginRejectedError
from ._events import Event, FallbackLogin, NewVersion, RefreshError, Replica, Stale
from .errors import SecretCacheError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._aio import AsyncSecretCache
    from ._decorators import InjectKeywordedSecretString, InjectSecretString
    from ._iam import IamLogin

__all__ = [
    "AsyncSecretCache",
    "Credential",
    "Event",
    "IamLogin",
    "InjectKeywordedSecretString",
    "InjectSecretString",
    "LoginRejectedError",
    "NewVersion",
    "FallbackLogin",
    "RefreshError",
    "Replica",
    "SecretCache",
    "SecretCacheError",
    "SecretValue",
    "Stale",
    "Watch",
    "__version__",
    "errors",
]

_LAZY = {
    "AsyncSecretCache": "_aio",
    "IamLogin": "_iam",
    "InjectKeywordedSecretString": "_decorators",
    "InjectSecretString": "_decorators",
}
"""Names that are imported on first use, and their modules: asyncio alone takes longer to import than all the rest."""


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module

        globals()[name] = found = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        return found
    from ._migration import MODULE, hint

    text = "" if name.startswith("_") else hint(name, MODULE, __all__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{text}")


_problem = _doctor.quick_warning()
if _problem is not None:
    import warnings

    warnings.warn(_problem, RuntimeWarning, stacklevel=2)
del _problem
