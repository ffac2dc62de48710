"""Rotations of real servers by the functions of AWS's templates, which run in the endpoint itself."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time

import pytest
from conftest import REGION, ROOT, binary
from databases import Database
from test_command_line import find_aws

TEMPLATE = "arn:aws:lambda:us-east-1:111122223333:function:SecretsManager"
POSTGRES = TEMPLATE + "RDSPostgreSQLRotation"
MARIADB = TEMPLATE + "RDSMariaDBRotation"
REDIS = TEMPLATE + "ElasticacheUserRotation"
# The article's command, word for word.
ROTATE = """aws secretsmanager rotate-secret \\
--secret-id prod/checkout/db \\
--rotation-lambda-arn arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSPostgreSQLRotationSingleUser \\
--rotation-rules '{"ScheduleExpression":"rate(30 days)"}'
"""
DAY = 86_400


@pytest.fixture(scope="module")
def servers():
    """Return a function that starts each kind of server once."""
    started: dict[tuple[str, ...], Database] = {}

    def server(*kind: str) -> Database:
        if kind not in started:
            started[kind] = Database.start(*kind)
        return started[kind]

    yield server
    for database in started.values():
        database.stop()


@pytest.fixture
def local(run):
    """Return a function that starts an endpoint with these options, and returns it with a client."""

    def local(*options: str):
        endpoint = run("--control", "--verbose", *options)
        return endpoint, endpoint.client()

    return local


def current(client, name: str) -> tuple[str, str]:
    """Return user and password of the current version."""
    fields = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
    return fields["username"], fields["password"]


def nothing_secret(endpoint, *secrets: str) -> None:
    """Check that neither the output nor the events contain a password."""
    shown = json.dumps(endpoint.events())
    endpoint.stop()
    shown += "\n".join(endpoint.output)
    assert len(shown) > 100 and not [secret for secret in secrets if secret in shown]


def test_the_commands_of_the_article(local, servers, tmp_path):
    database = servers("postgres-16")
    database.admin("create role app login password 'REPLACE_ME'")
    database.admin("create database checkout owner app")
    name = "checkout.abc123.us-east-1.rds.amazonaws.com"
    endpoint, client = local("--db-plaintext", "--map-host", f"{name}:5432={database.host}:{database.port}")
    environment = {
        "PATH": os.path.dirname(find_aws()) + os.pathsep + os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint.url,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": REGION,
    }
    create = (ROOT / "tests" / "demo" / "article.sh").read_text()
    done = subprocess.run(
        ["bash", "-euc", create + ROTATE], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    succeeded = endpoint.wait_for_event("RotationSucceeded")
    assert 'no "engine"' in succeeded["message"], "it reports what it guessed"
    user, password = current(client, "prod/checkout/db")
    assert user == "app" and database.logs_in("app", password)
    assert not database.logs_in("app", "REPLACE_ME")
    fields = json.loads(client.get_secret_value(SecretId="prod/checkout/db")["SecretString"])
    assert (fields["host"], fields["port"], fields["dbname"]) == (name, 5432, "checkout")
    described = client.describe_secret(SecretId="prod/checkout/db")
    assert described["RotationRules"]["ScheduleExpression"] == "rate(30 days)"

    # Thirty days later, by schedule.
    endpoint.control("POST", "clock", at=described["NextRotationDate"].timestamp())
    endpoint.wait_for_event("RotationSucceeded", 2)
    _, newer = current(client, "prod/checkout/db")
    assert newer != password and database.logs_in("app", newer)
    nothing_secret(endpoint, "REPLACE_ME", password, newer)


def test_a_function_of_ones_own_name_and_the_next_rotation_without_sleeping(local, servers):
    database = servers("postgres-16")
    database.admin("create role mine login password 'one'")
    endpoint, client = local("--db-plaintext", "--function", "my-rotator=single-user")
    client.create_secret(Name="mine", SecretString=database.secret("mine", "one"))
    function = "arn:aws:lambda:us-east-1:123456789012:function:"
    with pytest.raises(client.exceptions.ClientError, match="cannot invoke"):
        client.rotate_secret(SecretId="mine", RotationLambdaARN=function + "another")
    rules = {"ScheduleExpression": "rate(30 days)"}
    client.rotate_secret(SecretId="mine", RotationLambdaARN=function + "my-rotator", RotationRules=rules)
    endpoint.wait_for_event("RotationSucceeded")
    _, password = current(client, "mine")
    assert password != "one" and database.logs_in("mine", password)
    event = endpoint.control("POST", "next_rotation", secret_id="mine")
    assert event["event"] == "RotationSucceeded"
    _, newer = current(client, "mine")
    assert newer != password and database.logs_in("mine", newer)
    nothing_secret(endpoint, password, newer)


@pytest.mark.parametrize("kind", ["postgres-15", "postgres-16", "postgres-18"])
def test_alternating_users_on_postgres(local, servers, kind):
    database = servers(kind)
    database.admin("create role shop login password 'one'")
    database.admin("create schema shop authorization shop")
    endpoint, client = local("--db-plaintext")
    master = client.create_secret(
        Name="master", SecretString=database.secret(database.user, database.password)
    )
    value = database.secret("shop", "one", masterarn=master["ARN"])
    client.create_secret(Name="shop", SecretString=value)
    client.rotate_secret(SecretId="shop", RotationLambdaARN=POSTGRES + "MultiUser")
    endpoint.wait_for_event("RotationSucceeded")
    second = current(client, "shop")
    assert second[0] == "shop_clone"
    assert database.logs_in("shop", "one"), "the user that was in use is untouched"
    assert database.logs_in(*second, "create table shop.made (n int); insert into shop.made values (1)")
    client.rotate_secret(SecretId="shop")
    endpoint.wait_for_event("RotationSucceeded", 2)
    third = current(client, "shop")
    assert third[0] == "shop" and database.logs_in(*third, "select * from shop.made")
    assert database.logs_in(*second) and not database.logs_in("shop", "one")
    nothing_secret(endpoint, database.password, second[1], third[1])


@pytest.mark.parametrize("flavour", ["SingleUser", "MultiUser"])
def test_mariadb(local, servers, flavour):
    database = servers("mariadb")
    user = f"app_{flavour.lower()}"
    database.admin(f"create user '{user}'@'%' identified by 'one'; create database if not exists app;")
    database.admin(f"grant all on app.* to '{user}'@'%'")
    endpoint, client = local("--db-plaintext")
    master = client.create_secret(
        Name="master", SecretString=database.secret(database.user, database.password)
    )
    more = {"masterarn": master["ARN"]} if flavour == "MultiUser" else {}
    client.create_secret(Name="app", SecretString=database.secret(user, "one", dbname="app", **more))
    client.rotate_secret(SecretId="app", RotationLambdaARN=MARIADB + flavour)
    endpoint.wait_for_event("RotationSucceeded")
    new_user, password = current(client, "app")
    assert new_user == (user if flavour == "SingleUser" else user + "_clone")
    assert database.logs_in(new_user, password, "create table app.t (n int); drop table app.t")
    assert database.logs_in(user, "one") == (flavour == "MultiUser")
    nothing_secret(endpoint, database.password, password)


def test_redis_has_no_window(local, servers):
    database = servers("redis")
    database.admin("ACL SETUSER app on >one ~* +@all")
    endpoint, client = local("--db-plaintext")
    client.create_secret(Name="app", SecretString=database.secret("app", "one"))
    client.rotate_secret(SecretId="app", RotationLambdaARN=REDIS)
    endpoint.wait_for_event("RotationSucceeded")
    _, password = current(client, "app")
    assert database.logs_in("app", password) and database.logs_in("app", "one"), "both passwords work"
    client.rotate_secret(SecretId="app")
    endpoint.wait_for_event("RotationSucceeded", 2)
    _, newer = current(client, "app")
    assert database.logs_in("app", newer) and database.logs_in("app", password)
    assert not database.logs_in("app", "one")
    nothing_secret(endpoint, database.password, password, newer)


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (("postgres-15", "--tls"), POSTGRES + "SingleUser"),
        (("mariadb", "--tls"), MARIADB + "SingleUser"),
        (("redis", "--tls"), REDIS),
    ],
)
def test_a_certificate_must_be_for_the_name_in_the_secret(run, servers, kind, function):
    database = servers(*kind)
    stands_in = ["--db-ca-file", database.ca_file]
    for name in ("db.production.example", "other.example"):
        stands_in += ["--map-host", f"{name}:7000={database.host}:{database.port}"]
    endpoint = run("--control", *stands_in)
    client = endpoint.client()
    # The administrator rotates its own password, because the client programs here do not use TLS.
    user, password = database.user, database.password
    for name, event in (("other.example", "RotationFailed"), ("db.production.example", "RotationSucceeded")):
        value = database.secret(user, password, host=name, port=7000)
        client.create_secret(Name=name, SecretString=value)
        client.rotate_secret(SecretId=name, RotationLambdaARN=function)
        happened = endpoint.wait_for_event(event)
        assert happened["secret_name"] == name
        if event == "RotationFailed":
            assert "certificate" in happened["message"], happened
    assert [event["event"] for event in endpoint.events()].count("RotationSucceeded") == 1


def test_nothing_is_said_in_the_clear_unless_asked(local, servers):
    """The server does not support TLS, so no password may reach it."""
    database = servers("postgres-16")
    database.admin("create role clear login password 'one'")
    endpoint, client = local()
    client.create_secret(Name="app", SecretString=database.secret("clear", "one"))
    client.rotate_secret(SecretId="app", RotationLambdaARN=POSTGRES + "SingleUser")
    failed = endpoint.wait_for_event("RotationFailed")
    assert "TLS" in failed["message"] and "--db-plaintext" in failed["message"]
    assert database.logs_in("clear", "one")
    endpoint, client = local("--db-plaintext")
    client.create_secret(Name="app", SecretString=database.secret("clear", "one", ssl=True))
    client.rotate_secret(SecretId="app", RotationLambdaARN=POSTGRES + "SingleUser")
    assert "TLS" in endpoint.wait_for_event("RotationFailed")["message"], "the secret insists"


def test_other_machines_are_not_touched_unless_allowed(local, servers):
    database = servers("postgres-16")
    endpoint, client = local("--db-plaintext")
    # An address reserved for documentation.
    client.create_secret(Name="far", SecretString=database.secret("far", "one", host="192.0.2.7"))
    client.rotate_secret(SecretId="far", RotationLambdaARN=POSTGRES + "SingleUser")
    failed = endpoint.wait_for_event("RotationFailed")
    assert "192.0.2.7" in failed["message"] and "--allow-host" in failed["message"]
    client.create_secret(Name="unknown", SecretString=database.secret("far", "one", host="db.invalid"))
    client.rotate_secret(SecretId="unknown", RotationLambdaARN=POSTGRES + "SingleUser")
    failed = endpoint.wait_for_event("RotationFailed", 2)
    assert f"--map-host db.invalid:{database.port}=" in failed["message"]


def test_a_mere_test_changes_nothing_even_where_it_fails(local, servers):
    database = servers("postgres-16")
    database.admin("create role still login password 'real'")
    endpoint, client = local("--db-plaintext")
    master = client.create_secret(
        Name="master", SecretString=database.secret(database.user, database.password)
    )
    verifier = "select rolpassword from pg_authid where rolname = 'still'"
    before = database.admin(verifier)
    for name, password, event in (
        ("right", "real", "TestRotationSucceeded"),
        ("wrong", "other", "TestRotationFailed"),
    ):
        value = database.secret("still", password, masterarn=master["ARN"])
        client.create_secret(Name=name, SecretString=value)
        client.rotate_secret(
            SecretId=name, RotationLambdaARN=POSTGRES + "SingleUser", RotateImmediately=False
        )
        endpoint.wait_for_event(event)
        assert database.admin(verifier) == before
        assert list(client.describe_secret(SecretId=name)["VersionIdsToStages"].values()) == [["AWSCURRENT"]]


def test_killed_at_any_moment_it_goes_on_where_it_was(run, servers, tmp_path):
    database = servers("postgres-16")
    database.admin("create role crash login password 'first'")
    arguments = ["--control", "--db-plaintext", "--data", str(tmp_path / "data")]
    endpoint = run(*arguments)
    client = endpoint.client()
    client.create_secret(Name="app", SecretString=database.secret("crash", "first"))
    client.rotate_secret(SecretId="app", RotationLambdaARN=POSTGRES + "SingleUser")
    took = endpoint.wait_for_event("RotationSucceeded")["time"] - endpoint.events()[0]["time"]
    chance = random.Random(4)
    passwords = ["first", current(client, "app")[1]]
    for _ in range(8):
        token = client.rotate_secret(SecretId="app")["VersionId"]
        # At any time during the rotation, however fast this machine is.
        time.sleep(chance.uniform(0, took))
        endpoint.kill()
        endpoint = run(*arguments)
        client = endpoint.client()
        deadline = time.monotonic() + 60
        while client.describe_secret(SecretId="app")["VersionIdsToStages"].get(token) != ["AWSCURRENT"]:
            assert time.monotonic() < deadline, endpoint.events()
            time.sleep(0.05)
        passwords.append(current(client, "app")[1])
        assert database.logs_in("crash", passwords[-1]) and not database.logs_in("crash", passwords[-2])
    assert len(set(passwords)) == 10


def test_the_variables_of_a_functions_environment(local, servers):
    database = servers("postgres-16")
    name = "SecretsManagerRDSPostgreSQLRotationSingleUser"
    variables = {"PASSWORD_LENGTH": "20", "EXCLUDE_PUNCTUATION": "true", "EXCLUDE_CHARACTERS": "0=:1,a"}
    options = [f"--function={name}:{variable}={value}" for variable, value in variables.items()]
    endpoint, client = local("--db-plaintext", *options)
    master = database.secret(database.user, database.password)
    client.create_secret(Name="master", SecretString=master)
    for count, (user, kind, fits) in enumerate(
        [("varied", "SingleUser", True), ("usual", "MultiUser", False)]
    ):
        database.admin(f"CREATE ROLE {user} LOGIN PASSWORD 'first-password'")
        value = database.secret(user, "first-password", masterarn="master")
        client.create_secret(Name=user, SecretString=value)
        client.rotate_secret(SecretId=user, RotationLambdaARN=POSTGRES + kind)
        endpoint.wait_for_event("RotationSucceeded", count + 1)
        _, password = current(client, user)
        assert (len(password) == 20) == fits
        assert (password.isalnum() and not set(password) & set("0=:1,a")) == fits


@pytest.mark.parametrize(
    ("option", "status", "problem"),
    [
        (f"{TEMPLATE}RDSPostgreSQLRotationSingleUser:PASSWORD_LENGTH", 2, "FUNCTION:VARIABLE=VALUE"),
        ("my-own-function:PASSWORD_LENGTH=20", 2, "my-own-function"),
        ("SecretsManagerRDSMySQLRotationSingleUser:PASSWORD_LENGHT=20", 2, "PASSWORD_LENGTH"),
        ("SecretsManagerRDSMySQLRotationSingleUser:PASSWORD_LENGTH=none", 1, "a number from 1 to 4096"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused_at_the_start(option, status, problem):
    command = [binary(), "local", "--port", "0", "--function", option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == status and problem in done.stderr, done.stderr
