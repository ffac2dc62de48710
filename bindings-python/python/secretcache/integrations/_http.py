"""Shared by the integrations for HTTP clients: sends an API key in a header, and another one if it is refused."""

from __future__ import annotations

from secretcache import _connect, _core, _fields
from secretcache._credential import LoginRejectedError
from secretcache.errors import FieldNotFoundError

from ._login import Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from secretcache._base import BaseCache
    from secretcache._core import SecretValue

_TIMEOUT = 5.0
"""Seconds. A key that no longer works should not delay a request for long."""


class Refused(Exception):
    """A response that refuses the key."""

    def __init__(self, response: Any) -> None:
        Exception.__init__(self, f"status {response.status_code}")
        self.response = response


class Sent:
    """A header that contains a key, and the version of the key. ``repr`` does not show the key."""

    __slots__ = ("header", "version_id")

    def __init__(self, header: str, version_id: str) -> None:
        self.header = header
        self.version_id = version_id

    def __repr__(self) -> str:
        return f"<the key of version {self.version_id!r}>"


class Key:
    """An API key that may be rotating, and the header it goes into."""

    def __init__(
        self,
        cache: BaseCache,
        secret_id: str,
        field: str | None,
        header: str,
        scheme: str | None,
        options: dict[str, Any],
    ) -> None:
        if "endpoint_from_secret" in options:
            raise TypeError("endpoint_from_secret is for databases: a request's URL says where it goes")
        self.refuses: Callable[[Any], bool] = options.pop("rejected", None) or _is_unauthorized
        """Returns whether a response means that the key is refused."""
        self.login = Login(cache, secret_id, **({"login_timeout": _TIMEOUT} | options))
        self._field = field
        self._header = header
        self._scheme = scheme

    def steps(self) -> Generator[Any, Any, Any]:
        """Return the steps of one request; each login sends it with one key, a `Sent`."""
        return _connect.connect(self.login.attempt(once=True), self.login.secret_id, _is_refused, self._read)

    def put_into(self, request: Any, key: Sent) -> None:
        """Set the header of a request."""
        request.headers[self._header] = key.header

    def take_from(self, request: Any) -> None:
        """Remove the header from a request."""
        request.headers.pop(self._header, None)

    def _read(self, secret_id: str, value: SecretValue, stage: str) -> Sent:
        if self._field is None:
            return self._sent(value.secret_string or "", value)
        if not isinstance(_fields.fields(secret_id, value).get(self._field), str):
            text = f"secret {secret_id!r} has no string in field {self._field!r}"
            raise FieldNotFoundError(text, secret_id=secret_id)
        return self._sent(_fields.fields(secret_id, value)[self._field], value)

    def _sent(self, key: str, value: SecretValue) -> Sent:
        return Sent(key if self._scheme is None else f"{self._scheme} {key}", value.version_id or "")


class Exchange:
    """The keys that one request is sent with, until the service accepts one. For synchronous clients."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._todo: Generator[Any, Any, Any] | None = None
        self.sent: Sent = self._next(None)
        """The key that was sent last, or is to be sent first."""

    def accepted(self, response: Any) -> None:
        """Report that the service accepted the key."""
        if self._todo is not None:
            self._next((response, None))
            self._todo = None

    def refused(self, response: Any) -> Sent | None:
        """Report that the service refused the key; return the one to send next, or None if there is none."""
        last, is_repeated = self.sent, self._todo is None
        try:
            # A prepared request that is sent again starts again.
            self.sent = self._next(None if is_repeated else (None, Refused(response)))
            if is_repeated and self.sent.version_id == last.version_id:
                self.sent = self._next((None, Refused(response)))
        except LoginRejectedError:
            self._todo = None
            return None
        return self.sent

    def _next(self, reply: Any) -> Any:
        if self._todo is None:
            self._todo = self._key.steps()
        login = self._key.login
        return login.cache._take_steps(login.secret_id, _connect.to_login(self._todo, reply))


def _is_unauthorized(response: Any) -> bool:
    return _core.says_login_refused("", str(response.status_code))


def _is_refused(error: BaseException) -> bool:
    return isinstance(error, Refused)
