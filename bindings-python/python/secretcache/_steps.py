"""What a read, a forced refresh and a request to a client consist of: said once for every way of waiting.

Each is a generator of steps. A driver, in threads or in asyncio, takes each step in its own way and sends in what
came of it; `advance` goes from one step to the next.
"""

from __future__ import annotations

import sys
import time

from ._credential import Credential, LoginRejectedError, forget_locals, own, said
from .errors import ConfigurationError, FieldNotFoundError, NotJsonError, RequestTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from ._core import Cache, ConnectAttempt, FetchPermit, Flight, SecretValue

    _Call = tuple[str, dict[str, str]]
    _Step = tuple[str, Any, float | None]


RUN = "run"
"""Ask the client with this permit, before anything else."""
HAND_OVER = "hand over"
"""Have this permit run beside the reader."""
WAIT = "wait"
"""Wait for this flight, so many seconds at most; send in whether it has ended."""


def read(
    cache: Cache, secret_id: str, stage: str | None, version_id: str | None, *, lenient: bool, inline: bool
) -> Generator[_Step, Any, SecretValue | None]:
    """Read a version; None if there is no such version and the cache is lenient about it.

    `inline`: every read shall ask, in the reader's own thread.
    """
    while True:
        found = cache._lookup(secret_id, stage, version_id)
        if found[0] == "hit":
            return found[1]
        if found[0] == "due":
            yield HAND_OVER, found[2], None
            return found[1]
        flight: Flight = found[-1]
        patience = None if inline else flight.patience
        if found[0] == "lead":
            # With nothing to fall back on, this reader asks. Otherwise it must be free to go after a while.
            yield (RUN if patience is None else HAND_OVER), found[1], None
        if not (yield WAIT, flight, patience):
            value = cache._give_up(secret_id, stage, version_id, flight)
            if value is not None:
                return value
            yield WAIT, flight, None
        outcome = flight.outcome()
        if outcome is None or outcome[0] == "abandoned":
            continue
        if outcome[0] == "value":
            return outcome[1]
        _, exception, last_known, is_missing = outcome
        if last_known is None and not (is_missing and lenient):
            raise exception
        return last_known


def refresh(
    cache: Cache, secret_id: str, stage: str | None, *, is_for_plan: bool
) -> Generator[_Step, Any, None]:
    """Ask now, whatever the age. Raises what the client raises.

    `is_for_plan`: a login was refused; a version that still carries its label need not be fetched again.
    """
    mark = cache._mark()
    while True:
        found = cache._force(secret_id, stage, mark, is_for_plan)
        flight: Flight = found[-1]
        if found[0] == "lead":
            yield RUN, found[1], None
        yield WAIT, flight, None
        outcome = flight.outcome()
        # A flight that began before this was asked for may have brought the value from before.
        if found[0] != "behind" and outcome is not None and outcome[0] != "abandoned":
            if outcome[0] == "failed":
                raise outcome[1]
            return


def ask(
    permit: FetchPermit, hook: Any, *, reading: bool, too_long: float = float("inf")
) -> Generator[_Call, Any, None]:
    """Ask on behalf of a permit, with exactly the calls that AWS's own library makes, and end it.

    `reading`: a reader waits for it, who then need not show the description to the hook once more.
    `too_long`: see `too_long`.
    """
    if permit.is_iam_login:
        if hook is not None:
            raise ConfigurationError(
                f"{permit.id!r} needs a cache without a hook: a token is not a response of the service"
            )
        permit.sign(*(yield _SIGNER, {}))
        return
    # Only what a hook has made of a description is kept; otherwise the core knows what is worth knowing of it.
    described, versions, wanted = permit.description, permit.versions, permit.version_id
    response = None
    if versions is not None:
        if hook is not None:
            versions = _versions(hook.get(described))
        wanted = wanted or _labelled(versions, permit.stage)
    if wanted is None or versions is None:
        permit.count("DescribeSecret")
        response = yield from _call("describe_secret", {"SecretId": permit.id}, too_long)
        described = None if hook is None else hook.put(response)
        versions = _versions(response if hook is None else hook.get(described))
        wanted = permit.version_id or _labelled(versions, permit.stage)
    if wanted is None:
        return permit.fail_version_not_found()
    # A secret marked for deletion is still described, but can no longer be read: the client shall say so.
    is_deleted = isinstance(response, dict) and "DeletedDate" in response
    if response is not None and wanted == permit.known_version_id and not is_deleted:
        known = permit.known
        if hook is not None and known is not None:
            known._stored[:] = [described, known._stored[1], reading]
        return permit.confirm(response, versions, described)
    news = (versions, described, response) if response is not None else ()
    held = permit.held(wanted)
    if held is not None and hook is None and not is_deleted:
        return permit.succeed(response_of(held), None, wanted, *news)
    permit.count("GetSecretValue")
    value = yield from _call("get_secret_value", {"SecretId": permit.id, "VersionId": wanted}, too_long)
    if hook is None:
        return permit.succeed(value, None, wanted, *news)
    permit.check_size(value)
    # What the hook made of the value is kept, and nothing else of it: it may be there to encrypt it.
    public = {name: value[name] for name in _PUBLIC if name in value} if isinstance(value, dict) else {}
    return permit.succeed(public, [described, hook.put(value), reading], wanted, *news)


