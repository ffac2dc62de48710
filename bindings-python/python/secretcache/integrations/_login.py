"""Shared by the integrations: logs in with a secret that may be rotating, and recognizes outdated connections."""

from __future__ import annotations

from secretcache import _connect, _steps
from secretcache._base import STAGES
from secretcache._credential import Credential, is_rejected_login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from secretcache._core import ConnectAttempt

LOGIN_TIMEOUT = 30.0
"""Seconds."""
OPTIONS = ("stages", "login_timeout", "endpoint_from_secret", "rejected")
"""The options of every integration; all others go to the driver."""
_OF_THE_SECRET = ("user", "username", "password", "passwd")
NOT_YOURS = "user name and password come from the secret; leave this out"
_NEEDS_SYNCHRONOUS = "this is not asynchronous, so it needs a SecretCache, not an AsyncSecretCache"


class Login:
    """One secret, and how an integration logs in with it. The secret counts as in use while this object lives."""

    def __init__(
        self,
        cache: Any,
        secret_id: str,
        *,
        stages: Iterable[str] = STAGES,
        login_timeout: float = LOGIN_TIMEOUT,
        endpoint_from_secret: bool = False,
        rejected: Callable[[BaseException], bool] | None = None,
    ) -> None:
        self.cache = cache
        self.secret_id = secret_id
        self.stages = list(stages)
        self.login_timeout = login_timeout
        self.endpoint_from_secret = endpoint_from_secret
        self.rejected = rejected or is_rejected_login
        self.is_asynchronous = hasattr(cache, "__aenter__")
        self._watch = cache.watch(secret_id)

    @classmethod
    def taking(cls, cache: Any, secret_id: str, options: dict[str, Any]) -> Login:
        """Take this class's options out of keyword arguments; the others go to a driver."""
        given = [name for name in _OF_THE_SECRET if options.get(name) is not None]
        if given:
            raise TypeError(f"{', '.join(given)}: {NOT_YOURS}")
        return cls(cache, secret_id, **{name: options.pop(name) for name in OPTIONS if name in options})

    def attempt(self, *, once: bool = False) -> ConnectAttempt:
        """Start an attempt to log in; with `once`, it does not wait for a version that works, but tries each once."""
        return self.cache._connect_attempt(self.secret_id, self.stages, self.login_timeout, once=once)

    def connect(self, fn: Callable[[Credential], Any]) -> tuple[Any, str]:
        """Log in; return what `fn` returns, and the id of the version that logged in."""
        if self.is_asynchronous:
            raise TypeError(_NEEDS_SYNCHRONOUS)
        todo = _connect.connect(self.attempt(), self.secret_id, self.rejected, _connect.credential)
        return self.cache._take_steps(self.secret_id, todo, _with_version(fn))

    async def connect_async(self, fn: Callable[[Credential], Any]) -> tuple[Any, str]:
        """Log in as `connect` does. `fn` is a coroutine function; the cache may be synchronous or asynchronous."""
        from secretcache._aio import log_in

        async def with_version(credential: Credential) -> tuple[Any, str]:
            return await fn(credential), credential.version_id or ""

        attempt = self.attempt()

        async def take(step: tuple[str, Any]) -> Any:
            if step[0] == _connect.LOG_IN:
                return await log_in(with_version, step[1], attempt)
            return await self.take_step(step)

        todo = _connect.connect(attempt, self.secret_id, self.rejected, _connect.credential)
        return await _steps.drive_async(todo, take)

    def connect_awaiting(
        self, fn: Callable[[Credential], Any], await_: Callable[[Any], Any]
    ) -> tuple[Any, str]:
        """Log in as `connect` does. `fn` is an ordinary function; it runs in a greenlet, where `await_` awaits."""

        def take(step: tuple[str, Any]) -> Any:
            if step[0] == _connect.LOG_IN:
                return _connect.log_in(_with_version(fn), step[1])
            return await_(self.take_step(step))

        todo = _connect.connect(self.attempt(), self.secret_id, self.rejected, _connect.credential)
        return _steps.drive(todo, take)

    def first(self) -> Credential:
        """Return the credential that a login would try first."""
        if self.is_asynchronous:
            raise TypeError(_NEEDS_SYNCHRONOUS)
        todo = _connect.first(self.attempt(), self.secret_id, _connect.credential)
        return self.cache._take_steps(self.secret_id, todo)

    async def first_async(self) -> Credential:
        """Return the same as `first`. The cache may be synchronous or asynchronous."""
        todo = _connect.first(self.attempt(), self.secret_id, _connect.credential)
        return await _steps.drive_async(todo, self.take_step)

    async def take_step(self, step: tuple[str, Any]) -> Exception | None:
        """Take any step but a login, without blocking the event loop."""
        import asyncio

        from secretcache._aio import in_thread

        if self.is_asynchronous:
            result: Any = await self.cache._take_step(self.secret_id, *step)
        elif step[0] == _connect.SLEEP:
            await asyncio.sleep(step[1])
            result = None
        else:
            result = await in_thread(self.cache._take_step, self.secret_id, *step)
        return result

    def arguments(self, credential: Credential, database: str = "database") -> dict[str, Any]:
        """Return the keyword arguments from a credential. `database` is the driver's name for the database argument."""
        arguments = {"user": credential.username, "password": credential.password}
        if self.endpoint_from_secret:
            arguments |= {"host": credential.host, "port": credential.port, database: credential.dbname}
        return {name: value for name, value in arguments.items() if value is not None}

    def is_outdated(self, version_id: str | None) -> bool:
        """Return whether a connection made with this version should be closed once it is idle."""
        return version_id is not None and self.cache.is_outdated(self.secret_id, version_id)

    def check_lifetime(self, seconds: float | None, setting: str) -> None:
        """Warn if the lifetime of connections is shorter than the refresh interval of the secret."""
        interval = self.cache._interval(self.secret_id)
        if seconds and 0 < seconds < interval:
            self.cache._dispatcher.warn(
                f"connections with secret {self.secret_id!r} live for {seconds:g} s ({setting}), but the cache "
                f"refreshes only every {interval:g} s: set a refresh_interval of at most {seconds:g} s"
            )


class Turnover:
    """Decides when a pool replaces all its connections: when the first outdated one is returned to it."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._number = 0

    def stamp(self, version_id: str) -> tuple[str, int]:
        """Return the stamp to keep with a new connection."""
        return version_id, self._number

    def is_due(self, stamp: tuple[str, int] | None) -> bool:
        """Return whether the pool must replace its connections, as this one is returned. True once per turnover."""
        if stamp is None or stamp[1] != self._number or not self.is_outdated(stamp):
            return False
        self._number += 1
        return True

    def is_outdated(self, stamp: tuple[str, int] | None) -> bool:
        """Return whether this connection itself should be closed."""
        return stamp is not None and self._login.is_outdated(stamp[0])


def _with_version(fn: Callable[[Credential], Any]) -> Callable[[Credential], tuple[Any, str]]:
    return lambda credential: (fn(credential), credential.version_id or "")
