"""What a program written for AWS's library, version 1.2.0, relies on. Runs against that library as well."""

from __future__ import annotations

import datetime
import importlib
import inspect
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
from support import DESCRIBE, GET, Canned, Service, at_once, eventually, service_error


def every_read() -> SecretCacheConfig:
    """Configure a cache to ask the service on every read, so that calls can be counted."""
    return SecretCacheConfig(secret_refresh_interval=0)


def test_the_package_has_the_same_names() -> None:
    package = importlib.import_module("aws_secretsmanager_caching")
    assert sorted(package.__all__) == [
        "InjectKeywordedSecretString",
        "InjectSecretString",
        "SecretCache",
        "SecretCacheConfig",
    ]
    assert all(hasattr(package, name) for name in package.__all__)
    for module in ("config", "decorators", "secret_cache", "cache", "cache.secret_cache_hook"):
        importlib.import_module(f"aws_secretsmanager_caching.{module}")
    assert not hasattr(package, "SecretCacheHook")
    assert package.secret_cache.SecretCache is package.SecretCache
    assert package.decorators.InjectSecretString is package.InjectSecretString
    assert isinstance(SecretCache.__version__, str)


@pytest.mark.parametrize("method", ["get_secret_string", "get_secret_binary"])
def test_methods_take_the_same_arguments(method: str) -> None:
    parameters = inspect.signature(getattr(SecretCache, method)).parameters
    assert list(parameters)[1:] == ["secret_id", "version_stage"]
    assert parameters["version_stage"].default is None


def test_config_and_client_are_taken_by_position_and_by_keyword(service: Service) -> None:
    config = SecretCacheConfig()
    given = [((config, service), {}), ((), {"client": service}), ((), {"config": config, "client": service})]
    for args, kwargs in given:
        cache = SecretCache(*args, **kwargs)
        assert cache.get_secret_string("db") == "value-1"
        assert cache.get_secret_string(secret_id="db", version_stage="AWSCURRENT") == "value-1"


def test_the_client_is_called_with_exactly_these_arguments_in_this_order(service: Service) -> None:
    SecretCache(client=service).get_secret_string("db")
    assert service.calls == [(DESCRIBE, {"SecretId": "db"}), (GET, {"SecretId": "db", "VersionId": "v1"})]


def test_further_reads_call_nothing(service: Service) -> None:
    cache = SecretCache(client=service)
    assert {cache.get_secret_string("db") for _ in range(100)} == {"value-1"}
    assert service.names() == [DESCRIBE, GET]


def test_binary_secrets_are_bytes(service: Service) -> None:
    service.put("blob", "v1", b"\x00\xff")
    assert SecretCache(client=service).get_secret_binary("blob") == b"\x00\xff"


def test_the_wrong_kind_is_none(service: Service) -> None:
    service.put("blob", "v1", b"bytes")
    cache = SecretCache(client=service)
    assert cache.get_secret_string("blob") is None
    assert cache.get_secret_binary("db") is None
    assert cache.get_secret_binary("blob") == b"bytes"


@pytest.mark.parametrize(
    ("describe", "value"),
    [
        ({}, None),
        ({"Name": "db"}, None),
        ({"VersionIdsToStages": {}}, None),
        ({"VersionIdsToStages": {"v1": []}}, None),
        ({"VersionIdsToStages": {"v1": ["AWSPREVIOUS"]}}, None),
        ({"VersionIdsToStages": {"v1": ["AWSCURRENT"]}}, {}),
        ({"VersionIdsToStages": {"v1": ["AWSCURRENT"]}}, {"Name": "db", "VersionId": "v1"}),
    ],
)
def test_what_the_service_does_not_give_is_none(describe: Any, value: Any) -> None:
    cache = SecretCache(client=Canned(describe, value))
    for _ in range(2):
        assert cache.get_secret_string("db") is None
        assert cache.get_secret_binary("db") is None


def test_an_unknown_stage_is_none(service: Service) -> None:
    assert SecretCache(client=service).get_secret_string("db", "NO-SUCH-STAGE") is None


@pytest.mark.parametrize("stage", [None, ""])
def test_no_stage_means_the_configured_one(service: Service, stage: str | None) -> None:
    service.put("db", "v2", "value-2")
    assert SecretCache(client=service).get_secret_string("db", stage) == "value-2"
    previous = SecretCache(SecretCacheConfig(default_version_stage="AWSPREVIOUS"), service)
    assert previous.get_secret_string("db", stage) == "value-1"
    assert previous.get_secret_string("db", "AWSCURRENT") == "value-2"


def test_stages_of_one_secret_share_its_description(service: Service) -> None:
    service.put("db", "v2", "value-2")
    cache = SecretCache(client=service)
    assert cache.get_secret_string("db") == "value-2"
    assert cache.get_secret_string("db", "AWSPREVIOUS") == "value-1"
    assert service.names() == [DESCRIBE, GET, GET]


