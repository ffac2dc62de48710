"""What a program's cache hook relies on. Runs against AWS's library as well."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
from aws_secretsmanager_caching.cache.secret_cache_hook import SecretCacheHook
from support import DESCRIBE, GET, Service, service_error


class Recorder(SecretCacheHook):
    """Wraps stored responses, and records everything it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.put_objects: list[Any] = []
        self.boxes: list[list[Any]] = []
        self.got: list[Any] = []
        self.failures: dict[str, Exception] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Recorder:
        """Return the same object, because AWS's library copies hooks."""
        return self

    def put(self, obj: Any) -> Any:
        if failure := self.failures.get("put"):
            raise failure
        self.put_objects.append(obj)
        self.boxes.append([obj])
        return self.boxes[-1]

    def get(self, cached_obj: Any) -> Any:
        if failure := self.failures.get("get"):
            raise failure
        self.got.append(cached_obj)
        return cached_obj[0]


def cache_with(hook: object, service: Service, **options: Any) -> SecretCache:
    return SecretCache(SecretCacheConfig(secret_cache_hook=hook, **options), service)


def test_both_responses_pass_through_put(service: Service) -> None:
    hook = Recorder()
    assert cache_with(hook, service).get_secret_string("db") == "value-1"
    described, value = hook.put_objects
    assert described["VersionIdsToStages"] == {"v1": ["AWSCURRENT"]}
    assert described["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert (value["SecretString"], value["VersionId"]) == ("value-1", "v1")


def test_get_is_asked_on_every_read_with_what_put_returned(service: Service) -> None:
    hook = Recorder()
    cache = cache_with(hook, service)
    for reads in range(1, 4):
        cache.get_secret_string("db")
        assert len(hook.boxes) == 2
        assert len(hook.got) == 2 * reads
        assert all(a is b for a, b in zip(hook.got[-2:], hook.boxes, strict=True))


def test_a_fetched_version_is_put_once_and_descriptions_each_time(service: Service) -> None:
    hook = Recorder()
    cache = cache_with(hook, service, secret_refresh_interval=0)
    cache.get_secret_string("db")
    cache.get_secret_string("db")
    assert ["VersionIdsToStages" in obj for obj in hook.put_objects] == [True, False, True]


def test_a_forced_refresh_passes_through_put(service: Service) -> None:
    hook = Recorder()
    cache = cache_with(hook, service)
    cache.get_secret_string("db")
    service.put("db", "v2", "value-2")
    assert cache.refresh_secret_now("db") is True
    assert cache.get_secret_string("db") == "value-2"
    assert hook.put_objects[-1]["SecretString"] == "value-2"


class Numbered(Recorder):
    """Stores plain numbers, starting with 0."""

    def put(self, obj: Any) -> Any:
        super().put(obj)
        return len(self.boxes) - 1

    def get(self, cached_obj: Any) -> Any:
        assert cached_obj in (0, 1)
        return self.boxes[cached_obj][0]


def test_anything_may_be_stored_falsy_objects_too(service: Service) -> None:
    cache = cache_with(Numbered(), service)
    assert [cache.get_secret_string("db") for _ in range(3)] == ["value-1"] * 3
    assert service.names() == [DESCRIBE, GET]


class Encoding:
    """A hook without a base class that stores encoded bytes in place of the response."""

    def put(self, obj: Any) -> bytes:
        return base64.b85encode(json.dumps(obj).encode())

    def get(self, cached_obj: bytes) -> Any:
        return json.loads(base64.b85decode(cached_obj))


def test_any_object_with_the_two_methods_is_a_hook(service: Service) -> None:
    cache = cache_with(Encoding(), service)
    assert [cache.get_secret_string("db") for _ in range(3)] == ["value-1"] * 3


class Masking(Recorder):
    """Changes responses in place when they are stored, and returns other ones."""

    def put(self, obj: Any) -> Any:
        if "SecretString" in obj:
            obj["SecretString"] = obj["SecretString"].upper()
        return super().put(obj)

    def get(self, cached_obj: Any) -> Any:
        value = super().get(cached_obj)
        return {**value, "SecretString": value["SecretString"] + "!"} if "SecretString" in value else value


def test_a_hook_may_change_what_is_stored_and_what_is_read(service: Service) -> None:
    cache = cache_with(Masking(), service)
    assert [cache.get_secret_string("db") for _ in range(2)] == ["VALUE-1!"] * 2


def test_get_decides_which_version_is_read(service: Service) -> None:
    service.put("db", "v2", "value-2")

    class Pinned(Recorder):
        def get(self, cached_obj: Any) -> Any:
            value = super().get(cached_obj)
            pinned = {"VersionIdsToStages": {"v1": ["AWSCURRENT"]}}
            return {**value, **pinned} if "VersionIdsToStages" in value else value

    assert cache_with(Pinned(), service).get_secret_string("db") == "value-1"


def test_what_a_caller_does_to_a_value_never_reaches_the_hook(service: Service) -> None:
    hook = Recorder()
    cache = cache_with(hook, service)
    cache._get_cached_secret("db").get_secret_value()["SecretString"] = "changed"
    assert hook.boxes[1][0]["SecretString"] == "value-1"
    assert cache.get_secret_string("db") == "value-1"


def test_a_failing_put_is_a_failed_refresh(service: Service) -> None:
    hook = Recorder()
    cache = cache_with(hook, service, secret_refresh_interval=0)
    cache.get_secret_string("db")
    hook.failures["put"] = OSError("no space")
    assert cache.get_secret_string("db") == "value-1"
    assert cache.refresh_secret_now("db") is False


def test_a_failing_get_reaches_the_reader(service: Service) -> None:
    hook = Recorder()
    cache = cache_with(hook, service)
    cache.get_secret_string("db")
    hook.failures["get"] = LookupError("key is gone")
    with pytest.raises(LookupError, match="key is gone"):
        cache.get_secret_string("db")
    hook.failures.clear()
    assert cache.get_secret_string("db") == "value-1"


@pytest.mark.ours_only("P7: the hook called is a copy of the one given")
def test_the_hook_given_is_the_hook_called(service: Service) -> None:
    class Counting(Encoding):
        puts = 0

        def put(self, obj: Any) -> bytes:
            self.puts += 1
            return super().put(obj)

    hook = Counting()
    cache_with(hook, service).get_secret_string("db")
    assert hook.puts == 2


@pytest.mark.ours_only("P8: get(None) is called when nothing is stored; its error hides the service's")
def test_get_is_never_asked_for_what_was_never_put(service: Service) -> None:
    service.failures[DESCRIBE] = service_error("AccessDeniedException")
    hook = Recorder()
    with pytest.raises(Exception, match="AccessDeniedException"):
        cache_with(hook, service).get_secret_string("db")
    assert hook.got == []


@pytest.mark.ours_only("P22: a hook without its methods answers None for every secret")
def test_a_hook_without_its_methods_cannot_be_made() -> None:
    class OnlyPut(SecretCacheHook):
        def put(self, obj: Any) -> Any:
            return obj

    with pytest.raises(TypeError):
        OnlyPut()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="put.*get"):
        SecretCacheConfig(secret_cache_hook=object())  # type: ignore[arg-type]
