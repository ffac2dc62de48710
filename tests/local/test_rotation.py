"""The service's side of rotation, as seen by a rotation function and by the real boto3."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from itertools import count

import pytest
from conftest import REGION, binary
from lambda_endpoint import LambdaEndpoint

ARN = "arn:aws:lambda:us-east-1:123456789012:function:rotate"
DAY = 86_400
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]


class Rotator:
    """A rotation function like AWS's template, with hooks that run before a step."""

    def __init__(self) -> None:
        self.client = None
        self.before = {}
        self.values = count()

    def __call__(self, event):
        secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
        if hook := self.before.get(step):
            hook(event)
        if step == "createSecret":
            try:
                self.client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
            except self.client.exceptions.ResourceNotFoundException:
                self.client.put_secret_value(
                    SecretId=secret,
                    ClientRequestToken=token,
                    SecretString=f"value {next(self.values)}",
                    VersionStages=["AWSPENDING"],
                    RotationToken=event["RotationToken"],
                )
        if step == "finishSecret":
            current = version(self.client, secret, "AWSCURRENT")
            if current != token:
                self.client.update_secret_version_stage(
                    SecretId=secret,
                    VersionStage="AWSCURRENT",
                    MoveToVersionId=token,
                    RemoveFromVersionId=current,
                )


def stages(client, secret) -> dict[str, list[str]]:
    return client.describe_secret(SecretId=secret)["VersionIdsToStages"]


def version(client, secret, stage) -> str | None:
    return next((id for id, labels in stages(client, secret).items() if stage in labels), None)


@pytest.fixture
def function():
    return Rotator()


@pytest.fixture
def functions(function):
    endpoint = LambdaEndpoint(function)
    yield endpoint
    endpoint.stop()


@pytest.fixture
def endpoint(run, functions, function):
    endpoint = run("--control", "--verbose", "--lambda-endpoint", functions.url)
    function.client = endpoint.client()
    return endpoint


@pytest.fixture
def client(endpoint):
    client = endpoint.client()
    client.create_secret(Name="db", SecretString="first")
    return client


def rotate(client, **more):
    return client.rotate_secret(**{"SecretId": "db", "RotationLambdaARN": ARN, **more})


def test_the_four_steps(endpoint, client, function, functions):
    seen = {}

    def look(event):
        listed = client.list_secret_version_ids(SecretId="db")["Versions"]
        seen["listed"] = [entry["VersionId"] for entry in listed]
        seen["labels"] = stages(client, "db")[event["ClientRequestToken"]]
        for selector in ({"VersionId": event["ClientRequestToken"]}, {"VersionStage": "AWSPENDING"}):
            with pytest.raises(client.exceptions.ResourceNotFoundException):
                client.get_secret_value(SecretId="db", **selector)

    function.before["createSecret"] = look
    answer = rotate(client, RotationRules={"ScheduleExpression": "rate(10 days)"})
    endpoint.wait_for_event("RotationSucceeded")
    assert seen["labels"] == ["AWSPENDING"] and answer["VersionId"] not in seen["listed"]
    assert functions.steps() == STEPS and set(functions.names) == {"rotate"}
    for event in functions.invocations:
        assert event["SecretId"] == answer["ARN"] and event["ClientRequestToken"] == answer["VersionId"]
        assert 36 <= len(event["RotationToken"]) <= 256
    assert stages(client, "db")[answer["VersionId"]] == ["AWSCURRENT"]
    assert client.get_secret_value(SecretId="db")["SecretString"] == "value 0"
    described = client.describe_secret(SecretId="db")
    assert described["RotationEnabled"] and described["RotationLambdaARN"] == ARN
    # "this value is calculated from the rotation schedule after every successful rotation"
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 10, "ScheduleExpression": "rate(10 days)"}
    next_date = described["NextRotationDate"].timestamp()
    assert (
        next_date % DAY == DAY - 1
        and 9 * DAY < next_date - described["LastRotatedDate"].timestamp() < 11 * DAY
    )
    assert client.list_secrets()["SecretList"][0]["LastRotatedDate"] == described["LastRotatedDate"]
    assert [event["event"] for event in endpoint.events()] == ["RotationStarted", "RotationSucceeded"]


