"""The defects of AWS's library, each as its users see it. Runs against that library too.

Defects of decorators, hooks and options are tested next to their contracts, in `test_dropin_*.py`. A test without a
mark covers a defect that version 1.2.0 of the library has fixed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
from support import CLOCK_STEP, DESCRIBE, GET, Service, at_once, eventually, service_error

SCRIPTS = Path(__file__).with_name("scripts")


def every_read(**options: Any) -> SecretCacheConfig:
    return SecretCacheConfig(secret_refresh_interval=0, **options)


def read_error(cache: SecretCache, secret_id: str = "db") -> BaseException:
    """Read and return what was raised."""
    with pytest.raises(BaseException) as caught:
        cache.get_secret_string(secret_id)
    return caught.value


def test_p1_an_outage_is_not_made_worse_by_a_storm_of_retries(service: Service) -> None:
    service.failures[DESCRIBE] = service_error("InternalServiceError")
    cache = SecretCache(every_read(), service)
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        read_error(cache)
    assert service.count(DESCRIBE) <= 3


@pytest.mark.ours_only("P1b: a secret keeps its old error for up to an hour after the cause is fixed")
def test_p1b_a_mended_secret_works_within_its_interval(service: Service) -> None:
    config = SecretCacheConfig(secret_refresh_interval=1, exception_retry_delay_base=600)
    cache = SecretCache(config, service)
    service.failures[DESCRIBE] = service_error("AccessDeniedException")
    read_error(cache)
    service.failures.clear()

    def read() -> str | None:
        try:
            return cache.get_secret_string("db")
        except Exception:
            return None

    eventually(read, "value-1", within=3)


def test_p2_a_forced_refresh_after_a_failure_works(service: Service) -> None:
    cache = SecretCache(client=service)
    service.failures[DESCRIBE] = service_error("InternalServiceError")
    read_error(cache)
    service.failures.clear()
    assert cache.refresh_secret_now("db") is True
    assert cache.get_secret_string("db") == "value-1"


def test_p3_what_a_forced_refresh_brought_is_kept(service: Service) -> None:
    cache = SecretCache(client=service)
    cache.get_secret_string("db")
    cache.refresh_secret_now("db")
    described = service.count(DESCRIBE)
    assert [cache.get_secret_string("db") for _ in range(3)] == ["value-1"] * 3
    assert service.count(DESCRIBE) == described == 2


@pytest.mark.ours_only("P4: every forced refresh sleeps for 2.5 to 5 s first")
def test_p4_a_forced_refresh_does_not_sleep(service: Service, real_sleeps: None) -> None:
    cache = SecretCache(client=service)
    cache.get_secret_string("db")
    start = time.monotonic()
    assert cache.refresh_secret_now("db") is True
    assert time.monotonic() - start < 2


@pytest.mark.ours_only("P4b: a forced refresh says True, yet leaves the error of the value in place")
def test_p4b_a_forced_refresh_fetches_the_value_too(service: Service) -> None:
    cache = SecretCache(client=service)
    service.failures[GET] = service_error("AccessDeniedException", "GetSecretValue", "KMS key is disabled")
    read_error(cache)
    service.failures.clear()
    assert cache.refresh_secret_now("db") is True
    assert cache.get_secret_string("db") == "value-1"


@pytest.mark.ours_only("P5: all readers wait for the network at every refresh, though a value is cached")
def test_p5_no_read_of_a_cached_secret_waits_for_the_network(service: Service) -> None:
    cache = SecretCache(SecretCacheConfig(secret_refresh_interval=1), service)
    cache.get_secret_string("db")
    service.delays[DESCRIBE] = 1.0
    until = time.monotonic() + 2.5

    def slowest() -> float:
        worst = 0.0
        while time.monotonic() < until:
            start = time.perf_counter()
            cache.get_secret_string("db")
            worst = max(worst, time.perf_counter() - start)
            time.sleep(0.001)
        return worst

    assert max(at_once(4, slowest)) < 0.5
    assert service.count(DESCRIBE) > 1, "no refresh took place"


@pytest.mark.ours_only("P6: a hit copies the whole response twice, under a lock: 36 to 75 microseconds")
def test_p6_a_hit_is_no_work(service: Service) -> None:
    cache = SecretCache(client=service)
    cache.get_secret_string("db")
    rounds = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(1000):
            cache.get_secret_string("db")
        rounds.append((time.perf_counter() - start) / 1000)
    assert min(rounds) < 5e-6


@pytest.mark.ours_only("P7: hooks are deep-copied, which those that hold a lock or a client do not survive")
def test_p7_a_hook_may_hold_a_lock(service: Service) -> None:
    class Locking:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def put(self, obj: Any) -> Any:
            with self.lock:
                return obj

        get = put

    cache = SecretCache(SecretCacheConfig(secret_cache_hook=Locking()), service)
    assert cache.get_secret_string("db") == "value-1"


@pytest.mark.ours_only("P9: an error fetching the new version is raised though the old one is cached")
def test_p9_the_last_known_value_survives_a_rotation_during_an_outage(service: Service) -> None:
    cache = SecretCache(every_read(), service)
    cache.get_secret_string("db")
    service.put("db", "v2", "value-2")
    service.failures[GET] = service_error("DecryptionFailure", "GetSecretValue")
    assert [cache.get_secret_string("db") for _ in range(3)] == ["value-1"] * 3
    service.failures.clear()
    eventually(lambda: cache.get_secret_string("db"), "value-2")


class Interrupted(BaseException):
    """A stand-in for KeyboardInterrupt, SystemExit, gevent's Timeout and the like."""


