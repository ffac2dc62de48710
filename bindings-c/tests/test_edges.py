"""A program that uses the library: its exit, its memory use over time, and what checkers report about it."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import HERE, Installed, run

from endpoint import Endpoint

HANGS = 600
TIMES = 200
EDGES = re.findall(r'^ {8}\{"(\w+)", \1\},$', (HERE / "programs" / "edges.c").read_text(), re.MULTILINE)
MEMCHECK = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--fair-sched=try",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect,possible",
    "--errors-for-leak-kinds=definite,indirect,possible",
]


@pytest.fixture(scope="module")
def edges(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [HERE / "programs" / name for name in ("edges.c", "store.c")]
    return installed.compile(tmp_path_factory.mktemp("edges") / "edges", sources, "-DCOUNT_ALLOCATIONS")


@pytest.mark.parametrize("test", EDGES)
def test_edge(edges: Path, test: str) -> None:
    assert len(EDGES) == 4
    run(edges, test, timeout=HANGS)


@pytest.mark.parametrize("transport", ["own", "aws"])
def test_a_program_ends_200_times_with_its_own_status(
    installed: Installed, endpoint: Endpoint, tmp_path: Path, transport: str
) -> None:
    """It works, fails, and exits in three ways while reads are in progress."""
    sources = [HERE / "programs" / name for name in ("ending.c", "store.c")]
    program = installed.compile(tmp_path / "ending", sources)
    client = endpoint.client()
    if transport == "aws":
        client.create_secret(Name="db", SecretString='{"username":"app"}')

    def end(number: int) -> tuple[int, int, str]:
        status, how = number % 100, ("return", "exit", "_exit")[number % 3]
        done = subprocess.run(
            [program, transport, str(status), how], capture_output=True, text=True, timeout=HANGS
        )
        return status, done.returncode, done.stderr

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(end, range(TIMES)))
    if transport == "aws":
        client.delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    assert len(ended) == TIMES
    assert [each for each in ended if each[0] != each[1] or each[2]] == []


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Any:
    made = endpoint.client()
    made.create_secret(Name="user/db", SecretString='{"username":"app"}')
    return made


def check(client: Any, *command: str | Path, **environment: str) -> tuple[int, str]:
    """Run a user's program, store a new version after its reads, and return its status and standard error."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "read\n"
    client.put_secret_value(
        SecretId="user/db",
        SecretString=f'{{"username":"app","x":"{uuid.uuid4()}"}}',
    )
    _, said = process.communicate("\n", timeout=HANGS)
    return process.returncode, said


def test_c11_valgrind_is_quiet_with_the_suppressions(
    installed: Installed, client: Any, tmp_path: Path
) -> None:
    program = installed.compile(tmp_path / "user", [HERE / "programs" / "user.c"])
    suppressions = f"--suppressions={installed.prefix}/share/secretcache/valgrind.supp"
    assert check(client, *MEMCHECK, suppressions, program) == (0, "")
    # They do not hide leaks of the program, and without them valgrind is not quiet.
    status, said = check(client, *MEMCHECK, suppressions, program, "leak")
    assert status == 99
    assert "definitely lost" in said
    assert "secretcache_value_new" in said
    status, said = check(client, *MEMCHECK, program)
    assert status == 99, "the suppressions are no longer needed"
    assert "possibly lost" in said


def test_c11_the_thread_sanitizer_is_quiet_with_the_suppressions(
    installed: Installed, client: Any, tmp_path: Path
) -> None:
    program = installed.compile(tmp_path / "user", [HERE / "programs" / "user.c"], "-fsanitize=thread")
    suppressions = f"suppressions={installed.prefix}/share/secretcache/tsan.supp"
    assert check(client, program, TSAN_OPTIONS=suppressions) == (0, "")
