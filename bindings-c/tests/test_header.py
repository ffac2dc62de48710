"""The header: generated from the source, complete, and valid in every language standard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomllib
from conftest import HERE, ROOT, STRICT_C, STRICT_CPP, Installed, run

HEADER = ROOT / "bindings-c" / "include" / "secretcache.h"
SOURCE = ROOT / "bindings-c" / "src"
C_STANDARDS = ["c99", "c11", "c17", "c2x"]
CPP_STANDARDS = ["c++17", "c++20", "c++23"]


def declared() -> set[str]:
    """Return the names of the functions that the header declares for the library to define."""
    text = HEADER.read_text()
    api = re.findall(r"SECRETCACHE_API\s[^;(]*?\b(secretcache_\w+)\(", text)
    assert len(api) > 80
    return set(api)


def test_the_header_is_what_the_source_makes(tmp_path: Path) -> None:
    run(ROOT / "bindings-c" / "header", ROOT / "target" / "tools" / "bin" / "cbindgen", tmp_path)
    for name in ("secretcache.h", "secretcache/ffi.h"):
        committed = HEADER.parent / name
        assert (tmp_path / name).read_text() == committed.read_text(), "run `make header-c` and commit"


@pytest.mark.parametrize("standard", C_STANDARDS)
def test_c10_it_is_c_without_a_warning(installed: Installed, tmp_path: Path, standard: str) -> None:
    program = tmp_path / "program.c"
    program.write_text("#include <secretcache.h>\n#include <secretcache.h>\nint main(void) { return 0; }\n")
    flags = [f"-std={standard}", *STRICT_C, f"-I{installed.prefix}/include"]
    run("gcc", *flags, program, "-o", tmp_path / "out")
    run("gcc", *flags, ROOT / "bindings-c" / "examples" / "get.c", "-c", "-o", tmp_path / "get.o")


@pytest.mark.parametrize("exceptions", ["-fexceptions", "-fno-exceptions"])
@pytest.mark.parametrize("standard", CPP_STANDARDS)
def test_c10_it_is_cpp_without_a_warning(
    installed: Installed, tmp_path: Path, standard: str, exceptions: str
) -> None:
    compiler = ["g++", f"-std={standard}", exceptions, *STRICT_CPP]
    source = HERE / "programs" / "cpp.cpp"
    program = installed.compile(tmp_path / "program", [source], compiler=compiler)
    run(program, "reads", timeout=300)
    run(program, "logins", timeout=300)


def test_the_header_has_the_version_of_the_crate() -> None:
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    version = manifest["workspace"]["package"]["version"]
    assert f'#define SECRETCACHE_VERSION "{version}"' in HEADER.read_text()
    for part, number in zip(("MAJOR", "MINOR", "PATCH"), version.split("."), strict=True):
        assert f"#define SECRETCACHE_VERSION_{part} {number}\n" in HEADER.read_text()


def test_the_library_exports_what_the_header_declares_and_nothing_else(installed: Installed) -> None:
    symbols = run("nm", "-D", "--defined-only", installed.library).split("\n")
    exported = {line.split()[-1] for line in symbols if line}
    assert exported == declared()


def test_every_export_goes_through_the_macro() -> None:
    """No function is exported in another way. Each macro catches panics, or calls a function that does."""
    for path in SOURCE.glob("*.rs"):
        code = path.read_text().split("#[cfg(test)]")[0]
        marks = len(re.findall(r"no_mangle|export_name|link_section", code))
        if path.name == "export.rs":
            assert marks == len(re.findall(r'pub unsafe extern "C" fn \$name', code)) == 4
            assert len(re.findall(r"forward_result!\(\$target\(", code)) == 1
            assert len(re.findall(r"\$crate::export::(?:in)?fallible\(", code)) == 3
            assert len(re.findall(r"catch_unwind\(AssertUnwindSafe\(body\)\)", code)) == 2
        else:
            assert marks == 0, path
            assert not re.search(r'extern "C" fn \w+\(', code), path
    macros = "".join(path.read_text() for path in SOURCE.glob("*.rs"))
    assert declared() == set(re.findall(r"^    fn (secretcache_\w+)\(", macros, re.MULTILINE))


def test_every_function_is_called_with_wrong_arguments() -> None:
    tested = (HERE / "programs" / "arguments.c").read_text()
    # These have no pointer arguments.
    harmless = {"secretcache_config_new", "secretcache_value_new"}
    untested = {name for name in declared() - harmless if f"{name}(" not in tested}
    assert not untested


def test_c10_every_function_is_reached_from_cpp() -> None:
    text = "".join(face.read_text() for face in HEADER.parent.rglob("*.hpp"))
    named = set(re.findall(r"\bsecretcache_\w+", text))
    # C++ passes structures by value.
    assert {name for name in declared() - named if not name.startswith("secretcache_ffi_")} == set()


def test_every_function_is_documented() -> None:
    text = HEADER.read_text()
    for name in declared():
        before = text[: re.search(rf"\b{name}\(", text).start()]  # type: ignore[union-attr]
        assert before.rstrip().rsplit("\n\n", 1)[-1].lstrip().startswith("/**"), name
