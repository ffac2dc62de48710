"""Certificates for servers on loopback, and for their clients to trust.

Each function returns the files of a certificate and of its key, `NAME.pem` and `NAME.key`.
"""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Extensions = list[tuple[x509.ExtensionType, bool]]
"""Extensions, each with whether it is critical."""

LOOPBACK: Extensions = [
    (x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
]
SIGNS: Extensions = [
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (x509.KeyUsage(True, False, False, False, False, True, True, False, False), True),
]


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1."""
    return _make(folder / "certificate", LOOPBACK)


def authority(folder: Path, name: str = "ca") -> tuple[Path, Path]:
    """Make a private certificate authority."""
    return _make(folder / name, SIGNS)


def issued(folder: Path, by: tuple[Path, Path]) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, signed by an authority."""
    return _make(folder / "server", LOOPBACK, by)


def _make(path: Path, extensions: Extensions, by: tuple[Path, Path] | None = None) -> tuple[Path, Path]:
    key = signer = ec.generate_private_key(ec.SECP256R1())
    name = issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.name)])
    if by:
        issuer = x509.load_pem_x509_certificate(by[0].read_bytes()).subject
        loaded = serialization.load_pem_private_key(by[1].read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1),
        not_valid_after=now + datetime.timedelta(days=2),
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    encoding = serialization.Encoding.PEM
    certificate, private = path.with_suffix(".pem"), path.with_suffix(".key")
    certificate.write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(encoding))
    private.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
