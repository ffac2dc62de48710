"""Uses helgrind to find data races in programs that use the library, callbacks included.

`races.supp` and `FOR_HELGRIND` in `programs/check.h` describe the limits of helgrind. A program with a race in its
callback proves that helgrind still finds such races.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import HERE, Installed, run
from test_programs import HANGS, TEST

HELGRIND = ["valgrind", "--tool=helgrind", "--quiet", "--error-exitcode=99", "--fair-sched=try"]
SUPPRESSIONS = f"--suppressions={HERE / 'races.supp'}"
PROGRAMS = ["reading.c", "events.c", "batches.c"]
CASES = [
    (program, name)
    for program in PROGRAMS
    for name in TEST.findall((HERE / "programs" / program).read_text())
]


@pytest.fixture(scope="session")
def programs(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("races")
    return {
        program: installed.compile(
            folder / Path(program).stem,
            [HERE / "programs" / program, HERE / "programs" / "store.c"],
            "-DFOR_HELGRIND",
        )
        for program in PROGRAMS
    }


@pytest.mark.parametrize(("program", "test"), CASES)
def test_no_races_between_program_and_callbacks(programs: dict[str, Path], program: str, test: str) -> None:
    run(*HELGRIND, SUPPRESSIONS, programs[program], test, timeout=HANGS * 2)


def test_a_race_is_found(installed: Installed, tmp_path: Path) -> None:
    sources = [HERE / "programs" / name for name in ("race.c", "store.c")]
    program = installed.compile(tmp_path / "race", sources, "-DFOR_HELGRIND")
    run(program, timeout=HANGS)
    found = subprocess.run(
        [*HELGRIND, SUPPRESSIONS, program], capture_output=True, text=True, timeout=HANGS * 2
    )
    assert found.returncode == 99, found.stderr
    assert "on_done (race.c" in found.stderr
