"""Every integration of a server in this process, each with its own cache and thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import integrations
from databases import Database
from typing_extensions import Self

from secretcache import AsyncSecretCache, SecretCache

PATIENCE = 60.0
"""Seconds: longer than anything here takes unless it hangs."""


class Loop:
    """An event loop in a separate thread, for tests that wait synchronously."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine; return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


class Program:
    """One integration, and the operation it repeats: connect, query, disconnect."""

    def __init__(
        self, name: str, secret_id: str, database: Database, endpoint_url: str | None, **options: Any
    ) -> None:
        self.name = name
        self._secret_id = secret_id
        self._threads = ThreadPoolExecutor(1, name)
        self._loop = Loop() if name in integrations.ASYNCHRONOUS else None
        kind = SecretCache if self._loop is None else AsyncSecretCache
        self.cache = kind(endpoint_url=endpoint_url)
        where = (self.cache, secret_id, database.host, database.port)
        self._make = lambda: integrations.make(name, *where, **options)
        self._operation: Any = None

    def read(self) -> Future[Any]:
        """Start to read the secret, so that the first login need not wait for that."""
        read = self.cache.get_secret_string
        return self._threads.submit(
            lambda: self._loop.run(read(self._secret_id)) if self._loop else read(self._secret_id)
        )

    def start(self) -> Future[None]:
        """Start the operation once."""
        return self._threads.submit(self._operate)

    def _operate(self) -> None:
        if self._loop is not None:
            return self._loop.run(self._operate_async())
        if self._operation is None:
            self._operation = self._make()
        return self._operation()

    async def _operate_async(self) -> None:
        if self._operation is None:
            self._operation = self._make()
        await self._operation()

    def close(self) -> None:
        """Close what the operation left open, without waiting for operations in progress."""
        close = getattr(self._operation, "close", None)
        if close is not None:
            closed = close()
            if self._loop is not None:
                self._loop.run(closed)
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def logins(self) -> dict[str, int]:
        """Counts of the logins so far, by outcome."""
        return dict(self.cache.stats()["logins"])

    @property
    def calls(self) -> int:
        """The number of calls to Secrets Manager so far."""
        return sum(self.cache.stats()["api_calls"].values())


class Programs:
    """All integrations of a server, or those that `of` chooses, until the end of the `with` block."""

    def __init__(
        self,
        secret_id: str,
        database: Database,
        endpoint_url: str | None = None,
        *,
        of: Callable[[str], bool] = lambda name: True,
        **options: Any,
    ) -> None:
        names = filter(of, integrations.OF[database.engine])
        self._all = [Program(name, secret_id, database, endpoint_url, **options) for name in names]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._all:
            each.close()

    def __iter__(self) -> Iterator[Program]:
        return iter(self._all)

    def start(self) -> dict[str, Future[None]]:
        """Start the operation of each program once."""
        return {each.name: each.start() for each in self._all}

    def read(self) -> None:
        """Read the secret in each program, so that the first login need not wait for that."""
        done({each.name: each.read() for each in self._all})

    def operate(self) -> None:
        """Run the operation of each program once, and check that it succeeds."""
        done(self.start())


def done(futures: dict[str, Future[None]]) -> None:
    """Wait for operations, and check that all succeed."""
    failed = {name: error for name, error in ended(futures).items() if error is not None}
    assert not failed, failed


def ended(futures: dict[str, Future[None]]) -> dict[str, BaseException | None]:
    """Wait for operations; give what each raised."""
    wait(futures.values(), PATIENCE)
    assert all(future.done() for future in futures.values()), "some hang"
    return {name: future.exception() for name, future in futures.items()}


def is_patient(name: str) -> bool:
    """Return whether an integration is a pool that connects in the background and retries failures."""
    return name in ("psycopg_pool", "psycopg_pool_async", "django_postgresql_pool", "tortoise_psycopg")


def is_direct(name: str) -> bool:
    """Return whether an integration raises the error of each login to its caller."""
    return not is_patient(name)