@pytest.mark.parametrize(
    "operation",
    [
        DESCRIBE,
        pytest.param(GET, marks=pytest.mark.ours_only("P10: after one such read all answer None")),
    ],
)
def test_p10_an_interrupted_read_leaves_nothing_behind(service: Service, operation: str) -> None:
    cache = SecretCache(client=service)
    service.failures[operation] = Interrupted()
    assert isinstance(read_error(cache), Interrupted)
    service.failures.clear()
    assert cache.get_secret_string("db") == "value-1"


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Switch threads very often, so that races also show on a busy machine."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.ours_only("P12: eviction between two steps of a read makes it an AttributeError")
def test_p12_eviction_never_breaks_a_read(service: Service, many_switches: None) -> None:
    for name in "abcdefgh":
        service.put(name, "v1", name)
    cache = SecretCache(SecretCacheConfig(max_cache_size=1), service)

    def read_all() -> list[str | None]:
        return [cache.get_secret_string(name) for _ in range(100) for name in "abcdefgh"]

    assert at_once(8, read_all) == [list("abcdefgh") * 100] * 8


@pytest.mark.ours_only("P13: one exception is raised over and over, and its traceback grows each time")
def test_p13_errors_do_not_pile_up(service: Service) -> None:
    service.failures[DESCRIBE] = service_error("AccessDeniedException")
    cache = SecretCache(client=service)
    for _ in range(200):
        error = read_error(cache)
    frames, step = 0, error.__traceback__
    while step:
        frames, step = frames + 1, step.tb_next
    assert service.count(DESCRIBE) == 1
    assert frames < 20


@pytest.mark.ours_only("P14: with a factor of 2.0, after 1,024 failures every read is an OverflowError")
def test_p14_a_long_outage_does_not_overflow(service: Service) -> None:
    cache = SecretCache(every_read(exception_retry_delay_base=0, exception_retry_growth_factor=2.0), service)
    cache.get_secret_string("db")
    service.failures[DESCRIBE] = service_error("InternalServiceError")
    assert {cache.get_secret_string("db") for _ in range(1100)} == {"value-1"}
    service.failures.clear()
    service.put("db", "v2", "value-2")
    eventually(lambda: cache.get_secret_string("db"), "value-2")


