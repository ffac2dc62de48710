"""Logins as generators of steps; see `_steps`."""

from __future__ import annotations

import sys

from ._credential import Credential, LoginRejectedError, forget_locals, said
from ._fields import fields
from ._steps import advance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from ._core import ConnectAttempt, SecretValue


HANGS = TimeoutError("the login has not ended")
"""Sent back in place of an exception if a login has not finished when the time is up. Never raised."""
LOG_IN = "log in"
"""Log in with this credential; send back ``(connection, None)`` or ``(None, exception)``."""
READ = "read"
"""Read this staging label; send back None or the exception."""
REFRESH = "refresh"
"""Fetch this staging label now; send back None or the exception."""
SLEEP = "sleep"
"""Wait for these seconds."""


def connect(
    attempt: ConnectAttempt,
    secret_id: str,
    rejected: Callable[[BaseException], bool],
    read: Callable[[str, SecretValue, str], Any],
) -> Generator[tuple[str, Any], Any, Any]:
    """Connect to the resource that a secret authenticates to, even during a rotation.

    `read` turns a version into the credential to log in with.
    """
    last: BaseException | None = None
    while True:
        what, *more = attempt.next()
        if what == "try":
            value, stage = more
            connection, error = yield LOG_IN, read(secret_id, value, stage)
            if error is None:
                attempt.accepted(value)
                return connection
            if error is HANGS:
                break
            if not rejected(error):
                raise error
            attempt.rejected(value, stage)
            last = error
        elif what == "wait":
            yield SLEEP, more[0]
        elif what == "stop":
            break
        else:
            attempt.read(more[0], (yield what, more[0]))
    what, *more = attempt.failure()
    if what == "failed":
        raise more[0]
    text, tried, retryable = more
    rejection = LoginRejectedError(text if last is None else f"{text}: {said(last)}", secret_id=secret_id)
    rejection.tried, rejection._retryable = tried, retryable
    raise rejection from last


def first(
    attempt: ConnectAttempt, secret_id: str, read: Callable[[str, SecretValue, str], Any]
) -> Generator[tuple[str, Any], Any, Any]:
    """Find the credential that `connect` would try first, without logging in."""
    return to_login(connect(attempt, secret_id, lambda error: False, read))


def to_login(
    todo: Generator[tuple[str, Any], Any, Any], reply: Any = None
) -> Generator[tuple[str, Any], Any, Any]:
    """Take the steps of `connect` up to its next login; return the credential, or None if it has connected.

    `reply` answers the previous login. For clients that log in between two calls, where `connect` cannot see it.
    """
    step, _ = advance(todo, reply)
    while step is not None and step[0] != LOG_IN:
        step, _ = advance(todo, (yield step))
    return None if step is None else step[1]


def credential(secret_id: str, value: SecretValue, stage: str) -> Credential:
    """Return the credential in a version."""
    wanted = "; a login needs a JSON object with user name and password"
    return Credential(fields(secret_id, value, wanted), value.version_id, stage)


def log_in(fn: Callable[[Any], Any], credential: Any) -> tuple[Any, Exception | None]:
    """Log in; return ``(connection, None)`` or ``(None, exception)``, the reply to `LOG_IN`."""
    outer = sys.exc_info()[1]
    try:
        return fn(credential), None
    except Exception as error:
        forget_locals(error, outer)
        return None, error
