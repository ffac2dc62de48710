"""The installed tree, used through pkg-config and CMake, shared and static, loaded and unloaded."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import CPP, HERE, ROOT, WARNINGS, C, Installed, run

from endpoint import Endpoint

CONSUMER = HERE / "consumer"
HEADER = (ROOT / "bindings-c" / "include" / "secretcache.h").read_text()
MAJOR, MINOR, PATCH = (
    int(number) for number in re.findall(r"#define SECRETCACHE_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", HEADER)
)
SERIES, NEXT = f"{MAJOR}.{MINOR}", f"{MAJOR}.{MINOR + 1}"


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


def test_c5_a_program_is_linked_statically_by_pkg_config(
    installed: Installed, endpoint: Endpoint, tmp_path: Path
) -> None:
    """The program needs no shared library, and it can read a secret."""
    flags = pkg_config(installed, "--static", "--cflags", "--libs", "secretcache")
    program = tmp_path / "get"
    run("gcc", "-static", ROOT / "bindings-c" / "examples" / "get.c", *flags, "-o", program)
    assert "There is no dynamic section" in run("readelf", "-d", program)
    endpoint.client().create_secret(Name="static/db", SecretString='{"username":"app"}')
    assert run(program, "static/db", timeout=300) == "app\n"


def test_cmake_and_c5_its_static_target(installed: Installed, tmp_path: Path) -> None:
    run("cmake", "-S", CONSUMER, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={installed.prefix}")
    run("cmake", "--build", tmp_path)
    for program in ("c_shared", "c_static", "c_whole", "cpp_shared", "cpp_static"):
        assert run(tmp_path / program).strip() == version(installed)
    for program in ("c_static", "cpp_static"):
        assert "libsecretcache" not in run("readelf", "-d", tmp_path / program)
    assert "There is no dynamic section" in run("readelf", "-d", tmp_path / "c_whole")


def find_package(installed: Installed, folder: Path, wanted: str) -> subprocess.CompletedProcess[str]:
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.19)\nproject(consumer C)\n"
        f"find_package(secretcache {wanted} REQUIRED CONFIG)\n"
    )
    command = ["cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={installed.prefix}"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    "wanted",
    [
        f"{SERIES}...{NEXT}",
        f"{SERIES}...<{NEXT}",
        f"{SERIES}.{PATCH}...{SERIES}.{PATCH}",
        f"0.0...{MAJOR + 1}.0",
        SERIES,
    ],
)
def test_c10_cmake_finds_versions_in_a_range(installed: Installed, tmp_path: Path, wanted: str) -> None:
    found = find_package(installed, tmp_path, wanted)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "wanted",
    [
        "0.0",
        NEXT,
        f"{MAJOR + 1}.0",
        f"{SERIES}.{PATCH + 1}",
        "0.0...0.0.9",
        f"{NEXT}...{MAJOR + 1}.0",
        f"0.0...<{SERIES}.{PATCH}",
        f"{SERIES}.{PATCH + 1}...{NEXT}",
    ],
)
def test_cmake_refuses_other_versions(installed: Installed, tmp_path: Path, wanted: str) -> None:
    refused = find_package(installed, tmp_path, wanted)
    assert refused.returncode
    assert "compatible with requested version" in refused.stderr


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("libdir", ["lib64", "lib/x86_64-linux-gnu", "/usr/lib/multi", "/opt/libraries"])
def test_c10_it_is_installed_in_the_given_folders_and_uninstalled(tmp_path: Path, libdir: str) -> None:
    """It goes under DESTDIR and LIBDIR, and uninstalling leaves nothing behind."""
    build = ROOT / "target" / "debug"
    environment = os.environ | {"DESTDIR": str(tmp_path), "LIBDIR": libdir}
    (tmp_path / "usr" / "include").mkdir(parents=True)
    (tmp_path / "usr" / "include" / "other.h").touch()
    run(ROOT / "bindings-c" / "install", build, "/usr", env=environment)
    libraries = (libdir if libdir.startswith("/") else f"/usr/{libdir}").lstrip("/")
    there = files(tmp_path)
    assert f"{libraries}/libsecretcache.so" in there
    assert f"{libraries}/cmake/secretcache/secretcacheConfig.cmake" in there
    assert "usr/share/doc/secretcache/LICENSE" in there
    assert "usr/include/secretcache/types.hpp" in there
    pc = (tmp_path / libraries / "pkgconfig" / "secretcache.pc").read_text()
    assert "prefix=/usr\n" in pc
    paths = {"PKG_CONFIG_LIBDIR": str(tmp_path / libraries / "pkgconfig")}
    flags = run("pkg-config", "--variable=libdir", "secretcache", env=os.environ | paths)
    assert flags.strip() == f"/{libraries}"
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(consumer C)\n"
        "find_package(secretcache REQUIRED CONFIG)\n"
        "get_target_property(there secretcache::secretcache IMPORTED_LOCATION)\n"
        "if(NOT EXISTS ${there})\nmessage(FATAL_ERROR ${there})\nendif()\n"
    )
    cmake = tmp_path / libraries / "cmake" / "secretcache"
    # For /opt/libraries, CMake looks for the headers under the prefix, not under DESTDIR.
    if libdir != "/opt/libraries":
        run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-Dsecretcache_DIR={cmake}")
    run("rm", "-rf", tmp_path / "build", tmp_path / "CMakeLists.txt")
    run(ROOT / "bindings-c" / "uninstall", "/usr", env=environment)
    assert files(tmp_path) == {"usr/include/other.h"}
    assert not (tmp_path / libraries).exists()
    again = subprocess.run(
        [ROOT / "bindings-c" / "uninstall", "/usr"], env=environment, capture_output=True, text=True
    )
    assert again.returncode
    assert "nothing is installed under" in again.stderr


def test_the_loader_learns_of_the_library_unless_it_is_for_another_root(tmp_path: Path) -> None:
    """Otherwise, a program linked with a library in /usr/local/lib does not start until ldconfig runs."""
    build, tools, log = small(tmp_path), tmp_path / "tools", tmp_path / "log"
    tools.mkdir()
    (tools / "ldconfig").write_text(f"#!/bin/sh\necho called >> {log}\n")
    (tools / "ldconfig").chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    script, prefix = ROOT / "bindings-c" / "install", tmp_path / "prefix"
    run(script, build, prefix, env=environment | {"DESTDIR": str(tmp_path / "root")})
    run(script, build, prefix, env=environment | {"RELOCATABLE": "1"})
    assert not log.exists()
    run(script, build, prefix, env=environment)
    assert log.read_text() == "called\n"
    run(ROOT / "bindings-c" / "uninstall", prefix, env=environment)
    assert log.read_text() == "called\ncalled\n"


@pytest.mark.parametrize(
    ("linkage", "other"), [("static", "libsecretcache.so"), ("shared", "libsecretcache.a")]
)
def test_packagers_install_one_library_under_the_same_name(tmp_path: Path, linkage: str, other: str) -> None:
    prefix = tmp_path / "prefix"
    environment = os.environ | {"LINKAGE": linkage, "RELOCATABLE": "1"}
    run(ROOT / "bindings-c" / "install", ROOT / "target" / "debug", prefix, env=environment)
    assert not any(name.startswith(f"lib/{other}") for name in files(prefix))
    assert ("lib/pkgconfig/secretcache-static.pc" in files(prefix)) == (linkage == "static")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(consumer C)\n"
        "find_package(secretcache REQUIRED CONFIG)\n"
        f"add_executable(program {CONSUMER}/main.c)\n"
        "target_link_libraries(program PRIVATE secretcache::secretcache)\n"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "build")
    assert ("libsecretcache" in run("readelf", "-d", tmp_path / "build" / "program")) == (linkage == "shared")
    run(tmp_path / "build" / "program")


def packed(build: Path, folder: Path, notices: Path) -> Path:
    """Pack a tarball from a build, and return its path."""
    environment = os.environ | {"NOTICES": str(notices)}
    return Path(run(ROOT / "bindings-c" / "dist", build, folder, env=environment).strip())


def small(folder: Path) -> Path:
    """Build a small replacement for cargo's libraries: one function, shared and static."""
    (folder / "small.c").write_text("int secretcache_small(void) { return 0; }\n")
    run(*C, "-fPIC", "-c", folder / "small.c", "-o", folder / "small.o")
    run("ar", "rcs", folder / "libsecretcache_c.a", folder / "small.o")
    run(*C, "-shared", folder / "small.o", "-o", folder / "libsecretcache_c.so")
    return folder


