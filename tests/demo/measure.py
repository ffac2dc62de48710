"""Runs the article's snippet and times its reads; prints the results as JSON. Runs with either library."""

import json
import time

start = time.perf_counter()
import article  # noqa: E402

credentials = article.get_db_creds()
first = time.perf_counter() - start


def hit(reads: int) -> float:
    """Return the seconds per read, from the fastest of ten rounds."""
    read = article.cache.get_secret_string
    rounds = []
    for _ in range(10):
        began = time.perf_counter()
        for _ in range(reads):
            read("prod/checkout/db")
        rounds.append((time.perf_counter() - began) / reads)
    return min(rounds)


reads = 100 if hit(10) > 5e-6 else 20_000
found = {"first": first, "hit": hit(reads), "reads": 1 + 10 * 10 + 10 * reads}
found["user"], found["password length"] = credentials["username"], len(credentials["password"])
print(json.dumps(found))
