"""An application for gunicorn with gevent workers, whose cache creates its botocore client before the fork."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from secretcache import SecretCache

cache = SecretCache(refresh_interval=0)
assert cache.get_secret_string("gevent/0") == "value of gevent/0"


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [cache.get_secret_string(environ["PATH_INFO"].lstrip("/")).encode()]
