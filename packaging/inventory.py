#!/usr/bin/env python3
"""Lists what is inside an artefact: inventory.py PACKAGE FOLDER [--target TRIPLE] [OPTION OF CARGO ...]

Writes into FOLDER, for the crate PACKAGE built with these options (such as --no-default-features --features lambda):

    sbom.cdx.json             the crates that are linked in, with licences and checksums, and the compiler (CycloneDX)
    THIRD-PARTY-NOTICES.txt   their licence texts, taken from the crates themselves

The same sources and compiler give the same files. It needs no network, because cargo already has the sources.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
TEXTS = re.compile(r"(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)
RULE = "=" * 100
MIT = (Path(__file__).parent / "MIT.txt").read_text()


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    package, folder, options = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    uses = dependencies(package, options)
    linked = linked_crates(package, uses)
    ours = next(crate for crate in linked if crate["name"] == package)
    others = [crate for crate in linked if crate["source"]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sbom.cdx.json").write_text(sbom(ours, linked, uses))
    (folder / "THIRD-PARTY-NOTICES.txt").write_text(notices(ours, others))
    print(f"{folder}: {len(others)} third-party crates in {package}")


def cargo(*arguments: str) -> str:
    done = subprocess.run(
        ["cargo", *arguments, "--locked"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def compiler() -> str:
    """Return the compiler's name and version, such as `rustc 1.95.0 (59807616e 2026-04-14)`."""
    done = subprocess.run(["rustc", "--version"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


Crate = tuple[str, str]
"""A crate's name and version."""


def dependencies(package: str, options: list[str]) -> dict[Crate, set[Crate]]:
    """Return the crates whose code is in the artefact, each with the crates that it uses directly."""
    shape = ["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", " {p}"]
    uses: dict[Crate, set[Crate]] = {}
    path: list[Crate] = []
    for line in filter(None, cargo("tree", "--package", package, *shape, *options).splitlines()):
        depth, name, version = line.split()[:3]
        crate = (name, version.removeprefix("v"))
        del path[int(depth) :]
        if path:
            uses[path[-1]].add(crate)
        uses.setdefault(crate, set())
        path.append(crate)
    return uses


def linked_crates(package: str, uses: dict[Crate, set[Crate]]) -> list[dict]:
    """Return what `cargo metadata` says about these crates, sorted by name and version."""
    crates = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    linked = [crate for crate in crates if (crate["name"], crate["version"]) in uses]
    if len(linked) != len(uses):
        raise SystemExit(
            f"{package}: cargo tree names {len(uses)} crates, cargo metadata {len(linked)} of them"
        )
    return sorted(linked, key=lambda crate: (crate["name"], crate["version"]))


def sbom(ours: dict, linked: list[dict], uses: dict[Crate, set[Crate]]) -> str:
    """Return the SBOM as CycloneDX, validated against its schema."""
    locked = re.compile(r'name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"')
    checksums = {
        (name, version): sum for name, version, sum in locked.findall((ROOT / "Cargo.lock").read_text())
    }
    components = {}
    for crate in linked:
        key = (crate["name"], crate["version"])
        components[key] = component(crate, checksums.get(key))
    root = components.pop((ours["name"], ours["version"]))
    bom = Bom(
        components=components.values(),
        serial_number=uuid.uuid5(
            uuid.NAMESPACE_URL, f"{ours['repository']}#{ours['name']}@{ours['version']}"
        ),
    )
    bom.metadata.component = root
    # Whoever wants to build the same bytes needs the same compiler.
    bom.metadata.properties.add(Property(name="secretcache:compiler", value=compiler()))
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(
        int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), datetime.timezone.utc
    )
    components[ours["name"], ours["version"]] = root
    for crate, used in uses.items():
        bom.register_dependency(components[crate], [components[each] for each in used])
    text = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        raise SystemExit(f"{ours['name']}: not valid CycloneDX: {problem}")
    return text


def component(crate: dict, checksum: str | None) -> Component:
    name, version = crate["name"], crate["version"]
    purl = PackageURL("cargo", None, name, version)
    links = [
        (crate["repository"], ExternalReferenceType.VCS),
        (crate["homepage"], ExternalReferenceType.WEBSITE),
    ]
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=str(purl),
        purl=purl,
        description=crate["description"] and " ".join(crate["description"].split()),
        licenses=[LicenseFactory().make_from_string(expression(crate))],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
        external_references=[ExternalReference(type=kind, url=XsUri(url)) for url, kind in links if url],
    )


def expression(crate: dict) -> str:
    """Return the licence as an SPDX expression; older crates write a slash for "or"."""
    return (crate["license"] or "NOASSERTION").replace("/", " OR ").replace("  ", " ")


def notices(ours: dict, others: list[dict]) -> str:
    """Return every crate with its licence, then every licence text once, with its crates."""
    texts: dict[str, list[str]] = {}
    for crate in others:
        for text in licence_texts(crate):
            texts.setdefault(text, []).append(f"{crate['name']} {crate['version']}")
    width = max(len(f"{crate['name']} {crate['version']}") for crate in others)
    lines = [
        f"Third-party code in {ours['name']} {ours['version']}, and its licences. It also contains the Rust",
        "standard library (MIT OR Apache-2.0, copyright The Rust Project Contributors; https://www.rust-lang.org).",
        "",
        *(f"{crate['name'] + ' ' + crate['version']:{width}}  {expression(crate)}" for crate in others),
    ]
    for text, crates in sorted(texts.items(), key=lambda item: item[1]):
        lines += ["", RULE, *crates, RULE, "", text]
    return "\n".join(lines) + "\n"


def licence_texts(crate: dict) -> list[str]:
    """Return the texts in a crate's package. If it has none, return its licence's standard text, with its authors."""
    folder = Path(crate["manifest_path"]).parent
    files = [file for file in folder.rglob("*") if TEXTS.search(file.name) and file.is_file()]
    texts = []
    for file in sorted(files):
        text = file.read_text(errors="replace")
        if file.suffix.lower() in ("", ".md", ".txt", ".apache2", ".mit") or "-" in file.name:
            texts.append("\n".join(line.rstrip() for line in text.splitlines()).strip("\n"))
    if texts:
        return list(dict.fromkeys(texts))
    if "Apache-2.0" in expression(crate):
        return [(ROOT / "LICENSE").read_text().strip("\n")]
    if "MIT" in expression(crate):
        authors = ", ".join(re.sub(r"\s*<.*>", "", author) for author in crate["authors"])
        return [MIT.replace("AUTHORS", authors or f"the authors of {crate['name']}").strip("\n")]
    raise SystemExit(
        f"{crate['name']} {crate['version']} ({expression(crate)}) has no licence text in its package"
    )


if __name__ == "__main__":
    main()
