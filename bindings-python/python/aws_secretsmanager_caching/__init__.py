"""secretcache's drop-in for AWS's caching library, under the same import name.

Programs written for ``aws-secretsmanager-caching`` keep their imports and their code:

>>> from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
>>> SecretCacheConfig(secret_refresh_interval=300).default_version_stage
'AWSCURRENT'
"""

from .config import SecretCacheConfig
from .secret_cache import SecretCache

__all__ = ["SecretCache", "SecretCacheConfig", "InjectSecretString", "InjectKeywordedSecretString"]

TYPE_CHECKING = False  # type checkers treat this as true; importing `typing` would cost every process 3 ms
if TYPE_CHECKING:
    from .decorators import InjectKeywordedSecretString, InjectSecretString


def __getattr__(name: str) -> object:
    """Import the decorators on first use: they import modules that the cache does not need."""
    if name in ("decorators", "InjectSecretString", "InjectKeywordedSecretString"):
        from .decorators import InjectKeywordedSecretString, InjectSecretString

        globals().update(
            InjectSecretString=InjectSecretString, InjectKeywordedSecretString=InjectKeywordedSecretString
        )
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
