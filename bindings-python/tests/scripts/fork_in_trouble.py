"""Makes a child process while a refresh is under way; parent and child both keep reading.

Arguments: transport, how the child is made, secret id.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import Any

from support import eventually
from trouble import Control


def read_on(cache: Any, secret_id: str, expected: str) -> None:
    """Read until the expected value arrives, which takes a refresh."""
    eventually(lambda: cache.get_secret_string(secret_id), expected, within=15)


def in_child(cache: Any, secret_id: str) -> None:
    assert cache.stats()["hits"] == 0, "the child uses the parent's state"
    assert cache.get_secret_string(secret_id) == "one"
    Control(os.environ["AWS_ENDPOINT_URL"]).client().put_secret_value(SecretId=secret_id, SecretString="two")
    read_on(cache, secret_id, "two")
    cache.close()


def main(transport: str, method: str, secret_id: str) -> None:
    control = Control(os.environ["AWS_ENDPOINT_URL"])
    cache = control.cache(transport, refresh_interval=1)
    control.client().create_secret(Name=secret_id, SecretString="one")
    assert cache.get_secret_string(secret_id) == "one"
    assert cache.get_secret_string(secret_id) == "one"
    control.fault(None, "DescribeSecret", delay_ms=3000, secret_id=secret_id)
    control.wait_for_trouble()
    control.calm()  # the request that is already under way still hangs
    if method == "os.fork":
        child = os.fork()
        if child == 0:
            in_child(cache, secret_id)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    else:
        process = multiprocessing.get_context(method).Process(target=in_child, args=(cache, secret_id))
        process.start()
        process.join(40)
        status = process.exitcode
        process.kill()
    read_on(cache, secret_id, "two")
    print(f"child ended with {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
