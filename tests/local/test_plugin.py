"""The pytest plugin, as used in users' tests."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import boto3
import pytest
from conftest import PYTEST, ROOT, binary

from secretcache.testing import LocalEndpoint, LocalEndpointError

PLUGIN_TEST = """
import boto3, pytest

@pytest.fixture(scope="session")
def secretcache_local_options():
    return ["--seed", {seed!r}]

@pytest.mark.parametrize("round", [1, 2])
def test_each_test_starts_anew(secretcache_local, round):
    client = boto3.client("secretsmanager")
    assert "seeded" in client.get_secret_value(SecretId="prod/db")["SecretString"]
    client.put_secret_value(SecretId="prod/db", SecretString="canary-2")
    assert [secret["name"] for secret in secretcache_local.secrets() if secret["region"] == "us-east-1"] == ["prod/db"]

def test_faults_and_the_clock(secretcache_local):
    client = boto3.client("secretsmanager")
    number = secretcache_local.fault("deny", operations=["GetSecretValue"])
    with pytest.raises(client.exceptions.ClientError, match="not authorized"):
        client.get_secret_value(SecretId="prod/db")
    secretcache_local.clear_faults(number)
    secretcache_local.freeze(1_900_000_000)
    secretcache_local.advance(5)
    assert secretcache_local.now() == 1_900_000_005
    secretcache_local.unfreeze()
    assert secretcache_local.calls()["GetSecretValue"] == {{"AccessDeniedException": 1}}
    with pytest.raises(Exception, match="no rotation"):
        secretcache_local.next_rotation("prod/db")
"""


SEED = """
[[secrets]]
name = "prod/db"
json = { username = "app", password = "seeded" }
"""


def test_the_pytest_plugin(tmp_path):
    (tmp_path / "seed.toml").write_text(SEED)
    (tmp_path / "test_mine.py").write_text(PLUGIN_TEST.format(seed=str(tmp_path / "seed.toml")))
    paths = str(ROOT / "bindings-python" / "python")
    # A proxy that does not exist: requests to the endpoint must bypass it.
    proxies = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    environment = {**os.environ, **proxies, "SECRETCACHE_BIN": binary(), "PYTHONPATH": paths}
    done = subprocess.run(PYTEST, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr


def test_what_was_to_be_reached_directly_still_is(monkeypatch):
    monkeypatch.setenv("SECRETCACHE_BIN", binary())
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "internal.example")
    with closing(LocalEndpoint(["--region=eu-west-1"])) as local:
        found = local.environment
        assert found["NO_PROXY"] == found["no_proxy"] == "internal.example,127.0.0.1"
        assert found["AWS_REGION"] == "eu-west-1"
        monkeypatch.setenv("NO_PROXY", found["NO_PROXY"])
        assert local.environment["NO_PROXY"] == found["NO_PROXY"], "once is enough"
        monkeypatch.setenv("NO_PROXY", "*")
        assert local.environment["NO_PROXY"] == "*"


def test_a_with_block_leads_clients_to_it_and_back(monkeypatch):
    monkeypatch.setenv("SECRETCACHE_BIN", binary())
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.delenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", raising=False)
    before = dict(os.environ)
    with LocalEndpoint() as local:
        boto3.Session().client("secretsmanager").create_secret(Name="db", SecretString="one")
        assert [secret["name"] for secret in local.secrets()] == ["db"]
        assert "AWS_PROFILE" not in os.environ
    assert dict(os.environ) == before
    LocalEndpoint().close()
    assert dict(os.environ) == before


def test_a_python_without_ssl_has_it_too():
    """As on minimal systems: only HTTPS needs that module."""
    code = """
import sys
sys.modules["ssl"] = sys.modules["_ssl"] = None
from secretcache.testing import LocalEndpoint
with LocalEndpoint() as local:
    print(local.secrets())
"""
    paths = str(ROOT / "bindings-python" / "python")
    environment = {**os.environ, "SECRETCACHE_BIN": binary(), "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.parametrize("command", ["/nowhere/secretcache", __file__])
def test_a_command_that_cannot_be_started_is_reported(monkeypatch, command):
    monkeypatch.setenv("SECRETCACHE_BIN", command)
    with pytest.raises(LocalEndpointError, match=f"{command} cannot be started .*SECRETCACHE_BIN"):
        LocalEndpoint()
