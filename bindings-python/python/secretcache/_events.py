"""Events of a cache, and its warnings in the log."""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Event:
    """The base class of events about a cached secret. Events never hold a secret's value."""

    __slots__ = ("secret_id",)

    secret_id: str
    """The id that the program reads the secret by."""

    def __repr__(self) -> str:
        names = [name for cls in reversed(type(self).__mro__) for name in getattr(cls, "__slots__", ())]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


class NewVersion(Event):
    """A refresh found a version other than the cached one."""

    __slots__ = ("new_version_id", "old_version_id", "version_stage")

    def __init__(self, secret_id: str, version_stage: str | None, old: str | None, new: str | None) -> None:
        self.secret_id = secret_id
        self.version_stage = version_stage
        self.old_version_id = old
        self.new_version_id = new


class Stale(Event):
    """Readers start to get a value that could not be refreshed in time. Sent once per outage."""

    __slots__ = ("age_seconds", "error")

    def __init__(self, secret_id: str, age_seconds: float, error: BaseException | None) -> None:
        self.secret_id = secret_id
        self.age_seconds = age_seconds
        self.error = error


class RefreshError(Event):
    """A fetch or refresh failed."""

    __slots__ = ("error",)

    def __init__(self, secret_id: str, error: BaseException) -> None:
        self.secret_id = secret_id
        self.error = error


class FallbackLogin(Event):
    """A login succeeded with a version other than the current one, as happens between the steps of a rotation.

    If it continues, the current version does not work. Sent with the first such login, then at most once a minute;
    `stats` counts all of them.
    """

    __slots__ = ("version_id", "version_stage")

    def __init__(self, secret_id: str, version_stage: str, version_id: str) -> None:
        self.secret_id = secret_id
        self.version_stage = version_stage
        self.version_id = version_id


class Replica(Event):
    """From now on a secret is read from its replica in `region`, because its own Region does not answer.

    Sent once, and again only after its own Region has answered.
    """

    __slots__ = ("error", "region")

    def __init__(self, secret_id: str, region: str, error: BaseException) -> None:
        self.secret_id = secret_id
        self.region = region
        self.error = error


_CLASSES: dict[str, Callable[..., Event]] = {
    "new_version": NewVersion,
    "stale": Stale,
    "error": RefreshError,
    "fallback_login": FallbackLogin,
    "replica": Replica,
}


class Dispatcher:
    """Calls a cache's listeners and writes its warnings."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[Any], object]]] = {}

    def listen(self, kind: str, listener: Callable[[Any], object]) -> None:
        """Call `listener` with every event of that kind."""
        if not callable(listener):
            raise TypeError(f"a listener must be callable, not {type(listener).__name__}")
        self._listeners.setdefault(kind, []).append(listener)

    def __call__(self, events: list[tuple[str, bool, str, tuple[Any, ...]]]) -> None:
        """Log events and pass them to listeners; `events` are tuples from the extension module."""
        for kind, should_warn, text, fields in events:
            if should_warn:
                _log().warning("%s", text)
            for listener in tuple(self._listeners.get(kind, ())):
                try:
                    listener(_CLASSES[kind](*fields))
                except Exception:
                    _log().exception("a listener of %s events failed", kind)

    def warn(self, text: str) -> None:
        """Log a warning."""
        _log().warning("%s", text)

    def relay(self) -> Callable[[list[Any]], None]:
        """Return a callable that does the same without keeping this object (and through listeners, the cache) alive."""
        ref = weakref.ref(self)

        def dispatch(events: list[Any]) -> None:
            dispatcher = ref()
            if dispatcher is not None:
                dispatcher(events)

        return dispatch


def _log() -> Any:
    # Imported only when there is something to log: it costs a process several milliseconds.
    import logging

    return logging.getLogger("secretcache")
