"""Complete rotations by the function, on a real PostgreSQL and a directory."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import FIRST
from rotation_service import SNAKE, STEPS, rotation_token
from runtime_api import FunctionError

OFFICIAL = "SecretsManagerRDSPostgreSQLRotationSingleUser"
PLAIN = {"SECRETCACHE_TLS": "off"}


@pytest.mark.parametrize("steps", [STEPS, SNAKE], ids=["createSecret", "create_secret"])
def test_a_rotation_in_either_spelling_of_the_steps(house, postgres, steps):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres", team="shop"))
    function = house.function(SECRETCACHE_STRATEGY="single-user", PASSWORD_LENGTH="40", **PLAIN)
    token = house.service.rotate(function, secret, steps)

    current = house.value(secret)
    assert postgres.accepts(current)
    assert not postgres.accepts(house.value(secret, "AWSPREVIOUS"))
    assert current | {"password": FIRST} == house.value(secret, "AWSPREVIOUS")
    assert len(current["password"]) == 40
    assert house.labels(secret)["AWSCURRENT"] == token
    assert "AWSPENDING" not in house.labels(secret)
    lines = function.lines()
    assert [(line["level"], line["step"]) for line in lines] == [("INFO", step) for step in STEPS]
    assert all(line["secretId"] == secret and line["version"] == token for line in lines)


def test_the_rotation_token_goes_where_a_value_is_stored_and_nowhere_else(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres"))
    token = house.service.rotate(house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN), secret)
    for operation, body in house.service.requests:
        wanted = rotation_token(token) if operation == "PutSecretValue" else None
        assert body.get("RotationToken") == wanted, operation


def test_every_step_may_come_again_and_then_changes_nothing(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres"))
    function = house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN)
    twice = [step for step in STEPS for _ in range(2)]
    token = house.service.rotate(function, secret, twice)
    assert house.service.operations().count("PutSecretValue") == 1
    current = house.value(secret)
    house.service.rotate(function, secret, STEPS, token)
    assert house.value(secret) == current
    assert postgres.accepts(current)
    assert function.lines()[-1]["message"] == "the version is already current"


def test_what_was_looked_up_is_kept_for_the_next_event(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres"))
    function = house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN)
    house.service.rotate(function, secret)
    first = house.service.operations()
    house.service.requests.clear()
    house.service.rotate(function, secret)
    # Only the first event reads the secret once more, to find out its resource.
    assert first.count("GetSecretValue") == house.service.operations().count("GetSecretValue") + 1
    assert postgres.accepts(house.value(secret))


def test_a_dry_run_of_the_service_tests_the_current_value_and_writes_nothing(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres"))
    token = "0f3c2a6e-1111-4222-8333-444455556666"
    value = house.client.get_secret_value(SecretId=secret)["SecretString"]
    house.client.put_secret_value(
        SecretId=secret, SecretString=value, ClientRequestToken=token, VersionStages=["AWSPENDING"]
    )
    function = house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN)
    house.service.rotate(function, secret, ["testSecret"], token)
    assert set(house.service.operations()) == {"DescribeSecret", "GetSecretValue"}
    assert postgres.accepts(house.value(secret))


def test_a_secret_without_an_engine_is_taken_for_what_the_functions_name_says(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST))
    function = house.function(OFFICIAL, **PLAIN)
    house.service.rotate(function, secret)
    assert postgres.accepts(house.value(secret))
    warnings = [line["message"] for line in function.lines() if line["level"] == "WARN"]
    assert len(warnings) == 1
    assert "engine" in warnings[0] and "Postgres" in warnings[0]


def test_users_alternate_by_the_name_of_the_function(house, postgres):
    master = house.create("master", postgres.secret(postgres.user, postgres.password, engine="postgres"))
    first = postgres.secret("app", FIRST, engine="postgres", masterarn=master)
    secret = house.create("db", first)
    function = house.function("SecretsManagerRDSPostgreSQLRotationMultiUser", **PLAIN)
    names = []
    for _ in range(2):
        house.service.rotate(function, secret)
        names.append(house.value(secret)["username"])
        assert postgres.accepts(house.value(secret))
        assert postgres.accepts(house.value(secret, "AWSPREVIOUS"))
    assert names == ["app_clone", "app"]


def test_a_step_before_its_turn_fails_and_spoils_nothing(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres"))
    function = house.function(SECRETCACHE_STRATEGY="single-user", SECRETCACHE_TEST_ATTEMPTS="1", **PLAIN)
    token = house.service.begin()
    for step in ("setSecret", "testSecret", "finishSecret"):
        with pytest.raises(FunctionError, match="no value yet; run createSecret first"):
            house.service.rotate(function, secret, [step], token)
    house.service.rotate(function, secret, STEPS, token)
    assert postgres.accepts(house.value(secret))


def test_a_secret_whose_rotation_is_off_is_left_alone(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres"))
    house.service.rotation_enabled = False
    function = house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN)
    with pytest.raises(FunctionError, match="rotation is not enabled") as failure:
        house.service.rotate(function, secret)
    assert failure.value.kind == "NotStaged"
    assert set(house.service.operations()) == {"DescribeSecret", "GetSecretValue"}


def test_a_wrong_current_password_fails_loudly_and_changes_nothing(house, postgres):
    secret = house.create("db", postgres.secret("app", "canary-wrong", engine="postgres"))
    function = house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN)
    with pytest.raises(FunctionError) as failure:
        house.service.rotate(function, secret)
    assert failure.value.kind == "Refused"
    assert "canary" not in failure.value.message
    assert postgres.accepts(postgres.secret("app", FIRST))
    last = function.lines()[-1]
    assert (last["level"], last["step"], last["errorType"]) == ("ERROR", "setSecret", "Refused")


def test_only_a_server_that_can_be_verified_gets_a_password(house, databases, tmp_path):
    database = databases("postgres-15", "--tls")
    assert database.ca_file
    with database.connect() as admin:
        admin.execute(f"CREATE ROLE verified LOGIN PASSWORD '{FIRST}'")
    secret = house.create("db", database.secret("verified", FIRST, engine="postgres"))
    unverified = house.function(SECRETCACHE_STRATEGY="single-user", SECRETCACHE_CA="system")
    with pytest.raises(FunctionError, match="certificate cannot be verified.*SECRETCACHE_CA"):
        house.service.rotate(unverified, secret)
    (tmp_path / "ca.pem").write_text(Path(database.ca_file).read_text())
    packed = house.function(root=tmp_path, SECRETCACHE_STRATEGY="single-user")
    house.service.rotate(packed, secret)
    assert database.accepts(house.value(secret))


def test_a_database_that_does_not_answer_is_reported_before_lambda_ends_the_process(house, postgres):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        secret = house.create("db", postgres.secret("app", FIRST, engine="postgres") | {"port": port})
        function = house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN)
        token = house.service.rotate(function, secret, ["createSecret"])
        with pytest.raises(FunctionError, match="about to time out; raise its timeout") as failure:
            function.invoke(house.service.event(secret, token, "setSecret"), seconds=2)
    assert failure.value.kind == "Unavailable"


def test_an_emulator_whose_deadline_is_long_past_ends_no_step(house, postgres):
    secret = house.create("db", postgres.secret("app", FIRST, engine="postgres"))
    function = house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN)
    token = house.service.begin()
    for step in STEPS:
        # The deadline that cargo-lambda sends: ten minutes after the Unix epoch.
        function.invoke(house.service.event(secret, token, step), seconds=600 - time.time())
    assert house.labels(secret)["AWSCURRENT"] == token


def test_an_account_of_a_directory(house, databases):
    directory = databases("ldap")
    dn = "uid=function,ou=services,dc=example,dc=com"
    client = ["-x", "-H", f"ldap://{directory.host}:{directory.port}"]
    kinds = "objectClass: account\nobjectClass: simpleSecurityObject\nuid: function"
    entry = f"dn: {dn}\n{kinds}\nuserPassword: {FIRST}\n"
    as_administrator = ["-D", directory.user, "-w", directory.password]
    subprocess.run(
        ["ldapadd", *client, *as_administrator], input=entry, text=True, check=True, capture_output=True
    )
    secret = house.create("account", directory.secret(dn, FIRST, engine="ldap"))
    house.service.rotate(house.function(SECRETCACHE_STRATEGY="single-user", **PLAIN), secret)
    for stage, status in [("AWSCURRENT", 0), ("AWSPREVIOUS", 49)]:
        password = house.value(secret, stage)["password"]
        done = subprocess.run(["ldapwhoami", *client, "-D", dn, "-w", password], capture_output=True)
        assert done.returncode == status, done.stderr
