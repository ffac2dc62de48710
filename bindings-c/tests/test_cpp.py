"""The C++ interface: one program from several standards, and code that must not compile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import CPP, HERE, WARNINGS, Installed, run

CONSUMER = HERE / "consumer"
LOGIN = """
#include <secretcache.hpp>
void connect(const secretcache::Cache &cache)
{{
    static_cast<void>(cache.connect("db", [](const secretcache::Credential &) {{ return {answer}; }}));
}}
"""


def objects(installed: Installed, folder: Path, *flags: str) -> list[Path]:
    """Compile both halves of the program, each for its own standard."""
    made = []
    for name, standard in (("older", "c++17"), ("newer", "c++23")):
        output = folder / f"{name}.o"
        include = f"-I{installed.prefix}/include"
        run(
            "g++",
            f"-std={standard}",
            *WARNINGS,
            *flags,
            include,
            "-c",
            CONSUMER / f"{name}.cpp",
            "-o",
            output,
        )
        made.append(output)
    return made


@pytest.mark.parametrize("flags", [["-O0"], ["-O2"], ["-O1", "-fsanitize=address,undefined"]])
@pytest.mark.parametrize("order", [1, -1])
def test_c3_one_program_from_two_standards(
    installed: Installed, tmp_path: Path, flags: list[str], order: int
) -> None:
    """Both halves agree on the type of a result, whichever of the two definitions the linker keeps."""
    halves = objects(installed, tmp_path, *flags)[::order]
    libraries = [f"-L{installed.prefix}/lib", "-lsecretcache", f"-Wl,-rpath,{installed.prefix}/lib"]
    program = tmp_path / "program"
    run("g++", *flags, *halves, *libraries, "-o", program)
    output = run(program, timeout=300)
    assert output == "app\nthere is no such secret\nthe login function returned an error\n"


def test_c3_what_differs_has_another_name(installed: Installed, tmp_path: Path) -> None:
    """Halves with and without exceptions fail in different ways, so they must not link."""
    older, _ = objects(installed, tmp_path)
    newer = tmp_path / "without.o"
    include = f"-I{installed.prefix}/include"
    run("g++", "-std=c++23", "-fno-exceptions", include, "-c", CONSUMER / "newer.cpp", "-o", newer)
    libraries = [f"-L{installed.prefix}/lib", "-lsecretcache"]
    linked = subprocess.run(
        ["g++", older, newer, *libraries, "-o", tmp_path / "program"], capture_output=True, text=True
    )
    assert linked.returncode
    assert "undefined reference to `read(" in linked.stderr


@pytest.mark.parametrize("answer", ["true", "1", "0u", "nullptr"])
def test_c4_a_login_function_that_gives_something_else_does_not_compile(
    installed: Installed, tmp_path: Path, answer: str
) -> None:
    program = tmp_path / "login.cpp"
    program.write_text(LOGIN.format(answer=answer))
    command = [*CPP, "-fsyntax-only", f"-I{installed.prefix}/include", program]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode
    assert "log_in must return a secretcache_login" in refused.stderr
    program.write_text(LOGIN.format(answer="SECRETCACHE_LOGIN_ACCEPTED"))
    run(*command)


@pytest.mark.parametrize("result", ["bool", "int", "void", "uint32_t"])
def test_c4_nor_does_a_function_of_another_type_for_the_c_interface(
    installed: Installed, tmp_path: Path, result: str
) -> None:
    text = (
        "#include <secretcache.h>\n"
        "{result} log_in(void *, const secretcache_credential *);\n"
        "secretcache_on_login function = log_in;\n"
    )
    program = tmp_path / "login.cpp"
    command = [*CPP, "-fsyntax-only", f"-I{installed.prefix}/include", program]
    program.write_text(text.format(result=result))
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode
    assert "invalid conversion" in refused.stderr
    program.write_text(text.format(result="secretcache_login"))
    run(*command)


def test_c4_c_warns_of_a_bool_and_the_header_names_the_trap(installed: Installed, tmp_path: Path) -> None:
    program = tmp_path / "login.c"
    program.write_text(
        "#include <secretcache.h>\n"
        "bool log_in(void *user_data, const secretcache_credential *credential);\n"
        "secretcache_on_login function = log_in;\n"
    )
    command = ["gcc", "-std=c11", "-Werror", "-fsyntax-only", f"-I{installed.prefix}/include", program]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode
    assert "incompatible-pointer-types" in refused.stderr
    header = (installed.prefix / "include" / "secretcache.h").read_text()
    assert "Do not return a `bool`" in header
