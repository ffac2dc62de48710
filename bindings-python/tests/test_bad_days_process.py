"""The process has a bad day: forks, signals, clock changes, exits, and no file descriptors left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import CLOCK_STEP, at_once, eventually
from trouble import SCRIPTS, TRANSPORTS, Trouble, run_script, start_script

linux = pytest.mark.skipif(sys.platform != "linux", reason="as Linux has it")
both = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture(scope="module")
def running() -> Iterator[Trouble]:
    """Run an endpoint for this file."""
    with Trouble() as trouble:
        yield trouble


@pytest.fixture
def trouble(running: Trouble, monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> Iterator[Trouble]:
    """Provide an endpoint that scripts find; remove its faults afterwards."""
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    yield running
    running.calm()


@pytest.fixture
def secret_id() -> str:
    """Make up a name."""
    return f"process/{uuid.uuid4()}"


CHILDREN = [("native", method) for method in ("os.fork", "fork", "spawn", "forkserver")]
# boto3's clients cannot be pickled, so a cache that holds one reaches a child only through a fork.
CHILDREN += [("boto3", method) for method in ("os.fork", "fork")]


@linux
@pytest.mark.parametrize(("transport", "method"), CHILDREN)
def test_a_process_made_during_a_refresh_reads_and_refreshes(
    trouble: Trouble, secret_id: str, transport: str, method: str
) -> None:
    assert run_script("fork_in_trouble.py", transport, method, secret_id) == "child ended with 0"


@linux
@both
def test_gunicorn_workers_forked_during_a_refresh_serve_and_refresh(
    trouble: Trouble, secret_id: str, transport: str, tmp_path: Path
) -> None:
    trouble.client().create_secret(Name=secret_id, SecretString="one")
    environment = {"PRELOADED_SECRET": secret_id, "PRELOADED_TRANSPORT": transport}
    path = os.pathsep.join([str(SCRIPTS), *(each for each in sys.path if each)])
    log = tmp_path / "log"
    command = ["-m", "gunicorn", "--preload", "--workers=2", "--bind=127.0.0.1:0", "--no-control-socket"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, *command, "preloaded:app"],
            env={**os.environ, **environment, "PYTHONPATH": path},
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: "Listening at" in log.read_text() or server.poll() is not None, True, 30)
        address = re.search(r"Listening at: (\S+)", log.read_text())
        assert address, log.read_text()[-2000:]

        def workers() -> dict[str, str]:
            answers = (urllib.request.urlopen(address[1], timeout=20).read().decode() for _ in range(20))
            return dict(answer.split() for answer in answers)

        eventually(lambda: sorted(workers().values()), ["one", "one"], 20)
        trouble.client().put_secret_value(SecretId=secret_id, SecretString="two")
        eventually(lambda: sorted(workers().values()), ["two", "two"], 20)
        server.terminate()
        assert server.wait(10) == 0, log.read_text()[-2000:]
        assert "Traceback" not in log.read_text()
    finally:
        server.kill()
        server.wait()


@both
@pytest.mark.parametrize("what", ["refresh", "first read"])
def test_leaving_during_a_request_that_hangs_is_quick_and_quiet(
    trouble: Trouble, secret_id: str, transport: str, what: str
) -> None:
    with start_script("exit_in_trouble.py", transport, what, secret_id) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "leaving\n"
            start = time.monotonic()
            _, problems = process.communicate(timeout=20)
            took = time.monotonic() - start
        finally:
            process.kill()
    assert (process.returncode, problems) == (0, "")
    assert took < 5, f"it took {took:.1f} s"


@both
def test_ctrl_c_ends_a_read_that_hangs_and_spoils_nothing(
    trouble: Trouble, secret_id: str, transport: str
) -> None:
    trouble.client().create_secret(Name=secret_id, SecretString="one")
    trouble.fault("hang", secret_id=secret_id, times=1)
    with start_script("interrupted.py", transport, secret_id) as process:
        try:
            trouble.wait_for_trouble()
            process.send_signal(signal.SIGINT)
            start = time.monotonic()
            assert process.stdout is not None and process.stdout.readline() == "interrupted\n"
            assert time.monotonic() - start < 6, "the interrupt waited for the request"
            output, problems = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, problems, output) == (0, "", "one\n")


@linux
@both
def test_a_process_stopped_past_the_interval_serves_nothing_old_as_fresh(
    trouble: Trouble, secret_id: str, transport: str
) -> None:
    trouble.client().create_secret(Name=secret_id, SecretString="one")
    with start_script("stopped.py", transport, secret_id) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "one\n"
            trouble.fault(None, "DescribeSecret", secret_id=secret_id, delay_ms=300, times=1)
            trouble.wait_for_trouble()
            process.send_signal(signal.SIGSTOP)
            # Meanwhile its request is answered, with the old version. The test needs a pause of this length.
            time.sleep(7)
            trouble.client().put_secret_value(SecretId=secret_id, SecretString="two")
            process.send_signal(signal.SIGCONT)
            output, problems = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, problems, output) == (0, "", "two\n")


@pytest.fixture(scope="module")
def clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the library that shifts the clock of a process."""
    library = tmp_path_factory.mktemp("clock") / "clock_step.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, CLOCK_STEP], check=True)
    return library


@linux
@both
@pytest.mark.parametrize(("hours", "interval"), [(-23, "1"), (23, "3600")])
def test_a_clock_that_moves_delays_no_refresh(
    trouble: Trouble,
    secret_id: str,
    transport: str,
    clock_library: Path,
    tmp_path: Path,
    hours: int,
    interval: str,
) -> None:
    environment = {
        "LD_PRELOAD": str(clock_library),
        "STEP_FILE": str(tmp_path / "step"),
        "STEP_SECONDS": str(hours * 3600),
    }
    output = run_script("clock_in_trouble.py", transport, interval, secret_id, **environment)
    value, refreshes = output.split()
    assert value == "two"
    if hours > 0:
        assert int(refreshes) <= 2, "setting the clock forward causes more than one refresh"


@linux
@both
def test_without_file_descriptors_the_last_known_value_is_served(
    trouble: Trouble, secret_id: str, transport: str
) -> None:
    assert run_script("no_descriptors.py", transport, secret_id, f"{secret_id}-2") == "one one"


@both
def test_eviction_at_size_1_with_8_threads_breaks_no_read(
    trouble: Trouble, secret_id: str, transport: str
) -> None:
    names = [f"{secret_id}-{n}" for n in range(4)]
    for name in names:
        trouble.client().create_secret(Name=name, SecretString=name)
    cache = trouble.cache(transport, max_size=1)

    def read_all() -> Any:
        return [cache.get_secret_string(name) for _ in range(10) for name in names]

    assert at_once(8, read_all) == [names * 10] * 8
    assert cache.stats()["evictions"] > 0


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> None:
    """Leave the choice of transport to the cache."""
    monkeypatch.delenv("SECRETCACHE_TRANSPORT")


@pytest.mark.parametrize("whose", ["client", "none"])
def test_greenlets_share_a_request_and_the_hub_goes_on(
    trouble: Trouble, secret_id: str, whose: str, no_choice: None
) -> None:
    pytest.importorskip("gevent")
    assert run_script("greenlets.py", whose, secret_id) == "1 1"
