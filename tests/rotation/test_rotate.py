"""`secretcache rotate` on real servers."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import FIRST, SERVERS

POSTGRES = ["postgres-15", "postgres-16", "postgres-18"]


@pytest.mark.parametrize("kind", [*POSTGRES, "mariadb", "mysql"])
def test_a_single_user_gets_a_new_password(desk, server, kind):
    server = server(kind)
    name = desk.store("db", server.user("alone", team={"shop": [1.50, None]}))
    first = desk.labels(name)["AWSCURRENT"]
    done = desk.run("rotate", name, "--strategy", "single-user", "--json")
    assert done.status == 0, done.err
    assert done.json["Outcome"] == "rotated" and done.json["Strategy"] == "single-user"
    assert desk.labels(name) == {"AWSCURRENT": done.json["VersionId"], "AWSPREVIOUS": first}
    assert [line.split()[1] for line in done.err.splitlines() if "Secret" in line] == [
        "createSecret",
        "setSecret",
        "finishSecret",  # includes the test; a separate testSecret would lengthen the window
    ]
    value = desk.value(name)
    assert value | {"password": FIRST} == desk.value(name, "AWSPREVIOUS")
    assert server.logs_in("alone", value["password"]) and not server.logs_in("alone", FIRST)


@pytest.mark.parametrize("kind", [*POSTGRES, "mariadb", "mysql"])
def test_users_take_turns(desk, server, kind):
    server = server(kind)
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("turns"))
    users = []
    for _ in range(3):
        done = desk.run("rotate", name, "--strategy", "alternating-users", "--master-secret", master)
        assert done.status == 0, done.err
        value, previous = desk.value(name), desk.value(name, "AWSPREVIOUS")
        assert server.logs_in(value["username"], value["password"])
        assert server.logs_in(previous["username"], previous["password"])
        users.append(value["username"])
    assert users == ["turns_clone", "turns", "turns_clone"]


@pytest.mark.parametrize("kind", ["mariadb", "mysql", "redis"])
def test_two_passwords_leave_no_gap(desk, server, kind):
    server = server(kind)
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("app_dual", masterarn=master))
    for _ in range(2):
        before = desk.value(name)["password"]
        done = desk.run("rotate", name, "--strategy", "dual-password")
        assert done.status == 0, done.err
        assert server.logs_in("app_dual", before) and server.logs_in("app_dual", desk.value(name)["password"])
    assert not server.logs_in("app_dual", FIRST)


def test_a_rotation_cut_off_is_gone_on_with(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("cut_off"))
    pending = desk.pend(name, password="the-new-password")
    server.change("cut_off", "the-new-password")
    done = desk.run("rotate", name, "--strategy", "single-user", "--resume", "--json")
    assert done.status == 0, done.err
    assert done.json["IsResumed"] and done.json["VersionId"] == pending
    assert desk.labels(name)["AWSCURRENT"] == pending and "AWSPENDING" not in desk.labels(name)
    again = desk.run("rotate", name, "--strategy", "single-user", "--resume")
    assert again.status == 0 and "nothing to do" in again.out
    assert desk.labels(name)["AWSCURRENT"] == pending, "no rotation was begun"


def test_a_rotation_can_be_taken_back(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("taken_back"))
    first = desk.labels(name)["AWSCURRENT"]
    desk.pend(name, password="the-new-password")
    server.change("taken_back", "the-new-password")
    done = desk.run("rotate", name, "--strategy", "single-user", "--revert")
    assert done.status == 0, done.err
    assert "reverted" in done.out
    assert desk.labels(name) == {"AWSCURRENT": first}
    assert server.logs_in("taken_back", FIRST)
    assert "nothing to do" in desk.run("rotate", name, "--revert").out


def test_two_that_run_at_once_make_one_rotation(desk, server):
    server = server("postgres-15")
    name = desk.store("db", server.user("app_both"))
    first = desk.labels(name)["AWSCURRENT"]

    def rotate(_: int):
        return desk.run("rotate", name, "--strategy", "single-user", "--json")

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(rotate, range(2)))
    assert [each.status for each in done] == [0, 0], [each.err for each in done]
    # If one starts after the other has finished, it rotates again. Otherwise both work on the same version.
    versions = {each.json["VersionId"] for each in done}
    labels = desk.labels(name)
    assert labels["AWSCURRENT"] in versions and labels["AWSPREVIOUS"] in versions | {first}
    assert server.logs_in("app_both", desk.value(name)["password"])


def test_the_engine_follows_from_the_port_or_an_option(desk, server):
    server = server("redis")
    fields = server.user("no_engine", masterarn=desk.store("master", server.admin()))
    del fields["engine"]
    name = desk.store("db", fields)
    lost = desk.run("rotate", name, "--strategy", "dual-password")
    assert lost.status == 2
    assert '"engine"' in lost.err and "aurora-postgresql" in lost.err
    rotated = desk.run("rotate", name, "--strategy", "dual-password", "--engine", "redis")
    assert rotated.status == 0, rotated.err


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"\0\1", "binary"),
        ("no json", "not a JSON object"),
        ({"engine": "postgres", "username": "a", "password": "b"}, '"host"'),
        ({"engine": "oracle", "host": "h", "username": "a", "password": "b"}, "use one of"),
    ],
)
def test_an_error_says_why_a_secret_cannot_rotate(desk, value, problem):
    name = desk.store("odd", value)
    done = desk.run("rotate", name, "--strategy", "single-user")
    assert done.status == (2 if "use one of" in problem else 1)
    assert problem in done.err
    assert "AWSPENDING" not in desk.labels(name)


def test_a_missing_secret_and_a_missing_strategy(desk, server):
    assert "can't find" in desk.run("rotate", "nothing/here", "--strategy", "single-user").err
    name = desk.store("db", server("redis").secret("nobody", "no-password"))
    done = desk.run("rotate", name)
    assert done.status == 2
    assert "choose one of single-user, alternating-users, dual-password, api-key" in done.err


def test_a_resource_that_is_away_is_worth_another_try(desk):
    fields = {"engine": "postgres", "host": "127.0.0.1", "port": 1, "username": "a", "password": "canary-pw"}
    name = desk.store("db", fields)
    done = desk.run("rotate", name, "--strategy", "single-user")
    assert done.status == 3
    assert "could not log in" in done.err and "refused" in done.err
    # The stored version is used once the resource is back.
    pending = desk.labels(name)["AWSPENDING"]
    again = desk.run("rotate", name, "--strategy", "single-user")
    assert again.status == 3 and desk.labels(name)["AWSPENDING"] == pending


def test_the_service_goes_away_half_way_and_comes_back(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("away"))
    rotate = ("rotate", name, "--strategy", "single-user")
    with desk.trouble(name, "UpdateSecretVersionStage"):
        done = desk.run(*rotate)
    assert done.status == 3, done.err
    assert "finishSecret failed" in done.err and "trying again" in done.err
    # The window: the database has the new password, but the label has not moved.
    assert not server.logs_in("away", desk.value(name)["password"])
    done = desk.run(*rotate)
    assert done.status == 0 and "resuming version" in done.err, done.err
    assert server.logs_in("away", desk.value(name)["password"])


def test_an_answer_that_is_lost_does_no_harm(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("lost"))
    with desk.trouble(name, "PutSecretValue", times=3, applied=True):
        done = desk.run("rotate", name, "--strategy", "single-user")
    assert done.status == 0, done.err
    assert server.logs_in("lost", desk.value(name)["password"])


def test_servers_are_verified_unless_that_is_turned_off(desk):
    server = subprocess.Popen(
        [SERVERS, "postgres-15", "--tls"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = json.loads(server.stdout.readline())
        fields = {"engine": "postgres", "host": address["host"], "port": address["port"]}
        name = desk.store("db", fields | {"username": address["user"], "password": address["password"]})
        rotate = ("rotate", name, "--strategy", "single-user")
        wrong = desk.run(*rotate, "--ca-file", "/etc/ssl/certs/ca-certificates.crt")
        assert wrong.status == 1 and "certificate cannot be verified" in wrong.err
        assert "--ca-file" in wrong.err and "attempt 2" not in wrong.err, "it is not tried again"
        right = desk.run(*rotate, "--ca-file", address["ca_file"])
        assert right.status == 0, right.err
    finally:
        server.stdin.close()
        server.wait(60)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["db", "--strategy", "both"],
        ["db", "--engine", "oracle"],
        ["db", "--users", "one"],
        ["db", "--users", "one,one"],
        ["db", "--resume", "--revert"],
        ["db", "--resume", "--dry-run"],
        ["db", "--clients", "pooled"],
        ["db", "--ca-file", "x", "--no-tls"],
        ["db", "--due"],
        ["db", "--config", "x", "--due"],
        ["--due"],
        ["--config", "x"],
        ["--config", "x", "--due", "--strategy", "single-user"],
        ["--config", "/nonexistent", "--due"],
        ["db", "--concurrency", "2"],
        ["--config", "x", "--due", "--concurrency", "0"],
        ["db", "--password-length", "0"],
        ["db", "--strategy", "single-user", "--ca-file", "/nonexistent"],
        ["db", "--exclude-numbers", "--exclude-punctuation", "--exclude-uppercase", "--exclude-lowercase"],
        ["db", "--nonsense"],
    ],
)
def test_wrong_usage_ends_with_2_and_changes_nothing(desk, arguments):
    done = desk.run("rotate", *arguments)
    assert done.status == 2, (done.status, done.err)
    assert done.out == "" and done.err != ""
