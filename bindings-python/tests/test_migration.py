"""Migrating from AWS's library: tests that mock AWS, servers that patch sockets, processes that pickle."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import aws_secretsmanager_caching as dropin
from endpoint import Endpoint
from secretcache import AsyncSecretCache, SecretCache, errors
from support import Service
from trouble import run_script

CANARY = "canary-7f3d"


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> None:
    """Leave the choice of transport to the cache."""
    monkeypatch.delenv("SECRETCACHE_TRANSPORT")


@pytest.fixture
def secret_id(endpoint: Endpoint) -> str:
    """Make a secret with a value that is easy to find."""
    name = f"migration/{uuid.uuid4()}"
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=CANARY)
    return name


@pytest.mark.parametrize("cls", [SecretCache, dropin.SecretCache])
def test_a_test_that_mocks_aws_with_moto_goes_on_working(cls: type[Any], no_choice: None) -> None:
    moto = pytest.importorskip("moto")
    with moto.mock_aws():
        client = boto3.client("secretsmanager")
        client.create_secret(Name="mocked", SecretString="from moto")
        client.create_secret(Name="mocked/binary", SecretBinary=b"from moto")
        cache = cls()
        assert cache.get_secret_string("mocked") == "from moto"
        assert cache.get_secret_binary("mocked/binary") == b"from moto"
        client.put_secret_value(SecretId="mocked", SecretString="another")
        assert cache.refresh_secret_now("mocked")
        assert cache.get_secret_string("mocked") == "another"
        with pytest.raises(errors.SecretNotFoundError) as caught:
            cache.get_secret_string("missing")
        assert caught.value.secret_id == "missing" and isinstance(caught.value, ClientError)


@pytest.mark.parametrize(
    ("patch", "wish", "expected"),
    [
        ("", "", "native native native"),
        ("", "native", "native native native"),
        ("", "botocore", "botocore botocore botocore"),
        ("gevent", "", "botocore botocore botocore"),
        ("gevent", "native", "native native native"),
        ("moto", "", "botocore botocore botocore"),
        ("moto", "native", "native native native"),
    ],
)
def test_the_transport_is_the_one_that_works_there_or_is_asked_for(
    endpoint: Endpoint, patch: str, wish: str, expected: str
) -> None:
    pytest.importorskip(patch or "sys")
    arguments = [patch] if patch else []
    assert run_script("which_transport.py", *arguments, SECRETCACHE_TRANSPORT=wish) == expected


def test_a_process_that_eventlet_has_patched_gets_botocore(
    no_choice: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "moto"]:
        monkeypatch.delitem(sys.modules, name)
    assert not SecretCache()._uses_botocore
    patcher = types.SimpleNamespace(is_monkey_patched=lambda module: module == "socket")
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    assert SecretCache()._uses_botocore


@pytest.mark.parametrize("cls", [SecretCache, AsyncSecretCache, dropin.SecretCache])
def test_an_unknown_transport_is_refused_and_the_choices_named(
    cls: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", "carrier-pigeon")
    with pytest.raises(
        errors.ConfigurationError, match="SECRETCACHE_TRANSPORT.*carrier-pigeon.*native or botocore"
    ):
        cls()


def test_the_doctor_names_an_unknown_transport_and_the_choices() -> None:
    environment = {**os.environ, "SECRETCACHE_TRANSPORT": "carrier-pigeon"}
    command = [sys.executable, "-m", "secretcache", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "SECRETCACHE_TRANSPORT is 'carrier-pigeon'; it must be native or botocore" in done.stdout


@pytest.mark.parametrize("transport", ["native", "botocore"])
def test_either_transport_takes_the_same_options(
    endpoint: Endpoint, secret_id: str, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    cache = SecretCache(
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        aws_session_token="token",
        timeout=5,
        use_fips=False,
    )
    assert cache.get_secret_string(secret_id) == CANARY


SETTINGS = {"refresh_interval": 17.5, "max_size": 3, "max_wait": 1, "region_name": "us-east-1"}
COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy] + [
    lambda cache, protocol=protocol: pickle.loads(pickle.dumps(cache, protocol))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("cls", [SecretCache, AsyncSecretCache])
def test_copies_have_the_settings_and_fetch_for_themselves(
    endpoint: Endpoint, secret_id: str, cls: type[Any], copied: Any
) -> None:
    cache = cls(**SETTINGS)
    cache._get_value(secret_id)
    twin = copied(cache)
    assert type(twin) is cls and twin is not cache
    assert twin._recipe.keywords == cache._recipe.keywords
    assert twin.peek(secret_id) is None
    assert twin._get_value(secret_id).secret_string == CANARY
    assert endpoint.requests()["GetSecretValue"] == 2


def test_the_drop_in_copies_with_its_configuration(endpoint: Endpoint, secret_id: str) -> None:
    config = dropin.SecretCacheConfig(secret_refresh_interval=17.5, max_cache_size=3)
    cache = dropin.SecretCache(config)
    cache.get_secret_string(secret_id)
    for twin in (pickle.loads(pickle.dumps(cache)), copy.copy(cache), copy.deepcopy(cache)):
        assert (twin._config.secret_refresh_interval, twin._config.max_cache_size) == (17.5, 3)
        assert twin.peek(secret_id) is None
        assert twin.get_secret_string(secret_id) == CANARY


@pytest.mark.parametrize("cls", [SecretCache, AsyncSecretCache, dropin.SecretCache])
def test_a_pickle_holds_no_value(endpoint: Endpoint, secret_id: str, cls: type[Any]) -> None:
    cache = cls()
    cache._get_value(secret_id)
    assert cache.peek(secret_id) is not None
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert CANARY.encode() not in pickle.dumps(cache, protocol)


@pytest.mark.parametrize("cls", [SecretCache, AsyncSecretCache, dropin.SecretCache])
def test_a_client_that_cannot_be_pickled_is_named(endpoint: Endpoint, cls: type[Any]) -> None:
    cache = cls(client=boto3.client("secretsmanager"))
    with pytest.raises(TypeError, match="client of type SecretsManager.*cannot be pickled.*in each process"):
        pickle.dumps(cache)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("cls", [SecretCache, dropin.SecretCache])
def test_a_copy_shares_the_client(service: Service, cls: type[Any], copied: Any) -> None:
    cache = cls(client=service)
    assert cache.get_secret_string("db") == "value-1"
    twin = copied(cache)
    assert twin._given_client is service
    assert twin.get_secret_string("db") == "value-1"


def test_p9_a_client_is_there_for_those_who_look() -> None:
    cache = dropin.SecretCache()
    assert "secretcache/" in cache._client.meta.config.user_agent
    assert cache._client is cache._client


def test_p9_the_next_refresh_time_stands_still(service: Service) -> None:
    cache = dropin.SecretCache(client=service)
    secret = cache._get_cached_secret("db")
    assert secret._next_refresh_time == secret._next_refresh_time
    cache.get_secret_string("db")
    assert secret._next_refresh_time == cache._get_cached_secret("db")._next_refresh_time
