"""The package `secretcache`: what it offers beyond the drop-in, mostly against a real endpoint."""

from __future__ import annotations

import asyncio
import datetime
import gc
import json
import pickle
import resource
import time
import uuid
import weakref
from typing import Any

import boto3
import botocore.exceptions
import pytest

import aws_secretsmanager_caching as dropin
import secretcache
from endpoint import Endpoint
from recorder import VERSION, Recorder
from secretcache import AsyncSecretCache, SecretCache, errors
from support import DESCRIBE, Service, at_once, eventually, service_error


@pytest.fixture
def asm(endpoint: Endpoint) -> Any:
    """Provide a boto3 client of the endpoint, to set things up with."""
    return boto3.client("secretsmanager")


def test_a_secret_in_every_form(asm: Any) -> None:
    created = asm.create_secret(Name="idiomatic/json", SecretString='{"user": "app", "port": 5432}')
    with SecretCache() as cache:
        assert cache.get_secret_string("idiomatic/json") == '{"user": "app", "port": 5432}'
        assert cache.get_secret_json("idiomatic/json") == {"user": "app", "port": 5432}
        assert cache.get_secret_field("idiomatic/json", "port") == 5432
        value = cache.get_secret_value("idiomatic/json")
    assert (value.arn, value.name) == (created["ARN"], "idiomatic/json")
    assert (value.version_id, list(value.version_stages)) == (created["VersionId"], ["AWSCURRENT"])
    assert value.secret_string == '{"user": "app", "port": 5432}'
    assert value.secret_binary is None
    assert abs(datetime.datetime.now(datetime.timezone.utc) - value.created_date).total_seconds() < 60


def test_a_hit_is_the_same_object(asm: Any) -> None:
    asm.create_secret(Name="idiomatic/same", SecretString="a value that is not interned")
    cache = SecretCache()
    first = cache.get_secret_string("idiomatic/same")
    assert cache.get_secret_string("idiomatic/same") is first
    assert cache.get_secret_string("".join(["idiomatic", "/same"])) is first


def test_by_stage_and_by_version_id(asm: Any) -> None:
    first = asm.create_secret(Name="idiomatic/versions", SecretString="one")["VersionId"]
    asm.put_secret_value(SecretId="idiomatic/versions", SecretString="two")
    cache = SecretCache()
    assert cache.get_secret_string("idiomatic/versions") == "two"
    assert cache.get_secret_string("idiomatic/versions", "AWSPREVIOUS") == "one"
    assert cache.get_secret_string("idiomatic/versions", version_id=first) == "one"
    with pytest.raises(errors.VersionNotFoundError):
        cache.get_secret_string("idiomatic/versions", "NO-SUCH-STAGE")
    with pytest.raises(ValueError, match="version_stage and version_id"):
        cache.get_secret_string("idiomatic/versions", "AWSCURRENT", version_id=first)


def test_name_and_arn_share_one_entry(endpoint: Endpoint, asm: Any) -> None:
    arn = asm.create_secret(Name="idiomatic/alias", SecretString="value")["ARN"]
    cache = SecretCache()
    assert cache.get_secret_string("idiomatic/alias") == "value"
    assert cache.get_secret_string(arn) == "value"
    assert endpoint.requests()["GetSecretValue"] <= 2
    before = endpoint.requests()
    assert {cache.get_secret_string(secret_id) for secret_id in (arn, "idiomatic/alias")} == {"value"}
    assert endpoint.requests() == before


def test_peek_never_asks(endpoint: Endpoint, asm: Any) -> None:
    asm.create_secret(Name="idiomatic/peek", SecretString="value")
    cache = SecretCache()
    before = endpoint.requests()
    assert cache.peek("idiomatic/peek") is None
    assert endpoint.requests() == before
    cache.get_secret_string("idiomatic/peek")
    seen = cache.peek("idiomatic/peek")
    assert seen is not None
    assert seen.secret_string == "value"


def test_nothing_asks_twice_what_is_cached(endpoint: Endpoint, asm: Any) -> None:
    asm.create_secret(Name="idiomatic/once", SecretString="value")
    cache = SecretCache()
    before = endpoint.requests()
    assert set(at_once(50, lambda: cache.get_secret_string("idiomatic/once"))) == {"value"}
    assert endpoint.requests() - before == {"GetSecretValue": 1}
    stats = cache.stats()
    assert stats["api_calls"] == {"GetSecretValue": 1}
    assert stats["hits"] + stats["misses_absent"] + stats["coalesced"] >= 50