def test_stages_on_one_version_share_its_value(service: Service) -> None:
    service.put("db", "v1", "value-1", "AWSCURRENT", "BLUE")
    cache = SecretCache(client=service)
    assert cache.get_secret_string("db") == cache.get_secret_string("db", "BLUE") == "value-1"
    assert service.names() == [DESCRIBE, GET]


def test_of_two_versions_with_the_stage_the_first_counts() -> None:
    describe = {"VersionIdsToStages": {"b": ["AWSCURRENT"], "a": ["AWSCURRENT"]}}
    client = Canned(describe, {"SecretString": "x"})
    asked: list[Any] = []
    client.get_secret_value = lambda **kw: asked.append(kw) or {"SecretString": "x"}  # type: ignore[method-assign]
    SecretCache(client=client).get_secret_string("db")
    assert asked == [{"SecretId": "db", "VersionId": "b"}]


def test_secrets_are_kept_apart(service: Service) -> None:
    service.put("other", "v1", "of another")
    cache = SecretCache(client=service)
    assert (cache.get_secret_string("db"), cache.get_secret_string("other")) == ("value-1", "of another")


def test_interval_zero_describes_on_every_read_and_fetches_new_versions_only(service: Service) -> None:
    cache = SecretCache(every_read(), service)
    assert [cache.get_secret_string("db") for _ in range(3)] == ["value-1"] * 3
    assert service.names() == [DESCRIBE, GET, DESCRIBE, DESCRIBE]
    service.put("db", "v2", "value-2")
    assert cache.get_secret_string("db") == "value-2"
    assert service.names()[-2:] == [DESCRIBE, GET]
    assert service.calls[-1][1] == {"SecretId": "db", "VersionId": "v2"}


def test_a_rotated_secret_appears_after_the_interval(service: Service) -> None:
    cache = SecretCache(SecretCacheConfig(secret_refresh_interval=1), service)
    assert cache.get_secret_string("db") == "value-1"
    service.put("db", "v2", "value-2")
    eventually(lambda: cache.get_secret_string("db"), "value-2")


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "Throttling"])
def test_errors_are_the_clients_own(service: Service, code: str) -> None:
    service.failures[DESCRIBE] = service_error(code)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        SecretCache(client=service).get_secret_string("db")
    assert caught.value.response["Error"] == {"Code": code, "Message": "as scripted"}
    assert caught.value.operation_name == "DescribeSecret"


def test_errors_of_the_second_call_are_the_clients_own(service: Service) -> None:
    service.failures[GET] = service_error("DecryptionFailure", "GetSecretValue")
    with pytest.raises(botocore.exceptions.ClientError, match="DecryptionFailure"):
        SecretCache(client=service).get_secret_string("db")


class Unavailable(Exception):
    """An exception that no library knows, with a constructor that copying cannot call."""

    def __init__(self, where: str, *, port: int) -> None:
        super().__init__(f"{where}:{port}")
        self.port = port


def test_foreign_exceptions_pass_unchanged(service: Service) -> None:
    service.failures[DESCRIBE] = Unavailable("vault", port=4584)
    cache = SecretCache(client=service)
    for _ in range(3):
        with pytest.raises(Unavailable, match="^vault:4584$") as caught:
            cache.get_secret_string("db")
        assert caught.value.port == 4584


def test_connection_errors_are_botocores(service: Service) -> None:
    service.failures[DESCRIBE] = botocore.exceptions.EndpointConnectionError(
        endpoint_url="http://127.0.0.1:9"
    )
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        SecretCache(client=service).get_secret_string("db")


def test_a_missing_secret_is_not_asked_for_again_at_once(service: Service) -> None:
    cache = SecretCache(client=service)
    for _ in range(100):
        with pytest.raises(botocore.exceptions.ClientError, match="ResourceNotFoundException"):
            cache.get_secret_string("missing")
    assert service.names() == [DESCRIBE]


def test_the_last_known_value_is_served_when_a_refresh_fails(service: Service) -> None:
    cache = SecretCache(every_read(), service)
    assert cache.get_secret_string("db") == "value-1"
    service.failures[DESCRIBE] = service_error("InternalServiceError")
    assert [cache.get_secret_string("db") for _ in range(3)] == ["value-1"] * 3
    assert service.count(DESCRIBE) == 2, "a failed refresh was repeated without backing off"


def test_no_region_is_botocores_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(botocore.exceptions.NoRegionError):
        SecretCache().get_secret_string("db")


def test_an_unhashable_id_is_a_type_error(service: Service) -> None:
    with pytest.raises(TypeError):
        SecretCache(client=service).get_secret_string(["db"])  # type: ignore[arg-type]
    assert service.calls == []


