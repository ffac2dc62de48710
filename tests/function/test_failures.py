"""Invalid events and wrong settings."""

from __future__ import annotations

import pytest
from rotation_service import rotation_token
from runtime_api import FunctionError

TOKEN = "0f3c2a6e-1111-4222-8333-444455556666"
GOOD = {"Step": "createSecret", "SecretId": "db", "ClientRequestToken": TOKEN}


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        "canary-text",
        {**GOOD, "Step": "canary_secret"},
        {**GOOD, "ClientRequestToken": "short"},
        {**GOOD, "SecretId": ""},
        {**GOOD, "RotationToken": ["canary"]},
        {key: GOOD[key] for key in ("Step", "SecretId")},
    ],
)
def test_an_event_that_is_none_fails_without_being_quoted(house, event):
    function = house.function()
    with pytest.raises(FunctionError) as failure:
        function.invoke(event)
    assert failure.value.kind == "InvalidEvent"
    assert "canary" not in failure.value.message
    assert function.lines()[-1]["errorType"] == "InvalidEvent"


def test_the_function_survives_a_bad_event_and_a_missing_secret(house):
    function = house.function(SECRETCACHE_STRATEGY="single-user")
    for event, kind in [({}, "InvalidEvent"), (GOOD, "NotStaged"), ({}, "InvalidEvent")]:
        with pytest.raises(FunctionError) as failure:
            function.invoke({**event, "RotationToken": rotation_token(TOKEN)} if event else event)
        assert failure.value.kind == kind
    assert function.process.poll() is None


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("SECRETCACHE_STRATEGY", "clone", "alternating-users"),
        ("SECRETCACHE_ENGINE", "oracle", "mariadb"),
        ("SECRETCACHE_CA", "missing.pem", "readable file"),
        ("PASSWORD_LENGTH", "many", "1 to 4096"),
        ("EXCLUDE_NUMBERS", "perhaps", "true or false"),
    ],
)
def test_a_wrong_variable_fails_every_step_by_name(house, name, value, hint):
    house.create("db", {"engine": "postgres", "host": "127.0.0.1", "username": "a", "password": "canary"})
    function = house.function(**{name: value})
    with pytest.raises(FunctionError, match=name) as failure:
        function.invoke(GOOD)
    assert failure.value.kind == "Misconfigured"
    assert hint in failure.value.message


def test_a_function_without_configuration_names_the_choices(house):
    house.create("db", {"engine": "postgres", "host": "127.0.0.1", "username": "a", "password": "canary"})
    with pytest.raises(FunctionError, match="single-user, alternating-users, dual-password, api-key"):
        house.function().invoke(GOOD)


def test_the_error_for_an_unknown_engine_lists_the_engines(house):
    house.create("db", {"host": "127.0.0.1", "port": 1521, "username": "a", "password": "canary"})
    function = house.function(SECRETCACHE_STRATEGY="single-user", SECRETCACHE_TLS="off")
    with pytest.raises(FunctionError, match='no "engine".*postgres, aurora-postgresql, mysql'):
        function.invoke(GOOD)


@pytest.mark.parametrize("value", ["canary", "[1]", '{"username": "canary"'])
def test_a_secret_that_is_no_json_object_fails_without_being_quoted(house, value):
    house.client.create_secret(Name="db", SecretString=value)
    with pytest.raises(FunctionError, match="not a JSON object") as failure:
        house.function(SECRETCACHE_STRATEGY="single-user").invoke(GOOD)
    assert "canary" not in failure.value.message
