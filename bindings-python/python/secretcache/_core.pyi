# The extension module: private to the two packages.
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Literal, final

from typing_extensions import Self, disjoint_base

__all__ = [
    "DUE",
    "FOLLOWER",
    "HIT",
    "LEADER",
    "STAGES",
    "SUPERSEDED",
    "Cache",
    "ConnectAttempt",
    "FetchPermit",
    "Flight",
    "SecretValue",
    "Watch",
    "__version__",
    "iam_login",
    "is_retryable",
    "says_login_refused",
    "shutdown",
]

__version__: str

STAGES: tuple[str, ...]

HIT: Final = "hit"
DUE: Final = "due"
LEADER: Final = "leader"
FOLLOWER: Final = "follower"
SUPERSEDED: Final = "superseded"

def shutdown(patience: float) -> None: ...
def says_login_refused(message: str, code: str | None = None) -> bool: ...
def is_retryable(kind: str) -> bool: ...
def iam_login(
    service: str,
    user: str,
    name: str,
    port: int = 0,
    region_name: str | None = None,
    serverless: bool = False,
) -> str: ...

@final
class SecretValue:
    """One version of a secret: its value and what the service says about it. ``repr`` hides the value."""

    @property
    def arn(self) -> str | None: ...
    @property
    def name(self) -> str | None: ...
    @property
    def version_id(self) -> str | None: ...
    @property
    def version_stages(self) -> list[str]: ...
    @property
    def created_date(self) -> datetime | None: ...
    @property
    def secret_string(self) -> str | None: ...
    @property
    def secret_binary(self) -> bytes | None: ...
    @property
    def _stored(self) -> Any: ...
    @property
    def _fields(self) -> dict[str, Any] | None: ...
    def _keep_fields(self, fields: dict[str, Any]) -> None: ...

@disjoint_base
class Cache:
    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Self: ...
    def _get_lenient_string(self, secret_id: str, version_stage: str | None = None) -> str | None: ...
    def _get_lenient_binary(self, secret_id: str, version_stage: str | None = None) -> bytes | None: ...
    def _get_secret_string(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> str: ...
    def _get_secret_field(
        self,
        secret_id: str,
        field: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> Any: ...
    def _get_secret_binary(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> bytes: ...
    def _read_string(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> str | None: ...
    def _get_value(
        self,
        secret_id: str,
        version_stage: str | None = None,
        *,
        version_id: str | None = None,
        max_age: float | timedelta | None = None,
    ) -> SecretValue | None: ...
    def peek(
        self, secret_id: str, version_stage: str | None = None, *, version_id: str | None = None
    ) -> SecretValue | None: ...
    def is_outdated(self, secret_id: str, version_id: str) -> bool: ...
    def invalidate(self, secret_id: str) -> None: ...
    def watch(self, secret_id: str) -> Watch: ...
    def _close(self) -> None: ...
    def _stats(self) -> dict[str, Any]: ...
    def _setup(
        self,
        settings: dict[str, Any],
        *,
        default_stage: str,
        lenient: bool,
        driver: Any = None,
        endpoint: str | None = None,
        hooked: bool = False,
        dispatch: Callable[[list[Any]], None] | None = None,
    ) -> None: ...
    def _at_hand(
        self, secret_id: str, version_stage: str | None, version_id: str | None
    ) -> SecretValue | None: ...
    def _part_of(self, secret_id: str, value: SecretValue, is_binary: bool) -> Any: ...
    def _prefetch(self, ids: list[str]) -> dict[str, BaseException]: ...
    def _refresh(
        self, secret_id: str, version_stage: str | None = None, is_for_attempt: bool = False
    ) -> None: ...
    def _is_older(
        self,
        secret_id: str,
        version_stage: str | None,
        version_id: str | None,
        max_age: float | timedelta,
    ) -> bool: ...
    def _lookup(self, id: str, stage: str | None, version_id: str | None) -> tuple[Any, ...]: ...
    def _give_up(
        self, id: str, stage: str | None, version_id: str | None, flight: Flight
    ) -> SecretValue | None: ...
    def _connect_attempt(
        self, id: str, stages: list[str], timeout: float | timedelta, *, once: bool = False
    ) -> ConnectAttempt: ...
    def _mark(self) -> int: ...
    def _force(
        self, id: str, stage: str | None, mark: int, is_for_attempt: bool
    ) -> tuple[Literal["leader"], FetchPermit, Flight] | tuple[Literal["follower", "superseded"], Flight]: ...
    def _due(self) -> tuple[list[FetchPermit], float | None]: ...
    def _take_events(self) -> list[tuple[str, bool, str, tuple[Any, ...]]]: ...

@final
class Watch:
    """Makes a secret count as in use until this is closed or garbage-collected."""

    @property
    def secret_id(self) -> str: ...
    def close(self) -> None: ...
    def __enter__(self) -> Watch: ...
    def __exit__(self, kind: object, error: object, traceback: object, /) -> None: ...

@final
class ConnectAttempt:
    """One attempt to connect with a credential that may be rotating."""

    def next(self) -> tuple[Any, ...]: ...
    def read(self, version_stage: str, exception: BaseException | None) -> None: ...
    def accepted(self, value: SecretValue) -> None: ...
    def rejected(self, value: SecretValue, version_stage: str) -> None: ...
    @property
    def remaining(self) -> float: ...
    def failure(self) -> tuple[Any, ...]: ...

@final
class FetchPermit:
    """The obligation to fetch once, on behalf of all readers that wait.

    End it with ``succeed``, ``confirm``, ``fail`` or ``abandon``.
    """

    @property
    def id(self) -> str: ...
    @property
    def stage(self) -> str | None: ...
    @property
    def version_id(self) -> str | None: ...
    @property
    def known_version_id(self) -> str | None: ...
    @property
    def known(self) -> SecretValue | None: ...
    @property
    def description(self) -> Any: ...
    @property
    def versions(self) -> list[tuple[str, list[str]]] | None: ...
    def held(self, version_id: str) -> SecretValue | None: ...
    @property
    def is_iam_login(self) -> bool: ...
    def sign(
        self,
        region_name: str,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None,
        expires_in: float,
    ) -> None: ...
    def count(self, operation: str) -> None: ...
    def succeed(
        self,
        response: Any,
        stored: Any,
        version_id: str,
        versions: list[tuple[str, list[str]]] | None = None,
        described: Any = None,
        description: Any = None,
    ) -> None: ...
    def confirm(self, response: Any, versions: list[tuple[str, list[str]]], described: Any) -> None: ...
    def check_size(self, response: Any) -> None: ...
    def fail(self, exception: BaseException) -> None: ...
    def fail_version_not_found(self) -> None: ...
    def abandon(self) -> None: ...

@final
class Flight:
    """A fetch in progress."""

    @property
    def patience(self) -> float | None: ...
    def on_done(self, callback: Callable[[], object]) -> bool: ...
    def outcome(self) -> tuple[Any, ...] | None: ...
