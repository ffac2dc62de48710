"""Base classes of the caches: settings, listeners and copies, and the methods that the synchronous caches share."""

from __future__ import annotations

from . import _core
from ._credential import is_rejected_login
from ._events import Dispatcher
from ._migration import METHODS, explained, keyword_error, public_name, renamed
from ._transport import GivenClient, OwnClient, reason_for_botocore
from .errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from datetime import timedelta
    from types import TracebackType
    from typing import Any, ClassVar, Literal, TypeVar

    from typing_extensions import Self

    from ._credential import Credential
    from ._events import FallbackLogin, NewVersion, RefreshError, Replica, Stale

    _T = TypeVar("_T")

STAGES = _core.STAGES
"""The staging labels that `connect` tries, in this order."""


_NATIVE = ("roles", "fallback_regions")
"""Settings that only the native client supports: a boto3 client is tied to one account and Region."""


def _check_native(settings: dict[str, Any], reason: str) -> None:
    given = [name for name in _NATIVE if settings.get(name) is not None]
    if given:
        raise ConfigurationError(
            f"{', '.join(given)}: only the native client supports this, but this cache uses a botocore client "
            f"because {reason}"
        )


def _read_string(
    self: Any,
    secret_id: str,
    version_stage: str | None = None,
    *,
    version_id: str | None = None,
    max_age: float | timedelta | None = None,
) -> None: ...


@renamed
@explained
class BaseCache(_core.Cache):
    """The base of every cache: settings, statistics, listeners, copies."""

    _driver: Any = None
    _given_client: Any = None
    """The client that the program passed, if any."""
    _uses_botocore = False
    _dispatcher: Dispatcher
    _recipe: Recipe
    """The arguments of `__init__`, for copies and pickles."""
    _intervals: tuple[float, dict[str, float | timedelta]]
    _signatures: ClassVar[dict[str, Any]] = {"_read_string": _read_string}
    """Python signatures of methods that the extension module calls, to find out which keyword was wrong."""

    def _start(
        self,
        settings: dict[str, Any],
        client: Any,
        hook: Any,
        *,
        stage: str,
        lenient: bool,
        session: Any = None,
        config: Any = None,
    ) -> None:
        self._dispatcher = Dispatcher()
        every = _seconds(settings.get("refresh_interval", 0))
        self._intervals = every, dict(settings.get("refresh_intervals") or {})
        relay = self._dispatcher.relay()
        self._given_client = client
        # A hook expects botocore's responses.
        asked = any(each is not None for each in (hook, session, config))
        reason = None if asked or client is not None else reason_for_botocore()
        own = client is None and (asked or reason is not None)
        if client is None and not own:
            self._setup(settings, default_stage=stage, lenient=lenient, dispatch=relay)
            _shut_down_at_exit()
            return
        self._uses_botocore = True
        _check_native(settings, "session, config or a hook is set" if reason is None else reason)
        reach = OwnClient(settings, session, config) if own else GivenClient(client)
        every_time = settings.get("refresh_interval") is not None and not every
        self._driver = self._make_driver(reach, hook, inline=every_time, lenient=lenient)
        self._driver.set_dispatch(relay)
        hooked = hook is not None
        how = {"driver": self._driver, "endpoint": reach.endpoint(), "hooked": hooked}
        self._setup(settings, default_stage=stage, lenient=lenient, **how)

    def _make_driver(self, reach: GivenClient | OwnClient, hook: Any, *, inline: bool, lenient: bool) -> Any:
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        """Return counters of what the cache has done in this process, and the state of each cached secret."""
        return self._stats()

    def on_new_version(self, listener: Callable[[NewVersion], object]) -> None:
        """Call `listener` whenever a refresh finds a new version.

        That is a version of ``AWSCURRENT``, or of another staging label that the program reads. Labels that only
        `connect` requests are left out.

        Listeners run on a background thread; if the cache uses a botocore client or yours, also on reading threads or
        the event loop. They should return quickly. Exceptions that they raise are logged.
        """
        self._dispatcher.listen("new_version", listener)

    def on_stale(self, listener: Callable[[Stale], object]) -> None:
        """Call `listener` when readers start to get a value that could not be refreshed in time."""
        self._dispatcher.listen("stale", listener)

    def on_error(self, listener: Callable[[RefreshError], object]) -> None:
        """Call `listener` whenever a fetch or refresh fails."""
        self._dispatcher.listen("error", listener)

    def on_fallback_login(self, listener: Callable[[FallbackLogin], object]) -> None:
        """Call `listener` when `connect` logs in with a version other than the current one, at most once a minute."""
        self._dispatcher.listen("fallback_login", listener)

    def on_replica(self, listener: Callable[[Replica], object]) -> None:
        """Call `listener` when the cache starts to read a secret from its replica in another Region."""
        self._dispatcher.listen("replica", listener)

    def _end(self) -> None:
        if self._driver is not None:
            self._driver.close()
        self._close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings, never a value: the copy fetches for itself."""
        if self._given_client is not None:
            _check_pickles(self._given_client)
        return _rebuild, (type(self), self._recipe.arguments, self._recipe.keywords)

    def __copy__(self) -> Self:
        """Make a cache with the same settings, and the same client if one was passed."""
        return _rebuild(type(self), self._recipe.arguments, self._recipe.keywords)  # type: ignore[return-value]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def _interval(self, secret_id: str) -> float:
        """Return for how many seconds a value of this secret counts as fresh."""
        every, single = self._intervals
        return _seconds(single.get(secret_id, every))

    @staticmethod
    def _check_id(secret_id: Any) -> None:
        if not isinstance(secret_id, str):
            kind = type(secret_id).__name__
            raise TypeError(f"secret_id must be a str (the secret's name or ARN), not {kind}")

    def _check_ids(self, secret_ids: Iterable[str]) -> list[str]:
        if isinstance(secret_ids, str):
            raise TypeError("secret_ids must be several ids, such as a list; this is a single str")
        ids = list(secret_ids)
        for each in ids:
            self._check_id(each)
        return ids

    def _explain(self, method: str, error: TypeError, keywords: dict[str, Any]) -> Exception:
        """Return the error for a wrong call of an extension method, under the public name that was called."""
        explained = keyword_error(self._signatures[method], error, keywords)
        text = str(explained)
        private = f"{method}()"
        if private not in text:
            return explained
        return TypeError(public_name(method) + text[text.index(private) + len(method) :])

    if not TYPE_CHECKING:

        def __dir__(self) -> list[str]:
            """Leave out the names of other libraries' methods."""
            return [name for name in super().__dir__() if name not in METHODS or hasattr(self, name)]