_SIGNER = "secretcache_signer"
_LASTING = 600.0
"""Seconds that botocore's credentials last at least: it renews them earlier, or raises."""


def method(client: Any, name: str) -> Any:
    """Find a method of the client, or what gives the arguments of `FetchPermit.sign`."""
    if name != _SIGNER:
        return getattr(client, name)
    credentials = getattr(getattr(client, "_request_signer", None), "_credentials", None)
    if credentials is None:
        raise ConfigurationError(
            "signing a token needs credentials: pass a boto3 client that has some, or no client"
        )

    def signer() -> Any:
        frozen = credentials.get_frozen_credentials()
        return _awaited(client, frozen) if hasattr(frozen, "__await__") else _signer(client, frozen)

    return signer


def _signer(client: Any, frozen: Any) -> tuple[Any, ...]:
    return client.meta.region_name, frozen.access_key, frozen.secret_key, frozen.token, _LASTING


async def _awaited(client: Any, frozen: Any) -> tuple[Any, ...]:
    return _signer(client, await frozen)


def too_long(client: Any) -> float:
    """Seconds that no call of this client takes unless the process stood still meanwhile."""
    config = getattr(getattr(client, "meta", None), "config", None)
    limits = [getattr(config, name, None) for name in ("connect_timeout", "read_timeout")]
    return 2.0 * max([each for each in limits if isinstance(each, (int, float))], default=60.0) + 5.0


def _call(method: str, arguments: dict[str, str], too_long: float) -> Generator[_Call, Any, Any]:
    """Have a call made; anew if the process stood still meanwhile, since its answer may be from before."""
    for _ in range(_MOST_THAWS):
        start = _clocks()
        response = yield method, arguments
        if all(now - then <= too_long for then, now in zip(start, _clocks(), strict=True)):
            break
    return response


_MOST_THAWS = 4


def _clocks() -> tuple[float, float]:
    # One stands still while a machine is suspended on some systems, the other can be set.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock), time.time()


HANGS = TimeoutError("the login has not ended")
"""Sent in place of the exception of a login that has not ended when the plan's time is up."""
LOG_IN = "log in"
"""Log in with this credential; send in ``(connection, None)`` or ``(None, exception)``."""
READ = "read"
"""Read this staging label; send in None or the exception."""
REFRESH = "refresh"
"""Ask for this staging label now; send in None or the exception."""
SLEEP = "sleep"
"""Wait so many seconds."""


def connect(
    plan: ConnectAttempt,
    secret_id: str,
    rejected: Callable[[BaseException], bool],
    read: Callable[[str, SecretValue, str], Any],
) -> Generator[tuple[str, Any], Any, Any]:
    """Connect to the resource that a secret is the credential of, even during a rotation.

    `read` makes of a version what is logged in with.
    """
    last: BaseException | None = None
    while True:
        what, *more = plan.next()
        if what == "try":
            value, stage = more
            connection, error = yield LOG_IN, read(secret_id, value, stage)
            if error is None:
                plan.accepted(value)
                return connection
            if error is HANGS:
                hanging = f"the login with version {value.version_id} of secret {secret_id!r} did not finish in time"
                last = last or RequestTimeoutError(hanging)
                break
            if not rejected(error):
                raise error
            plan.rejected(value, stage)
            last = error
        elif what == "wait":
            yield SLEEP, more[0]
        elif what == "stop":
            break
        else:
            plan.read(more[0], (yield what, more[0]))
    if not plan.tried:
        nothing = RequestTimeoutError(f"no version of secret {secret_id!r} could be tried in time")
        raise last or plan.last_error or nothing
    text = f"every version of secret {secret_id!r} was refused ({plan.tried_text}): {said(last)}"
    failure = LoginRejectedError(text)
    failure.tried = plan.tried
    raise failure from last