def test_a_failed_rotation_is_run_again_as_a_whole_with_the_same_version(
    endpoint, client, function, functions
):
    failures = iter([ValueError("canary-message"), RuntimeError("canary-message")])

    def fail(_):
        if error := next(failures, None):
            raise error

    function.before["setSecret"] = fail
    token = rotate(client)["VersionId"]
    failed = endpoint.wait_for_event("RotationFailed")
    assert failed["step"] == "setSecret" and "ValueError" in failed["message"]
    assert failed["retry_at"] > failed["time"]
    assert client.get_secret_value(SecretId="db")["SecretString"] == "first"
    endpoint.control("POST", "clock", at=failed["retry_at"])
    failed = endpoint.wait_for_event("RotationFailed", 2)
    endpoint.control("POST", "clock", at=failed["retry_at"])
    endpoint.wait_for_event("RotationSucceeded")
    assert functions.steps() == STEPS[:2] + STEPS[:2] + STEPS
    assert {event["ClientRequestToken"] for event in functions.invocations} == {token}
    assert client.get_secret_value(SecretId="db")["SecretString"] == "value 0", "made once"
    endpoint.stop()
    assert "canary" not in json.dumps(failed) + "\n".join(endpoint.output)


def test_what_bars_a_new_rotation_is_reattempted(endpoint, client, function, functions):
    def fail(_):
        raise ValueError

    function.before["testSecret"] = fail
    token = rotate(client)["VersionId"]
    endpoint.wait_for_event("RotationFailed")
    del function.before["testSecret"]
    with pytest.raises(client.exceptions.InvalidRequestException) as caught:
        client.rotate_secret(SecretId="db")
    message = "A previous rotation isn't complete. That rotation will be reattempted."
    assert caught.value.response["Error"]["Message"] == message
    endpoint.wait_for_event("RotationSucceeded")
    assert version(client, "db", "AWSCURRENT") == token


def test_a_rotation_that_keeps_failing_waits_for_the_next_window(endpoint, client, function, functions):
    def fail(_):
        raise ValueError

    function.before["createSecret"] = fail
    token = rotate(client, RotationRules={"AutomaticallyAfterDays": 2})["VersionId"]
    for number in count(1):
        failed = endpoint.wait_for_event("RotationFailed", number)
        if "retry_at" not in failed:
            break
        endpoint.control("POST", "clock", at=failed["retry_at"])
    assert number == 5
    due = client.describe_secret(SecretId="db")["NextRotationDate"].timestamp()
    endpoint.control("POST", "clock", at=due + 1)
    endpoint.wait_for_event("RotationFailed", 6)
    assert client.describe_secret(SecretId="db")["NextRotationDate"].timestamp() == due, (
        "it stays in the past"
    )
    del function.before["createSecret"]
    endpoint.control("POST", "clock", advance_seconds=3 * DAY)
    endpoint.wait_for_event("RotationSucceeded")
    assert {event["ClientRequestToken"] for event in functions.invocations} == {token}
    assert client.describe_secret(SecretId="db")["NextRotationDate"].timestamp() > due


def test_a_function_that_does_nothing_has_not_rotated(endpoint, client, functions):
    functions.function = lambda _: None
    token = rotate(client)["VersionId"]
    failed = endpoint.wait_for_event("RotationFailed")
    assert failed["step"] == "finishSecret" and "AWSCURRENT" in failed["message"]
    assert stages(client, "db")[token] == ["AWSPENDING"]


def test_without_rotating_immediately_only_the_test_runs(endpoint, client, function, functions):
    seen = {}

    def look(event):
        pending = client.get_secret_value(SecretId="db", VersionStage="AWSPENDING")
        seen.update(id=pending["VersionId"], value=pending["SecretString"])

    function.before["testSecret"] = look
    rules = {"ScheduleExpression": "cron(0 8 1 * ? *)"}
    token = rotate(client, RotateImmediately=False, RotationRules=rules)["VersionId"]
    endpoint.wait_for_event("TestRotationSucceeded")
    assert functions.steps() == ["testSecret"]
    assert seen == {"id": token, "value": "first"}
    listed = client.list_secret_version_ids(SecretId="db", IncludeDeprecated=True)["Versions"]
    assert [entry["VersionStages"] for entry in listed] == [["AWSCURRENT"]], "the copy is gone"
    described = client.describe_secret(SecretId="db")
    assert described["RotationRules"] == rules and "LastRotatedDate" not in described
    assert described["NextRotationDate"].astimezone().timestamp() % DAY == DAY - 1
    assert described["NextRotationDate"].day == 1

    def fail(_):
        raise ValueError

    function.before["testSecret"] = fail
    client.rotate_secret(SecretId="db", RotateImmediately=False)
    assert "retry_at" not in endpoint.wait_for_event("TestRotationFailed")
    assert len(stages(client, "db")) == 1