def test_the_same_build_gives_the_same_tarball(tmp_path: Path) -> None:
    small(tmp_path)
    notices = tmp_path / "notices"
    notices.mkdir()
    (notices / "THIRD-PARTY-NOTICES.txt").write_text("notices of third parties\n")
    one, two = (packed(tmp_path, tmp_path / folder, notices) for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_the_tarball_works_where_it_is_unpacked(installed: Installed, tmp_path: Path) -> None:
    """It contains the installed tree with the licenses, and pkg-config and CMake find it."""
    notices = tmp_path / "notices" / "THIRD-PARTY-NOTICES.txt"
    notices.parent.mkdir()
    notices.write_text("notices of third parties\n")
    small = tmp_path / "build"
    small.mkdir()
    for name in ("libsecretcache_c.a", "libsecretcache_c.so"):
        run("strip", "--strip-debug", ROOT / "target" / "debug" / name, "-o", small / name)
    made = packed(small, tmp_path / "made", notices.parent)
    run("sha256sum", "--check", f"{made.name}.sha256", cwd=made.parent)
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    run("tar", "--extract", "--file", made, "--directory", elsewhere)
    (tree,) = elsewhere.iterdir()
    assert (tree / "share" / "doc" / "secretcache" / notices.name).read_text() == notices.read_text()
    flat = tmp_path / "flat"
    tree.rename(flat)  # a path without a space, because pkg-config's output is split at spaces
    environment = os.environ | {"PKG_CONFIG_PATH": str(flat / "lib" / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "secretcache-static", env=environment).split()
    run(*C, CONSUMER / "main.c", *flags, "-o", tmp_path / "consumer")
    assert run(tmp_path / "consumer").strip() == version(installed)
    run("cmake", "-S", CONSUMER, "-B", tmp_path / "cmake", f"-DCMAKE_PREFIX_PATH={flat}")


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
    """Another static library from the same compiler contains the same standard library."""
    other = tmp_path / "libother.a"
    run("rustc", "--edition=2024", "--crate-type=staticlib", "-O", CONSUMER / "other.rs", "-o", other)
    # A program may also define a symbol that is local in the library.
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
