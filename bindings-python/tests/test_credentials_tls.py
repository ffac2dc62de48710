"""HTTPS with a certificate of a private authority."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from secretcache import SecretCache, errors
from trouble import Trouble

both = pytest.mark.parametrize("transport", ["native", "botocore"])


def certificate(
    name: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *extensions: Any,
) -> bytes:
    """Make a certificate as PEM."""
    now = datetime.datetime.now(datetime.timezone.utc)
    subject, by = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (name, issuer))
    builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=2))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, another one, and a certificate of the first for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    signs = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    authority = ((x509.BasicConstraints(True, None), True), (signs, True))
    ca, another, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    (folder / "ca.pem").write_bytes(certificate("test CA", "test CA", ca, ca, *authority))
    (folder / "another.pem").write_bytes(certificate("other CA", "other CA", another, another, *authority))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    (folder / "cert.pem").write_bytes(certificate("local", "test CA", key, ca, (address, False)))
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return folder


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[Trouble]:
    """Run an HTTPS endpoint with a secret."""
    options = ("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))
    with Trouble(*options) as endpoint:
        endpoint.client(verify=str(folder / "ca.pem")).create_secret(Name="db", SecretString="value")
        yield endpoint


@pytest.fixture
def here(endpoint: Trouble, transport: str, monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> None:
    """Have caches use the transport and find the endpoint."""
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)


@both
def test_aws_ca_bundle_is_trusted(here: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(folder / "ca.pem"))
    assert SecretCache().get_secret_string("db") == "value"


@both
def test_the_bundle_of_the_profile_is_trusted(
    here: None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {folder}/ca.pem\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert SecretCache().get_secret_string("db") == "value"


@both
def test_aws_ca_bundle_goes_before_that_of_the_profile(
    here: None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {folder}/another.pem\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "another.pem"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(folder / "ca.pem"))
    assert SecretCache().get_secret_string("db") == "value"


@both
def test_requests_ca_bundle_is_trusted(here: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "ca.pem"))
    assert SecretCache().get_secret_string("db") == "value"


@both
def test_the_option_goes_before_aws_ca_bundle(
    here: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(folder / "another.pem"))
    assert SecretCache(ca_bundle=str(folder / "ca.pem")).get_secret_string("db") == "value"


@both
@pytest.mark.parametrize("bundle", ["", "another.pem"])
def test_an_unknown_authority_is_not_trusted(
    here: None, transport: str, folder: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bundle:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(folder / bundle))
    with pytest.raises(Exception, match="(?i)certificate|issuer"):
        SecretCache(timeout=5).get_secret_string("db")


@pytest.mark.parametrize("transport", ["native"])
@pytest.mark.parametrize(
    ("name", "text"), [("missing.pem", "cannot be read"), ("key.pem", "no PEM certificate")]
)
def test_a_useless_bundle_is_named(here: None, folder: Path, name: str, text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"{name}.*{text}"):
        SecretCache(ca_bundle=str(folder / name)).get_secret_string("db")


@pytest.mark.parametrize("transport", ["native"])
@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificate 2"),
        ("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "certificate 2"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "certificate 2"),
    ],
)
def test_x2_a_broken_certificate_is_named_with_file_and_place(
    here: None, folder: Path, tmp_path: Path, broken: str, place: str
) -> None:
    good = (folder / "ca.pem").read_text()
    (tmp_path / "bundle.pem").write_text(good + broken)
    line = good.count("\n") + 1
    with pytest.raises(errors.ConfigurationError, match=rf"bundle\.pem.*{place} \(line {line}\)"):
        SecretCache(ca_bundle=str(tmp_path / "bundle.pem")).get_secret_string("db")
