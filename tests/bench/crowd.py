"""Reads an uncached secret from many threads at once; prints how many got its value."""

import sys
import threading

from secretcache import SecretCache

count = int(sys.argv[1])
threading.stack_size(256 * 1024)
cache = SecretCache()
got: list[bool] = []
begin = threading.Event()


def read() -> None:
    begin.wait()
    got.append(cache.get_secret_string("bench/0") == "value")


workers = [threading.Thread(target=read) for _ in range(count)]
for worker in workers:
    worker.start()
begin.set()
for worker in workers:
    worker.join()
print(sum(got))
