"""Four threads read one secret while its refresh takes a second; prints how many of them waited."""

import sys
import threading
import time

from aws_secretsmanager_caching import SecretCache, SecretCacheConfig

READERS = 4


class Slow:
    """A client that answers immediately at first, and after `delay` seconds once that is set."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.refreshed = threading.Event()

    def describe_secret(self, SecretId: str) -> dict[str, object]:
        time.sleep(self.delay)
        if self.delay:
            self.refreshed.set()
        return {"VersionIdsToStages": {"v1": ["AWSCURRENT"]}}

    def get_secret_value(self, SecretId: str, VersionId: str) -> dict[str, object]:
        return {"SecretString": "value", "VersionId": VersionId}


client = Slow()
cache = SecretCache(SecretCacheConfig(secret_refresh_interval=2), client)
cache.get_secret_string("db")
client.delay = 1.0
waits: list[float] = []


def read() -> None:
    slowest = 0.0
    while not client.refreshed.is_set():
        start = time.perf_counter()
        cache.get_secret_string("db")
        slowest = max(slowest, time.perf_counter() - start)
        time.sleep(0.001)
    waits.append(slowest)


readers = [threading.Thread(target=read) for _ in range(READERS)]
for reader in readers:
    reader.start()
for reader in readers:
    reader.join()
sys.stdout.write(str(sum(wait > 0.5 for wait in waits)))
