"""S1, through the Lambda function: write access to the application's secret does not decide where the
administrator logs in."""

from __future__ import annotations

import json

import pytest
from conftest import FIRST
from runtime_api import FunctionError
from tap import Tap

PLAIN = {"SECRETCACHE_TLS": "off"}


@pytest.mark.parametrize("password", [FIRST, "canary-another-password"], ids=["it logs in", "it does not"])
@pytest.mark.parametrize("master", ["as RDS manages it", "of another server"])
def test_s1_no_administrator_goes_where_the_applications_secret_points(house, postgres, password, master):
    own = {} if master.startswith("as RDS") else {"host": postgres.host, "port": postgres.port}
    administrator = {"username": postgres.user, "password": postgres.password, **own}
    master_secret = house.create("master", administrator)
    function = house.function("SecretsManagerRDSPostgreSQLRotationMultiUser", **PLAIN)
    with Tap(postgres.host, postgres.port) as theirs:
        value = postgres.secret("app", password, engine="postgres", masterarn=master_secret, ssl=False)
        secret = house.create("db", value | {"port": theirs.port})
        with pytest.raises(FunctionError) as refused:
            house.service.rotate(function, secret)
        assert postgres.user.encode() + b"\0" not in theirs.heard
        assert postgres.password.encode() not in theirs.heard
        # If no administrator is needed, the secret decides where its own user logs in.
        alone = house.create(
            "alone", postgres.secret("app", FIRST, engine="postgres", ssl=False) | {"port": theirs.port}
        )
        house.service.rotate(house.function("SecretsManagerRDSPostgreSQLRotationSingleUser", **PLAIN), alone)
        assert b"user\0app\0" in theirs.heard, "the listener records what is sent"
    assert "the master secret" in str(refused.value), refused.value
    assert "AWSCURRENT" in house.labels(secret) and house.value(secret)["username"] == "app"
    assert postgres.password not in json.dumps([str(refused.value), function.log()])
