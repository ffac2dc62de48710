"""S1, in `secretcache local`: a writer of the application's secret cannot choose where the administrator logs in."""

from __future__ import annotations

import json

import pytest
from databases import Database
from tap import Tap

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:"
STATEMENTS = """
protocol = "postgres"
strategy = "single-user"
apply = ["ALTER ROLE {username:identifier} PASSWORD {password:scram}"]
"""


@pytest.fixture(scope="module")
def database():
    database = Database.start("postgres-16")
    database.admin("create role app login password 'one'")
    yield database
    database.stop()


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("SecretsManagerRDSPostgreSQLRotationMultiUser", ()),
        ("my-rotator", ("--function", "my-rotator=alternating-users")),
        ("described", ("--function", "described={file}")),
    ],
)
@pytest.mark.parametrize("master", ["as RDS manages it", "of another server"])
def test_s1_no_administrator_goes_where_the_applications_secret_points(
    run, database, tmp_path, function, options, master
):
    file = tmp_path / "described.toml"
    file.write_text(STATEMENTS)
    endpoint = run("--control", "--db-plaintext", *(option.format(file=file) for option in options))
    client = endpoint.client()
    own = {} if master.startswith("as RDS") else {"host": database.host, "port": database.port}
    administrator = {"username": database.user, "password": database.password, **own}
    client.create_secret(Name="master", SecretString=json.dumps(administrator))
    problem = 'the master secret has no "host"' if not own else "the master secret is for another server"
    with Tap(database.host, database.port) as theirs:

        def rotate(name: str, password: str, function: str, **more: object) -> None:
            value = json.loads(database.secret("app", password, ssl=False, **more)) | {"port": theirs.port}
            client.create_secret(Name=name, SecretString=json.dumps(value))
            client.rotate_secret(SecretId=name, RotationLambdaARN=FUNCTION + function)

        # With a password that does not log in, only the administrator could continue.
        for count, password in enumerate(("one", "wrong"), 1):
            rotate(password, password, function, masterarn="master")
            failed = endpoint.wait_for_event("RotationFailed", count)
            assert problem in failed["message"], failed
        assert database.user.encode() + b"\0" not in theirs.heard
        assert database.password.encode() not in theirs.heard
        # Without an administrator, the secret decides where its own user logs in.
        rotate("own", "one", "SecretsManagerRDSPostgreSQLRotationSingleUser")
        endpoint.wait_for_event("RotationSucceeded")
        assert b"user\0app\0" in theirs.heard, "this listener records the traffic"
    database.admin("alter role app password 'one'")
    assert database.password not in json.dumps(endpoint.events())
