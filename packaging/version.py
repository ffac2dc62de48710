#!/usr/bin/env python3
"""One version across all packages.

packaging/version.py                  checks that they agree, and prints it
packaging/version.py 0.2.0            sets it everywhere, and opens its section of the changelog
packaging/version.py --tag v0.2.0     also checks that the tag matches and the changelog has its section
packaging/version.py --notes          prints that section
packaging/version.py --ready          checks that they agree and there are notes, and prints what is left to do
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-(alpha|beta|rc)\.(\d+))?")

LOCK = r'(name = "secretcache(?:-(?:access|c|cli|local|node|python|rotation|tests))?"\nversion = ")()(")'
PLACES = (
    [
        # A file, the text around the version in it, and the version's spelling there.
        ("Cargo.toml", r'(\[workspace\.package\]\nversion = ")()(")', "cargo"),
        ("Cargo.toml", r'(\nsecretcache[a-z-]* = \{ path = "[a-z]+", version = ")()(")', "cargo"),
        ("bindings-c/cbindgen.toml", r'(#define SECRETCACHE_VERSION ")()(")', "cargo"),
        ("bindings-c/cbindgen.toml", r"(#define SECRETCACHE_VERSION_MAJOR )()(\n)", "major"),
        ("bindings-c/cbindgen.toml", r"(#define SECRETCACHE_VERSION_MINOR )()(\n)", "minor"),
        ("bindings-c/cbindgen.toml", r"(#define SECRETCACHE_VERSION_PATCH )()(\n)", "patch"),
        ("bindings-c/include/secretcache.h", r'(#define SECRETCACHE_VERSION ")()(")', "cargo"),
        ("bindings-c/include/secretcache.h", r"(#define SECRETCACHE_VERSION_MAJOR )()(\n)", "major"),
        ("bindings-c/include/secretcache.h", r"(#define SECRETCACHE_VERSION_MINOR )()(\n)", "minor"),
        ("bindings-c/include/secretcache.h", r"(#define SECRETCACHE_VERSION_PATCH )()(\n)", "patch"),
        ("bindings-python/pyproject.toml", r'(\ncli = \["secretcache-cli==)()(")', "python"),
        ("cli/npm/package.json", r'(\n  "version": ")()(")', "cargo"),
        ("cli/npm/package.json", r'("secretcache-cli-[a-z0-9-]+": ")()(")', "cargo"),
        ("bindings-node/package.json", r'(\n  "version": ")()(")', "cargo"),
        ("packaging/conan/conanfile.py", r'(\n    version = ")()(")', "cargo"),
        ("packaging/vcpkg/secretcache/vcpkg.json", r'(\n  "version": ")()(")', "cargo"),
        ("bindings-node/package-lock.json", r'("name": "secretcache",\n +"version": ")()(")', "cargo"),
    ]
    + [
        (file, r"(find_package\(secretcache )()( REQUIRED)", "series")
        for file in (
            "bindings-c/README.md",
            "bindings-c/tests/consumer/CMakeLists.txt",
            "docs/getting-started/c.md",
        )
    ]
    + [
        (file, LOCK, "cargo")
        for file in subprocess.run(
            ["git", "ls-files", "*Cargo.lock"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split()
        if re.search(LOCK.replace("()", '[^"]+'), (ROOT / file).read_text())
    ]
)


def main() -> None:
    match sys.argv[1:]:
        case []:
            print(check())
        case ["--notes"]:
            print(notes(check()))
        case ["--ready"]:
            print(ready(check()))
        case ["--tag", tag]:
            version = check()
            if tag != f"v{version}":
                raise SystemExit(
                    f"the tag is {tag}, and the packages are {version}: make version V={tag.removeprefix('v')}"
                )
            notes(version)
        case [version] if VERSION.fullmatch(version):
            set_everywhere(version)
            print(check())
        case _:
            raise SystemExit(__doc__)


def spellings(version: str) -> dict[str, str]:
    """Return the spellings of a version in the kinds of files."""
    major, minor, patch, phase, number = VERSION.fullmatch(version).groups()
    python = f"{major}.{minor}.{patch}"
    if phase:
        python += {"alpha": "a", "beta": "b", "rc": "rc"}[phase] + number
    series = f"{major}.{minor}"
    return {
        "cargo": version,
        "python": python,
        "major": major,
        "minor": minor,
        "patch": patch,
        "series": series,
    }


def places() -> list[tuple[Path, re.Pattern[str], str]]:
    """Return the files, each with the pattern of a version and its surroundings, and the spelling."""
    version = r"([0-9A-Za-z.+-]+)"
    return [
        (ROOT / file, re.compile(around.replace("()", version)), spelling)
        for file, around, spelling in PLACES
    ]


def check() -> str:
    """Return the version that all packages have."""
    first = re.search(r'\[workspace\.package\]\nversion = "([^"]+)"', (ROOT / "Cargo.toml").read_text())
    version = first.group(1)
    if not VERSION.fullmatch(version):
        raise SystemExit(f"Cargo.toml: {version!r} is not a version such as 0.2.0 or 0.2.0-rc.1")
    wrong = []
    for file, pattern, spelling in places():
        expected = spellings(version)[spelling]
        matches = list(pattern.finditer(file.read_text()))
        if not matches:
            wrong.append(f"{file.relative_to(ROOT)}: no version matches {pattern.pattern!r}")
        for match in matches:
            if match.group(2) != expected:
                line = file.read_text()[: match.start(2)].count("\n") + 1
                wrong.append(f"{file.relative_to(ROOT)}:{line}: {match.group(2)}, not {expected}")
    if wrong:
        raise SystemExit("\n".join([*wrong, f"set one version everywhere: make version V={version}"]))
    return version


def set_everywhere(version: str) -> None:
    """Write a version into all files, and give the unreleased section of the changelog its number."""
    old = re.search(r'\[workspace\.package\]\nversion = "([^"]+)"', (ROOT / "Cargo.toml").read_text()).group(
        1
    )
    for file, pattern, spelling in places():
        new = spellings(version)[spelling]
        file.write_text(pattern.sub(lambda match, new=new: match[1] + new + match[3], file.read_text()))
    changelog = ROOT / "CHANGELOG.md"
    text = changelog.read_text()
    if not heading(version).search(text):
        today = datetime.date.today().isoformat()
        changelog.write_text(
            text.replace("\n## Unreleased\n", f"\n## Unreleased\n\n## {version} ({today})\n", 1)
        )
    print(f"{old} -> {version}; check CHANGELOG.md, then commit and tag v{version}")


def notes(version: str) -> str:
    """Return the changelog's section for a version."""
    found = section(version)
    if not found:
        raise SystemExit(f"CHANGELOG.md has no section {version}: make version V={version} opens it")
    return found


def ready(version: str) -> str:
    """Return what is left to do before a tag."""
    if section(version):
        return f"{version}: ready to be tagged v{version}"
    if not section("Unreleased"):
        raise SystemExit("CHANGELOG.md has nothing under Unreleased")
    return (
        f"{version}: its notes are still under Unreleased; make version V={version} gives them their section"
    )


def section(title: str) -> str:
    """Return the changelog's text under a title, or an empty string."""
    text = (ROOT / "CHANGELOG.md").read_text()
    found = heading(title).search(text)
    return re.split(r"^## ", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip() if found else ""


def heading(title: str) -> re.Pattern[str]:
    """Return the pattern of a heading in the changelog: 0.2.0 does not match 0.2.0-rc.1."""
    return re.compile(rf"^## {re.escape(title)}(?: .*)?$", re.MULTILINE)


if __name__ == "__main__":
    main()
