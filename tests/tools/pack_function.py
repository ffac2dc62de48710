#!/usr/bin/env python3
"""Packs the rotation function for AWS Lambda: pack_function.py BINARY PACKAGE.zip [--notices FOLDER] [CA.pem]

The package contains the executable `bootstrap`, our licence, the files of FOLDER (the SBOM and third-party licences)
and, if given, `ca.pem`, the certificate authorities of the databases. The same files give the same package, byte for
byte.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from pathlib import Path

LICENCE = Path(__file__).resolve().parents[2] / "LICENSE"
NEWEST_GLIBC = 34
"""provided.al2023 has glibc 2.34."""


def main() -> None:
    arguments = argparse.ArgumentParser(usage=__doc__)
    arguments.add_argument("binary", type=Path)
    arguments.add_argument("package", type=Path)
    arguments.add_argument("ca", type=Path, nargs="?")
    arguments.add_argument("--notices", type=Path)
    given = arguments.parse_intermixed_args()
    binary, package = given.binary.read_bytes(), given.package
    needed = max((int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)\0", binary)), default=0)
    if needed > NEWEST_GLIBC:
        raise SystemExit(
            f"{given.binary} needs glibc 2.{needed}, and provided.al2023 has 2.{NEWEST_GLIBC}: build it on an older "
            "system or with `cargo lambda build`"
        )
    package.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        add(archive, "bootstrap", binary, 0o755)
        add(archive, LICENCE.name, LICENCE.read_bytes(), 0o644)
        for file in sorted(given.notices.iterdir()) if given.notices else ():
            add(archive, file.name, file.read_bytes(), 0o644)
        if given.ca:
            add(archive, "ca.pem", given.ca.read_bytes(), 0o644)
    size = package.stat().st_size
    print(f"{package}: {size / 1e6:.2f} MB, bootstrap {len(binary) / 1e6:.2f} MB, glibc 2.{needed}")


def add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, so that Lambda applies the file modes
    entry.external_attr = mode << 16
    archive.writestr(entry, content)


if __name__ == "__main__":
    main()
