"""IAM tokens equal botocore's, byte for byte. Vectors check those of every language; these tests check Python's.

`PYTHONPATH=tests/tools python bindings-python/tests/test_iam_tokens.py` writes the vectors, which test the core.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import iam_tokens
import pytest

from secretcache import AsyncSecretCache, IamLogin, SecretCache, errors

VECTORS = Path(__file__).resolve().parents[2] / "tests" / "iam-tokens.json"
KEYS = [
    {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    {"access_key_id": "ASIAEXAMPLE", "secret_access_key": "a/b+c=", "session_token": "IQoJb3JpZ2luX2VjE+/=="},
]
HOST = "shop.abc123.eu-central-1.rds.amazonaws.com"
LOGINS = [
    IamLogin.rds("app", HOST, 5432, region_name="eu-central-1"),
    IamLogin.rds("app@shop.example/ü ~", HOST, 3306, region_name="eu-central-1"),
    IamLogin.rds(
        "app", "shop.proxy-abc123.us-gov-west-1.rds.amazonaws.com", 443, region_name="us-gov-west-1"
    ),
    IamLogin.elasticache("app", "sessions", region_name="eu-central-1"),
    IamLogin.elasticache("app+1", "sessions", serverless=True, region_name="cn-north-1"),
    IamLogin.memorydb("app", "sessions", region_name="eu-central-1"),
]
MOMENTS = [1_795_953_599, 1_798_761_600]


def vectors() -> list[dict[str, Any]]:
    """Create a token with botocore for each login, key and time."""
    return [
        {"login": str(login), **key, "at": moment, "token": iam_tokens.token(login, key, moment)}
        for login in LOGINS
        for key in KEYS
        for moment in MOMENTS
    ]


def test_the_vectors_are_botocores() -> None:
    assert json.loads(VECTORS.read_text()) == vectors()


@pytest.fixture(params=KEYS, ids=["long-lived", "session"])
def key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let caches find an access key."""
    for name, value in request.param.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    return request.param


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("transport", ["native", "botocore"])
def test_a_cache_gives_the_token_of_its_moment(
    login: IamLogin, transport: str, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    with SecretCache() as cache:
        check(cache.credential(login), login, key)
        assert cache.stats()["api_calls"] == {}
        assert iam_tokens.signature(cache.credential(login).password) not in repr(
            cache.get_secret_value(login)
        )


@pytest.mark.parametrize("transport", ["native", "botocore"])
def test_asyncio_gets_the_same(transport: str, key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)

    async def read() -> Any:
        async with AsyncSecretCache() as cache:
            return await cache.credential(LOGINS[0])

    check(asyncio.run(read()), LOGINS[0], key)


def check(credential: Any, login: IamLogin, key: dict[str, str]) -> None:
    moment = iam_tokens.signed_at(credential.password)
    assert credential.password == iam_tokens.token(login, key, moment)
    assert credential.username == iam_tokens.user(login)
    assert credential.version_id.startswith(key["access_key_id"])
    is_of_rds = login.startswith("rds-db://")
    assert (credential.host is not None, credential.port is not None) == (is_of_rds, is_of_rds)


def test_the_region_is_the_caches_unless_the_login_has_one(key: dict[str, str]) -> None:
    with SecretCache(region_name="eu-north-1") as cache:
        token = cache.credential(IamLogin.rds("app", HOST, 5432)).password
    assert iam_tokens.region(token) == "eu-north-1"


def test_a_login_that_lacks_something_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="empty"):
        IamLogin.rds("", HOST, 5432)
    with pytest.raises(ValueError, match="without host or port"):
        IamLogin.elasticache("app", "sessions.abc.cache.amazonaws.com:6379")
    with SecretCache() as cache, pytest.raises(Exception, match="host and port"):
        cache.get_secret_string("rds-db://app@db.example")


def test_a_client_without_credentials_signs_no_token(service: Any) -> None:
    with SecretCache(client=service) as cache, pytest.raises(errors.ConfigurationError, match="credentials"):
        cache.get_secret_string(LOGINS[0])


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
