"""The driver for a client that the program supplies: boto3's, a stub, any object with the two methods.

The core decides what to ask and when; this driver asks, with exactly the calls AWS's own library makes, and
waits with the host's own primitives, so that whatever replaces those (gevent) goes on working.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._core import Cache, Flight, SecretValue, Ticket


class HostDriver:
    """Asks a client on behalf of one cache."""

    def __init__(self, cache: Cache, client: Any, hook: Any, *, inline: bool, lenient: bool) -> None:
        self._cache = weakref.ref(cache)  # the cache holds the driver
        self._client = client
        self._hook = hook
        self._inline = inline
        self._lenient = lenient
        self._refresher: Refresher | None = None
        self._tell: Callable[[list[Any]], None] = lambda events: None

    def set_dispatch(self, tell: Callable[[list[Any]], None]) -> None:
        """Say where events go."""
        self._tell = tell

    def read(self, secret_id: str, stage: str | None, version_id: str | None) -> SecretValue | None:
        """Read a version; None if there is no such version and the cache is lenient about it."""
        cache = self._alive()
        while True:
            step = cache._lookup(secret_id, stage, version_id)
            if step[0] == "hit":
                self.tell()
                return step[1]
            if step[0] == "due":
                self._hand_over(step[2])
                return step[1]
            flight: Flight = step[-1]
            if step[0] == "lead":
                # With nothing to fall back on, or when every read shall ask, this thread asks.
                if self._inline or flight.patience is None:
                    self.run(step[1], reading=True)
                else:
                    self._hand_over(step[1])
            if not _wait(flight, None if self._inline else flight.patience):
                value = cache._give_up(secret_id, stage, version_id, flight)
                if value is not None:
                    self.tell()
                    return value
                _wait(flight, None)
            outcome = flight.outcome()
            if outcome is None or outcome[0] == "abandoned":
                continue
            if outcome[0] == "value":
                return outcome[1]
            _, exception, last_known, is_missing = outcome
            if last_known is None and not (is_missing and self._lenient):
                raise exception
            return last_known

    def read_through_hook(self, secret_id: str, stage: str | None, version_id: str | None, field: str) -> Any:
        """Read one field of what the hook makes of the stored responses."""
        response = self.response(secret_id, stage, version_id)
        return None if response is None else response.get(field)

    def response(self, secret_id: str, stage: str | None, version_id: str | None) -> Any:
        """Read the whole response of GetSecretValue, through the hook if there is one."""
        value = self.read(secret_id, stage, version_id)
        if value is None:
            return None
        if self._hook is None:
            return value._stored
        described, stored, has_been_read = value._stored
        if not has_been_read:
            self._hook.get(described)
        value._stored[2] = False
        return self._hook.get(stored)

    def refresh(self, secret_id: str, stage: str | None) -> None:
        """Ask now, whatever the age. Raises what the client raises."""
        cache = self._alive()
        mark = cache._mark()
        while True:
            step = cache._force(secret_id, stage, mark)
            flight: Flight = step[-1]
            if step[0] == "lead":
                self.run(step[1])
            _wait(flight, None)
            outcome = flight.outcome()
            if step[0] != "behind" and outcome is not None and outcome[0] != "abandoned":
                if outcome[0] == "failed":
                    raise outcome[1]
                return

    def run(self, ticket: Ticket, *, reading: bool = False) -> None:
        """Ask the client and end the ticket, whatever happens. `reading`: for a reader in this thread."""
        try:
            self._ask(ticket, reading)
        except Exception as exception:
            ticket.fail(exception)
        finally:
            # Does nothing after an answer. After KeyboardInterrupt and its like, whoever waits asks anew.
            ticket.abandon()
        self._keep_fresh()
        self.tell()

    def tell(self) -> None:
        """Pass on what the cache has to tell."""
        cache = self._cache()
        events = cache._take_events() if cache is not None else []
        if events:
            self._tell(events)

    def due(self) -> tuple[list[Ticket], float | None] | None:
        """List what the refresher has to do; None once the cache is gone."""
        cache = self._cache()
        return None if cache is None else cache._due()

    def close(self) -> None:
        """End the background work."""
        if self._refresher is not None:
            self._refresher.stop()

    def _ask(self, ticket: Ticket, reading: bool) -> None:
        described, wanted = ticket.description, ticket.version_id
        response, versions = None, []
        if described is not None:
            versions = _versions(self._through_get(described))
            wanted = wanted or _labelled(versions, ticket.stage)
        if wanted is None or described is None:
            ticket.count("DescribeSecret")
            response = self._client.describe_secret(SecretId=ticket.id)
            described = self._through_put(response)
            versions = _versions(self._through_get(described))
            wanted = ticket.version_id or _labelled(versions, ticket.stage)
        if wanted is None:
            return ticket.fail_version_not_found()
        if response is not None and wanted == ticket.known_version_id:
            known = ticket.known
            if self._hook is not None and known is not None:
                known._stored[:] = [described, known._stored[1], reading]
            return ticket.confirm(response, versions, described)
        news = (versions, described) if response is not None else ()
        held = ticket.held(wanted)
        if held is not None and self._hook is None:
            return ticket.succeed(held._stored, held._stored, wanted, *news)
        ticket.count("GetSecretValue")
        value = self._client.get_secret_value(SecretId=ticket.id, VersionId=wanted)
        if self._hook is None:
            return ticket.succeed(value, value, wanted, *news)
        # What the hook made of the value is kept, and nothing else of it: it may be there to encrypt it.
        public = {name: value[name] for name in _PUBLIC if name in value} if isinstance(value, dict) else {}
        return ticket.succeed(public, [described, self._through_put(value), reading], wanted, *news)

    def _through_put(self, response: Any) -> Any:
        return response if self._hook is None else self._hook.put(response)

    def _through_get(self, stored: Any) -> Any:
        return stored if self._hook is None else self._hook.get(stored)

    def _hand_over(self, ticket: Ticket) -> None:
        self._running().submit(ticket)

    def _keep_fresh(self) -> None:
        if not self._inline:
            self._running().wake()

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
        self._tickets: deque[Ticket] = deque()
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

    def submit(self, ticket: Ticket) -> None:
        """Have a ticket completed beside the readers."""
        with self._news:
            self._tickets.append(ticket)
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
        while self._tickets:
            driver.run(self._tickets.popleft())
        due = driver.due()
        if due is None:
            return None
        tickets, pause = due
        for ticket in tickets:
            driver.run(ticket)
        return 0.0 if tickets else min(pause, _LONGEST_PAUSE) if pause is not None else _LONGEST_PAUSE


_LONGEST_PAUSE = 60.0
"""Seconds. Timers stand still while a machine is suspended, so the refresher looks at least this often."""

_PUBLIC = ("ARN", "Name", "VersionId", "VersionStages", "CreatedDate")


def _wait(flight: Flight, patience: float | None) -> bool:
    """Wait for a fetch. False: patience ended first."""
    done = threading.Event()
    if not flight.on_done(done.set):
        return True
    return done.wait(patience)


def _versions(described: Any) -> list[tuple[str, list[str]]]:
    stages = described.get("VersionIdsToStages") if described else None
    return [(version_id, list(labels)) for version_id, labels in (stages or {}).items()]


def _labelled(versions: list[tuple[str, list[str]]], stage: str | None) -> str | None:
    return next((version_id for version_id, labels in versions if stage in labels), None)
