"""API keys for requests.

>>> session = requests.Session()  # doctest: +SKIP
>>> session.auth = ApiKeyAuth(cache, "prod/payments", field="api_key")  # doctest: +SKIP
"""

from __future__ import annotations

from urllib.parse import urljoin

import requests
import requests.auth
import requests.sessions

from ._http import Exchange, Key, Sent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretcache._base import BaseCache


_REDIRECTS = requests.sessions.SessionRedirectMixin()


def _is_elsewhere(url: str, other: str | None) -> bool:
    return bool(_REDIRECTS.should_strip_auth(url, other or ""))


class ApiKeyAuth(requests.auth.AuthBase):
    """Sends an API key from a secret; if it is refused (401), sends the request again with the key that replaces it.

    `field` names the field with the key; if it is None, the secret string is the key. `header` and `scheme` say how the
    key is sent: by default as ``Authorization: Bearer …``; with scheme None, the header is the key alone. If no
    version is accepted, the caller gets the last response. A body that cannot be sent twice (a generator) is sent once.
    `rejected` is a function that returns whether a response refuses the key; by default, status 401 does. No key goes
    to another host that the service redirects to.
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

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the key into the request."""
        exchange = Exchange(self._key)
        self._key.put_into(request, exchange.sent)
        body: Any = request.body
        position = body.tell() if hasattr(body, "seek") and hasattr(body, "tell") else None
        can_repeat = body is None or isinstance(body, (str, bytes)) or position is not None
        url = request.url or ""

        def respond(response: requests.Response, **kwargs: Any) -> requests.Response:
            # requests calls this again for the response of the host that a redirect leads to.
            if _is_elsewhere(url, response.request.url):
                return response
            while can_repeat and self._key.refuses(response):
                key = exchange.refused(response)
                if key is None:
                    return response
                response = self._send_again(response, key, position, kwargs)
            target = _REDIRECTS.get_redirect_target(response)
            if target is None:
                # Where it leads may refuse the key.
                if not self._key.refuses(response):
                    exchange.accepted(response)
            elif _is_elsewhere(url, urljoin(response.url, target)):
                # It follows with a copy of this request, and removes no header but Authorization.
                self._key.take_from(request)
            return response

        request.register_hook("response", respond)
        return request

    def _send_again(
        self, response: requests.Response, key: Sent, position: int | None, kwargs: dict[str, Any]
    ) -> requests.Response:
        response.content  # noqa: B018  (reading everything frees the connection)
        response.close()
        again = response.request.copy()
        self._key.put_into(again, key)
        if position is not None:
            again.body.seek(position)  # type: ignore[union-attr]
        following: requests.Response = response.connection.send(again, **kwargs)
        following.history.append(response)
        following.request = again
        return following
