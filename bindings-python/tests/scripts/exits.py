"""Works, fails and ends with status 3 while a listener or a log handler is running.

Arguments: transport, what is under way (log, listener, reader or daemon), and the endpoint.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any

transport, what, url = sys.argv[1:]
connection = {
    "endpoint_url": url,
    "region_name": "us-east-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}
settings: dict[str, Any] = {**connection, "timeout": 5}
if transport == "boto3":
    from botocore.config import Config
    from botocore.session import get_session

    config = Config(retries={"total_max_attempts": 1})
    settings = {"client": get_session().create_client("secretsmanager", config=config, **connection)}

from secretcache import SecretCache  # noqa: E402

cache = SecretCache(**settings)
under_way = threading.Event()


def busy(event: object) -> None:
    under_way.set()
    while True:
        sum(range(1000))


def read() -> None:
    with contextlib.suppress(Exception):
        cache.get_secret_string("malformed")


def read_for_ever() -> None:
    while True:
        under_way.set()
        read()


if what == "listener":
    cache.on_error(busy)
    threading.Thread(target=read, daemon=True).start()
elif what == "daemon":
    threading.Thread(target=read_for_ever, daemon=True).start()
else:
    read()
    under_way.set()
assert under_way.wait(10)
sys.exit(3)
