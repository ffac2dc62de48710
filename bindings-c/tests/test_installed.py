"""The installed tree, as others use it: by pkg-config and CMake, shared and static, loaded and unloaded."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import CPP, HERE, WARNINGS, C, Installed, run

from endpoint import Endpoint

CONSUMER = HERE / "consumer"


def version(installed: Installed) -> str:
    header = (installed.prefix / "include" / "secretcache.h").read_text()
    return re.search(r'#define SECRETCACHE_VERSION "(.*)"', header).group(1)  # type: ignore[union-attr]


def pkg_config(installed: Installed, *arguments: str) -> list[str]:
    environment = os.environ | {"PKG_CONFIG_PATH": str(installed.prefix / "lib" / "pkgconfig")}
    return run("pkg-config", *arguments, env=environment).split()


@pytest.mark.parametrize("source", ["main.c", "main.cpp"])
@pytest.mark.parametrize("package", ["secretcache", "secretcache-static"])
def test_pkg_config(installed: Installed, tmp_path: Path, package: str, source: str) -> None:
    assert pkg_config(installed, "--modversion", package) == [version(installed)]
    compiler = CPP if source.endswith("cpp") else C
    flags = pkg_config(installed, "--cflags", "--libs", package)
    program = tmp_path / "consumer"
    run(*compiler, *WARNINGS, CONSUMER / source, *flags, "-o", program)
    needs = run("readelf", "-d", program)
    soname = f"libsecretcache.so.{'.'.join(version(installed).split('.')[:2])}"
    assert (soname in needs) == (package == "secretcache"), needs
    environment = os.environ | {"LD_LIBRARY_PATH": str(installed.prefix / "lib")}
    assert run(program, env=environment).strip() == version(installed)


def test_cmake(installed: Installed, tmp_path: Path) -> None:
    run("cmake", "-S", CONSUMER, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={installed.prefix}")
    run("cmake", "--build", tmp_path)
    for program in ("c_shared", "c_static", "cpp_shared"):
        assert run(tmp_path / program).strip() == version(installed)
    assert "libsecretcache" not in run("readelf", "-d", tmp_path / "c_static")


@pytest.mark.parametrize("wanted", ["0.0", "0.2", "1.0", "0.1.99"])
def test_cmake_refuses_other_versions(installed: Installed, tmp_path: Path, wanted: str) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(consumer C)\n"
        f"find_package(secretcache {wanted} REQUIRED CONFIG)\n"
    )
    command = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed.prefix}"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode
    assert "compatible with requested version" in refused.stderr


def test_the_shared_library_has_its_name_and_stays_loaded(installed: Installed) -> None:
    dynamic = run("readelf", "-d", installed.library)
    soname = f"libsecretcache.so.{'.'.join(version(installed).split('.')[:2])}"
    assert f"[{soname}]" in dynamic
    assert "NODELETE" in dynamic
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
    assert all(
        re.match(r"(libc|libm|libgcc_s|libdl|libpthread|librt|ld-linux.*)\.so", name) for name in needed
    ), needed


def test_the_static_library_shows_its_own_symbols_alone(installed: Installed) -> None:
    symbols = run("nm", "--extern-only", "--defined-only", installed.prefix / "lib" / "libsecretcache.a")
    names = {line.split()[2] for line in symbols.splitlines() if len(line.split()) == 3}
    exports = run("nm", "--dynamic", "--extern-only", "--defined-only", installed.library)
    assert names == {line.split()[2] for line in exports.splitlines()}
    assert all(name.startswith("secretcache_") for name in names)


def test_two_rust_libraries_in_one_program(installed: Installed, tmp_path: Path) -> None:
    """Another static library by the same compiler has the same standard library in it."""
    other = tmp_path / "libother.a"
    run("rustc", "--edition=2024", "--crate-type=staticlib", "-O", CONSUMER / "other.rs", "-o", other)
    # A program of one's own may also use a name that is one within the library.
    (tmp_path / "own.c").write_text("int rust_eh_personality(void) { return 3; }\n")
    libraries = [installed.prefix / "lib" / "libsecretcache.a", *system_libraries(installed)]
    include = f"-I{installed.prefix}/include"
    program = tmp_path / "two"
    run(*C, *WARNINGS, include, CONSUMER / "two.c", *libraries, other, *libraries, "-o", program)
    assert run(program).split() == [version(installed), "caught"]
    run(*C, include, CONSUMER / "main.c", tmp_path / "own.c", *libraries, "-o", program)
    assert run(program).strip() == version(installed)


def system_libraries(installed: Installed) -> list[str]:
    flags = pkg_config(installed, "--libs", "secretcache-static")
    return [flag for flag in flags if flag.startswith("-l") and "secretcache" not in flag]


def test_loading_and_unloading(installed: Installed, tmp_path: Path, endpoint: Endpoint) -> None:
    import boto3

    client = boto3.client("secretsmanager")
    client.create_secret(Name="prod/db", SecretString='{"username":"app","password":"hunter2"}')
    program = tmp_path / "unloading"
    source = HERE / "programs" / "unloading.c"
    run(*C, *WARNINGS, "-Wno-pedantic", f"-I{installed.prefix}/include", source, "-ldl", "-o", program)
    run(program, installed.library, endpoint.url, timeout=300)
