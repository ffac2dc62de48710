"""Runs the test programs in `programs/`: plainly, under the sanitizers, and under valgrind."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from conftest import HERE, SANITIZERS, Installed, run

PROGRAMS = ["arguments.c", "reading.c", "events.c", "batches.c", "process.c", "cpp.cpp"]
TEST = re.compile(r'^ {8}\{"(\w+)", \1\},$', re.MULTILINE)
HANGS = 300
"""Seconds after which a program counts as hung; no test waits for time to pass."""
MEMCHECK = ["valgrind", "--quiet", "--error-exitcode=99", "--fair-sched=try"]
LEAKS = [
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
]
LEAKS_BY_DESIGN = {
    "forked_children_start_afresh": "a child does not free what it inherits",
    "forks_at_any_moment": "the same",
}
FORKS_IN_VALGRIND = "4"
NOT_SANITIZED = {
    "forks_at_any_moment": "in a child of several threads, the sanitizer's allocator may be locked forever"
}


def cases(*without: str) -> list[tuple[str, str]]:
    """Return all pairs of program and test, except for the tests named."""
    listed = []
    for program in PROGRAMS:
        found = TEST.findall((HERE / "programs" / program).read_text())
        assert found, program
        listed += [(program, name) for name in found if name not in without]
    return listed


@pytest.fixture(scope="session")
def programs(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Build every program in every variant."""
    folder = tmp_path_factory.mktemp("programs")
    built = {}
    for variant, flags in {"plain": [], "sanitized": SANITIZERS}.items():
        for program in PROGRAMS:
            sources = [HERE / "programs" / program]
            if program.endswith(".c"):
                sources.append(HERE / "programs" / "store.c")
            output = folder / f"{variant}-{Path(program).stem}"
            built[variant, program] = installed.compile(output, sources, *flags)
            listed = run(output).split()
            assert listed == [name for of, name in cases() if of == program]
    return built


@pytest.mark.parametrize(("program", "test"), cases())
def test_plain(programs: dict[tuple[str, str], Path], program: str, test: str) -> None:
    run(programs["plain", program], test, timeout=HANGS)


@pytest.mark.parametrize(("program", "test"), cases(*NOT_SANITIZED))
def test_under_address_and_undefined_behaviour_sanitizers(
    programs: dict[tuple[str, str], Path], program: str, test: str
) -> None:
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1"}
    run(programs["sanitized", program], test, timeout=HANGS, env=environment)


@pytest.mark.parametrize(("program", "test"), cases())
def test_under_memcheck(programs: dict[tuple[str, str], Path], program: str, test: str) -> None:
    check = [*MEMCHECK, *([] if test in LEAKS_BY_DESIGN else LEAKS)]
    environment = os.environ | {"FORKS": FORKS_IN_VALGRIND}
    run(*check, programs["plain", program], test, timeout=HANGS * 2, env=environment)


@pytest.mark.parametrize("seed", range(1, 9))
def test_any_calls_in_any_order(installed: Installed, tmp_path: Path, seed: int) -> None:
    """A short run of the fuzz target; `make test-c FUZZ_STEPS=1000000` runs it for longer."""
    sources = [HERE / "programs" / name for name in ("fuzz.c", "store.c")]
    program = installed.compile(tmp_path / "fuzz", sources, *SANITIZERS)
    run(program, str(seed), os.environ.get("FUZZ_STEPS", "2000"), timeout=HANGS)
