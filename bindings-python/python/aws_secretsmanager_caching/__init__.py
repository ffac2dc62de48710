"""The import name of AWS's caching library, served by secretcache.

Programs written for ``aws-secretsmanager-caching`` keep their imports and their code:

>>> from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
>>> SecretCacheConfig(secret_refresh_interval=300).default_version_stage
'AWSCURRENT'
"""

from .config import SecretCacheConfig
from .secret_cache import SecretCache

__all__ = ["SecretCache", "SecretCacheConfig", "InjectSecretString", "InjectKeywordedSecretString"]

TYPE_CHECKING = False  # type checkers take it for true; importing `typing` would cost every process 3 ms
if TYPE_CHECKING:
    from .decorators import InjectKeywordedSecretString, InjectSecretString


def __getattr__(name: str) -> object:
    """Load the decorators when first asked for: they import modules that the cache does without."""
    if name in ("decorators", "InjectSecretString", "InjectKeywordedSecretString"):
        from .decorators import InjectKeywordedSecretString, InjectSecretString

        globals().update(
            InjectSecretString=InjectSecretString, InjectKeywordedSecretString=InjectKeywordedSecretString
        )
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
