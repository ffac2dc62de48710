"""API keys for httpx, synchronous and for asyncio.

>>> client = httpx.Client(auth=ApiKeyAuth(cache, "prod/payments", field="api_key"))  # doctest: +SKIP
"""

from __future__ import annotations

import httpx

from secretcache import _steps as steps
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
    With a client for asyncio, the cache may be synchronous or asynchronous.
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
        try:
            step, _ = steps.advance(todo, None)
            while step is not None:
                if step[0] == steps.LOG_IN:
                    self._key.put_into(request, step[1])
                    step = self._after(todo, request, (yield request))
                else:
                    step, _ = steps.advance(todo, login.cache._take_step(login.secret_id, *step))
        except LoginRejectedError:
            return  # the caller gets the last response

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same for asyncio."""
        login, todo = self._key.login, self._key.steps()
        try:
            step, _ = steps.advance(todo, None)
            while step is not None:
                if step[0] == steps.LOG_IN:
                    self._key.put_into(request, step[1])
                    step = self._after(todo, request, (yield request))
                else:
                    step, _ = steps.advance(todo, await login.take_step(step))
        except LoginRejectedError:
            return  # the caller gets the last response

    def _after(self, todo: Generator[Any, Any, Any], request: httpx.Request, response: httpx.Response) -> Any:
        """Return the step after a response; None if the caller gets this response."""
        if not self._key.refuses(response):
            return steps.advance(todo, (response, None))[0]
        if not isinstance(request.stream, httpx.ByteStream):
            return None
        return steps.advance(todo, (None, Refused(response)))[0]
