"""Fixtures for the tests: the installed library, and functions that compile C and C++ programs against it.

Programs use only the installed tree, like a user's program. `make test-c` builds the library first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests" / "tools"))

from endpoint import Endpoint  # noqa: E402

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
STRICT = [*WARNINGS, "-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wundef", "-Wcast-qual", "-Wunused"]
"""The warnings that users' projects enable for the headers that they include."""
STRICT_C = [*STRICT, "-Wc++-compat", "-Wstrict-prototypes", "-Wmissing-prototypes"]
STRICT_CPP = [*STRICT, "-Wold-style-cast", "-Wnon-virtual-dtor", "-Woverloaded-virtual", "-Wextra-semi"]
C, CPP = ["gcc", "-std=gnu11", "-D_GNU_SOURCE"], ["g++", "-std=c++17"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def run(*command: str | Path, **options: object) -> str:
    """Run a command and return its output. If it fails, fail the test with that output."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} gave {done.returncode}:\n{done.stdout}", pytrace=False)
    return str(done.stdout)


class Installed:
    """A prefix under which the library is installed."""

    def __init__(self, prefix: Path, build: Path) -> None:
        self.prefix = prefix
        self.library = prefix / "lib" / "libsecretcache.so"
        run(ROOT / "bindings-c" / "install", build, prefix)

    def compile(
        self, output: Path, sources: list[Path], *flags: str, compiler: list[str] | None = None
    ) -> Path:
        """Build a program against the shared library."""
        compiler = compiler or (CPP if any(source.suffix == ".cpp" for source in sources) else C)
        libraries = ["-lsecretcache", f"-Wl,-rpath,{self.prefix}/lib", "-lpthread"]
        places = [f"-I{self.prefix}/include", f"-I{HERE}/programs", f"-L{self.prefix}/lib"]
        run(*compiler, "-g", *WARNINGS, *places, *sources, *flags, *libraries, "-o", output)
        return output


@pytest.fixture(scope="session")
def installed() -> Installed:
    """Install the debug build."""
    build = ROOT / "target" / "debug"
    if not (build / "libsecretcache_c.so").exists():
        pytest.fail("the library is missing: cargo build -p secretcache-c", pytrace=False)
    for tool in ("gcc", "g++", "valgrind", "cmake", "pkg-config", "nm", "readelf", "luajit", "ruby"):
        if not shutil.which(tool):
            pytest.fail(f"{tool} is missing; `make test-c` installs it", pytrace=False)
    return Installed(ROOT / "target" / "c" / "debug", build)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """Run `secretcache local`, and set the environment so that the programs use it."""
    with Endpoint() as endpoint:
        ambient = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        os.environ.clear()
        os.environ.update(ambient | endpoint.environment)
        yield endpoint
