"""An application for gunicorn that caches a secret before its workers are forked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from trouble import Control

SECRET_ID = os.environ["PRELOADED_SECRET"]
control = Control(os.environ["AWS_ENDPOINT_URL"])
cache = control.cache(os.environ["PRELOADED_TRANSPORT"], refresh_interval=1)
assert cache.get_secret_string(SECRET_ID) == "one"
control.fault(None, "DescribeSecret", delay_ms=3000, secret_id=SECRET_ID)
control.wait_for_trouble()
control.calm()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {cache.get_secret_string(SECRET_ID)}".encode()]
