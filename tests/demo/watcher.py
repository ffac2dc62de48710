"""A program that keeps reading its secret, as a user's program would."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable


def fingerprint(value: str) -> str:
    """Return what is safe to show of a secret."""
    return f"{len(value)} characters, SHA-256 {hashlib.sha256(value.encode()).hexdigest()[:8]}"


class Watcher:
    """Reads in a thread until stopped, and records when each value arrived."""

    def __init__(self, name: str, read: Callable[[], str | None]) -> None:
        self.name, self.reads, self.slowest = name, 0, 0.0
        self._read = read
        self._arrivals: dict[str, float] = {}
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self.first = read() or ""
        self._note(self.first)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def wait_for(self, value: str, within: float) -> float:
        """Wait until `value` arrives; return the time it did."""
        with self._changed:
            wanted = fingerprint(value)
            if not self._changed.wait_for(lambda: wanted in self._arrivals, within):
                raise SystemExit(f"{self.name}: the new value did not arrive within {within} s")
            return self._arrivals[wanted]

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        last = None
        while not self._stopped.is_set():
            start = time.perf_counter()
            value = self._read()
            self.slowest = max(self.slowest, time.perf_counter() - start)
            self.reads += 1
            if value is not last:
                self._note(last := value)
            if self.reads % 100 == 0:
                time.sleep(0.001)

    def _note(self, value: str | None) -> None:
        with self._changed:
            self._arrivals.setdefault(fingerprint(value or ""), time.monotonic())
            self._changed.notify_all()
