"""The hook through which a program sees everything that the cache stores and hands out."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SecretCacheHook(metaclass=ABCMeta):
    """Converts responses on their way into the cache and back, to encrypt them in memory for example.

    Both responses of the service pass through: that of DescribeSecret, with its ``VersionIdsToStages``, and
    that of GetSecretValue. A subclass that lacks one of the two methods cannot be instantiated. Any other
    object with these two methods serves as well.
    """

    @abstractmethod
    def put(self, obj: Any) -> Any:
        """Return what shall be stored for the response `obj`; any object will do, falsy ones too.

        An exception raised here counts as a failed refresh: the last known value is served, if there is one.
        """

    @abstractmethod
    def get(self, cached_obj: Any) -> Any:
        """Return the response that `cached_obj`, an earlier result of `put`, stands for.

        Called on every read, once for each of the two responses. An exception raised here reaches the reader.
        """