def first(
    plan: ConnectAttempt, secret_id: str, read: Callable[[str, SecretValue, str], Any]
) -> Generator[tuple[str, Any], Any, Any]:
    """Find what a login would be tried with first, without trying."""
    todo = connect(plan, secret_id, lambda error: False, read)
    step, _ = advance(todo, None)
    while step[0] != LOG_IN:
        step, _ = advance(todo, (yield step))
    return step[1]


def credential(secret_id: str, value: SecretValue, stage: str) -> Credential:
    """Read a version as user name and password."""
    wanted = "; a login needs a JSON object with user name and password"
    return Credential(fields(secret_id, value, wanted), value.version_id, stage)


def fields(secret_id: str, value: SecretValue, wanted: str = "") -> dict[str, Any]:
    """Return the fields of a version whose string is a JSON object: parsed once, so nobody may change them."""
    if value._fields is None:
        # No variable of this frame ever holds what is secret: tools show them beside a traceback.
        why = _parse_fields(value)
        if why is not None:
            raise NotJsonError(f"the value of secret {secret_id!r} is {why}{wanted}")
    return value._fields  # type: ignore[return-value]


def _parse_fields(value: SecretValue) -> str | None:
    """Parse the fields; say what is wrong if there are none."""
    import json

    try:
        parsed = json.loads(value.secret_string or "")
    except ValueError as error:
        place = f"line {getattr(error, 'lineno', 1)} column {getattr(error, 'colno', 1)}"
        return f"not JSON ({place})"
    if not isinstance(parsed, dict):
        return "JSON, but not an object with fields"
    value._keep_fields(parsed)
    return None


def pick(secret_id: str, value: SecretValue, field: str) -> Any:
    """Return one field, the caller's own."""
    if field not in fields(secret_id, value):
        known = ", ".join(map(str, fields(secret_id, value))) or "none"
        raise FieldNotFoundError(f"secret {secret_id!r} has no field {field!r}; its fields are {known}")
    return own(fields(secret_id, value)[field])


def drive(steps: Generator[Any, Any, Any], take: Callable[[Any], Any]) -> Any:
    """Take step after step; return the result."""
    step, result = advance(steps, None)
    while step is not None:
        step, result = advance(steps, take(step))
    return result


async def drive_async(steps: Generator[Any, Any, Any], take: Callable[[Any], Any]) -> Any:
    """Take step after step by a coroutine function; return the result."""
    step, result = advance(steps, None)
    while step is not None:
        step, result = advance(steps, await take(step))
    return result


def attempt(fn: Callable[[Any], Any], credential: Any) -> tuple[Any, Exception | None]:
    """Log in; return the connection or the exception, as `LOG_IN` wants it."""
    outer = sys.exc_info()[1]
    try:
        return fn(credential), None
    except Exception as error:
        forget_locals(error, outer)
        return None, error


def through_hook(hook: Any, value: SecretValue | None) -> Any:
    """Give the whole response that a version was made of, as the hook shows it if there is one."""
    if value is None or hook is None:
        return None if value is None else response_of(value)
    described, stored, has_been_read = value._stored
    if not has_been_read:
        hook.get(described)
    value._stored[2] = False
    return hook.get(stored)


def response_of(value: SecretValue) -> dict[str, Any]:
    """Give a version in the form of an answer to GetSecretValue."""
    response = {
        "ARN": value.arn,
        "Name": value.name,
        "VersionId": value.version_id,
        "SecretString": value.secret_string,
        "SecretBinary": value.secret_binary,
        "VersionStages": list(value.version_stages) or None,
        "CreatedDate": value.created_date,
    }
    return {name: part for name, part in response.items() if part is not None}


def advance(steps: Generator[Any, Any, Any], sent: Any) -> tuple[Any, Any]:
    """Go to the next step: ``(step, None)``, or ``(None, result)`` at the end."""
    try:
        return steps.send(sent), None
    except StopIteration as end:
        return None, end.value
    except RuntimeError as error:
        # What a login raised goes on as it was: Python lets no StopIteration out of a generator.
        if isinstance(sent, tuple) and error.__cause__ is not None and error.__cause__ is sent[1]:
            raise sent[1] from None
        raise


_PUBLIC = ("ARN", "Name", "VersionId", "VersionStages", "CreatedDate")


def _versions(described: Any) -> list[tuple[str, list[str]]]:
    stages = described.get("VersionIdsToStages") if described else None
    return [(version_id, list(labels)) for version_id, labels in (stages or {}).items()]


def _labelled(versions: list[tuple[str, list[str]]], stage: str | None) -> str | None:
    return next((version_id for version_id, labels in versions if stage in labels), None)
