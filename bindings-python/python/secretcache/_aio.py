"""The cache for asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import sys
import threading
import weakref

from . import _connect, _core, _fetch, _fields, _steps
from ._base import STAGES
from ._cache import Configured, checked, parse
from ._credential import forget_locals, is_rejected_login
from ._migration import explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from datetime import timedelta
    from types import TracebackType
    from typing import Any, Literal, TypeVar, overload

    from typing_extensions import Self

    from ._base import BaseCache
    from ._core import ConnectAttempt, FetchPermit, Flight, SecretValue
    from ._credential import Credential
    from ._transport import GivenClient, OwnClient

    _T = TypeVar("_T")


@explained
class AsyncSecretCache(Configured):
    """`SecretCache` for asyncio: the same settings and the same names, awaited.

    A cached value is returned without switching tasks. Tasks that read the same secret at once share one request, and
    cancelling one of them does not cancel the others. A `client` can be an ordinary one, which is called in threads, or
    one whose methods are coroutines (aiobotocore's).
    """

    # `SecretCache`'s methods, used to read from memory only: `_read_string` and `_read_field` return None here.
    _string_in_memory: Any = _core.Cache._get_secret_string
    _field_in_memory: Any = _core.Cache._get_secret_field

    def _read_string(self, *_arguments: Any, **_keywords: Any) -> None:
        return None

    def _read_field(self, *_arguments: Any) -> None:
        return None

    def _start(self, *args: Any, **kwargs: Any) -> None:
        super()._start(*args, **kwargs)
        if self._driver is None:
            self._driver = AsyncDriver(self)

    def _make_driver(
        self, reach: GivenClient | OwnClient, hook: Any, *, inline: bool, lenient: bool
    ) -> AsyncDriver:
        return AsyncDriver(self, reach, inline=inline, lenient=lenient)

    async def get_secret_string(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> str:
        """Return the secret string of the version with a staging label (by default the current one) or an id."""
        if version_stage is None and version_id is None and max_age is None:
            found = self._string_in_memory(secret_id)
            if found is not None:
                return found
        value = await self._read(secret_id, version_stage, version_id, max_age)
        return self._part_of(secret_id, value, False)

    async def get_secret_binary(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> bytes:
        """Return the secret binary of the version with a staging label (by default the current one) or an id."""
        value = await self._read(secret_id, version_stage, version_id, max_age)
        return self._part_of(secret_id, value, True)

    async def get_secret_value(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> SecretValue:
        """Return a whole version: value, ARN, name, version id, staging labels, creation date."""
        return await self._read(secret_id, version_stage, version_id, max_age)

    async def get_secret_json(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> Any:
        """Return the secret string parsed as JSON. The caller may change the result."""
        value = await self._read(secret_id, version_stage, version_id, max_age)
        return checked(secret_id, parse(self._part_of(secret_id, value, False)))

    async def get_secret_field(
        self,
        secret_id: str,
        field: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> Any:
        """Return one field of a secret whose string is a JSON object, such as ``password``."""
        if version_stage is None and version_id is None and max_age is None:
            found = self._field_in_memory(secret_id, field)
            if found is not None:
                return found
        value = await self._read(secret_id, version_stage, version_id, max_age)
        return _fields.pick(secret_id, value, field)

    async def get_secrets(
        self,
        secret_ids: Iterable[str],
        version_stage: str | None = None,
        *,
        max_age: float | timedelta | None = None,
    ) -> dict[str, str]:
        """Return the secret strings of several secrets, by id. Those that are not cached are fetched twenty per call.

        The first failure is raised; `prefetch` returns all failures.
        """
        ids = self._check_ids(secret_ids)
        if version_stage is None:
            await self.prefetch(ids)
        return {each: await self.get_secret_string(each, version_stage, max_age=max_age) for each in ids}

    async def refresh_secret_now(self, secret_id: str) -> bool:
        """Fetch the secret now, whatever its age; return whether that worked."""
        self._check_id(secret_id)
        try:
            await self._driver.refresh_now(secret_id)
        except Exception:
            return False
        return True

    async def prefetch(self, secret_ids: Iterable[str]) -> dict[str, BaseException]:
        """Fetch secrets before they are read, twenty per call; return the exceptions of those that failed."""
        return await self._driver.prefetch_now(self._check_ids(secret_ids))

    if TYPE_CHECKING:

        @overload
        async def connect(
            self,
            secret_id: str,
            fn: Callable[[Credential], Awaitable[_T]],
            *,
            timeout: float | timedelta = 30,
            rejected: Callable[[BaseException], bool] | None = None,
            stages: Iterable[str] = STAGES,
        ) -> _T: ...

        @overload
        async def connect(
            self,
            secret_id: str,
            fn: Callable[[Credential], _T],
            *,
            timeout: float | timedelta = 30,
            rejected: Callable[[BaseException], bool] | None = None,
            stages: Iterable[str] = STAGES,
        ) -> _T: ...

    async def connect(
        self,
        secret_id: str,
        fn: Callable[[Credential], Any],
        *,
        timeout: float | timedelta = 30,
        rejected: Callable[[BaseException], bool] | None = None,
        stages: Iterable[str] = STAGES,
    ) -> Any:
        """Connect as `SecretCache.connect` does.

        `fn` may be a coroutine function; it is cancelled when the time is up.
        """
        attempt = self._connect_attempt(secret_id, list(stages), timeout)

        async def take(step: tuple[str, Any]) -> Any:
            if step[0] == _connect.LOG_IN:
                return await log_in(fn, step[1], attempt)
            return await self._take_step(secret_id, *step)

        todo = _connect.connect(attempt, secret_id, rejected or is_rejected_login, _connect.credential)
        return await _steps.drive_async(todo, take)

    async def credential(
        self, secret_id: str, *, timeout: float | timedelta = 30, stages: Iterable[str] = STAGES
    ) -> Credential:
        """Return the credential `connect` would try first, as `SecretCache.credential` does."""
        attempt = self._connect_attempt(secret_id, list(stages), timeout)
        todo = _connect.first(attempt, secret_id, _connect.credential)
        return await _steps.drive_async(todo, lambda step: self._take_step(secret_id, *step))

    async def _take_step(self, secret_id: str, what: str, which: Any) -> Exception | None:
        try:
            if what == _connect.SLEEP:
                await asyncio.sleep(which)
            elif what == _connect.READ:
                await self._driver.read(secret_id, which, None)
            else:
                await self._driver.refresh_now(secret_id, which, is_for_attempt=True)
        except Exception as error:
            return error
        return None

    async def close(self) -> None:
        """Forget every value, end the background work, and refuse further reads."""
        self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        await self.close()
        return False

    def __enter__(self) -> Self:
        raise TypeError("use `async with`, not `with`")

    def __exit__(self, kind: object, error: object, traceback: object) -> None: ...

    async def _renew(
        self, secret_id: str, stage: str | None, version_id: str | None, max_age: float | timedelta
    ) -> None:
        if self._is_older(secret_id, stage, version_id, max_age):
            await self._driver.refresh_now(secret_id, stage)

    async def _read(
        self,
        secret_id: str,
        stage: str | None,
        version_id: str | None,
        max_age: float | timedelta | None,
    ) -> SecretValue:
        if max_age is not None:
            await self._renew(secret_id, stage, version_id, max_age)
        value = self._at_hand(secret_id, stage, version_id)
        return value if value is not None else await self._driver.read(secret_id, stage, version_id)


async def log_in(
    fn: Callable[[Any], Any], credential: Any, attempt: ConnectAttempt
) -> tuple[Any, Exception | None]:
    """Log in; return ``(connection, None)`` or ``(None, exception)``, the reply to `_connect.LOG_IN`."""
    outer = sys.exc_info()[1]
    try:
        made = fn(credential)
        if hasattr(made, "__await__"):
            made = await asyncio.wait_for(made, attempt.remaining)
        return made, None
    except Exception as error:
        forget_locals(error, outer)
        timed_out = isinstance(error, (TimeoutError, asyncio.TimeoutError)) and attempt.remaining <= 0
        return None, _connect.HANGS if timed_out else error


async def in_thread(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call a function in the loop's executor or, once that has shut down with the main thread, in a new thread."""
    loop = asyncio.get_running_loop()
    call = functools.partial(contextvars.copy_context().run, function, *arguments, **keywords)
    try:
        future = loop.run_in_executor(None, call)
    except RuntimeError:  # the executor has shut down
        future = loop.create_future()
        threading.Thread(target=_fulfil, args=(loop, future, call), daemon=True).start()
    return await future


def _fulfil(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], call: Callable[[], Any]) -> None:
    try:
        finish, outcome = future.set_result, call()
    except BaseException as error:
        finish, outcome = future.set_exception, error
    _wake(loop, lambda: None if future.done() else finish(outcome))


