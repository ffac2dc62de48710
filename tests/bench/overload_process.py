"""One process of `overload.py`: reads all of its secrets every second; at the end, prints when each was confirmed."""

import json
import logging
import random
import sys
import threading
import time
from typing import Any

from secretcache import SecretCache

logging.disable()
STILL = 2.0
"""Seconds without a read after which the next reader of a secret may have to wait: `GAP` in the core's policy."""
secrets, interval = int(sys.argv[1]), float(sys.argv[2])
ids = [f"overload/{number}" for number in range(secrets)]
confirmed: dict[str, list[float]] = {each: [] for each in ids}


def waits(stats: dict[str, Any]) -> int:
    return int(stats["misses_expired"]) + int(stats["misses_absent"])


def look(cache: SecretCache) -> None:
    """Record what has been confirmed since the last call."""
    now, stats = time.time(), cache.stats()
    for secret in stats["secrets"]:
        if secret["age_seconds"] is not None:
            times, then = confirmed[secret["secret_id"]], now - secret["age_seconds"]
            if not times or then > times[-1] + 0.1:
                times.append(then)


with SecretCache(refresh_interval=interval, max_size=secrets) as cache:
    while failed := cache.prefetch(ids):
        time.sleep(random.random())
    for each in ids:
        cache.get_secret_string(each)
    before = waits(cache.stats())
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
    read, stood_still = time.monotonic(), 0
    while not ended.wait(1):
        # The machine was too busy for this process to read on time.
        stood_still += time.monotonic() - read > STILL
        for each in ids:
            cache.get_secret_string(each)
        read = time.monotonic()
        look(cache)
    waited = waits(cache.stats()) - before
    json.dump({"waited": waited, "stood_still": stood_still, "confirmed": confirmed}, sys.stdout)