def test_one_token_rotates_once(endpoint, client, functions):
    token = str(uuid.uuid4())
    first = rotate(client, ClientRequestToken=token)
    second = rotate(client, ClientRequestToken=token)
    endpoint.wait_for_event("RotationSucceeded")
    third = rotate(client, ClientRequestToken=token)
    assert first["VersionId"] == second["VersionId"] == third["VersionId"] == token
    assert functions.steps() == STEPS


@pytest.mark.parametrize("store", ["put_secret_value", "update_secret"])
def test_a_value_stored_by_hand_abandons_the_rotation(endpoint, client, function, functions, store):
    def by_hand(_):
        getattr(client, store)(SecretId="db", SecretString="by hand")

    function.before["setSecret"] = by_hand
    token = rotate(client)["VersionId"]
    abandoned = endpoint.wait_for_event("RotationAbandoned")
    assert abandoned["version_id"] == token
    assert token not in stages(client, "db") and version(client, "db", "AWSPENDING") is None
    assert client.get_secret_value(SecretId="db")["SecretString"] == "by hand"
    del function.before["setSecret"]
    client.rotate_secret(SecretId="db")
    endpoint.wait_for_event("RotationSucceeded")
    assert functions.steps() == STEPS[:2] + STEPS, "no further step of the abandoned one ran"
    assert [event["event"] for event in endpoint.events()].count("RotationFailed") == 0


def test_cancelling_a_rotation_under_way(endpoint, client, function, functions):
    begun, go_on = threading.Event(), threading.Event()

    def wait(_):
        begun.set()
        assert go_on.wait(30)

    function.before["setSecret"] = wait
    token = rotate(client)["VersionId"]
    assert begun.wait(30)
    assert client.cancel_rotate_secret(SecretId="db")["VersionId"] == token
    go_on.set()
    described = client.describe_secret(SecretId="db")
    assert described["RotationEnabled"] is False and described["RotationLambdaARN"] == ARN
    assert "NextRotationDate" not in described
    assert stages(client, "db")[token] == ["AWSPENDING"], "the labels are left"
    with pytest.raises(client.exceptions.InvalidRequestException, match="previous rotation isn't complete"):
        client.rotate_secret(SecretId="db")
    client.update_secret_version_stage(SecretId="db", VersionStage="AWSPENDING", RemoveFromVersionId=token)
    function.before.clear()
    client.rotate_secret(SecretId="db")
    endpoint.wait_for_event("RotationSucceeded")
    assert functions.steps() == STEPS[:2] + STEPS


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ({"AutomaticallyAfterDays": 30}, 31),
        ({"ScheduleExpression": "rate(30 days)"}, 31),
        ({"ScheduleExpression": "rate(4 hours)"}, 1),
        ({"ScheduleExpression": "cron(0 16 ? * MON *)", "Duration": "2h"}, 8),
    ],
)
def test_the_schedule_by_the_moved_clock(endpoint, client, functions, rules, days):
    rotate(client, RotationRules=rules)
    endpoint.wait_for_event("RotationSucceeded")
    for number in (2, 3):
        due = client.describe_secret(SecretId="db")["NextRotationDate"].timestamp()
        assert due - endpoint.control("GET", "clock")["now"] < days * DAY
        endpoint.control("POST", "clock", at=due)
        endpoint.wait_for_event("RotationSucceeded", number)
        assert client.describe_secret(SecretId="db")["NextRotationDate"].timestamp() > due
    assert functions.steps() == STEPS * 3, "once per window"
    assert len({event["ClientRequestToken"] for event in functions.invocations}) == 3


def test_a_cancelled_schedule_rotates_no_more(endpoint, client, functions):
    rotate(client, RotationRules={"AutomaticallyAfterDays": 1})
    endpoint.wait_for_event("RotationSucceeded")
    client.cancel_rotate_secret(SecretId="db")
    client.create_secret(Name="other", SecretString="first")
    rotate(client, SecretId="other", RotationRules={"AutomaticallyAfterDays": 1})
    endpoint.wait_for_event("RotationSucceeded", 2)
    endpoint.control("POST", "clock", advance_seconds=3 * DAY)
    # The other secret's rotation shows that the schedules were checked.
    assert endpoint.wait_for_event("RotationSucceeded", 3)["secret_name"] == "other"
    assert len(endpoint.events()) == 6