def test_a_secret_may_have_an_interval_of_its_own(asm: Any) -> None:
    for name in ("idiomatic/quick", "idiomatic/slow"):
        asm.create_secret(Name=name, SecretString="one")
    cache = SecretCache(refresh_interval=600, refresh_intervals={"idiomatic/quick": 1})
    assert [cache.get_secret_string(f"idiomatic/{name}") for name in ("quick", "slow")] == ["one", "one"]
    for name in ("idiomatic/quick", "idiomatic/slow"):
        asm.put_secret_value(SecretId=name, SecretString="two")
    eventually(lambda: cache.get_secret_string("idiomatic/quick"), "two")
    assert cache.get_secret_string("idiomatic/slow") == "one"


def test_events_report_new_versions_and_errors(asm: Any) -> None:
    first = asm.create_secret(Name="idiomatic/events", SecretString="one")["VersionId"]
    seen: list[Any] = []
    failed: list[Any] = []
    with SecretCache(refresh_interval=1) as cache:
        cache.on_new_version(seen.append)
        cache.on_error(failed.append)
        cache.get_secret_string("idiomatic/events")
        second = asm.put_secret_value(SecretId="idiomatic/events", SecretString="two")["VersionId"]
        eventually(lambda: bool(cache.get_secret_string("idiomatic/events") and seen), True)
        assert cache.refresh_secret_now("idiomatic/missing") is False
        eventually(lambda: bool(failed), True)
    assert first != second
    assert second in repr(seen[-1])
    assert "idiomatic/missing" in repr(failed[-1])
    assert not [event for event in (*seen, *failed) if "two" in repr(event)]


@pytest.mark.parametrize("own_client", [False, True])
def test_a_watched_secret_is_kept_fresh_without_being_read(asm: Any, own_client: bool) -> None:
    name = f"idiomatic/watched/{own_client}"
    asm.create_secret(Name=name, SecretString="one")
    events: list[secretcache.NewVersion] = []
    with SecretCache(client=asm if own_client else None, refresh_interval=0.2) as cache:
        cache.on_new_version(events.append)
        cache.get_secret_string(name)
        # It is not read again, so refreshes end after the first.
        eventually(lambda: cache.stats()["secrets"][0]["age_seconds"] > 0.5, True)
        with cache.watch(name) as watch:
            assert (watch.secret_id, repr(watch)) == (name, f'<secretcache.Watch of "{name}">')
            version = asm.put_secret_value(SecretId=name, SecretString="two")["VersionId"]
            eventually(lambda: [event.new_version_id for event in events], [version])
        watch.close()
        eventually(lambda: cache.stats()["secrets"][0]["age_seconds"] > 0.5, True)


def test_a_forced_refresh(asm: Any) -> None:
    asm.create_secret(Name="idiomatic/forced", SecretString="one")
    cache = SecretCache()
    assert cache.get_secret_string("idiomatic/forced") == "one"
    asm.put_secret_value(SecretId="idiomatic/forced", SecretString="two")
    assert cache.refresh_secret_now("idiomatic/forced") is True
    assert cache.get_secret_string("idiomatic/forced") == "two"


def test_a_client_of_the_programs_own(service: Service) -> None:
    cache = SecretCache(client=service, refresh_interval=0)
    assert cache.get_secret_string("db") == "value-1"
    service.put("db", "v2", "value-2")
    assert cache.get_secret_string("db") == "value-2"
    with pytest.raises(TypeError, match="region_name"):
        SecretCache(client=service, region_name="us-east-1")


def test_max_stale_bounds_what_is_served(service: Service) -> None:
    cache = SecretCache(client=service, refresh_interval=0, max_stale=0.5)
    assert cache.get_secret_string("db") == "value-1"
    service.failures[DESCRIBE] = service_error("InternalServiceError")
    assert cache.get_secret_string("db") == "value-1"
    time.sleep(0.7)
    with pytest.raises(botocore.exceptions.ClientError, match="InternalServiceError"):
        cache.get_secret_string("db")


