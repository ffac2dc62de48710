"""What a program may supply to the cache: see :mod:`.secret_cache_hook`.

The other modules of this package in AWS's library are internal to it ("directly reference at your own risk").
The cache is native here and has no counterpart of them.
"""

from .secret_cache_hook import SecretCacheHook

__all__ = ["SecretCacheHook"]
