"""The hook that sees everything that the cache stores and returns."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SecretCacheHook(metaclass=ABCMeta):
    """Converts responses on their way into and out of the cache, for example to encrypt them in memory.

    Both responses of the service pass through it: DescribeSecret's, with its ``VersionIdsToStages``, and
    GetSecretValue's. A subclass that lacks one of the two methods cannot be instantiated. Any other object with these
    two methods works as well.
    """

    @abstractmethod
    def put(self, obj: Any) -> Any:
        """Return the object to store for the response `obj`; it can be falsy.

        An exception raised here counts as a failed refresh: the last known value is served, if there is one.
        """

    @abstractmethod
    def get(self, cached_obj: Any) -> Any:
        """Return the response for which `put` returned `cached_obj`.

        Called on every read, once for each of the two responses. An exception raised here reaches the reader.
        """
