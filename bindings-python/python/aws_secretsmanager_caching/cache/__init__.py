"""The hook that a program can pass to the cache: see :mod:`.secret_cache_hook`.

In AWS's library, the other modules of this package are internal ("directly reference at your own risk"). This cache is
native and has no counterparts of them.
"""

from .secret_cache_hook import SecretCacheHook

__all__ = ["SecretCacheHook"]
