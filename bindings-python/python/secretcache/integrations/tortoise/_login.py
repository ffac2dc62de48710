"""Shared by the two backends."""

from __future__ import annotations

from functools import cache as once
from pkgutil import resolve_name

from secretcache import AsyncSecretCache

from .._login import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@once
def _shared_cache() -> AsyncSecretCache:
    return AsyncSecretCache()


class LoginMixin:
    """Takes secretcache's options out of a connection's credentials."""

    def __init__(self, *, secret_id: str, secret_cache: Any = None, **kwargs: Any) -> None:
        self._options = {name: kwargs.pop(name) for name in OPTIONS if name in kwargs}
        cache = resolve_name(secret_cache) if isinstance(secret_cache, str) else secret_cache
        self._secret = (cache or _shared_cache(), secret_id)
        super().__init__(**kwargs)