def test_concurrent_cold_reads_make_one_pair_of_calls(service: Service) -> None:
    service.delays = {DESCRIBE: 0.05, GET: 0.05}
    cache = SecretCache(client=service)
    assert set(at_once(20, lambda: cache.get_secret_string("db"))) == {"value-1"}
    assert service.names() == [DESCRIBE, GET]


def test_the_least_recently_read_secret_makes_room(service: Service) -> None:
    for name in "abc":
        service.put(name, "v1", name)
    cache = SecretCache(SecretCacheConfig(max_cache_size=2), service)
    for name in "abaca":
        assert cache.get_secret_string(name) == name
    assert [service.count(DESCRIBE, name) for name in "abc"] == [1, 1, 1]
    cache.get_secret_string("b")
    assert service.count(DESCRIBE, "b") == 2


def test_a_config_changed_later_changes_nothing(service: Service) -> None:
    config = SecretCacheConfig()
    cache = SecretCache(config, service)
    config.secret_refresh_interval = 0
    config.default_version_stage = "AWSPREVIOUS"
    assert [cache.get_secret_string("db") for _ in range(3)] == ["value-1"] * 3
    assert service.names() == [DESCRIBE, GET]


def test_a_forced_refresh_returns_whether_it_worked(service: Service) -> None:
    cache = SecretCache(client=service)
    cache.get_secret_string("db")
    service.put("db", "v2", "value-2")
    assert cache.refresh_secret_now(secret_id="db") is True
    assert cache.get_secret_string("db") == "value-2"
    service.failures[DESCRIBE] = service_error("InternalServiceError")
    assert cache.refresh_secret_now("db") is False
    assert cache.get_secret_string("db") == "value-2"


def test_a_forced_refresh_of_an_unread_secret(service: Service) -> None:
    cache = SecretCache(client=service)
    assert cache.refresh_secret_now("db") is True
    assert cache.refresh_secret_now("missing") is False
    assert cache.get_secret_string("db") == "value-1"


def test_the_internal_item_people_use(service: Service) -> None:
    cache = SecretCache(SecretCacheConfig(secret_refresh_interval=600), service)
    item = cache._get_cached_secret("db")
    assert service.calls == []
    before = datetime.datetime.now(datetime.timezone.utc)
    value = item.get_secret_value()
    assert (value["SecretString"], value["VersionId"]) == ("value-1", "v1")
    assert value["VersionStages"] == ["AWSCURRENT"]
    assert item.get_secret_value("NO-SUCH-STAGE") is None
    assert 290 <= (item._next_refresh_time - before).total_seconds() <= 601
    assert item._next_refresh_time.utcoffset() == datetime.timedelta(0)
    service.put("db", "v2", "value-2")
    assert item.refresh_secret_now() is True
    assert item.get_secret_value("AWSPREVIOUS")["SecretString"] == "value-1"
    assert cache._get_cached_secret("db").get_secret_value()["SecretString"] == "value-2"


def test_what_a_caller_does_to_a_value_stays_with_the_caller(service: Service) -> None:
    item = SecretCache(client=service)._get_cached_secret("db")
    value = item.get_secret_value()
    value["SecretString"] = "changed"
    value["VersionStages"].clear()
    assert item.get_secret_value()["SecretString"] == "value-1"
    assert item.get_secret_value()["VersionStages"] == ["AWSCURRENT"]


def test_botocores_stubber_sees_the_expected_calls() -> None:
    client = boto3.client("secretsmanager", region_name="us-east-1")
    version = "01234567890123456789012345678901"
    described = {"VersionIdsToStages": {version: ["AWSCURRENT"]}}
    answer = {"VersionId": version, "SecretString": "stubbed"}
    with Stubber(client) as stubber:
        stubber.add_response("describe_secret", described, {"SecretId": "db"})
        stubber.add_response("get_secret_value", answer, {"SecretId": "db", "VersionId": version})
        cache = SecretCache(client=client)
        assert [cache.get_secret_string("db") for _ in range(3)] == ["stubbed"] * 3
        stubber.assert_no_pending_responses()
        stubber.add_client_error("describe_secret", "ResourceNotFoundException", http_status_code=400)
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            cache.get_secret_string("missing")


@mock_aws
def test_motos_mock_serves_a_supplied_client() -> None:
    client = boto3.client("secretsmanager", region_name="us-east-1")
    client.create_secret(Name="db", SecretString="one")
    cache = SecretCache(every_read(), client)
    assert cache.get_secret_string("db") == "one"
    client.put_secret_value(SecretId="db", SecretString="two")
    assert cache.get_secret_string("db") == "two"
    assert cache.get_secret_string("db", "AWSPREVIOUS") == "one"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        cache.get_secret_string("missing")
