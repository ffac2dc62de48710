"""HTTPS with a certificate of a private authority."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import SSLError
from certificate import authority, issued

from endpoint import Endpoint
from secretcache import SecretCache, errors
from trouble import Trouble

both = pytest.mark.parametrize("transport", ["native", "botocore"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create two authorities, and a certificate for 127.0.0.1 issued by the first."""
    folder = tmp_path_factory.mktemp("tls")
    issued(folder, authority(folder))
    authority(folder, "another")
    return folder


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[Trouble]:
    """Run an HTTPS endpoint with a secret."""
    options = ("--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.key"))
    with Trouble(*options) as endpoint:
        endpoint.client(verify=str(folder / "ca.pem")).create_secret(Name="db", SecretString="value")
        yield endpoint


@pytest.fixture
def here(endpoint: Trouble, transport: str, monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> None:
    """Make caches use the transport and find the endpoint."""
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
    with pytest.raises(errors.TlsError, match="(?i)certificate|issuer") as caught:
        SecretCache(timeout=5).get_secret_string("db")
    assert isinstance(caught.value, SSLError)


@both
def test_a_server_without_tls_is_botocores_ssl_error(
    here: None, running_endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", running_endpoint.url.replace("http:", "https:"))
    with pytest.raises(errors.TlsError) as caught:
        SecretCache(timeout=5).get_secret_string("db")
    assert isinstance(caught.value, SSLError)


@pytest.mark.parametrize("transport", ["native"])
@pytest.mark.parametrize(
    ("name", "text"), [("missing.pem", "cannot be read"), ("server.key", "no PEM certificate")]
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
