"""Unusual values, names that do not resolve, and what the log says about them."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aws_secretsmanager_caching as dropin
from secretcache import SecretCache
from support import DESCRIBE, GET, Service, eventually, service_error
from trouble import SCRIPTS, TRANSPORTS, Trouble, run_script

CANARY = "canary-5b1e"
both = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture(scope="module")
def running() -> Iterator[Trouble]:
    """Run an endpoint for this file."""
    with Trouble("--accept-host", "endpoint.invalid") as trouble:
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
    return f"values/{uuid.uuid4()}"


@both
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 65_536, id="64 KiB"),
        pytest.param("\u00e9\u4e2d\U0001f511" * 7_000, id="63 KiB of other scripts"),
        pytest.param("a\x00b\r\n\t\u2028\x7f", id="control characters"),
        pytest.param(b"\x00", id="a NUL"),
        pytest.param(bytes(range(256)) * 256, id="64 KiB of every byte"),
    ],
)
def test_values_arrive_as_they_are(
    trouble: Trouble, secret_id: str, transport: str, value: str | bytes
) -> None:
    kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
    trouble.client().create_secret(Name=secret_id, **{kind: value})
    cache = trouble.cache(transport)
    read = cache.get_secret_binary if isinstance(value, bytes) else cache.get_secret_string
    assert [read(secret_id) == value for _ in range(2)] == [True, True]
    assert cache.refresh_secret_now(secret_id)
    assert read(secret_id) == value
    assert read(secret_id) is read(secret_id)


@pytest.mark.skipif(sys.platform != "linux", reason="preloads a library to fail the names of one process")
@both
def test_names_that_do_not_resolve_hold_up_no_reader(
    trouble: Trouble, secret_id: str, transport: str, tmp_path: Path
) -> None:
    library = tmp_path / "dns.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SCRIPTS / "dns.c", "-ldl"], check=True)
    environment = {"LD_PRELOAD": str(library), "DNS_DOWN": str(tmp_path / "down")}
    error = "EndpointConnectionError"
    assert run_script("names_fail.py", transport, secret_id, **environment) == f"{error} {error} one"


@both
def test_nothing_that_is_logged_holds_a_value(
    trouble: Trouble, secret_id: str, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "secretcache")
    trouble.client().create_secret(Name=secret_id, SecretString=f'{{"password": "{CANARY}"}}')
    events: list[Any] = []
    with trouble.cache(transport, 1, refresh_interval=1) as cache:
        for listen in (cache.on_error, cache.on_stale, cache.on_new_version):
            listen(events.append)
        assert cache.get_secret_field(secret_id, "password") == CANARY
        trouble.client().put_secret_value(SecretId=secret_id, SecretString=CANARY)
        assert cache.refresh_secret_now(secret_id)
        for effect in ("malformed", "reset", "deny"):
            trouble.fault(effect, secret_id=secret_id)
            cache.refresh_secret_now(secret_id)
            trouble.calm()
        with pytest.raises(ValueError) as caught:
            cache.get_secret_json(secret_id)
        eventually(lambda: {type(event).__name__ for event in events} >= {"NewVersion", "RefreshError"}, True)
        shown = [
            caplog.text,
            repr(events),
            repr(cache),
            repr(cache.stats()),
            repr(caught.value),
            str(caught.value),
        ]
    assert "secretcache" in caplog.text and secret_id in caplog.text
    assert not [text for text in shown if CANARY in text]


@pytest.mark.parametrize("cls", [SecretCache, dropin.SecretCache])
def test_an_outage_is_warned_of_once_a_minute_however_many_fail(
    service: Service, caplog: pytest.LogCaptureFixture, cls: type[Any]
) -> None:
    cache = cls(client=service)
    assert cache.get_secret_string("db") == "value-1"
    for operation in (DESCRIBE, GET):
        service.failures[operation] = service_error("InternalServiceError")
    for _ in range(50):
        assert cache.refresh_secret_now("db") is False
        assert cache.refresh_secret_now("other") is False
    warnings = [record for record in caplog.records if record.name.startswith("secretcache")]
    assert [record.levelname for record in warnings] == ["WARNING"] * 2
    assert sorted(
        name for record in warnings for name in ("db", "other") if f'"{name}"' in record.getMessage()
    ) == [
        "db",
        "other",
    ]


def test_closing_during_a_request_is_quick_and_not_worth_a_warning(
    trouble: Trouble, secret_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.client().create_secret(Name=secret_id, SecretString="one")
    cache = trouble.cache("native", refresh_interval=1)
    assert cache.get_secret_string(secret_id) == "one"
    trouble.fault("hang", secret_id=secret_id)
    trouble.wait_for_trouble()
    start = time.monotonic()
    cache.close()
    assert time.monotonic() - start < 5
    assert not caplog.records


def test_where_describing_is_denied_values_stay_fresh_and_the_denial_is_remembered(
    trouble: Trouble, secret_id: str
) -> None:
    asm = trouble.client()
    asm.create_secret(Name=secret_id, SecretString="one")
    trouble.fault("deny", "DescribeSecret", secret_id=secret_id)
    trouble.forget_calls()
    with trouble.cache("native", refresh_interval=1) as cache:
        assert cache.get_secret_string(secret_id) == "one"
        for value in ("two", "three"):
            asm.put_secret_value(SecretId=secret_id, SecretString=value)
            eventually(lambda: cache.get_secret_string(secret_id), value)
        assert cache.stats()["failures"] == {}
    assert trouble.calls()["DescribeSecret"] == 1


def test_where_batches_are_denied_secrets_are_prefetched_one_by_one(trouble: Trouble, secret_id: str) -> None:
    names = [f"{secret_id}-{n}" for n in range(30)]
    for name in names:
        trouble.client().create_secret(Name=name, SecretString=name)
    trouble.fault("deny", "BatchGetSecretValue")
    trouble.forget_calls()
    with trouble.cache("native") as cache:
        assert cache.prefetch(names[:20]) == {}
        assert cache.prefetch(names[20:]) == {}
        assert [cache.get_secret_string(name) for name in names] == names
    assert trouble.calls() == {"BatchGetSecretValue": 1, "GetSecretValue": 30}


@both
def test_a_deletion_is_reported_at_the_next_refresh_though_the_value_goes_on_being_served(
    trouble: Trouble, secret_id: str, transport: str
) -> None:
    asm = trouble.client()
    asm.create_secret(Name=secret_id, SecretString="value")
    cache = trouble.cache(transport, refresh_interval=0.4)
    reported: list[str] = []
    cache.on_error(lambda event: reported.append(event.secret_id))
    assert cache.get_secret_string(secret_id) == "value"
    # The version stays the same, and the service still describes the secret.
    asm.delete_secret(SecretId=secret_id, RecoveryWindowInDays=7)
    eventually(lambda: cache.get_secret_string(secret_id) == "value" and bool(reported), True)
    assert set(reported) == {secret_id}
