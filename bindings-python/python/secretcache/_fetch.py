"""Reads, forced refreshes and requests to a client as generators of steps; see `_steps`."""

from __future__ import annotations

import time

from ._core import DUE, HIT, LEADER, SUPERSEDED
from .errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from ._core import Cache, FetchPermit, Flight, SecretValue

    _Call = tuple[str, dict[str, str]]
    _Step = tuple[str, Any, float | None]


RUN = "run"
"""Call the client for this permit first."""
HAND_OVER = "hand over"
"""Call the client for this permit in the background."""
WAIT = "wait"
"""Wait for this flight, at most for these seconds; send back whether it has ended."""


def read(
    cache: Cache, secret_id: str, stage: str | None, version_id: str | None, *, lenient: bool, inline: bool
) -> Generator[_Step, Any, SecretValue | None]:
    """Read a version; None if there is no such version and the cache is lenient about it.

    `inline`: every read fetches, in the reader's own thread.
    """
    while True:
        found = cache._lookup(secret_id, stage, version_id)
        if found[0] == HIT:
            return found[1]
        if found[0] == DUE:
            yield HAND_OVER, found[2], None
            return found[1]
        flight: Flight = found[-1]
        patience = None if inline else flight.patience
        if found[0] == LEADER:
            # With no value to fall back on, this reader fetches. Otherwise it must be free to stop waiting.
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
    cache: Cache, secret_id: str, stage: str | None, *, is_for_attempt: bool
) -> Generator[_Step, Any, None]:
    """Fetch a version now, whatever its age; raise what the client raises.

    `is_for_attempt`: a login was refused; a version that still has its label need not be fetched again.
    """
    mark = cache._mark()
    while True:
        found = cache._force(secret_id, stage, mark, is_for_attempt)
        flight: Flight = found[-1]
        if found[0] == LEADER:
            yield RUN, found[1], None
        yield WAIT, flight, None
        outcome = flight.outcome()
        # A flight that began before this call can have brought an older value.
        if found[0] != SUPERSEDED and outcome is not None and outcome[0] != "abandoned":
            if outcome[0] == "failed":
                raise outcome[1]
            return


def ask(
    permit: FetchPermit, hook: Any, *, reading: bool, too_long: float = float("inf")
) -> Generator[_Call, Any, None]:
    """Fetch for a permit, with exactly the calls that AWS's own library makes, and end the permit.

    `reading`: a reader waits for it, and need not pass the description to the hook again.
    `too_long`: see the function `too_long`.
    """
    if permit.is_iam_login:
        if hook is not None:
            raise ConfigurationError(
                f"{permit.id!r} needs a cache without a hook: a token is not a response of the service"
            )
        permit.sign(*(yield _SIGNER, {}))
        return
    # A description is kept only as converted by a hook. Without a hook, the core keeps the versions and their labels.
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
    # A secret marked for deletion can be described but not read: call GetSecretValue, so that its error is raised.
    is_deleted = isinstance(response, dict) and "DeletedDate" in response
    if response is not None and wanted == permit.known_version_id and not is_deleted:
        known = permit.known
        if hook is not None and known is not None:
            known._stored[:] = [described, known._stored[1], reading]
        return permit.confirm(response, versions, described)
    new_description = (versions, described, response) if response is not None else ()
    held = permit.held(wanted)
    if held is not None and hook is None and not is_deleted:
        return permit.succeed(response_of(held), None, wanted, *new_description)
    permit.count("GetSecretValue")
    value = yield from _call("get_secret_value", {"SecretId": permit.id, "VersionId": wanted}, too_long)
    if hook is None:
        return permit.succeed(value, None, wanted, *new_description)
    permit.check_size(value)
    # Keeps the value only as converted by the hook, because the hook can be there to encrypt it.
    public = {name: value[name] for name in _PUBLIC if name in value} if isinstance(value, dict) else {}
    return permit.succeed(public, [described, hook.put(value), reading], wanted, *new_description)


_SIGNER = "secretcache_signer"
_LASTING = 600.0
"""Seconds for which botocore's credentials are at least valid: it renews them earlier, or raises."""


def method(client: Any, name: str) -> Any:
    """Return a method of the client, or a function that returns the arguments of `FetchPermit.sign`."""
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
    """Return seconds that a call of this client exceeds only if the process was suspended meanwhile."""
    config = getattr(getattr(client, "meta", None), "config", None)
    limits = [getattr(config, name, None) for name in ("connect_timeout", "read_timeout")]
    return 2.0 * max([each for each in limits if isinstance(each, (int, float))], default=60.0) + 5.0


def _call(method: str, arguments: dict[str, str], too_long: float) -> Generator[_Call, Any, Any]:
    """Make a call, and repeat it if the process was suspended meanwhile: its response may be outdated."""
    for _ in range(_MOST_RESUMES):
        start = _clocks()
        response = yield method, arguments
        if all(now - then <= too_long for then, now in zip(start, _clocks(), strict=True)):
            break
    return response


_MOST_RESUMES = 4


def _clocks() -> tuple[float, float]:
    # On some systems the first stops while the machine is suspended; the second can be set.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock), time.time()


def through_hook(hook: Any, value: SecretValue | None) -> Any:
    """Return the whole response behind a version, converted by the hook if there is one."""
    if value is None or hook is None:
        return None if value is None else response_of(value)
    described, stored, has_been_read = value._stored
    if not has_been_read:
        hook.get(described)
    value._stored[2] = False
    return hook.get(stored)


def response_of(value: SecretValue) -> dict[str, Any]:
    """Return a version in the form of a response of GetSecretValue."""
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


_PUBLIC = ("ARN", "Name", "VersionId", "VersionStages", "CreatedDate")


def _versions(described: Any) -> list[tuple[str, list[str]]]:
    stages = described.get("VersionIdsToStages") if described else None
    return [(version_id, list(labels)) for version_id, labels in (stages or {}).items()]


def _labelled(versions: list[tuple[str, list[str]]], stage: str | None) -> str | None:
    return next((version_id for version_id, labels in versions if stage in labels), None)
