"""Decorators that pass a secret to a function on every call.

No local variable here holds a secret, because tools show local variables in the tracebacks of what the function raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial, wraps
from inspect import iscoroutinefunction, unwrap
from typing import Any, Protocol, TypeVar, overload

Result = TypeVar("Result")
CallArguments = tuple[tuple[Any, ...], dict[str, Any]]


class StringCache(Protocol):
    """The part of a cache that a decorator needs."""

    def get_secret_string(self, secret_id: str) -> str | None:
        """Return the secret's string, or None if it has none."""


class InjectSecretString:
    """Inserts the secret's string as the first argument, after ``self`` or ``cls`` of a method.

    The secret is read on every call, so the function always gets the current value. A coroutine function stays a
    coroutine function, and the read does not block its event loop (asyncio only).

    >>> @InjectSecretString("prod/api-key", cache)  # doctest: +SKIP
    ... def call_api(api_key, path): ...
    >>> call_api("/orders")  # doctest: +SKIP
    """

    def __init__(self, secret_id: str, cache: StringCache) -> None:
        self.cache = cache
        self.secret_id = secret_id

    def __call__(self, func: Callable[..., Result]) -> Callable[..., Result]:
        """Return `func` with the secret's string (None for a binary secret) passed to it."""

        def arguments(
            get: Callable[[], str | None], args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> CallArguments:
            split = 1 if args and _is_receiver(args[0], func) else 0
            return (*args[:split], get(), *args[split:]), kwargs

        return _wrap(self, func, arguments)


class InjectKeywordedSecretString:
    """Passes values of a JSON secret as keyword arguments.

    ``name="key"`` passes the value of "key" as the argument `name`. If the caller passes that argument by keyword, the
    caller's value is used.

    >>> @InjectKeywordedSecretString("prod/checkout/db", cache, user="username")  # doctest: +SKIP
    ... def connect(host, user): ...
    >>> connect("localhost")  # doctest: +SKIP
    """

    @overload
    def __init__(self, secret_id: str, cache: StringCache, /, **kwargs: str) -> None: ...
    @overload
    def __init__(self, /, secret_id: str, *, cache: StringCache, **kwargs: str) -> None: ...
    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        # Passing these two by position leaves their names free for arguments to inject.
        names = ("secret_id", "cache")
        if len(args) > 2 or any(name not in kwargs for name in names[len(args) :]):
            raise TypeError("InjectKeywordedSecretString takes secret_id, cache and arguments to inject")
        self.secret_id, self.cache = (*args, *(kwargs.pop(name) for name in names[len(args) :]))
        self.kwarg_map: dict[str, str] = kwargs

    def __call__(self, func: Callable[..., Result]) -> Callable[..., Result]:
        """Return `func` with the values passed to it.

        Calling it raises `RuntimeError` if the secret is not a JSON object or lacks a key.
        """

        def arguments(
            get: Callable[[], str | None], args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> CallArguments:
            injected, problem = _picked(
                get(), {n: key for n, key in self.kwarg_map.items() if n not in kwargs}
            )
            if problem is not None:
                raise RuntimeError(problem)
            return args, kwargs | injected

        return _wrap(self, func, arguments)


def _wrap(decorator: Any, func: Any, arguments: Callable[..., CallArguments]) -> Callable[..., Any]:
    """Wrap `func` to be called with what `arguments(get, args, kwargs)` returns; `get` reads the secret."""
    if isinstance(func, (classmethod, staticmethod)):
        return type(func)(decorator(func.__func__))  # type: ignore[return-value]

    def read() -> str | None:
        return decorator.cache.get_secret_string(secret_id=decorator.secret_id)

    def bound(get: Callable[[], str | None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return partial(func, *(made := arguments(get, args, kwargs))[0], **made[1])

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        return bound(read, args, kwargs)()

    @wraps(func)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        from ._aio import in_thread

        return await (await in_thread(bound, read, args, kwargs))()

    return call_async if iscoroutinefunction(func) else call


def _is_receiver(first: Any, func: Any) -> bool:
    """Return whether `first` is the instance or class that the method `func` was called on.

    It is if a class of `first` has `func` itself as an attribute, under its plain or its mangled name: `func` was
    defined in that class, or the attribute wraps `func` in further decorators. The same name alone is not enough.
    """
    name = getattr(func, "__name__", None)
    if name is None:
        return False
    for cls in (*type(first).__mro__, *(first.__mro__ if isinstance(first, type) else ())):
        held = vars(cls).get(name, vars(cls).get(f"_{cls.__name__.lstrip('_')}{name}"))
        defined_here = (func.__module__, func.__qualname__) == (cls.__module__, f"{cls.__qualname__}.{name}")
        if held is not None and (defined_here or unwrap(getattr(held, "__func__", held)) is unwrap(func)):
            return not isinstance(held, staticmethod)
    return False


def _picked(secret: str | None, keys: dict[str, str]) -> tuple[dict[str, Any], str | None]:
    """Return the arguments to inject from a JSON object, and what is wrong, if anything. Never raises."""
    if secret is None:
        return {}, "Cached secret has no string value, so it cannot be read as JSON"
    try:
        fields = json.loads(secret)
    except ValueError:
        return {}, "Cached secret is not valid JSON"
    if not isinstance(fields, dict):
        return {}, "Cached secret is not a JSON object"
    for key in keys.values():
        if key not in fields:
            return {}, f"Cached secret does not contain key {key}"
    return {name: fields[key] for name, key in keys.items()}, None
