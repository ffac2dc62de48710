"""Decorators that hand a function its secret on every call (secretcache's drop-in for AWS's caching library)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction, unwrap
from typing import Any, Protocol, TypeVar, overload

Result = TypeVar("Result")
CallArguments = tuple[tuple[Any, ...], dict[str, Any]]


class StringCache(Protocol):
    """What a decorator needs of a cache."""

    def get_secret_string(self, secret_id: str) -> str | None:
        """Return the secret's string, or None when it has none."""


class InjectSecretString:
    """Inserts the secret's string as the first argument, after ``self`` or ``cls`` of a method.

    The secret is read on every call, so the function always has the current one. A coroutine function stays
    one, and its event loop is not kept waiting (asyncio only).

    >>> @InjectSecretString("prod/api-key", cache)  # doctest: +SKIP
    ... def call_api(api_key, path): ...
    >>> call_api("/orders")  # doctest: +SKIP
    """

    def __init__(self, secret_id: str, cache: StringCache) -> None:
        self.cache = cache
        self.secret_id = secret_id

    def __call__(self, func: Callable[..., Result]) -> Callable[..., Result]:
        """Return `func` with the secret's string (None for a binary secret) passed to it."""

        def arguments(secret: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallArguments:
            split = 1 if args and _is_receiver(args[0], func) else 0
            return (*args[:split], secret, *args[split:]), kwargs

        return _wrap(self, func, arguments)


class InjectKeywordedSecretString:
    """Passes values of a JSON secret as keyword arguments.

    ``name="key"`` gives the argument `name` the value of "key". An argument that the caller passes by keyword
    itself is left to the caller.

    >>> @InjectKeywordedSecretString("prod/checkout/db", cache, user="username")  # doctest: +SKIP
    ... def connect(host, user): ...
    >>> connect("localhost")  # doctest: +SKIP
    """

    @overload
    def __init__(self, secret_id: str, cache: StringCache, /, **kwargs: str) -> None: ...
    @overload
    def __init__(self, /, secret_id: str, *, cache: StringCache, **kwargs: str) -> None: ...
    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        # What is given by position leaves its name free for an argument to inject.
        names = ("secret_id", "cache")
        if len(args) > 2 or any(name not in kwargs for name in names[len(args) :]):
            raise TypeError("InjectKeywordedSecretString takes secret_id, cache and arguments to inject")
        self.secret_id, self.cache = (*args, *(kwargs.pop(name) for name in names[len(args) :]))
        self.kwarg_map: dict[str, str] = kwargs

    def __call__(self, func: Callable[..., Result]) -> Callable[..., Result]:
        """Return `func` with the values passed to it.

        Calling it raises `RuntimeError` when the secret is no JSON object or lacks a key.
        """

        def arguments(secret: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallArguments:
            fields = _json_object(secret)
            for name, key in self.kwarg_map.items():
                if name not in kwargs:
                    if key not in fields:
                        raise RuntimeError(f"Cached secret does not contain key {key}")
                    kwargs[name] = fields[key]
            return args, kwargs

        return _wrap(self, func, arguments)


def _wrap(decorator: Any, func: Any, arguments: Callable[..., CallArguments]) -> Callable[..., Any]:
    """Return `func` called with `arguments(secret, args, kwargs)`, the secret read anew for every call."""
    if isinstance(func, (classmethod, staticmethod)):
        return type(func)(decorator(func.__func__))  # type: ignore[return-value]

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        secret = decorator.cache.get_secret_string(secret_id=decorator.secret_id)
        args, kwargs = arguments(secret, args, kwargs)
        return func(*args, **kwargs)

    @wraps(func)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        from asyncio import to_thread

        secret = await to_thread(decorator.cache.get_secret_string, secret_id=decorator.secret_id)
        args, kwargs = arguments(secret, args, kwargs)
        return await func(*args, **kwargs)

    return call_async if iscoroutinefunction(func) else call


def _is_receiver(first: Any, func: Any) -> bool:
    """Tell whether `first` is the instance or class that the method `func` was called on.

    It is when a class of `first` holds `func` itself, under its own or its mangled name: by the qualified
    name it was defined with, or beneath further decorators. Sharing a method's name is not enough.
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


def _json_object(secret: str | None) -> dict[str, Any]:
    """Parse a JSON object. No error raised here refers to the secret's text."""
    if secret is None:
        raise RuntimeError("Cached secret has no string value, so it cannot be read as JSON")
    # A JSONDecodeError carries the text, and so would, as its context, an error raised while it is handled.
    problem = "Cached secret is not a JSON object"
    fields: Any = None
    try:
        fields = json.loads(secret)
    except ValueError:
        problem = "Cached secret is not valid JSON"
    if not isinstance(fields, dict):
        raise RuntimeError(problem)
    return fields
