"""A cache without a client, against a real endpoint. Runs against AWS's library as well."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import boto3
import botocore.exceptions
import pytest
from conftest import OFFICIAL

from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
from endpoint import Endpoint
from support import at_once, eventually


@pytest.fixture
def asm(endpoint: Endpoint) -> Any:
    """Provide a boto3 client of the endpoint, to set things up with."""
    return boto3.client("secretsmanager")


def calls(endpoint: Endpoint) -> dict[str, int]:
    """Count the calls that caches make."""
    return {
        name: n for name, n in endpoint.requests().items() if name in ("DescribeSecret", "GetSecretValue")
    }


def test_a_first_read_and_many_more(endpoint: Endpoint, asm: Any) -> None:
    asm.create_secret(Name="native/first", SecretString="value")
    cache = SecretCache()
    assert {cache.get_secret_string("native/first") for _ in range(1000)} == {"value"}
    assert sum(calls(endpoint).values()) <= 2


@pytest.mark.ours_only("P19: needs the permission to describe, and two calls for a first read")
def test_a_first_read_is_one_call(endpoint: Endpoint, asm: Any) -> None:
    asm.create_secret(Name="native/one-call", SecretString="value")
    assert SecretCache().get_secret_string("native/one-call") == "value"
    assert calls(endpoint) == {"GetSecretValue": 1}


def test_concurrent_first_reads_make_no_more_calls(endpoint: Endpoint, asm: Any) -> None:
    asm.create_secret(Name="native/crowd", SecretString="value")
    cache = SecretCache()
    assert set(at_once(20, lambda: cache.get_secret_string("native/crowd"))) == {"value"}
    assert calls(endpoint)["GetSecretValue"] == 1


def test_binary_secrets_are_bytes(asm: Any) -> None:
    asm.create_secret(Name="native/binary", SecretBinary=b"\x00\xff\n")
    cache = SecretCache()
    assert cache.get_secret_binary("native/binary") == b"\x00\xff\n"
    assert cache.get_secret_string("native/binary") is None


def test_stages(asm: Any) -> None:
    asm.create_secret(Name="native/stages", SecretString="one")
    asm.put_secret_value(SecretId="native/stages", SecretString="two")
    cache = SecretCache()
    assert cache.get_secret_string("native/stages") == "two"
    assert cache.get_secret_string("native/stages", "AWSPREVIOUS") == "one"
    assert cache.get_secret_string("native/stages", "NO-SUCH-STAGE") is None


def test_a_rotated_secret_appears_after_the_interval(asm: Any) -> None:
    asm.create_secret(Name="native/rotated", SecretString="one")
    cache = SecretCache(SecretCacheConfig(secret_refresh_interval=1))
    assert cache.get_secret_string("native/rotated") == "one"
    asm.put_secret_value(SecretId="native/rotated", SecretString="two")
    eventually(lambda: cache.get_secret_string("native/rotated"), "two")


def test_a_forced_refresh_brings_the_new_value(asm: Any) -> None:
    asm.create_secret(Name="native/forced", SecretString="one")
    cache = SecretCache()
    assert cache.get_secret_string("native/forced") == "one"
    asm.put_secret_value(SecretId="native/forced", SecretString="two")
    assert cache.refresh_secret_now("native/forced") is True
    assert cache.get_secret_string("native/forced") == "two"
    assert cache.refresh_secret_now("native/missing") is False


def test_an_interval_of_zero_asks_on_every_read(asm: Any) -> None:
    asm.create_secret(Name="native/zero", SecretString="one")
    cache = SecretCache(SecretCacheConfig(secret_refresh_interval=0))
    assert cache.get_secret_string("native/zero") == "one"
    asm.put_secret_value(SecretId="native/zero", SecretString="two")
    assert cache.get_secret_string("native/zero") == "two"


def test_a_missing_secret_is_botocores_error(endpoint: Endpoint) -> None:
    cache = SecretCache()
    for _ in range(50):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            cache.get_secret_string("native/missing")
    error = caught.value.response["Error"]
    assert error["Code"] == "ResourceNotFoundException"
    assert error["Message"].startswith("Secrets Manager can't find the specified secret")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert sum(calls(endpoint).values()) == 1


def test_the_internal_item_people_use(asm: Any) -> None:
    created = asm.create_secret(Name="native/item", SecretString="one")
    value = SecretCache()._get_cached_secret("native/item").get_secret_value()
    assert (value["ARN"], value["Name"]) == (created["ARN"], "native/item")
    assert (value["VersionId"], value["VersionStages"]) == (created["VersionId"], ["AWSCURRENT"])
    assert value["SecretString"] == "one"
    assert value["CreatedDate"].tzinfo is not None


def test_an_endpoint_that_is_down_is_botocores_error(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(botocore.exceptions.EndpointConnectionError):
            SecretCache().get_secret_string("db")


def test_no_credentials_is_botocores_error(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(botocore.exceptions.NoCredentialsError):
        SecretCache().get_secret_string("db")


@pytest.mark.skipif(OFFICIAL, reason="it is botocore that reads the secret there")
def test_reading_needs_no_botocore(endpoint: Endpoint, asm: Any) -> None:
    asm.create_secret(Name="native/light", SecretString="value")
    script = """
import sys
from aws_secretsmanager_caching import SecretCache
assert SecretCache().get_secret_string("native/light") == "value"
assert not [name for name in sys.modules if name.split(".")[0] in ("botocore", "boto3")]
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30, env=os.environ.copy())