@explained
class PlainCache(BaseCache):
    """The synchronous methods that `secretcache.SecretCache` and the drop-in for AWS's library share."""

    def _make_driver(self, reach: GivenClient | OwnClient, hook: Any, *, inline: bool, lenient: bool) -> Any:
        from ._host import HostDriver

        return HostDriver(self, reach, hook, inline=inline, lenient=lenient)

    def refresh_secret_now(self, secret_id: str) -> bool:
        """Fetch the secret now, whatever its age; return whether that worked.

        If it did not, the last known value is still served; see `stats` and the log for the reason.
        """
        self._check_id(secret_id)
        try:
            self._refresh(secret_id)
        except Exception:
            return False
        return True

    def prefetch(self, secret_ids: Iterable[str]) -> dict[str, BaseException]:
        """Fetch secrets before they are read, twenty per call; return the exceptions of those that failed.

        Secrets that are cached and not due are skipped. With a client that you pass, secrets are read one by one.
        """
        return self._prefetch(self._check_ids(secret_ids))

    def connect(
        self,
        secret_id: str,
        fn: Callable[[Credential], _T],
        *,
        timeout: float | timedelta = 30,
        rejected: Callable[[BaseException], bool] | None = None,
        stages: Iterable[str] = STAGES,
    ) -> _T:
        """Connect to the database (or other resource) that the secret authenticates to, even during a rotation.

        `fn` gets a `Credential`, whose user name and password belong to one version; `connect` returns what `fn`
        returns. It tries the cached current version first. If `fn` raises an error that means a refused login
        (`rejected` decides; the default knows the common drivers), it fetches the version again, then tries
        ``AWSPENDING``, which works in the middle of a rotation, then ``AWSPREVIOUS``, then pauses and starts again, for
        up to `timeout` seconds. Any other error is raised unchanged. Accepted and refused versions are
        remembered for all callers, so a rotation costs one refused login, not one for each connection. `stages` limits
        which versions are tried.
        """
        from . import _connect

        attempt = self._connect_attempt(secret_id, list(stages), timeout)
        todo = _connect.connect(attempt, secret_id, rejected or is_rejected_login, _connect.credential)
        return self._take_steps(secret_id, todo, fn)

    def credential(
        self, secret_id: str, *, timeout: float | timedelta = 30, stages: Iterable[str] = STAGES
    ) -> Credential:
        """Return the credential `connect` would try first, for clients that log in on their own.

        It is the current version, unless `connect` has seen it refused.
        """
        from . import _connect

        attempt = self._connect_attempt(secret_id, list(stages), timeout)
        return self._take_steps(secret_id, _connect.first(attempt, secret_id, _connect.credential))

    def _take_steps(
        self, secret_id: str, todo: Generator[Any, Any, Any], fn: Callable[[Any], Any] | None = None
    ) -> Any:
        from . import _connect, _steps

        def take(step: tuple[str, Any]) -> Any:
            if step[0] == _connect.LOG_IN and fn is not None:
                return _connect.log_in(fn, step[1])
            return self._take_step(secret_id, *step)

        return _steps.drive(todo, take)

    def _take_step(self, secret_id: str, what: str, which: Any) -> Exception | None:
        import time

        from . import _connect

        try:
            if what == _connect.SLEEP:
                time.sleep(which)
            elif what == _connect.READ:
                self._get_value(secret_id, which)
            else:
                self._refresh(secret_id, which, True)
        except Exception as error:
            return error
        return None

    def close(self) -> None:
        """Forget every value, end the background work, and refuse further reads."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        self.close()
        return False


class Recipe:
    """The arguments of a cache. Some are secret, so ``repr`` hides them."""

    __slots__ = ("arguments", "keywords")

    def __init__(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.arguments = arguments
        self.keywords = keywords

    def __repr__(self) -> str:
        return "<the cache's arguments>"


def _rebuild(cls: type[BaseCache], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> BaseCache:
    return cls(*arguments, **keywords)


def _check_pickles(client: Any) -> None:
    import pickle

    try:
        pickle.dumps(client)
    except Exception as error:
        kind = type(client).__name__
        text = f"this cache holds a client of type {kind}, which cannot be pickled ({error}); pass settings such as"
        text += " region_name instead of a client, or make a cache in each process"
        raise TypeError(text) from error


def _seconds(interval: Any) -> Any:
    return interval.total_seconds() if hasattr(interval, "total_seconds") else interval


_registered = False


def _shut_down_at_exit() -> None:
    global _registered
    if not _registered:
        import atexit

        # Requests in progress get a second to finish. The extension module releases the global lock meanwhile.
        atexit.register(_core.shutdown, 1.0)
        _registered = True
