"""Hints for names from boto3, Powertools or AWS's caching library: what they are called here."""

from __future__ import annotations

from ._credential import forget_locals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar

    _Class = TypeVar("_Class", bound=type)

_FRESHER = "refresh_interval= of the cache (refresh_intervals= for single secrets)"
_FORCED = "max_age=0"
_PARSED = "get_secret_json() for JSON, get_secret_binary() for binary secrets"

KEYWORDS = {
    # of boto3
    "SecretId": "secret_id",
    "VersionStage": "version_stage",
    "VersionId": "version_id",
    "SecretIdList": "secret_ids",
    "region": "region_name",
    "verify": "ca_bundle",
    "boto3_session": "session",
    "boto_session": "session",
    "boto_config": "config",
    "boto3_client": "client",
    "botocore_client": "client",
    # of Powertools
    "name": "secret_id",
    "names": "secret_ids",
    "max_age": _FRESHER,
    "force_fetch": _FORCED,
    "forceFetch": _FORCED,
    "transform": _PARSED,
    "sdk_options": "version_stage= and version_id= themselves",
    # of AWS's library, whose names the drop-in keeps
    "secret_refresh_interval": "refresh_interval",
    "max_cache_size": "max_size",
    "default_version_stage": "version_stage",
    "cache_config": "the options themselves, such as refresh_interval=",
    "secret_cache_hook": "SecretCache of aws_secretsmanager_caching, which takes hooks",
    # of others
    "secret_name": "secret_id",
    "stage": "version_stage",
    "ttl": "refresh_interval",
    "cache_ttl": "refresh_interval",
    "profile": "profile_name",
}
"""What each keyword of another library is called here."""

METHODS = {
    "get": "get_secret_string",
    "get_secret": "get_secret_string (or get_secret_json, get_secret_binary, get_secret_value)",
    "get_secrets_by_name": "get_secrets",
    "get_multiple": "get_secrets",
    "batch_get_secret_value": "get_secrets",
    "describe_secret": "get_secret_value, which has ARN, name, version id and staging labels",
    "get_cached_secret": "get_secret_value",
    "get_cached_secret_value": "get_secret_value",
    "refresh": "refresh_secret_now",
    "clear_cache": "invalidate",
    "put_secret_value": "a boto3 client: this cache reads only",
    "getSecretString": "get_secret_string",
    "getSecretBinary": "get_secret_binary",
    "getSecretField": "get_secret_field",
    "getSecretJson": "get_secret_json",
    "getSecretValue": "get_secret_value",
    "getSecrets": "get_secrets",
}
"""What each method of another library is called here."""

MODULE = {
    "get_secret": "SecretCache().get_secret_string",
    "get_secrets_by_name": "SecretCache().get_secrets",
    "SecretsProvider": "SecretCache",
    "SecretCacheConfig": "the keyword arguments of SecretCache, or import it from aws_secretsmanager_caching",
    "SecretCacheHook": "aws_secretsmanager_caching.cache.SecretCacheHook",
    "GetParameterError": "SecretCacheError",
}
"""What each importable name of another library is called here."""


def hint(name: str, table: dict[str, str], known: Iterable[str] = ()) -> str:
    """Return what to append to an error about `name`: a suggestion, or nothing if no name is similar."""
    found = table.get(name)
    if found is None:
        import difflib

        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
        names = {each for each in (*known, *table.values()) if each.isidentifier()}
        close = [snake] if snake in names else difflib.get_close_matches(snake, names, 1, 0.75)
        found = close[0] if close else None
    return "" if found is None else f"; did you mean {found}?"


def keyword_error(method: Any, error: Exception, keywords: Iterable[str]) -> Exception:
    """Return an error that explains an unknown keyword; return `error` itself if it has another cause."""
    known = method.__code__.co_varnames[: method.__code__.co_argcount + method.__code__.co_kwonlyargcount]
    unknown = [name for name in keywords if name not in known]
    if not unknown or not isinstance(error, TypeError):
        return error
    name = public_name(method.__name__)
    return TypeError(
        f"{name}() has no keyword argument {unknown[0]!r}{hint(unknown[0], KEYWORDS, set(known) - {'self'})}"
    )


def public_name(method: str) -> str:
    """Return the name that programs call a method by."""
    return method.replace("_read_", "get_secret_").replace("__init__", "SecretCache")


_IS_COROUTINE = 0x80
"""``inspect.CO_COROUTINE``."""


class _Renamed:
    """Stands in for another library's method: reading it raises `AttributeError`, which says what to write instead.

    A `__getattr__` on the class could do this, but then CPython takes its slow path to every method: a call of
    `get_secret_string` took 109 ns with it and takes 45 ns without.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> None:
        text = f"{owner.__name__!r} object has no attribute {self._name!r}{hint(self._name, METHODS)}"
        raise AttributeError(text)


def renamed(cls: _Class) -> _Class:
    """Make a class explain what other libraries' methods are called here."""
    for name in METHODS:
        setattr(cls, name, _Renamed(name))
    return cls


def explained(cls: _Class) -> _Class:
    """Make the public methods of a class explain keywords that they do not take."""
    for name, method in list(vars(cls).items()):
        if isinstance(method, type(explained)) and (name == "__init__" or not name.startswith("_")):
            setattr(cls, name, _explaining(method))
    return cls


def _explaining(method: Any) -> Any:
    is_constructor = method.__name__ == "__init__"

    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            failure = keyword_error(method, error, kwargs)
            if is_constructor:
                # Its arguments can be secret, and tools show local variables in tracebacks.
                forget_locals(error)
                kwargs.clear()
            if failure is error:
                raise
        raise failure

    async def checked_async(*args: Any, **kwargs: Any) -> Any:
        # Does not call `checked`, which would add a tenth of a microsecond to each read.
        try:
            running = method(*args, **kwargs)
        except TypeError as error:
            failure = keyword_error(method, error, kwargs)
        else:
            return await running
        raise failure

    is_async = method.__code__.co_flags & _IS_COROUTINE
    call: Any = checked_async if is_async else checked
    # What functools.wraps does; importing functools takes longer than a read is allowed to.
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        setattr(call, name, getattr(method, name))
    call.__wrapped__ = method
    return call