def test_a_slow_service_holds_a_reader_no_longer_than_max_wait(service: Service) -> None:
    cache = SecretCache(client=service, refresh_interval=0.1, max_wait=0.3)
    assert cache.get_secret_string("db") == "value-1"
    time.sleep(0.3)
    service.delays[DESCRIBE] = 5.0
    start = time.monotonic()
    assert cache.get_secret_string("db") == "value-1"
    assert time.monotonic() - start < 4


class BadInput:
    """Each kind of mistake, and the error message for it."""

    SETTINGS = (
        ({"refresh_interval": -1}, ValueError, "refresh_interval"),
        ({"refresh_interval": float("nan")}, ValueError, "refresh_interval"),
        ({"refresh_interval": "300"}, TypeError, "refresh_interval"),
        ({"max_wait": -1}, ValueError, "max_wait"),
        ({"max_stale": datetime.timedelta(seconds=-1)}, ValueError, "max_stale"),
        ({"max_size": 0}, ValueError, "max_size"),
        ({"max_size": 1.5}, TypeError, "max_size"),
        ({"endpoint_url": "not a url"}, ValueError, "endpoint"),
        ({"region": "us-east-1"}, TypeError, "region"),
    )
    IDS = (
        ("", ValueError, "secret_id|secret id"),
        ("x" * 2049, ValueError, "2048"),
        (None, TypeError, "secret_id"),
        (b"db", TypeError, "secret_id"),
        (["db"], TypeError, "secret_id|unhashable"),
    )


