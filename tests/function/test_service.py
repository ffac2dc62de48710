"""The function under `secretcache local`, which drives it with RotateSecret and Lambda's Invoke API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import boto3
import pytest
from conftest import BOOTSTRAP, FIRST
from loopback import Handler, Server
from runtime_api import Function, FunctionError

from endpoint import Endpoint


class Lambda:
    """Lambda's Invoke API for one function."""

    def __init__(self) -> None:
        lambda_ = self

        class Invoke(Handler):
            def do_POST(self) -> None:
                event = json.loads(self.body())
                lambda_.events.append(event)
                try:
                    lambda_.function.invoke(event)
                except FunctionError as error:
                    answer = {"errorType": error.kind, "errorMessage": error.message}
                    self.reply(200, json.dumps(answer).encode(), X_Amz_Function_Error="Unhandled")
                else:
                    self.reply(200, b"null")

        self.events: list[dict[str, str]] = []
        self.function: Function
        self.server = Server(Invoke)


@pytest.fixture
def service() -> Iterator[tuple[Lambda, boto3.client]]:
    """Start the endpoint. Yield the function that it invokes, and a client."""
    lambda_ = Lambda()
    with Endpoint("debug", "--lambda-endpoint", f"http://{lambda_.server.place}") as endpoint:
        client = endpoint.client()
        environment = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SECRETS_MANAGER_ENDPOINT": endpoint.url,
            "SECRETCACHE_STRATEGY": "single-user",
            "SECRETCACHE_TLS": "off",
        }
        with Function([BOOTSTRAP], environment) as lambda_.function:
            yield lambda_, client
    lambda_.server.close()


def until(condition, what: str) -> None:
    """Wait for a condition to become true."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def test_rotate_secret_rotates(service, postgres):
    lambda_, client = service
    first = postgres.secret("app", FIRST, engine="postgres")
    secret = client.create_secret(Name="db", SecretString=json.dumps(first))["ARN"]
    for turn in range(2):
        token = client.rotate_secret(
            SecretId=secret,
            RotationLambdaARN=lambda_.function.arn,
            RotationRules={"AutomaticallyAfterDays": 30},
        )["VersionId"]

        def is_finished(token=token):
            versions = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
            return versions.get(token) == ["AWSCURRENT"]

        until(is_finished, "the new version becomes current")
        current = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
        assert postgres.accepts(current)
        steps = [event["Step"] for event in lambda_.events if event["ClientRequestToken"] == token]
        assert steps == ["createSecret", "setSecret", "testSecret", "finishSecret"], turn
    assert not postgres.accepts(first)


def test_rotation_that_is_not_to_begin_now_tests_and_changes_nothing(service, postgres):
    lambda_, client = service
    first = postgres.secret("app", FIRST, engine="postgres")
    secret = client.create_secret(Name="db", SecretString=json.dumps(first))["ARN"]
    client.rotate_secret(
        SecretId=secret,
        RotationLambdaARN=lambda_.function.arn,
        RotationRules={"ScheduleExpression": "rate(30 days)"},
        RotateImmediately=False,
    )
    until(lambda: lambda_.function.log().endswith("}\n"), "the step is done")
    assert [event["Step"] for event in lambda_.events] == ["testSecret"]
    assert [line["message"] for line in lambda_.function.lines()] == ["step done"]
    assert client.get_secret_value(SecretId=secret)["SecretString"] == json.dumps(first)
    assert postgres.accepts(first)
