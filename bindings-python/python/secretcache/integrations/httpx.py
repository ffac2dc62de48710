"""API keys for httpx, synchronous and for asyncio.

>>> client = httpx.Client(auth=ApiKeyAuth(cache, "prod/payments", field="api_key"))  # doctest: +SKIP
"""

from __future__ import annotations

import httpx

from secretcache import _connect, _steps
from secretcache._credential import LoginRejectedError

from ._http import Key, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from typing import Any

    from secretcache._base import BaseCache


class ApiKeyAuth(httpx.Auth):
    """Sends an API key from a secret; if it is refused (401), sends the request again with the key that replaces it.

    `field` names the field with the key; if it is None, the secret string is the key. `header` and `scheme` say how the
    key is sent: by default as ``Authorization: Bearer …``; with scheme None, the header is the key alone. If no
    version is accepted, the caller gets the last response. A body that cannot be sent twice (a stream) is sent once.
    `rejected` is a function that returns whether a response refuses the key; by default, status 401 does.
    With a client for asyncio, the cache may be synchronous or asynchronous. A client that follows redirects
    (``follow_redirects=True``) sends any header but Authorization to other hosts too.
    """

    def __init__(
        self,
        cache: BaseCache,
        secret_id: str,
        *,
        field: str | None = None,
        header: str = "Authorization",
        scheme: str | None = "Bearer",
        **options: Any,
    ) -> None:
        self._key = Key(cache, secret_id, field, header, scheme, options)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with one version after another until one is accepted."""
        login, todo = self._key.login, self._key.steps()
        reply: Any = None
        try:
            while key := login.cache._take_steps(login.secret_id, _connect.to_login(todo, reply)):
                self._key.put_into(request, key)
                reply = self._reply(request, (yield request))
                if reply is None:
                    return
        except LoginRejectedError:
            if reply is None:
                raise  # nothing was sent in time
            # The caller gets the last response.

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same for asyncio."""
        login, todo = self._key.login, self._key.steps()
        reply: Any = None
        try:
            while key := await _steps.drive_async(_connect.to_login(todo, reply), login.take_step):
                self._key.put_into(request, key)
                reply = self._reply(request, (yield request))
                if reply is None:
                    return
        except LoginRejectedError:
            if reply is None:
                raise  # nothing was sent in time
            # The caller gets the last response.

    def _reply(
        self, request: httpx.Request, response: httpx.Response
    ) -> tuple[httpx.Response | None, Refused | None] | None:
        """Return the reply to the login that a response ends; None if the request cannot be sent again."""
        if not self._key.refuses(response):
            return response, None
        return (None, Refused(response)) if isinstance(request.stream, httpx.ByteStream) else None
