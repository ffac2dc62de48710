"""How commands fail: the documented status, an object for programs, and a next command that leads out as printed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FIRST, Desk, Result, Server

FAILED, USAGE, NOT_YET = 1, 2, 3
SINGLE = ("--strategy", "single-user")
ALTERNATING = ("--strategy", "alternating-users")


def advised(done: Result) -> str | None:
    """The last command that the output advises."""
    lines = re.findall(r"(?:run|fix it with): (.+)$", done.out + done.err, re.MULTILINE)
    return lines[-1].strip() if lines else None


def follow(desk: Desk, server: Server, done: Result) -> list[str]:
    """Run what is advised, as printed, until a command succeeds or advises nothing; give what was run."""
    ran = []
    while done.status != 0 and (command := advised(done)) and len(ran) < 6:
        ran.append(command)
        words = shlex.split(command)
        if words[0] == "secretcache":
            done = desk.run(*words[1:])
        else:
            server.run(command)
            break
    return ran


def leads_out(desk: Desk, server: Server, name: str, *command: str) -> list[str]:
    """Follow the advice of a failing command, and again, until it succeeds."""
    ran = []
    for _ in range(4):
        done = desk.run(*command)
        if done.status == 0:
            value = desk.value(name)
            assert server.logs_in(value["username"], value["password"])
            return ran
        steps = follow(desk, server, done)
        assert steps, f"nothing is advised: {done.out}{done.err}"
        ran += steps
    raise AssertionError(f"still failing after {ran}: {done.out}{done.err}")


def fails(desk: Desk, status: int, *command: str) -> dict:
    """A command fails with a status, for people and for programs alike; give the error as programs read it."""
    done = desk.run(*command)
    assert done.status == status, f"{done.status}: {done.out}{done.err}"
    as_json = desk.run(*command, "--json")
    assert as_json.status == status
    error = as_json.json["error"]
    assert error["status"] == status and error["message"], error
    return error


def expired(desk: Desk, server: Server, name: str) -> tuple[str, ...]:
    """A role whose password was valid until some time ago."""
    server.run(f"ALTER ROLE {desk.value(name)['username']} VALID UNTIL '2020-01-01'")
    return ("rotate", name, *SINGLE)


def locked(desk: Desk, server: Server, name: str) -> tuple[str, ...]:
    """An account that an administrator has locked."""
    server.run(f"ALTER USER {desk.value(name)['username']}@'%' ACCOUNT LOCK")
    return ("rotate", name, *SINGLE)


def changed_by_hand(desk: Desk, server: Server, name: str) -> tuple[str, ...]:
    """A password that no version has."""
    server.change(desk.value(name)["username"], "by-hand-1-Password")
    return ("rotate", name, *SINGLE)


def wrong_value_under_way(desk: Desk, server: Server, name: str) -> tuple[str, ...]:
    """A wrong value, stored by hand while the second user was already set."""
    command = ("rotate", name, *ALTERNATING)
    with desk.trouble(name, "UpdateSecretVersionStage"):
        assert desk.run(*command).status == NOT_YET
    wrong = desk.value(name) | {"password": "wrong-1-Password"}
    desk.client.put_secret_value(SecretId=name, SecretString=json.dumps(wrong))
    return command


def somebody_elses_user(desk: Desk, server: Server, name: str) -> tuple[str, ...]:
    """A second user that was made by others."""
    server.user(desk.value(name)["username"] + "_clone")
    return ("rotate", name, *ALTERNATING)


@pytest.mark.parametrize(
    ("kind", "arrange"),
    [
        ("postgres-16", expired),
        ("postgres-16", changed_by_hand),
        ("postgres-16", wrong_value_under_way),
        ("postgres-16", somebody_elses_user),
        ("mariadb", locked),
        ("mariadb", changed_by_hand),
        ("mariadb", wrong_value_under_way),
        ("mariadb", somebody_elses_user),
        ("mysql", locked),
        ("mysql", wrong_value_under_way),
        ("redis", changed_by_hand),
    ],
)
def test_the_advised_commands_lead_out(
    desk: Desk, server: Callable[[str], Server], kind: str, arrange: Callable
) -> None:
    server = server(kind)
    master = desk.store("master", server.admin())
    user = f"out_{arrange.__name__}_{kind.replace('-', '_')}"[:24]
    name = desk.store("db", server.user(user, masterarn=master))
    command = arrange(desk, server, name)
    fails(desk, FAILED, *command)
    assert leads_out(desk, server, name, *command)


def test_a_mistake_in_an_option_a_file_or_the_engine_is_wrong_usage(
    desk: Desk, server: Callable[[str], Server], tmp_path: Path
) -> None:
    server = server("postgres-16")
    name = desk.store("db", server.user("mistaken"))
    unknown = desk.store("unknown", server.secret("mistaken", FIRST) | {"engine": "oracle"})
    bad = tmp_path / "bad.toml"
    bad.write_text('protocol = "oracle"\n')
    rotate = ("rotate", name)
    for command in [
        ("rotate", unknown, *SINGLE),
        ("rotate", unknown, "--dry-run"),
        ("rotate", name),  # by which strategy?
        (*rotate, "--strategy", "none"),
        (*rotate, *SINGLE, "--engine", "oracle"),
        (*rotate, *SINGLE, "--users", "one"),
        (*rotate, *SINGLE, "--statements", str(bad)),
        (*rotate, *SINGLE, "--statements", str(tmp_path / "missing.toml")),
        (*rotate, "--strategy", "api-key", "--provider", str(bad)),
        (*rotate, "--strategy", "api-key"),
        (*rotate, *SINGLE, "--ca-file", str(bad)),
        (*rotate, *SINGLE, "--password-length", "nine"),
        ("status", name, "--ca-file", str(bad)),
        ("status", name, "--statements", str(bad)),
        ("recover", name, "--statements", str(bad)),
        ("adopt", name, "--statements", str(bad)),
        ("revoke-previous", name, "--statements", str(bad)),
        ("rotate", "--config", str(bad), "--due"),
        ("rotate", "--config", str(tmp_path / "missing.toml"), "--due"),
    ]:
        fails(desk, USAGE, *command)
    assert server.logs_in("mistaken", FIRST) and "AWSPENDING" not in desk.labels(name)


def test_what_may_pass_is_not_yet_and_the_same_command_is_advised(
    desk: Desk, server: Callable[[str], Server]
) -> None:
    server = server("postgres-16")
    away = desk.store("away", server.secret("a", "b") | {"port": 1})
    command = ("rotate", away, *SINGLE)
    error = fails(desk, NOT_YET, *command)
    assert error["kind"] == "Unavailable"
    assert error["run"] == shlex.join(["secretcache", *command, "--json", "--no-tls"])


def test_what_has_no_way_out_says_so(desk: Desk, server: Callable[[str], Server]) -> None:
    server = server("postgres-16")
    fails(desk, FAILED, "rotate", f"{desk.prefix}/missing", *SINGLE)
    fails(desk, FAILED, "status", f"{desk.prefix}/missing")
    fails(desk, FAILED, "rotate", desk.store("text", "not JSON"), *SINGLE)
    lost = desk.store("lost", server.secret("nobody_at_all", "wrong-1-Password"))
    assert "run" not in fails(desk, FAILED, "recover", lost), "no administrator is known"
    fails(desk, FAILED, "revoke-previous", lost)
    deleted = desk.store("deleted", server.secret("a", "b"))
    desk.client.delete_secret(SecretId=deleted)
    fails(desk, FAILED, "rotate", deleted, *SINGLE)
