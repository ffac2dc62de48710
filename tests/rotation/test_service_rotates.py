"""Secrets that the service rotates with the operator's own function: waiting for a rotation, and taking the
secret over. `secretcache local` invokes the real function as Lambda would."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import pytest
from conftest import FIRST, ROOT, Desk
from lambda_endpoint import LambdaEndpoint
from runtime_api import Function

from endpoint import Endpoint

ARN = "arn:aws:lambda:us-east-1:123456789012:function:checkout-rotation"
TEMPLATE = "arn:aws:lambda:us-east-1:123456789012:function:SecretsManagerRDSPostgreSQLRotationMultiUser"


class Service:
    """A service that invokes the real function, with an optional gate before each step."""

    def __init__(self) -> None:
        self.function: Function | None = None
        self.before: dict[str, object] = {}
        self.lambdas = LambdaEndpoint(self._invoke)

    def _invoke(self, event: dict) -> object:
        if gate := self.before.get(event["Step"]):
            gate()
        return self.function.invoke(event)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[tuple[Desk, Service]]:
    """Start a service with a rotation function, and yield it with a desk."""
    service = Service()
    options = ["--control", "--db-plaintext", "--lambda-endpoint", service.lambdas.url]
    with Endpoint("debug", *options) as endpoint:
        environment = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SECRETS_MANAGER_ENDPOINT": endpoint.url,
            "SECRETCACHE_ENGINE": "postgres",
            "SECRETCACHE_STRATEGY": "alternating-users",
            "SECRETCACHE_TLS": "off",
        }
        with Function(
            [ROOT / "target" / "debug" / "bootstrap"], environment, "checkout-rotation"
        ) as function:
            service.function = function
            client = endpoint.client()
            prefix = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)
            yield Desk(endpoint, prefix, client), service
    service.lambdas.stop()


def rotate(desk: Desk, name: str, function: str = ARN) -> str:
    """Call `rotate-secret` as an operator, and return the new version's id."""
    answer = desk.client.rotate_secret(
        SecretId=name, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30}
    )
    return answer["VersionId"]


def waiting(desk: Desk, *arguments: str) -> tuple[threading.Thread, list]:
    """Start a command that waits, and return once it has polled the secret several times."""
    results: list = []
    thread = threading.Thread(target=lambda: results.append(desk.run("status", *arguments, "--json")))
    asked = lambda: desk.control("GET", "calls").get("DescribeSecret", {}).get("ok", 0)  # noqa: E731
    before = asked()
    thread.start()
    while asked() < before + 3:
        assert thread.is_alive(), results
        time.sleep(0.05)
    return thread, results


def prepared(desk: Desk, server, user: str) -> str:
    """Create a secret with a master secret."""
    master = desk.store("master", server.admin())
    return desk.store("db", server.user(user, masterarn=master))


def test_waiting_for_a_rotation_that_succeeds(service, server):
    desk, service = service
    name = prepared(desk, server("postgres-16"), "service_succeeds")
    go_on = threading.Event()
    service.before["setSecret"] = lambda: go_on.wait(60)
    version = rotate(desk, name)
    thread, results = waiting(desk, name, "--wait", "--version-id", version)
    go_on.set()
    thread.join(60)
    assert results[0].status == 0 and results[0].json["Outcome"] == "Succeeded", results[0].err
    assert desk.labels(name)["AWSCURRENT"] == version
    assert desk.value(name)["username"] == "service_succeeds_clone"
    # The outcome is still reported later, even after another rotation.
    assert desk.run("status", name, "--wait", "--version-id", version).status == 0
    assert desk.run("status", name, "--wait", "--version-id", rotate(desk, name)).status == 0
    assert desk.run("status", name, "--wait", "--version-id", version).status == 0


