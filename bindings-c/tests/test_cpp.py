"""The C++ face: one program from several standards, and what must not compile."""

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
    """Compile both halves of the program, each for its standard."""
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
    """Whichever of two definitions the linker keeps, both halves mean the same by a result."""
    halves = objects(installed, tmp_path, *flags)[::order]
    libraries = [f"-L{installed.prefix}/lib", "-lsecretcache", f"-Wl,-rpath,{installed.prefix}/lib"]
    program = tmp_path / "program"
    run("g++", *flags, *halves, *libraries, "-o", program)
    output = run(program, timeout=300)
    assert output == "app\nthere is no such secret\nthe login function gave up\n"


def test_c3_what_differs_has_another_name(installed: Installed, tmp_path: Path) -> None:
    """Halves with and without exceptions differ in what failing means: they do not link by accident."""
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
