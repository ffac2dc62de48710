"""Several accounts in one cache: a role for the secrets of a prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto_endpoint import moto_endpoint

import secretcache
from recorder import Recorder
from secretcache import AsyncSecretCache, SecretCache, errors
from support import eventually

ROLE = "arn:aws:iam::111122223333:role"


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Run a server that plays STS and Secrets Manager, and records who signed."""
    with Recorder() as recorder:
        monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
        yield recorder


def test_each_account_is_read_as_its_role(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_endpoint() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        role = f"{ROLE}/reads-secrets"
        keys = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        there = boto3.client(
            "secretsmanager",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        for number in range(3):
            there.create_secret(Name=f"billing/{number}", SecretString="theirs")
        boto3.client("secretsmanager").create_secret(Name="own", SecretString="ours")
        with SecretCache(roles={"billing/": role}) as cache:
            assert cache.get_secret_string("billing/0") == "theirs"
            assert ":111122223333:" in (cache.get_secret_value("billing/0").arn or "")
            assert cache.get_secret_string("own") == "ours"
            assert cache.prefetch(["billing/1", "billing/2", "own"]) == {}
            assert cache.peek("billing/2").secret_string == "theirs"  # type: ignore[union-attr]
            with pytest.raises(errors.SecretNotFoundError):
                cache.get_secret_string("billing/own")

        async def read() -> str:
            async with AsyncSecretCache(roles={"billing/": {"role_arn": role}}) as cache:
                return await cache.get_secret_string("billing/0")

        assert asyncio.run(read()) == "theirs"


def test_the_longest_prefix_wins_and_the_external_id_is_passed(recorder: Recorder) -> None:
    roles: dict[str, Any] = {
        "d": f"{ROLE}/short",
        "db": {"role_arn": f"{ROLE}/exact", "external_id": "external"},
        "db-": f"{ROLE}/longer",
    }
    with SecretCache(roles=roles) as cache:
        assert cache.get_secret_string("db") == "value"
        assert recorder.signatures[-1][0] == "exact-BY-test-external"
        cache.refresh_secret_now("db")
    assert recorder.sessions == [f"{ROLE}/exact"]


def test_a_role_is_assumed_with_the_role_of_the_cache(recorder: Recorder) -> None:
    with SecretCache(role_arn=f"{ROLE}/hub", roles={"db": f"{ROLE}/spoke"}) as cache:
        assert cache.get_secret_string("db") == "value"
    assert recorder.signatures[-1][0] == "spoke-BY-hub-BY-test-plain-plain"


def test_a_session_is_renewed_before_it_ends(recorder: Recorder) -> None:
    recorder.session_seconds = 3  # always within the margin for renewal
    with SecretCache(roles={"db": f"{ROLE}/app"}) as cache:
        for count in (1, 2, 3):
            assert cache.refresh_secret_now("db")
            assert len(recorder.sessions) == count


def test_a_refused_role_fails_its_own_secrets_alone(recorder: Recorder) -> None:
    roles = {"db-": f"{ROLE}/refused"}
    with SecretCache(roles=roles, refresh_interval=0.2) as cache:
        with pytest.raises(
            errors.AccessDeniedError, match=f"the role {ROLE}/refused cannot be assumed: .*not authorized"
        ):
            cache.get_secret_string("db-other")
        assert cache.get_secret_string("db") == "value"
        eventually(lambda: (cache.get_secret_string("db"), cache.stats()["refreshes"] >= 3)[1], True)
        assert cache.stats()["failures"] == {"access_denied": 1}


def test_what_is_no_role_is_an_error_when_the_cache_is_made() -> None:
    refused = errors.ConfigurationError
    with pytest.raises(refused, match="'reads' is not an ARN|\"reads\" is not an ARN"):
        SecretCache(roles={"db": "reads"})
    with pytest.raises(refused, match="21 roles are set; one cache assumes at most 20"):
        SecretCache(roles={f"{number}/": f"{ROLE}/r{number}" for number in range(21)})
    with pytest.raises(refused, match="empty prefix"):
        SecretCache(roles={"": f"{ROLE}/app"})
    for wrong in ({"db": 1}, {"db": {"arn": f"{ROLE}/app"}}, {"db": {"role_arn": f"{ROLE}/a", "extra": "b"}}):
        with pytest.raises(TypeError, match="roles must be a dict"):
            SecretCache(roles=wrong)  # type: ignore[arg-type]


def test_a_client_of_the_programs_own_decides_itself_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = {"db": f"{ROLE}/app"}
    with pytest.raises(TypeError, match="roles: cannot be combined with client"):
        SecretCache(client=object(), roles=roles)
    with pytest.raises(
        errors.ConfigurationError, match="roles: only the native client supports this.*session"
    ):
        SecretCache(session=boto3.Session(), roles=roles)
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", "botocore")
    with pytest.raises(errors.ConfigurationError, match="because SECRETCACHE_TRANSPORT is set to botocore"):
        secretcache.SecretCache(roles=roles)