class AsyncDriver:
    """Runs the steps of reads in asyncio, and calls the client if there is one."""

    def __init__(
        self,
        cache: BaseCache,
        reach: GivenClient | OwnClient | None = None,
        *,
        inline: bool = False,
        lenient: bool = False,
    ) -> None:
        self._cache = weakref.ref(cache)
        self._reach = reach
        self._too_long = _fetch.too_long(None if reach is None else reach.get())
        self._inline = inline
        self._lenient = lenient
        self._dispatch: Callable[[list[Any]], None] = lambda events: None
        # The loop keeps weak references to tasks only.
        self._tasks: set[asyncio.Task[None]] = set()
        self._refresher: asyncio.Task[None] | None = None
        self._wake_up: asyncio.Event | None = None
        self._pid = os.getpid()

    def set_dispatch(self, dispatch: Callable[[list[Any]], None]) -> None:
        """Set the callback that receives events."""
        self._dispatch = dispatch

    async def read(self, secret_id: str, stage: str | None, version_id: str | None) -> Any:
        """Read a version."""
        how = {"lenient": self._lenient, "inline": self._inline}
        return await self._take(_fetch.read(self._alive(), secret_id, stage, version_id, **how))

    async def refresh_now(
        self, secret_id: str, stage: str | None = None, *, is_for_attempt: bool = False
    ) -> None:
        """Fetch a version now, whatever its age; raise what the fetch raises."""
        cache = self._alive()
        if self._reach is None:
            await in_thread(cache._refresh, secret_id, stage, is_for_attempt)
        else:
            await self._take(_fetch.refresh(cache, secret_id, stage, is_for_attempt=is_for_attempt))

    async def prefetch_now(self, ids: list[str]) -> dict[str, BaseException]:
        """Fetch each secret; return the exceptions of those that failed, by id."""
        if self._reach is None:
            return await in_thread(self._alive()._prefetch, ids)
        results = await asyncio.gather(*(self.read(each, None, None) for each in ids), return_exceptions=True)
        return {
            each: result
            for each, result in zip(ids, results, strict=True)
            if isinstance(result, BaseException)
        }

    def wake(self) -> None:
        """Make the refresher, if there is one yet, check again what is due."""
        if self._refresher is not None and self._wake_up is not None:
            _wake(self._refresher.get_loop(), self._wake_up.set)

    def close(self) -> None:
        """End the background work."""
        if self._refresher is not None and not self._refresher.get_loop().is_closed():
            self._refresher.cancel()

    async def _run(self, permit: FetchPermit) -> None:
        try:
            asking = _fetch.ask(permit, None, reading=False, too_long=self._too_long)
            await _steps.drive_async(asking, self._call)
        except Exception as exception:
            # Waiting readers get copies without the traceback, whose frames can hold a value.
            permit.fail(exception.with_traceback(None))
        finally:
            # Does nothing once the permit has ended. After a cancellation, a waiting reader fetches again.
            permit.abandon()
        self._keep_fresh()
        self._notify()

    async def _call(self, call: tuple[str, dict[str, str]]) -> Any:
        assert self._reach is not None
        # A coroutine method only makes its coroutine in the thread; an ordinary one does its work there.
        response = await in_thread(_fetch.method(self._reach.get(), call[0]), **call[1])
        return await response if hasattr(response, "__await__") else response

    async def _take(self, todo: Generator[_fetch._Step, Any, Any]) -> Any:
        result = await _steps.drive_async(todo, self._take_step)
        self._notify()
        return result

    async def _take_step(self, step: _fetch._Step) -> bool | None:
        what, which, patience = step
        if what == _fetch.WAIT:
            return await _wait(which, patience)
        # The fetch runs in a separate task: cancelling a reader must not cancel a fetch that others wait for.
        self._spawn(self._run(which))
        return None

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keep_fresh(self) -> None:
        loop = asyncio.get_running_loop()
        task = self._refresher
        if self._inline:
            return
        if task is None or task.done() or task.get_loop() is not loop or self._pid != os.getpid():
            self._pid = os.getpid()
            self._wake_up = asyncio.Event()
            self._refresher = loop.create_task(_refresh(weakref.ref(self), self._wake_up))
        elif self._wake_up is not None:
            self._wake_up.set()

    def _due(self) -> float | None:
        cache = self._cache()
        if cache is None:
            return None
        permits, pause = cache._due()
        for permit in permits:
            self._spawn(self._run(permit))
        return _LONGEST_PAUSE if pause is None else min(pause, _LONGEST_PAUSE)

    def _notify(self) -> None:
        cache = self._cache()
        if self._reach is not None and cache is not None and (events := cache._take_events()):
            self._dispatch(events)

    def _alive(self) -> BaseCache:
        cache = self._cache()
        if cache is None:
            raise ReferenceError("the cache of this driver is gone")
        return cache


_LONGEST_PAUSE = 60.0
"""Seconds. Timers stop while a machine is suspended, so the refresher checks at least this often."""


async def _refresh(ref: weakref.ref[AsyncDriver], wake_up: asyncio.Event) -> None:
    """Keep a cache's secrets fresh until the cache is gone."""
    while True:
        driver = ref()
        pause = driver._due() if driver is not None else None
        if pause is None:
            return
        del driver
        try:
            await asyncio.wait_for(wake_up.wait(), pause)
        except (TimeoutError, asyncio.TimeoutError):
            pass
        wake_up.clear()


async def _wait(flight: Flight, patience: float | None) -> bool:
    """Wait for a fetch; return False if `patience` (seconds) ran out first."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    if not flight.on_done(lambda: _wake(loop, _set, ended)):
        return True
    done, _ = await asyncio.wait({ended}, timeout=patience)
    return bool(done)


def _wake(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    """Call a function on the loop's thread, unless the loop is closed, when nothing waits any more."""
    try:
        loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


__all__ = ["AsyncSecretCache"]