@pytest.mark.parametrize(("settings", "error", "text"), BadInput.SETTINGS)
def test_bad_settings_are_refused_at_construction(settings: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        SecretCache(**settings)


@pytest.mark.parametrize(("secret_id", "error", "text"), BadInput.IDS)
def test_bad_ids_are_refused_before_any_call(
    service: Service, secret_id: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        SecretCache(client=service).get_secret_string(secret_id)
    assert service.calls == []


def test_what_the_secret_does_not_hold_is_named_without_its_value(asm: Any) -> None:
    asm.create_secret(Name="idiomatic/text", SecretString="canary, no JSON")
    asm.create_secret(Name="idiomatic/list", SecretString='["canary"]')
    asm.create_secret(Name="idiomatic/object", SecretString='{"user": "canary"}')
    asm.create_secret(Name="idiomatic/binary", SecretBinary=b"canary")
    cache = SecretCache()
    cases = [
        (errors.NotJsonError, lambda: cache.get_secret_json("idiomatic/text")),
        (errors.NotJsonError, lambda: cache.get_secret_field("idiomatic/list", "user")),
        (errors.FieldNotFoundError, lambda: cache.get_secret_field("idiomatic/object", "password")),
        (errors.WrongTypeError, lambda: cache.get_secret_string("idiomatic/binary")),
        (errors.WrongTypeError, lambda: cache.get_secret_binary("idiomatic/text")),
    ]
    for kind, read in cases:
        with pytest.raises(kind, match="idiomatic/") as caught:
            read()
        assert "canary" not in str(caught.value) + repr(caught.value)
        assert caught.value.__context__ is None


def test_nothing_shows_a_value(asm: Any) -> None:
    asm.create_secret(Name="idiomatic/canary", SecretString="canary")
    cache = SecretCache()
    value = cache.get_secret_value("idiomatic/canary")
    shown = (repr(cache), repr(value), str(value), repr(cache.stats()), repr(vars(cache)))
    assert not [text for text in shown if "'canary'" in text or '"canary"' in text]
    with pytest.raises(TypeError):
        pickle.dumps(value)


def test_errors_are_both_ours_and_botocores(endpoint: Endpoint) -> None:
    with pytest.raises(errors.SecretNotFoundError) as caught:
        SecretCache().get_secret_string("idiomatic/missing")
    assert isinstance(caught.value, botocore.exceptions.ClientError)
    assert isinstance(caught.value, secretcache.SecretCacheError)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_closed_cache_says_so(asm: Any) -> None:
    asm.create_secret(Name="idiomatic/closed", SecretString="value")
    with SecretCache() as cache:
        cache.get_secret_string("idiomatic/closed")
    with pytest.raises(errors.CacheClosedError):
        cache.get_secret_string("idiomatic/closed")
    cache.close()


@pytest.mark.parametrize("own_client", [True, False])
def test_a_cache_nobody_holds_is_collected(asm: Any, own_client: bool) -> None:
    asm.create_secret(Name=f"idiomatic/collected-{own_client}", SecretString="value")
    cache = SecretCache(client=asm if own_client else None, refresh_interval=1)
    assert cache.get_secret_string(f"idiomatic/collected-{own_client}") == "value"
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    eventually(gone, None)


def test_every_value_is_asked_for_by_label_or_version_id() -> None:
    # A policy with a condition on secretsmanager:VersionStage denies a request that leaves it out.
    with Recorder() as recorder, SecretCache(endpoint_url=recorder.url) as cache:
        cache.get_secret_string("db")
        cache.get_secret_string("db", "AWSPENDING")
        cache.get_secret_string("db", version_id=VERSION)
        assert recorder.requests == [
            ("GetSecretValue", {"SecretId": "db", "VersionStage": "AWSCURRENT"}),
            ("GetSecretValue", {"SecretId": "db", "VersionStage": "AWSPENDING"}),
            ("GetSecretValue", {"SecretId": "db", "VersionId": VERSION}),
        ]


@pytest.mark.parametrize("transport", ["native", "client"])
def test_p5_ids_built_for_each_call_leave_nothing_behind(
    endpoint: Endpoint, service: Service, transport: str
) -> None:
    boto3.client("secretsmanager").create_secret(Name=f"api{uuid.uuid4()}", SecretString="one")
    service.put("api", "v1", '{"key": "one"}')
    if transport == "native":
        boto3.client("secretsmanager").create_secret(Name="api", SecretString='{"key": "one"}')
    cache = SecretCache() if transport == "native" else SecretCache(client=service)
    parts = ["a", "pi"]

    def read(times: int) -> None:
        for _ in range(times):
            cache.get_secret_string("".join(parts))
            cache.get_secret_field("".join(parts), "key")

    read(20_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read(200_000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 1000, f"memory grew by {grown} KiB"


def test_several_secrets_come_in_one_call(endpoint: Endpoint) -> None:
    names = [f"batch/{uuid.uuid4()}" for _ in range(5)]
    client = boto3.client("secretsmanager")
    for name in names:
        client.create_secret(Name=name, SecretString=name.upper())
    endpoint.forget_requests()
    with SecretCache() as cache:
        assert cache.get_secrets(names) == {name: name.upper() for name in names}
        assert cache.stats()["api_calls"] == {"BatchGetSecretValue": 1}

    async def read() -> dict[str, str]:
        async with AsyncSecretCache() as cache:
            return await cache.get_secrets(names)

    assert asyncio.run(read()) == {name: name.upper() for name in names}


def test_a_session_and_a_config_make_the_client(endpoint: Endpoint) -> None:
    from botocore.config import Config
    from botocore.session import get_session

    name = f"session/{uuid.uuid4()}"
    boto3.client("secretsmanager").create_secret(Name=name, SecretString="one")
    for session in (boto3.Session(), get_session()):
        cache = SecretCache(session=session, config=Config(connect_timeout=3))
        assert cache.get_secret_string(name) == "one"
        assert cache._driver._reach.get().meta.config.connect_timeout == 3
    with pytest.raises(TypeError, match="cannot be combined with client"):
        SecretCache(client=cache._driver._reach.get(), session=boto3.Session())


def test_a_field_is_parsed_once_and_the_callers_own(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.put("api", "v1", '{"username": "app", "password": "one", "port": 5432, "tags": ["a"]}')
    cache = SecretCache(client=service)
    assert cache.get_secret_field("api", "password") == "one"
    tags = cache.get_secret_field("api", "tags")
    tags.append("mine")
    monkeypatch.setattr(json, "loads", None)
    assert cache.get_secret_field("api", "tags") == ["a"]
    assert (cache.get_secret_field("api", "port"), cache.get_secret_field("api", field="username")) == (
        5432,
        "app",
    )
    monkeypatch.undo()
    service.put("api", "v2", '{"password": "two"}')
    cache.refresh_secret_now("api")
    assert cache.get_secret_field("api", "password") == "two"
    with pytest.raises(errors.FieldNotFoundError):
        cache.get_secret_field("api", "port")


def test_the_two_kinds_of_cache_are_siblings() -> None:
    assert not issubclass(AsyncSecretCache, SecretCache)
    assert not issubclass(dropin.SecretCache, SecretCache)
