"""The cache as Python programs use it."""

from __future__ import annotations

from . import _core
from ._credential import is_rejected_login
from ._events import Dispatcher
from ._transport import botocore_client, reason_for_botocore
from .errors import FieldNotFoundError, NotJsonError, SecretCacheError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from datetime import timedelta
    from types import TracebackType
    from typing import Any, Literal

    from typing_extensions import Self

    from ._core import SecretValue
    from ._credential import Credential
    from ._events import NewVersion, OtherVersion, RefreshError, Stale


STAGES = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")
"""The staging labels that `connect` tries, in this order."""


class BaseCache(_core.Cache):
    """What `secretcache.SecretCache` and the drop-in for AWS's library have in common."""

    _driver: Any = None
    _dispatcher: Dispatcher
    _client: Any = None
    _settings: dict[str, Any]
    _recipe: tuple[Any, ...]
    """What `__init__` was called with, for pickling."""

    def _start(self, settings: dict[str, Any], client: Any, hook: Any, *, stage: str, lenient: bool) -> None:
        self._dispatcher = Dispatcher()
        self._settings = settings
        relay = self._dispatcher.relay()
        if client is None and (hook is not None or reason_for_botocore() is not None):
            # A hook wants to see botocore's responses.
            client = botocore_client(settings, _core.__version__)
        self._client = client
        if client is None:
            self._setup(settings, default_stage=stage, lenient=lenient, dispatch=relay)
            _shut_down_at_exit()
            return
        every_time = not _seconds(settings.get("refresh_interval", 1))
        self._driver = self._make_driver(client, hook, inline=every_time, lenient=lenient)
        self._driver.set_dispatch(relay)
        hooked = hook is not None
        self._setup(settings, default_stage=stage, lenient=lenient, driver=self._driver, hooked=hooked)

    def _make_driver(self, client: Any, hook: Any, *, inline: bool, lenient: bool) -> Any:
        from ._host import HostDriver

        return HostDriver(self, client, hook, inline=inline, lenient=lenient)

    def refresh_secret_now(self, secret_id: str) -> bool:
        """Fetch the secret now, whatever its age, and tell whether that worked.

        If it did not, the last-known value goes on being served; `stats` and the log tell why.
        """
        self._check_id(secret_id)
        try:
            self._refresh(secret_id)
        except Exception:
            return False
        return True

    def prefetch(self, secret_ids: Iterable[str]) -> dict[str, BaseException]:
        """Fetch secrets before they are read, twenty in a call; give the exceptions of those it could not have.

        What is cached and not due is left alone. With a client of the program's own, they are read one by one.
        """
        return self._prefetch(self._check_ids(secret_ids))

    def connect(
        self,
        secret_id: str,
        fn: Callable[[Credential], Any],
        *,
        timeout: float | timedelta = 30,
        rejected: Callable[[BaseException], bool] | None = None,
        stages: Iterable[str] = STAGES,
    ) -> Any:
        """Connect to the resource that a secret is the credential of, also while it rotates; give what `fn` gives.

        `fn` gets a `Credential`, whose user name and password are of one version. The cached current version is tried
        first. If `fn` raises an error that `rejected` takes for a refused login (by default what the drivers in common
        use raise), the version is fetched anew, then ``AWSPENDING`` is tried, which is the one that works while a
        rotation is between its steps, then ``AWSPREVIOUS``, and after a wait all over again, for `timeout` seconds.
        Any other error passes through untouched. What was taken and refused is remembered for all callers, so that a
        rotation costs one refused login, not one for each connection. `stages` limits which versions are tried.
        """
        from . import _steps as steps

        plan = self._plan(secret_id, list(stages), timeout)
        todo = steps.connect(plan, secret_id, rejected or is_rejected_login, steps.credential)
        return self._take_steps(secret_id, todo, fn)

    def credential(
        self, secret_id: str, *, timeout: float | timedelta = 30, stages: Iterable[str] = STAGES
    ) -> Credential:
        """Give what `connect` would log in with first: for clients that log in where `connect` cannot see it.

        It is the current version, unless `connect` has found that refused.
        """
        from . import _steps as steps

        plan = self._plan(secret_id, list(stages), timeout)
        return self._take_steps(secret_id, steps.first(plan, secret_id, steps.credential))

    def _take_steps(
        self, secret_id: str, todo: Generator[Any, Any, Any], fn: Callable[[Any], Any] | None = None
    ) -> Any:
        from . import _steps as steps

        step, result = steps.advance(todo, None)
        while step is not None:
            what, which = step
            sent: Any
            if what == steps.LOG_IN and fn is not None:
                sent = attempt(fn, which)
            else:
                sent = self._take_step(secret_id, what, which)
            step, result = steps.advance(todo, sent)
        return result

    def _take_step(self, secret_id: str, what: str, which: Any) -> Exception | None:
        import time

        from . import _steps as steps

        try:
            if what == steps.SLEEP:
                time.sleep(which)
            elif what == steps.READ:
                self._get_value(secret_id, which)
            else:
                self._refresh(secret_id, which, True)
        except Exception as error:
            return error
        return None

    def stats(self) -> dict[str, Any]:
        """Count what the cache has done so far in this process, and list what it holds now."""
        return self._stats()

    def on_new_version(self, listener: Callable[[NewVersion], object]) -> None:
        """Have `listener` called whenever a refresh brings another version than the one held.

        Listeners run on a background thread and should be quick. What they raise is logged.
        """
        self._dispatcher.listen("new_version", listener)

    def on_stale(self, listener: Callable[[Stale], object]) -> None:
        """Have `listener` called when readers begin to get a value past its freshness."""
        self._dispatcher.listen("stale", listener)

    def on_error(self, listener: Callable[[RefreshError], object]) -> None:
        """Have `listener` called whenever a fetch or refresh fails."""
        self._dispatcher.listen("error", listener)

    def on_other_version(self, listener: Callable[[OtherVersion], object]) -> None:
        """Have `listener` called when `connect` succeeds with another version than the current one, once a minute."""
        self._dispatcher.listen("other_version", listener)

    def close(self) -> None:
        """Forget every value, end the background work, and refuse further reads."""
        if self._driver is not None:
            self._driver.close()
        self._close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings, never a value: the copy fetches for itself."""
        arguments, keywords = self._recipe
        for client in (*arguments, *keywords.values()):
            if client is not None and client is self._client:
                _check_pickles(client)
        return _rebuild, (type(self), *self._recipe)

    def __copy__(self) -> Self:
        """Make a cache of the same settings, and around the same client if there is one."""
        return _rebuild(type(self), *self._recipe)  # type: ignore[return-value]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def _interval(self, secret_id: str) -> float:
        """Give the seconds that a value of this secret counts as fresh."""
        single = (self._settings.get("refresh_intervals") or {}).get(secret_id)
        return _seconds(self._settings.get("refresh_interval", 0) if single is None else single)

    @staticmethod
    def _check_id(secret_id: Any) -> None:
        if not isinstance(secret_id, str):
            kind = type(secret_id).__name__
            raise TypeError(f"secret_id must be a str (the secret's name or ARN), not {kind}")

    def _check_ids(self, secret_ids: Iterable[str]) -> list[str]:
        if isinstance(secret_ids, str):
            raise TypeError("prefetch takes several secret ids, such as a list; this is a single str")
        ids = list(secret_ids)
        for each in ids:
            self._check_id(each)
        return ids

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        self.close()
        return False


class SecretCache(BaseCache):
    """Secrets from memory, kept fresh in the background.

    >>> from secretcache import SecretCache
    >>> cache = SecretCache(region_name="eu-central-1", refresh_interval=60)
    >>> cache.peek("prod/checkout/db") is None  # nothing is fetched before it is asked for
    True

    Nothing is started before the first read. Any number of threads that ask for one secret cause one request;
    while a value is in use it is refreshed beside its readers; when the service cannot be reached, the
    last-known value goes on being served.

    Durations are seconds or ``timedelta``. Settings of the cache:

    - `refresh_interval`: how long a value counts as fresh; 0 asks the service on every read.
      `refresh_intervals` gives single secrets their own, by id.
    - `max_wait`: how long a reader waits for the service when a last-known value exists.
    - `max_stale`: how long after its last confirmation a value may still be served; None for ever.
    - `stale_on_denied`: whether that also holds once the service says that this caller may not have it.
    - `max_size`: how many secrets are kept.
    - `version_stage`: the staging label read when a call names none.

    How the service is reached: `region_name`, `endpoint_url`, `profile_name`, `aws_access_key_id` with
    `aws_secret_access_key` and `aws_session_token`, `role_arn` with `external_id` (a role to assume),
    `proxy_url`, `ca_bundle` (a file of PEM certificates), `use_fips`, `timeout`. What is not given is found as
    boto3 finds it. Or pass a `client`, boto3's or any object with its methods ``describe_secret`` and
    ``get_secret_value``, which is then used as it is.
    """

    def __init__(
        self,
        *,
        client: Any = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        profile_name: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        role_arn: str | None = None,
        external_id: str | None = None,
        proxy_url: str | None = None,
        ca_bundle: str | None = None,
        use_fips: bool | None = None,
        timeout: float | timedelta | None = None,
        refresh_interval: float | timedelta = 300,
        refresh_intervals: Mapping[str, float | timedelta] | None = None,
        max_wait: float | timedelta = 2,
        max_stale: float | timedelta | None = None,
        max_size: int = 1024,
        stale_on_denied: bool = True,
        version_stage: str = "AWSCURRENT",
    ) -> None:
        connection = {
            "region_name": region_name,
            "endpoint_url": endpoint_url,
            "profile_name": profile_name,
            "aws_access_key_id": aws_access_key_id,
            "aws_secret_access_key": aws_secret_access_key,
            "aws_session_token": aws_session_token,
            "role_arn": role_arn,
            "external_id": external_id,
            "proxy_url": proxy_url,
            "ca_bundle": ca_bundle,
            "use_fips": use_fips,
            "timeout": timeout,
        }
        given = [name for name, value in connection.items() if value is not None]
        if client is not None and given:
            raise TypeError(f"{', '.join(given)}: these belong to the client that was passed; set them there")
        behaviour = {
            "refresh_interval": refresh_interval,
            "refresh_intervals": None if refresh_intervals is None else dict(refresh_intervals),
            "max_wait": max_wait,
            "max_stale": max_stale,
            "max_size": max_size,
            "stale_on_denied": stale_on_denied,
        }
        self._recipe = ((), connection | behaviour | {"client": client, "version_stage": version_stage})
        self._start(connection | behaviour, client, None, stage=version_stage, lenient=False)

    # The same methods as the drop-in's, with one more argument.
    get_secret_string = _core.Cache._get_secret_string
    get_secret_binary = _core.Cache._get_secret_binary

    def get_secret_value(
        self, secret_id: str, version_stage: str | None = None, *, version_id: str | None = None
    ) -> SecretValue:
        """Read a whole version: value, ARN, name, version id, staging labels, creation date."""
        value = self._get_value(secret_id, version_stage, version_id=version_id)
        if value is None:
            raise SecretCacheError(f"secret {secret_id!r} has no such version")
        return value

    def get_secret_json(
        self, secret_id: str, version_stage: str | None = None, *, version_id: str | None = None
    ) -> Any:
        """Read a secret string and parse it as JSON. The result is the caller's own."""
        return self._parse(secret_id, self.get_secret_string(secret_id, version_stage, version_id=version_id))

    @staticmethod
    def _parse(secret_id: str, string: str) -> Any:
        import json

        try:
            return json.loads(string)
        except ValueError as error:
            place = f"line {getattr(error, 'lineno', 1)} column {getattr(error, 'colno', 1)}"
        raise NotJsonError(f"the value of secret {secret_id!r} is not JSON ({place})")

    def get_secret_field(
        self, secret_id: str, field: str, version_stage: str | None = None, *, version_id: str | None = None
    ) -> Any:
        """Read one field of a secret whose string is a JSON object, such as ``password``."""
        return self._pick(
            secret_id, self.get_secret_json(secret_id, version_stage, version_id=version_id), field
        )

    @staticmethod
    def _pick(secret_id: str, fields: Any, field: str) -> Any:
        if not isinstance(fields, dict):
            raise NotJsonError(f"the value of secret {secret_id!r} is JSON, but not an object with fields")
        if field not in fields:
            known = ", ".join(map(str, fields)) or "none"
            raise FieldNotFoundError(f"secret {secret_id!r} has no field {field!r}; its fields are {known}")
        return fields[field]

    def __repr__(self) -> str:
        driver = "a client of the program's" if self._client is not None else "the native client"
        return f"<secretcache.{type(self).__name__} with {driver}>"


def attempt(fn: Callable[[Any], Any], credential: Any) -> tuple[Any, Exception | None]:
    """Log in; give the connection or the exception, as `_steps.LOG_IN` wants it."""
    try:
        return fn(credential), None
    except Exception as error:
        return None, error


def _rebuild(cls: type[BaseCache], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> BaseCache:
    return cls(*arguments, **keywords)


def _check_pickles(client: Any) -> None:
    import pickle

    try:
        pickle.dumps(client)
    except Exception as error:
        kind = type(client).__name__
        text = f"this cache holds a client of type {kind}, which cannot be pickled ({error}); pass settings such as"
        text += " region_name instead of a client, or make a cache in each process"
        raise TypeError(text) from error


def _seconds(interval: Any) -> Any:
    return interval.total_seconds() if hasattr(interval, "total_seconds") else interval


_registered = False


def _shut_down_at_exit() -> None:
    global _registered
    if not _registered:
        import atexit

        # Requests under way get a second to end. The extension module releases the global lock meanwhile.
        atexit.register(_core.shutdown, 1.0)
        _registered = True
