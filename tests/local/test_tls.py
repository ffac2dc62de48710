"""HTTPS with a certificate from a private authority that real clients trust."""

from __future__ import annotations

import json
import subprocess

import boto3
import botocore.exceptions
import pytest
from certificate import authority, issued
from conftest import binary

from secretcache.testing import LocalEndpoint


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a private authority and a certificate that it issued for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    issued(folder, authority(folder))
    return folder


def test_a_client_that_trusts_the_authority_is_served(run, files):
    endpoint = run("--tls-cert", str(files / "server.pem"), "--tls-key", str(files / "server.key"))
    assert endpoint.url.startswith("https://127.0.0.1:")
    trusting = endpoint.client(verify=str(files / "ca.pem"))
    trusting.create_secret(Name="db", SecretString="one")
    assert trusting.get_secret_value(SecretId="db")["SecretString"] == "one"
    with pytest.raises(botocore.exceptions.SSLError):
        endpoint.client(verify=True).list_secrets()
    assert trusting.list_secrets()["SecretList"], "one bad handshake ends one connection"


def test_an_export_over_https_verifies_the_certificate(run, files):
    endpoint = run(
        "--control", "--tls-cert", str(files / "server.pem"), "--tls-key", str(files / "server.key")
    )
    endpoint.client(verify=str(files / "ca.pem")).create_secret(Name="db", SecretString="one")
    command = [binary(), "local", "export", "--endpoint-url", endpoint.url]
    trusting = subprocess.run(
        [*command, "--ca-file", str(files / "ca.pem")], capture_output=True, text=True, timeout=30
    )
    assert json.loads(trusting.stdout)["secrets"][0]["name"] == "db", trusting.stderr
    doubtful = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert doubtful.returncode == 1 and "--ca-file" in doubtful.stderr and not doubtful.stdout


@pytest.mark.parametrize(
    ("is_authority", "message"),
    [(False, ""), (True, "basicConstraints=CA:FALSE"), (None, "no certificate in it")],
)
def test_an_export_trusts_a_self_signed_certificate_or_says_why_not(run, tmp_path, is_authority, message):
    certificate, key = (str(tmp_path / name) for name in ["cert.pem", "key.pem"])
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=local",
        "-out",
        certificate,
    ]
    config = tmp_path / "openssl.cnf"
    config.write_text(
        "[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\nsubjectAltName=IP:127.0.0.1\n"
        f"basicConstraints=critical,CA:{'TRUE' if is_authority else 'FALSE'}\n"
    )
    subprocess.run([*made, "-keyout", key, "-config", str(config)], check=True, capture_output=True)
    endpoint = run("--control", "--tls-cert", certificate, "--tls-key", key)
    trusted = key if is_authority is None else certificate
    command = [binary(), "local", "export", "--endpoint-url", endpoint.url, "--ca-file", trusted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == (1 if message else 0) and message in done.stderr, done.stderr


def test_the_fixture_serves_https(files, monkeypatch):
    monkeypatch.setenv("SECRETCACHE_BIN", binary())
    chain = files / "chain.pem"
    chain.write_bytes((files / "server.pem").read_bytes() + (files / "ca.pem").read_bytes())
    with LocalEndpoint(["--tls-cert", str(chain), f"--tls-key={files / 'server.key'}"]) as local:
        assert local.url.startswith("https://") and local.secrets() == []
        boto3.client("secretsmanager").create_secret(Name="db", SecretString="one")
        assert [secret["name"] for secret in local.secrets()] == ["db"]


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("server.pem", "ca.key", "server.pem"),
        ("missing.pem", "server.key", "missing.pem"),
        ("server.key", "server.key", "no PEM certificate"),
        ("server.pem", "ca.pem", "ca.pem"),
    ],
)
def test_unusable_files_are_reported(files, certificate, key, message):
    arguments = ["--tls-cert", str(files / certificate), "--tls-key", str(files / key)]
    done = subprocess.run(
        [binary(), "local", "--port", "0", *arguments], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 1
    assert message in done.stderr


def test_a_certificate_needs_its_key(files):
    done = subprocess.run(
        [binary(), "local", "--tls-cert", str(files / "server.pem")],
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode == 2 and "--tls-key" in done.stderr