def run_script(name: str, *arguments: str, **environment: str) -> str:
    """Run a script of this folder in a new process."""
    script = SCRIPTS / name
    path = os.pathsep.join([str(SCRIPTS.parent), *(p for p in sys.path if p)])
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.ours_only("P15: the wall clock alone counts; set back by 23 h, nothing is refreshed for 23 h")
@pytest.mark.skipif(sys.platform != "linux", reason="preloads a library to set the clock of one process")
def test_p15_a_clock_set_back_delays_no_refresh(tmp_path: Path) -> None:
    library = tmp_path / "clock_step.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, CLOCK_STEP], check=True)
    step = str(tmp_path / "step")
    assert run_script("clock_step.py", LD_PRELOAD=str(library), STEP_FILE=step) == "value-2"


@pytest.mark.ours_only("P16: a process forked during a refresh waits for ever for a lock nobody holds")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_p16_a_process_forked_during_a_refresh_can_read() -> None:
    assert run_script("fork_during_refresh.py") == "child read value-1"


def test_p17_a_label_set_later_is_seen_after_a_forced_refresh(service: Service) -> None:
    cache = SecretCache(client=service)
    assert cache.get_secret_string("db", "AWSPENDING") is None
    service.put("db", "v2", "value-2", "AWSPENDING")
    assert cache.refresh_secret_now("db") is True
    assert cache.get_secret_string("db", "AWSPENDING") == "value-2"


@pytest.mark.ours_only("P18: a version once read is never read again, not even when asked for")
def test_p18_a_forced_refresh_sees_a_value_overwritten_in_place(service: Service) -> None:
    cache = SecretCache(client=service)
    cache.get_secret_string("db")
    service.put("db", "v1", "overwritten")  # some test doubles do this; the service never does
    assert cache.refresh_secret_now("db") is True
    assert cache.get_secret_string("db") == "overwritten"


@pytest.mark.ours_only("P24: a secret's name and its ARN are cached, and asked for, separately")
def test_p24_name_and_arn_are_one_secret(service: Service) -> None:
    cache = SecretCache(client=service)
    arn = service.describe_secret(SecretId="db")["ARN"]
    before = len(service.calls)
    assert cache.get_secret_string("db") == cache.get_secret_string(arn) == "value-1"
    assert len(service.calls) - before == 2


@pytest.mark.ours_only("P24: an id that is no string reaches the client")
def test_p24_an_id_that_is_no_string_is_refused(service: Service) -> None:
    with pytest.raises(TypeError, match="secret_id must be a str"):
        SecretCache(client=service).get_secret_string(7)  # type: ignore[arg-type]
    assert service.calls == []


@pytest.mark.ours_only("P25: after a failure the interval is ignored, and a refresh may be hours late")
def test_p25_a_failed_refresh_is_tried_again_within_the_interval(service: Service) -> None:
    config = SecretCacheConfig(secret_refresh_interval=1, exception_retry_delay_base=600)
    cache = SecretCache(config, service)
    cache.get_secret_string("db")
    service.failures[DESCRIBE] = service_error("InternalServiceError")
    eventually(lambda: bool(cache.get_secret_string("db")) and service.count(DESCRIBE) > 1, True)
    service.failures.clear()
    service.put("db", "v2", "value-2")
    eventually(lambda: cache.get_secret_string("db"), "value-2", within=3)


@pytest.mark.ours_only("P26: no annotations for type checkers")
def test_p26_the_package_is_typed() -> None:
    assert files("aws_secretsmanager_caching").joinpath("py.typed").is_file()


@pytest.mark.ours_only("P26: importing the cache loads botocore, which takes longer than all the rest")
def test_p26_importing_the_cache_loads_no_botocore() -> None:
    assert run_script("loaded_modules.py", "botocore", "boto3", "asyncio") == "none of them"
