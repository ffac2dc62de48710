"""The driver for a client that the program supplies: boto3's, a stub, any object with the two methods.

The core decides what to fetch and when. This driver calls the client and waits with Python's own primitives, so
libraries that replace those (gevent) keep working.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque

from . import _fetch, _steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from ._core import Cache, FetchPermit, Flight, SecretValue
    from ._transport import GivenClient, OwnClient


class HostDriver:
    """Calls a client on behalf of one cache, in the program's threads."""

    def __init__(
        self, cache: Cache, reach: GivenClient | OwnClient, hook: Any, *, inline: bool, lenient: bool
    ) -> None:
        self._cache = weakref.ref(cache)  # the cache holds the driver
        self._reach = reach
        self._hook = hook
        self._too_long = _fetch.too_long(reach.get())
        self._inline = inline
        self._lenient = lenient
        self._refresher: Refresher | None = None
        self._dispatch: Callable[[list[Any]], None] = lambda events: None

    def set_dispatch(self, dispatch: Callable[[list[Any]], None]) -> None:
        """Set the callback that receives events."""
        self._dispatch = dispatch

    def read(self, secret_id: str, stage: str | None, version_id: str | None) -> SecretValue | None:
        """Read a version; None if there is no such version and the cache is lenient about it."""
        how = {"lenient": self._lenient, "inline": self._inline}
        return self._take(_fetch.read(self._alive(), secret_id, stage, version_id, **how), reading=True)

    def read_through_hook(self, secret_id: str, stage: str | None, version_id: str | None, field: str) -> Any:
        """Read one field of a stored response, converted by the hook."""
        response = self.response(secret_id, stage, version_id)
        return None if response is None else response.get(field)

    def response(self, secret_id: str, stage: str | None, version_id: str | None) -> Any:
        """Read the whole response of GetSecretValue, through the hook if there is one."""
        return _fetch.through_hook(self._hook, self.read(secret_id, stage, version_id))

    def refresh(self, secret_id: str, stage: str | None, is_for_attempt: bool) -> None:
        """Fetch a version now, whatever its age; raise what the client raises."""
        self._take(_fetch.refresh(self._alive(), secret_id, stage, is_for_attempt=is_for_attempt))

    def prefetch(self, ids: list[str]) -> dict[str, BaseException]:
        """Read each secret; return the exceptions of those that failed, by id."""
        failed: dict[str, BaseException] = {}
        for secret_id in ids:
            try:
                self.read(secret_id, None, None)
            except Exception as exception:
                failed[secret_id] = exception
        return failed

    def run(self, permit: FetchPermit, *, reading: bool = False) -> None:
        """Call the client and end the permit, whatever happens. `reading`: a reader in this thread waits for it."""
        try:
            client = self._reach.get()
            asking = _fetch.ask(permit, self._hook, reading=reading, too_long=self._too_long)
            _steps.drive(asking, lambda call: _fetch.method(client, call[0])(**call[1]))
        except Exception as exception:
            # Waiting readers get copies without the traceback, whose frames can hold a value.
            permit.fail(exception.with_traceback(None))
        finally:
            # Does nothing once the permit has ended. After a KeyboardInterrupt, say, a waiting reader fetches again.
            permit.abandon()
        if not self._inline:
            self._running().wake()
        self.notify()

    def notify(self) -> None:
        """Pass the cache's pending events to the callback."""
        cache = self._cache()
        events = cache._take_events() if cache is not None else []
        if events:
            self._dispatch(events)

    def due(self) -> tuple[list[FetchPermit], float | None] | None:
        """Return the permits that are due, and seconds until the next; None once the cache is gone."""
        cache = self._cache()
        return None if cache is None else cache._due()

    def wake(self) -> None:
        """Make the refresher, if there is one yet, check again what is due."""
        if self._refresher is not None:
            self._refresher.wake()

    def close(self) -> None:
        """End the background work."""
        if self._refresher is not None:
            self._refresher.stop()

    def _take(self, todo: Generator[_fetch._Step, Any, Any], *, reading: bool = False) -> Any:
        def take(step: _fetch._Step) -> bool | None:
            what, which, patience = step
            if what == _fetch.WAIT:
                return _wait(which, patience)
            if what == _fetch.RUN:
                self.run(which, reading=reading)
            else:
                self._running().submit(which)
            return None

        result = _steps.drive(todo, take)
        self.notify()
        return result

    def _running(self) -> Refresher:
        # Without a lock, which a forked child could inherit locked. Two threads may start a refresher each: both end
        # with the cache, and the core gives each permit to only one.
        refresher = self._refresher
        if refresher is None or not refresher.is_ours():
            refresher = self._refresher = Refresher(self)
        return refresher

    def _alive(self) -> Cache:
        cache = self._cache()
        if cache is None:
            raise ReferenceError("the cache of this driver is gone")
        return cache


class Refresher:
    """A daemon thread, one per cache, started when there is something to keep fresh."""

    def __init__(self, driver: HostDriver) -> None:
        self._pid = os.getpid()
        self._wake_up = threading.Condition()
        self._permits: deque[FetchPermit] = deque()
        self._stopped = False
        self._awake = False
        weakref.finalize(driver, self.stop).atexit = False
        loop = threading.Thread(
            target=self._loop, args=(weakref.ref(driver),), name="secretcache-refresh", daemon=True
        )
        loop.start()

    def is_ours(self) -> bool:
        """Return whether the thread runs in this process; a forked child has none."""
        return self._pid == os.getpid() and not self._stopped

    def submit(self, permit: FetchPermit) -> None:
        """Queue a permit for this thread."""
        with self._wake_up:
            self._permits.append(permit)
            self._awake = True
            self._wake_up.notify()

    def wake(self) -> None:
        """Make the thread check again what is due."""
        with self._wake_up:
            self._awake = True
            self._wake_up.notify()

    def stop(self) -> None:
        """End the thread once its current call returns."""
        self._stopped = True
        if self._pid == os.getpid():
            self.wake()

    def _loop(self, ref: weakref.ref[HostDriver]) -> None:
        while not self._stopped:
            driver = ref()
            if driver is None:
                return
            pause = self._work(driver)
            if pause is None:
                return
            del driver
            with self._wake_up:
                if not self._awake:
                    self._wake_up.wait(pause)
                self._awake = False

    def _work(self, driver: HostDriver) -> float | None:
        while self._permits:
            driver.run(self._permits.popleft())
        due = driver.due()
        if due is None:
            return None
        permits, pause = due
        for permit in permits:
            driver.run(permit)
        return 0.0 if permits else min(pause, _LONGEST_PAUSE) if pause is not None else _LONGEST_PAUSE


_LONGEST_PAUSE = 60.0
"""Seconds. Timers stop while a machine is suspended, so the refresher checks at least this often."""


def _wait(flight: Flight, patience: float | None) -> bool:
    """Wait for a fetch; return False if `patience` (seconds) ran out first."""
    done = threading.Event()
    if not flight.on_done(done.set):
        return True
    return done.wait(patience)
