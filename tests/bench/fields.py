"""Times reads of a cached secret's fields and JSON, and measures 10,000 secrets; prints the results as JSON."""

from __future__ import annotations

import asyncio
import datetime
import json
import random
import time
import timeit
from collections import deque
from pathlib import Path
from typing import Any

from secretcache import AsyncSecretCache, SecretCache

SECRETS = 10_000
SIZES = {"136 bytes": 2, "3.6 KB": 100}


ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:{}-AbCdEf"
CREATED = datetime.datetime.now(datetime.timezone.utc)


class Client:
    """A client that answers immediately, with every field that the service returns."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def describe_secret(self, SecretId: str) -> dict[str, Any]:
        labels = {f"{len(SecretId):08}-1d5a-4b0c-8f5e-0123456789ab": ["AWSCURRENT"]}
        return {"ARN": ARN.format(SecretId), "Name": SecretId, "VersionIdsToStages": labels}

    def get_secret_value(self, SecretId: str, VersionId: str) -> dict[str, Any]:
        return {
            "ARN": ARN.format(SecretId),
            "Name": SecretId,
            "VersionId": VersionId,
            "SecretString": self._values[SecretId],
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": CREATED,
            "ResponseMetadata": {"RequestId": VersionId, "HTTPStatusCode": 200, "HTTPHeaders": {}},
        }


def document(fields: int) -> str:
    """Return a secret with a password and this many other fields."""
    return json.dumps(
        {"password": "p" * 20} | {f"field-{n:03}": f"value of field {n:03}" for n in range(fields)}
    )


def peak() -> int:
    """Return the peak memory in bytes. `getrusage` would include the peak of the parent process."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def best(statement: str, names: dict[str, Any], number: int) -> float:
    """Return the seconds per execution, from the fastest of 15 rounds."""
    return min(timeit.repeat(statement, globals=names, number=number, repeat=15)) / number


async def awaited(reads: int) -> dict[str, float]:
    """Return the seconds of an awaited read and of an empty coroutine."""
    cache = AsyncSecretCache(client=Client({"db": document(2)}), refresh_interval=3600)

    async def nothing(secret_id: str) -> str:
        return secret_id

    best: dict[str, float] = {}
    for _ in range(15):
        for what, read in {"awaited": cache.get_secret_string, "awaited nothing": nothing}.items():
            start = time.perf_counter()
            for _ in range(reads):
                await read("db")
            best[what] = min(best.get(what, 1), (time.perf_counter() - start) / reads)
    await cache.close()
    return best


def main() -> None:
    found: dict[str, Any] = asyncio.run(awaited(20_000))
    for size, fields in SIZES.items():
        cache = SecretCache(client=Client({"db": document(fields)}), refresh_interval=3600)
        names = {"c": cache, "text": cache.get_secret_string("db"), "loads": json.loads}
        cache.get_secret_field("db", "password")
        found[size] = {
            "string": best('c.get_secret_string("db")', names, 20_000),
            "field": best('c.get_secret_field("db", "password")', names, 20_000),
            "json": best('c.get_secret_json("db")', names, 2_000),
            "loads": best("loads(text)", names, 2_000),
        }
    values = {f"secret/{number}": f"value {number}" for number in range(SECRETS)}
    held = dict(values)
    cache = SecretCache(client=Client(values), refresh_interval=3600, max_size=SECRETS + 1)
    cache.get_secret_string("secret/0")
    before = peak()
    for name in values:
        cache.get_secret_string(name)
    found["bytes"] = (peak() - before) / SECRETS
    order = list(values)
    random.Random(1).shuffle(order)
    for what, read in (("random", cache.get_secret_string), ("random dict", held.get)):
        found[what] = best(
            "deque(map(read, order), maxlen=0)", {"deque": deque, "read": read, "order": order}, 5
        )
        found[what] /= SECRETS
    print(json.dumps(found))


if __name__ == "__main__":
    main()
