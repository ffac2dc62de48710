"""A program that keeps opening connections with the credentials of a cache, from our library or from AWS's own.

Prints ``ready`` once each thread has connected, runs until standard input ends, then prints every attempt as JSON: the
time it ended, and the server's error if it was refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

THREADS = 4
PAUSE = 0.02
"""Seconds between attempts of a thread, so that two of these programs do not starve the server."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=["ours", "official"])
    parser.add_argument("secret_id")
    parser.add_argument("--interval", type=float, required=True, help="the refresh interval, in seconds")
    parser.add_argument("--server", required=True, help="the database, as a connection string")
    arguments = parser.parse_args()

    def log_in(user: str, password: str) -> psycopg.Connection[Any]:
        return psycopg.connect(arguments.server, user=user, password=password)

    make = with_ours if arguments.library == "ours" else with_official
    connect = make(arguments.secret_id, arguments.interval, log_in)
    attempts: list[tuple[float, str | None]] = []
    stopped = threading.Event()
    ready = threading.Barrier(THREADS + 1)

    def run() -> None:
        connect().close()
        ready.wait()
        while not stopped.wait(PAUSE):
            problem = None
            try:
                with connect() as connection:
                    connection.execute("select 1")
            except psycopg.OperationalError as error:
                problem = str(error)
            attempts.append((time.time(), problem))

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    print("ready", flush=True)
    sys.stdin.read()
    stopped.set()
    for thread in threads:
        thread.join()
    json.dump(sorted(attempts, key=lambda attempt: attempt[0]), sys.stdout)


LogIn = Callable[[str, str], "psycopg.Connection[Any]"]


def with_ours(secret_id: str, interval: float, log_in: LogIn) -> Callable[[], psycopg.Connection[Any]]:
    """Connect through the cache, which finds the version that works."""
    from secretcache import SecretCache

    cache = SecretCache(refresh_interval=interval)
    return lambda: cache.connect(secret_id, lambda it: log_in(it.username, it.password))


def with_official(secret_id: str, interval: float, log_in: LogIn) -> Callable[[], psycopg.Connection[Any]]:
    """Connect with the cached value, which is all that AWS's library offers."""
    import boto3

    from aws_secretsmanager_caching import SecretCache, SecretCacheConfig

    config = SecretCacheConfig(secret_refresh_interval=interval)
    cache = SecretCache(config=config, client=boto3.client("secretsmanager"))

    def connect() -> psycopg.Connection[Any]:
        credentials = json.loads(cache.get_secret_string(secret_id))
        return log_in(credentials["username"], credentials["password"])

    return connect


if __name__ == "__main__":
    main()