def test_a_rotation_that_fails_is_pending_until_it_is_given_up(service, server):
    desk, service = service
    server = server("postgres-16")
    name = prepared(desk, server, "service_fails")
    server.run("CREATE ROLE service_fails_clone LOGIN PASSWORD 'somebody-elses'")
    version = rotate(desk, name)
    # The service keeps retrying, so the rotation has neither succeeded nor failed.
    pending = desk.run("status", name, "--wait", "--version-id", version, "--timeout", "1", "--json")
    assert pending.status == 3 and pending.json["Outcome"] == "Pending", pending.err
    thread, results = waiting(desk, name, "--wait", "--version-id", version, "--no-login")
    desk.client.cancel_rotate_secret(SecretId=name)
    if "AWSPENDING" in desk.labels(name):
        desk.move(name, "AWSPENDING")
    thread.join(60)
    assert results[0].status == 1 and results[0].json["Outcome"] == "Failed", results[0].out
    assert server.logs_in("service_fails", FIRST) and desk.value(name)["password"] == FIRST


def test_a_rotation_that_is_abandoned_has_failed(service, server):
    desk, service = service
    server = server("postgres-16")
    name = prepared(desk, server, "service_abandoned")
    go_on, held = threading.Event(), threading.Event()
    service.before["setSecret"] = lambda: (held.set(), go_on.wait(60))
    version = rotate(desk, name)
    assert held.wait(60)
    thread, results = waiting(desk, name, "--wait", "--version-id", version, "--no-login")
    # Someone stores a value manually during the rotation.
    value = desk.client.get_secret_value(SecretId=name)["SecretString"]
    desk.client.put_secret_value(SecretId=name, SecretString=value)
    if "AWSPENDING" in desk.labels(name):
        desk.move(name, "AWSPENDING")
    go_on.set()
    thread.join(60)
    assert results[0].status == 1 and results[0].json["Outcome"] == "Failed", results[0].out
    assert server.logs_in("service_abandoned", FIRST)


def test_a_secret_with_a_function_of_ones_own_is_taken_over(service, server):
    desk, service = service
    server = server("postgres-16")
    name = prepared(desk, server, "taken_over")
    for _ in range(2):
        version = rotate(desk, name)
        assert desk.run("status", name, "--wait", "--version-id", version).status == 0
    # The function's name does not show the strategy, but the two users do.
    unsaid = desk.run("adopt", name, "--dry-run", "--json")
    assert unsaid.json["Strategy"] == "alternating-users" and unsaid.json["Function"] == ARN
    look = desk.run("adopt", name, "--strategy", "alternating-users", "--dry-run", "--json")
    assert look.status == 0, look.err
    assert look.json["Function"] == ARN and look.json["OtherUser"] == "taken_over_clone"
    assert look.json["Findings"] == [] and look.json["Actions"] == [], "our own function left nothing to do"
    [note] = [note for note in look.json["Notes"] if "cancel-rotate-secret" in note]
    assert note.startswith("checkout-rotation also rotates this secret") and name in note
    assert desk.run("adopt", name, "--strategy", "alternating-users").status == 0
    invoked = len(service.lambdas.invocations)
    desk.client.cancel_rotate_secret(SecretId=name)
    for user in ("taken_over_clone", "taken_over"):
        done = desk.run("rotate", name, "--strategy", "alternating-users")
        assert done.status == 0, done.err
        value = desk.value(name)
        assert value["username"] == user and server.logs_in(user, value["password"])
    assert len(service.lambdas.invocations) == invoked, "the function is no longer invoked"
    assert desk.run("adopt", name, "--strategy", "alternating-users", "--json").json["Function"] is None


def test_the_name_of_a_template_sets_the_strategy_and_its_rotation_goes_on_by_hand(service, server):
    desk, service = service
    server = server("postgres-16")
    name = prepared(desk, server, "by_template")
    version = rotate(desk, name, TEMPLATE)
    assert desk.run("status", name, "--wait", "--version-id", version).status == 0
    assert service.lambdas.invocations == [], "the endpoint rotates it itself"
    look = desk.run("adopt", name, "--json")
    assert look.status == 0, look.err
    assert look.json["Strategy"] == "alternating-users" and look.json["Function"] == TEMPLATE
    desk.client.cancel_rotate_secret(SecretId=name)
    assert desk.run("rotate", name).status == 0
    assert desk.value(name)["username"] == "by_template"
