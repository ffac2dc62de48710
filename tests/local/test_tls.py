"""HTTPS with a certificate of a private authority, trusted by real clients."""

from __future__ import annotations

import datetime
import ipaddress
import json
import subprocess

import boto3
import botocore.exceptions
import pytest
from conftest import binary
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from secretcache.testing import LocalEndpoint


def pem_key(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A private authority, a certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(subject, issuer, key, signer, *extensions):
        builder = x509.CertificateBuilder(
            issuer_name=issuer,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=2),
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def named(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    signs = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    (folder / "ca.pem").write_bytes(
        certificate(
            named("test CA"),
            named("test CA"),
            ca_key,
            ca_key,
            (x509.BasicConstraints(True, None), True),
            (signs, True),
        )
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    (folder / "cert.pem").write_bytes(
        certificate(named("local"), named("test CA"), key, ca_key, (address, False))
    )
    (folder / "key.pem").write_bytes(pem_key(key))
    (folder / "other.pem").write_bytes(pem_key(ca_key))
    return folder


def test_a_client_that_trusts_the_authority_is_served(run, files):
    endpoint = run("--tls-cert", str(files / "cert.pem"), "--tls-key", str(files / "key.pem"))
    assert endpoint.url.startswith("https://127.0.0.1:")
    trusting = endpoint.client(verify=str(files / "ca.pem"))
    trusting.create_secret(Name="db", SecretString="one")
    assert trusting.get_secret_value(SecretId="db")["SecretString"] == "one"
    with pytest.raises(botocore.exceptions.SSLError):
        endpoint.client(verify=True).list_secrets()
    assert trusting.list_secrets()["SecretList"], "one bad handshake ends one connection"


def test_an_export_over_https_verifies_the_certificate(run, files):
    endpoint = run("--control", "--tls-cert", str(files / "cert.pem"), "--tls-key", str(files / "key.pem"))
    endpoint.client(verify=str(files / "ca.pem")).create_secret(Name="db", SecretString="one")
    command = [binary(), "local", "export", "--endpoint-url", endpoint.url]
    trusting = subprocess.run(
        [*command, "--ca-file", str(files / "ca.pem")], capture_output=True, text=True, timeout=30
    )
    assert json.loads(trusting.stdout)["secrets"][0]["name"] == "db", trusting.stderr
    doubtful = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert doubtful.returncode == 1 and "--ca-file" in doubtful.stderr and not doubtful.stdout


@pytest.mark.parametrize(
    ("is_authority", "told"),
    [(False, ""), (True, "basicConstraints=CA:FALSE"), (None, "no certificate in it")],
)
def test_an_export_trusts_a_self_signed_certificate_or_says_why_not(run, tmp_path, is_authority, told):
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
    assert done.returncode == (1 if told else 0) and told in done.stderr, done.stderr


def test_the_fixture_serves_https(files, monkeypatch):
    monkeypatch.setenv("SECRETCACHE_BIN", binary())
    chain = files / "chain.pem"
    chain.write_bytes((files / "cert.pem").read_bytes() + (files / "ca.pem").read_bytes())
    with LocalEndpoint(["--tls-cert", str(chain), f"--tls-key={files / 'key.pem'}"]) as local:
        assert local.url.startswith("https://") and local.secrets() == []
        boto3.client("secretsmanager").create_secret(Name="db", SecretString="one")
        assert [secret["name"] for secret in local.secrets()] == ["db"]


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("cert.pem", "other.pem", "cert.pem"),
        ("missing.pem", "key.pem", "missing.pem"),
        ("key.pem", "key.pem", "no PEM certificate"),
        ("cert.pem", "ca.pem", "ca.pem"),
    ],
)
def test_unusable_files_are_told(files, certificate, key, told):
    arguments = ["--tls-cert", str(files / certificate), "--tls-key", str(files / key)]
    done = subprocess.run(
        [binary(), "local", "--port", "0", *arguments], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 1
    assert told in done.stderr


def test_a_certificate_needs_its_key(files):
    done = subprocess.run(
        [binary(), "local", "--tls-cert", str(files / "cert.pem")], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 2 and "--tls-key" in done.stderr
