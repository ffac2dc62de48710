"""Times reads from a warm cache in one interpreter; prints seconds per read, round by round, as JSON."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

Read = Callable[[str], Any]
STATEMENTS = 50


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("faces", nargs="+", choices=FACES)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--reads", type=int, default=100_000, help="reads per round")
    arguments.add_argument("--thread-reads", type=int, default=2_000_000, help="reads per round of threads")
    arguments.add_argument("--secrets", type=int, default=1000)
    given = arguments.parse_args()

    ids = [f"bench/{number}" for number in range(given.secrets)]
    again = ["".join(["bench/", str(number)]) for number in range(given.secrets)]  # equal, not identical
    reads: dict[str, Read] = {"dict": dict.fromkeys(ids, "value").get}
    reads |= {face: FACES[face]() for face in given.faces}
    for read in reads.values():
        deque(map(read, ids), maxlen=0)

    found: dict[str, dict[str, list[float]]] = {name: {} for name in reads}
    for _ in range(given.rounds):
        for name, read in reads.items():
            note(found[name], "same id", same_id(read, ids[0], given.reads))
            note(found[name], "equal ids", equal_ids(read, again, given.reads))
        for name, read in reads.items():
            note(found[name], "1 thread", threads(read, ids[0], given.thread_reads, 1))
            note(found[name], "8 threads", threads(read, ids[0], given.thread_reads, 8))
    print(json.dumps(found))


def same_id(read: Read, secret_id: str, reads: int) -> float:
    """Read one secret with method calls and the same id object, unrolled so that the loop costs nothing."""
    loop: dict[str, Any] = {}
    body = "\n        ".join([f"owner.{read.__name__}(secret_id)"] * STATEMENTS)
    exec(f"def run(owner, secret_id, rounds):\n    for _ in range(rounds):\n        {body}", loop)
    rounds = max(1, reads // STATEMENTS)
    start = time.perf_counter()
    loop["run"](read.__self__, secret_id, rounds)  # type: ignore[attr-defined]
    return (time.perf_counter() - start) / (rounds * STATEMENTS)


def equal_ids(read: Read, ids: list[str], reads: int) -> float:
    """Read all secrets in turn with equal ids; the loop runs in C, so that it costs nothing."""
    rounds = max(1, reads // len(ids))
    start = time.perf_counter()
    for _ in range(rounds):
        deque(map(read, ids), maxlen=0)
    return (time.perf_counter() - start) / (rounds * len(ids))


def threads(read: Read, secret_id: str, reads: int, count: int) -> float:
    """Read one secret from `count` threads, `reads` times in total."""
    begin = threading.Barrier(count + 1)

    def work() -> None:
        begin.wait()
        for _ in range(reads // count):
            read(secret_id)

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    begin.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - start) / (reads // count * count)


def note(rounds: dict[str, list[float]], name: str, seconds: float) -> None:
    rounds.setdefault(name, []).append(seconds)


def drop_in() -> Read:
    from aws_secretsmanager_caching import SecretCache

    return SecretCache().get_secret_string


def drop_in_boto3() -> Read:
    import boto3

    from aws_secretsmanager_caching import SecretCache

    return SecretCache(client=boto3.client("secretsmanager")).get_secret_string


def idiomatic() -> Read:
    from secretcache import SecretCache

    return SecretCache(refresh_interval=3600).get_secret_string


def idiomatic_boto3() -> Read:
    import boto3

    from secretcache import SecretCache

    return SecretCache(refresh_interval=3600, client=boto3.client("secretsmanager")).get_secret_string


FACES: dict[str, Callable[[], Read]] = {
    "drop-in": drop_in,
    "drop-in, boto3 client": drop_in_boto3,
    "secretcache": idiomatic,
    "secretcache, boto3 client": idiomatic_boto3,
}

if __name__ == "__main__":
    main()
