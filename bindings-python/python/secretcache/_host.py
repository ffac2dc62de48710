"""The driver for a client that the program supplies: boto3's, a stub, any object with the two methods.

The core decides what to ask and when; this driver asks and waits with the host's own primitives, so that whatever
replaces those (gevent) goes on working.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque

from . import _steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from ._core import Cache, FetchPermit, Flight, SecretValue
    from ._transport import GivenClient, OwnClient


class HostDriver:
    """Asks a client on behalf of one cache, in the program's threads."""

    def __init__(
        self, cache: Cache, reach: GivenClient | OwnClient, hook: Any, *, inline: bool, lenient: bool
    ) -> None:
        self._cache = weakref.ref(cache)  # the cache holds the driver
        self._reach = reach
        self._hook = hook
        self._too_long = steps.too_long(reach.get())
        self._inline = inline
        self._lenient = lenient
        self._refresher: Refresher | None = None
        self._tell: Callable[[list[Any]], None] = lambda events: None

    def set_dispatch(self, tell: Callable[[list[Any]], None]) -> None:
        """Say where events go."""
        self._tell = tell

    def read(self, secret_id: str, stage: str | None, version_id: str | None) -> SecretValue | None:
        """Read a version; None if there is no such version and the cache is lenient about it."""
        how = {"lenient": self._lenient, "inline": self._inline}
        return self._take(steps.read(self._alive(), secret_id, stage, version_id, **how), reading=True)

    def read_through_hook(self, secret_id: str, stage: str | None, version_id: str | None, field: str) -> Any:
        """Read one field of what the hook makes of the stored responses."""
        response = self.response(secret_id, stage, version_id)
        return None if response is None else response.get(field)

    def response(self, secret_id: str, stage: str | None, version_id: str | None) -> Any:
        """Read the whole response of GetSecretValue, through the hook if there is one."""
        return steps.through_hook(self._hook, self.read(secret_id, stage, version_id))

    def refresh(self, secret_id: str, stage: str | None, is_for_plan: bool) -> None:
        """Ask now, whatever the age. Raises what the client raises."""
        self._take(steps.refresh(self._alive(), secret_id, stage, is_for_plan=is_for_plan))

    def prefetch(self, ids: list[str]) -> dict[str, BaseException]:
        """Read each secret; the exceptions of those that failed, by id."""
        failed: dict[str, BaseException] = {}
        for secret_id in ids:
            try:
                self.read(secret_id, None, None)
            except Exception as exception:
                failed[secret_id] = exception
        return failed

    def run(self, permit: FetchPermit, *, reading: bool = False) -> None:
        """Ask the client and end the permit, whatever happens. `reading`: for a reader in this thread."""
        try:
            client = self._reach.get()
            asking = steps.ask(permit, self._hook, reading=reading, too_long=self._too_long)
            steps.drive(asking, lambda call: steps.method(client, call[0])(**call[1]))
        except Exception as exception:
            # Whoever waits gets a copy without a traceback; its frames may hold a value.
            permit.fail(exception.with_traceback(None))
        finally:
            # Does nothing after an answer. After KeyboardInterrupt and its like, whoever waits asks anew.
            permit.abandon()
        if not self._inline:
            self._running().wake()
        self.tell()

    def tell(self) -> None:
        """Pass on what the cache has to tell."""
        cache = self._cache()
        events = cache._take_events() if cache is not None else []
        if events:
            self._tell(events)

    def due(self) -> tuple[list[FetchPermit], float | None] | None:
        """List what the refresher has to do; None once the cache is gone."""
        cache = self._cache()
        return None if cache is None else cache._due()

    def wake(self) -> None:
        """Have the refresher look again at what is due, if there is one yet."""
        if self._refresher is not None:
            self._refresher.wake()

    def close(self) -> None:
        """End the background work."""
        if self._refresher is not None:
            self._refresher.stop()

    def _take(self, todo: Generator[steps._Step, Any, Any], *, reading: bool = False) -> Any:
        def take(step: steps._Step) -> bool | None:
            what, which, patience = step
            if what == steps.WAIT:
                return _wait(which, patience)
            if what == steps.RUN:
                self.run(which, reading=reading)
            else:
                self._running().submit(which)
            return None

        result = steps.drive(todo, take)
        self.tell()
        return result

    def _running(self) -> Refresher:
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
    """One daemon thread per cache, started when there is something to keep fresh."""

    def __init__(self, driver: HostDriver) -> None:
        self._pid = os.getpid()
        self._news = threading.Condition()
        self._permits: deque[FetchPermit] = deque()
        self._stopped = False
        self._awake = False
        weakref.finalize(driver, self.stop).atexit = False
        loop = threading.Thread(
            target=self._loop, args=(weakref.ref(driver),), name="secretcache-refresh", daemon=True
        )
        loop.start()

    def is_ours(self) -> bool:
        """Tell whether the thread is alive in this process: a forked child has none."""
        return self._pid == os.getpid() and not self._stopped

    def submit(self, permit: FetchPermit) -> None:
        """Have a permit completed beside the readers."""
        with self._news:
            self._permits.append(permit)
            self._awake = True
            self._news.notify()

    def wake(self) -> None:
        """Look again at what is due."""
        with self._news:
            self._awake = True
            self._news.notify()

    def stop(self) -> None:
        """End the thread when its present call ends."""
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
            with self._news:
                if not self._awake:
                    self._news.wait(pause)
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
"""Seconds. Timers stand still while a machine is suspended, so the refresher looks at least this often."""


def _wait(flight: Flight, patience: float | None) -> bool:
    """Wait for a fetch. False: patience ended first."""
    done = threading.Event()
    if not flight.on_done(done.set):
        return True
    return done.wait(patience)
