"""Injected faults and the clock, as seen by the real boto3."""

from __future__ import annotations

import time

import botocore.exceptions
import pytest


@pytest.fixture
def endpoint(run):
    """Start a separate endpoint with `--control`."""
    return run("--control")


@pytest.fixture
def client(endpoint):
    """Return a client that does not check responses against the model, because faults change them."""
    client = endpoint.client(checked=False, read_timeout=2)
    client.create_secret(Name="db", SecretString="one")
    return client


@pytest.fixture
def control(endpoint):
    """Return a function that sends control requests."""
    return endpoint.control


def code(client, **parameters):
    """Return the error code and status of a read that fails."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client.get_secret_value(SecretId="db", **parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_throttling_is_what_boto3_retries(endpoint, client, control):
    control("POST", "faults", effect="throttle", times=2)
    assert code(client) == ("ThrottlingException", 400)
    retrying = endpoint.client(retries={"total_max_attempts": 2})
    assert retrying.get_secret_value(SecretId="db")["SecretString"] == "one"
    assert control("GET", "calls")["GetSecretValue"] == {"ThrottlingException": 2, "ok": 1}


def test_errors_of_any_kind(client, control):
    control("POST", "faults", times=1, effect={"error": {"type": "DecryptionFailure", "status": 400}})
    with pytest.raises(client.exceptions.DecryptionFailure):
        client.get_secret_value(SecretId="db")
    control("POST", "faults", times=1, effect="deny")
    assert code(client) == ("AccessDeniedException", 400)
    control("POST", "faults", times=1, effect={"error": {"type": "ServiceUnavailable", "status": 503}})
    assert code(client)[1] == 503
    control("POST", "faults", times=1, effect={"error": {"type": "InternalServiceError"}})
    with pytest.raises(client.exceptions.InternalServiceError):
        client.get_secret_value(SecretId="db")


def test_a_clock_stops_exactly_at_the_time_that_was_asked_for(endpoint, control):
    for _ in range(100):
        control("POST", "clock", at=1_900_000_000, freeze=True)
        assert control("GET", "clock")["now"] == 1_900_000_000
        control("POST", "clock", freeze=False)


def test_moments_and_lengths_of_time_that_cannot_be(endpoint, control):
    before = control("GET", "clock")["now"]
    for path, body, reason in [
        ("clock", {"at": -1}, "1970 and 9999"),
        ("clock", {"at": 1e30}, "1970 and 9999"),
        ("clock", {"advance_seconds": -1e12, "freeze": True}, "1970 and 9999"),
        ("next_rotation", {"secret_id": "db", "timeout_seconds": -1}, "timeout_seconds"),
        ("faults", {"effect": {"stale": {"seconds": -1}}}, "0 to 31622400"),
        ("faults", {"effect": {"error": {"type": "X", "status": 200}}}, "400 to 599"),
        ("faults", {"effect": {"error": {"type": "X\r\nY"}}}, "name such as"),
    ]:
        status, refusal = control("POST", path, **body)
        assert status == 400 and reason in refusal["error"], (body, refusal)
    after = control("GET", "clock")
    assert not after["frozen"] and 0 <= after["now"] - before < 60
    control("POST", "clock", at=0)
    assert control("GET", "clock")["now"] < 60


def test_connections_that_fail(client, control):
    control("POST", "faults", times=1, effect="reset")
    with pytest.raises(botocore.exceptions.ConnectionClosedError, match="Connection reset|closed"):
        client.get_secret_value(SecretId="db")
    control("POST", "faults", times=1, effect="hang")
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        client.get_secret_value(SecretId="db")
    control("POST", "faults", times=1, effect="malformed")
    # boto3 treats a body that it cannot parse as a response without members.
    assert "SecretString" not in client.get_secret_value(SecretId="db")
    assert client.get_secret_value(SecretId="db")["SecretString"] == "one"


def test_a_hung_request_does_not_keep_it_from_stopping(endpoint, client, control):
    control("POST", "faults", effect="hang")
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        client.get_secret_value(SecretId="db")
    began = time.monotonic()
    assert endpoint.stop() == 0
    assert time.monotonic() - began < 5


def test_latency_of_one_operation_on_one_secret(client, control):
    control("POST", "faults", operations=["GetSecretValue"], secret_id="db", delay_ms=1200)
    began = time.monotonic()
    client.describe_secret(SecretId="db")
    assert time.monotonic() - began < 1
    began = time.monotonic()
    client.get_secret_value(SecretId="db")
    assert time.monotonic() - began >= 1.2


def test_stale_reads(client, control):
    control("POST", "clock", advance_seconds=60)
    client.put_secret_value(SecretId="db", SecretString="two")
    number = control("POST", "faults", effect={"stale": {"seconds": 30}})["id"]
    assert client.get_secret_value(SecretId="db")["SecretString"] == "one"
    assert len(client.describe_secret(SecretId="db")["VersionIdsToStages"]) == 1
    assert control("GET", "faults")["faults"][0]["seen"] == 2
    control("DELETE", f"faults/{number}")
    assert client.get_secret_value(SecretId="db")["SecretString"] == "two"


def test_a_lost_acknowledgement(client, control):
    control("POST", "faults", operations=["PutSecretValue"], times=1, effect="reset", applied=True)
    token = "22222222-2222-4222-8222-222222222222"
    put = {"SecretId": "db", "SecretString": "two", "ClientRequestToken": token}
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        client.put_secret_value(**put)
    assert client.put_secret_value(**put)["VersionId"] == token
    assert client.get_secret_value(SecretId="db", VersionStage="AWSPREVIOUS")["SecretString"] == "one"


def test_moving_the_clock(client, control):
    client.delete_secret(SecretId="db", RecoveryWindowInDays=7)
    control("POST", "clock", advance_seconds=7 * 86_400 - 60)
    client.describe_secret(SecretId="db")
    control("POST", "clock", advance_seconds=120)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_secret(SecretId="db")
    assert abs(control("POST", "clock", at=1_900_000_000)["now"] - 1_900_000_000) < 5
    assert client.create_secret(Name="later")["ARN"]
    assert client.describe_secret(SecretId="later")["CreatedDate"].timestamp() // 60 == 1_900_000_000 // 60


def test_a_fault_finds_its_secret_however_requests_name_it(client, control):
    arn = client.describe_secret(SecretId="db")["ARN"]
    client.create_secret(Name="other", SecretString="two")
    for named in ("db", arn):
        control("POST", "faults", secret_id=named, effect="deny")
        for asked in ("db", arn, arn[:-7]):
            with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
                client.get_secret_value(SecretId=asked)
        assert client.get_secret_value(SecretId="other")["SecretString"] == "two"
        control("DELETE", "faults")
    control("POST", "faults", secret_id="new", effect="deny")
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        client.create_secret(Name="new")


def test_a_reset_gives_back_what_the_data_file_held_at_the_start(run, tmp_path):
    file = str(tmp_path / "secrets.jsonl")
    first = run("--data", file)
    first.client().create_secret(Name="mine", SecretString="one")
    assert first.stop() == 0
    second = run("--data", file, "--control")
    client = second.client()
    client.put_secret_value(SecretId="mine", SecretString="two")
    client.create_secret(Name="more")
    second.control("POST", "reset")
    assert client.get_secret_value(SecretId="mine")["SecretString"] == "one"
    assert [secret["Name"] for secret in client.list_secrets()["SecretList"]] == ["mine"]
    assert second.stop() == 0
    third = run("--data", file).client()
    assert [secret["Name"] for secret in third.list_secrets()["SecretList"]] == ["mine"]


def test_wrong_control_requests_are_reported(control):
    status, answer = control("POST", "faults", operations=["getsecretvalue"], effect="deny")
    assert status == 400 and "GetSecretValue" in answer["error"]
    assert control("POST", "faults", efect="reset")[0] == 400
    assert control("POST", "clock", advance_seconds=1, at=2)[0] == 400
    assert control("DELETE", "faults/7")[0] == 404
    status, answer = control("GET", "nope")
    assert status == 404 and "POST /_control/clock" in " ".join(answer["requests"])
    assert control("DELETE", "faults") == {"removed": False}