def test_a_deleted_secret_is_not_rotated_until_it_is_restored(endpoint, client, function, functions):
    def delete(_):
        client.delete_secret(SecretId="db")

    function.before["setSecret"] = delete
    token = rotate(client)["VersionId"]
    failed = endpoint.wait_for_event("RotationFailed")
    function.before.clear()
    endpoint.control("POST", "clock", at=failed["retry_at"])
    client.restore_secret(SecretId="db")
    endpoint.wait_for_event("RotationSucceeded")
    assert version(client, "db", "AWSCURRENT") == token


def test_rotations_survive_kill_9_and_go_on(run, functions, function, tmp_path):
    begun = threading.Event()

    def wait(_):
        begun.set()
        threading.Event().wait(30)

    arguments = ["--control", "--data", str(tmp_path / "data"), "--lambda-endpoint", functions.url]
    endpoint = run(*arguments)
    function.client = client = endpoint.client()
    client.create_secret(Name="db", SecretString="first")
    # After a restart, the clock shows the system's time again, but an interrupted rotation resumes anyway.
    endpoint.control("POST", "clock", advance_seconds=100 * DAY)
    function.before["setSecret"] = wait
    rules = {"ScheduleExpression": "rate(7 days)", "Duration": "2h"}
    token = rotate(client, RotationRules=rules)["VersionId"]
    assert begun.wait(30)
    endpoint.kill()

    # The function is invoked as soon as the endpoint is up, but must get its client first.
    known = threading.Event()
    function.before = {"createSecret": lambda _: known.wait(30)}
    endpoint = run(*arguments)
    function.client = client = endpoint.client()
    known.set()
    endpoint.wait_for_event("RotationSucceeded")
    assert functions.steps() == STEPS[:2] + STEPS
    assert {event["ClientRequestToken"] for event in functions.invocations} == {token}
    before = client.describe_secret(SecretId="db")
    assert before["RotationRules"] == {**rules, "AutomaticallyAfterDays": 7}
    endpoint.kill()

    endpoint = run(*arguments)
    function.client = client = endpoint.client()
    after = client.describe_secret(SecretId="db")
    assert {**before, "ResponseMetadata": 0} == {**after, "ResponseMetadata": 0}
    endpoint.control("POST", "clock", at=after["NextRotationDate"].timestamp())
    endpoint.wait_for_event("RotationSucceeded")
    assert functions.steps()[6:] == STEPS


def test_secrets_of_other_accounts_and_regions_rotate_too(endpoint, functions, function):
    function.client = client = endpoint.client(region="eu-west-1", key="210987654321")
    client.create_secret(Name="db", SecretString="first")
    answer = rotate(client)
    assert answer["ARN"].startswith("arn:aws:secretsmanager:eu-west-1:210987654321:")
    endpoint.wait_for_event("RotationSucceeded")
    assert endpoint.client(region=REGION).list_secrets()["SecretList"] == []


def test_functions_nobody_can_invoke_are_refused(client, run):
    other = run().client()
    other.create_secret(Name="db", SecretString="first")
    with pytest.raises(other.exceptions.ClientError) as caught:
        rotate(other)
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"] == (
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to "
        "the principal secretsmanager.amazonaws.com."
    )
    after = other.describe_secret(SecretId="db")
    assert "RotationEnabled" not in after and list(after["VersionIdsToStages"].values()) == [["AWSCURRENT"]]


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["--map-host", "db.example:5432"], 2, "HOST:PORT=HOST:PORT"),
        (["--lambda-endpoint", "https://127.0.0.1:1"], 1, "http://"),
        (["--db-ca-file", "/nowhere"], 1, "/nowhere"),
        (["--db-ca-file", "/dev/null"], 1, "no certificate"),
    ],
)
def test_mistakes_are_reported_at_the_start(arguments, status, reason):
    command = [binary(), "local", "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode == status and reason in done.stderr


def test_l2_an_endpoint_where_nobody_listens_is_refused_and_nothing_is_stored(run):
    endpoint = run("--control", "--lambda-endpoint", "http://127.0.0.1:1")
    client = endpoint.client()
    client.create_secret(Name="db", SecretString="first")
    before = client.describe_secret(SecretId="db")
    with pytest.raises(
        client.exceptions.ClientError, match="cannot invoke the specified Lambda function"
    ) as caught:
        rotate(client)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    after = client.describe_secret(SecretId="db")
    assert {**before, "ResponseMetadata": 0} == {**after, "ResponseMetadata": 0}
    assert endpoint.events() == []
