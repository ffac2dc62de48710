"""`secretcache rotate --dry-run`: what would happen, the obstacles, and the statements that fix them."""

from __future__ import annotations

import subprocess

import pytest
from conftest import FIRST


def look(desk, name: str, *more: str):
    """Do a dry run, and check that the labels stay."""
    labels = desk.labels(name)
    done = desk.run("rotate", name, "--dry-run", "--json", *more)
    assert desk.labels(name) == labels, "a dry run moved a label"
    return done


def fixes(done) -> list[str]:
    """Return the statements that fix the obstacles."""
    return [finding["Fix"] for finding in done.json["Findings"] if "Fix" in finding]


def problems(done) -> str:
    """Return the obstacles, one per line."""
    return "\n".join(finding["Problem"] for finding in done.json["Findings"])


def test_the_steps_are_reported_and_nothing_happens(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("dry_run"))
    done = look(desk, name, "--strategy", "single-user")
    assert done.status == 0, done.err
    assert done.json["Findings"] == [] and done.json["Server"].startswith("PostgreSQL 16")
    assert [step["Step"] for step in done.json["Steps"]] == [
        "createSecret",
        "setSecret",
        "testSecret",
        "finishSecret",
    ]
    assert server.logs_in("dry_run", FIRST)
    text = desk.run("rotate", name, "--dry-run", "--strategy", "single-user").out
    assert "nothing was changed" in text and "No obstacle found" in text
    # The rotation does what the dry run said.
    rotated = desk.run("rotate", name, "--strategy", "single-user", "--json")
    assert rotated.json["VersionId"] == done.json["VersionId"]


@pytest.mark.parametrize("kind", ["postgres-15", "postgres-16", "postgres-18"])
def test_what_an_administrator_of_postgres_lacks_is_reported_until_it_lacks_nothing(desk, server, kind):
    server = server(kind)
    server.run("CREATE ROLE a_keeper LOGIN PASSWORD 'keeper-password'")
    master = desk.store("master", server.secret("a_keeper", "keeper-password"))
    name = desk.store("db", server.user("a_kept", masterarn=master))
    arguments = ["--strategy", "alternating-users"]
    done = look(desk, name, *arguments)
    assert done.status == 4
    assert "ALTER ROLE a_keeper CREATEROLE;" in fixes(done)
    assert ('GRANT "a_kept" TO a_keeper WITH ADMIN OPTION;' in fixes(done)) == (kind != "postgres-15")
    failed = desk.run("rotate", name, *arguments)
    assert failed.status != 0
    desk.run("rotate", name, "--revert")
    for statement in fixes(done):
        server.run(statement)
    done = look(desk, name, *arguments)
    assert done.status == 0, done.out
    for _ in range(2):
        rotated = desk.run("rotate", name, *arguments)
        assert rotated.status == 0, rotated.err


def test_what_an_administrator_of_mariadb_lacks_is_reported_until_it_lacks_nothing(desk, server):
    server = server("mariadb")
    server.run("CREATE DATABASE shop; CREATE USER my_keeper@'%' IDENTIFIED BY 'keeper-password'")
    fields = server.user("my_kept")
    server.run("GRANT SELECT, INSERT ON shop.* TO my_kept@'%'")
    master = desk.store("master", server.secret("my_keeper", "keeper-password"))
    name = desk.store("db", fields | {"masterarn": master})
    seen = []
    for _ in range(5):
        done = look(desk, name, "--strategy", "alternating-users")
        if done.status == 0:
            break
        assert done.status == 4, done.err
        assert fixes(done), problems(done)
        for statement in fixes(done):
            seen.append(statement)
            server.run(statement)
    assert done.status == 0, problems(done)
    assert "GRANT CREATE USER ON *.* TO `my_keeper`@`%`;" in seen
    assert "GRANT SELECT, INSERT ON `shop`.* TO `my_keeper`@`%` WITH GRANT OPTION;" in seen
    for _ in range(2):
        rotated = desk.run("rotate", name, "--strategy", "alternating-users")
        assert rotated.status == 0, rotated.err


def test_a_redis_user_that_may_not_change_itself(desk, server):
    server = server("redis")
    name = desk.store("db", server.user("weak"))
    done = look(desk, name, "--strategy", "dual-password")
    assert done.status == 4
    assert fixes(done) == ["ACL SETUSER weak +acl|setuser +acl|save"]
    before = server.run("ACL LIST")
    server.run(fixes(done)[0])
    assert look(desk, name, "--strategy", "dual-password").status == 0
    assert server.run("ACL LIST") != before, "the fix changed the user"
    assert desk.run("rotate", name, "--strategy", "dual-password").status == 0


def test_an_expired_password_is_reported_with_the_statement_that_fixes_it(desk, server):
    server = server("postgres-16")
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("expired", masterarn=master))
    server.run("ALTER ROLE expired VALID UNTIL '2020-01-01'")
    done = look(desk, name, "--strategy", "single-user")
    assert done.status == 4 and "expired" in problems(done)
    assert fixes(done)[0].startswith(f"secretcache recover {name}")
    server.run(next(fix for fix in fixes(done) if fix.startswith("ALTER")))
    assert look(desk, name, "--strategy", "single-user").status == 0


def test_somebody_elses_user_is_noticed_before_anything_is_stored(desk, server):
    server = server("postgres-16")
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("owned", masterarn=master))
    server.run("CREATE ROLE owned_clone LOGIN PASSWORD 'their-password'")
    done = look(desk, name, "--strategy", "alternating-users")
    assert done.status == 4 and "--users owned,owned_clone" in fixes(done)[0]
    declared = look(desk, name, "--strategy", "alternating-users", "--users", "owned,owned_clone")
    assert declared.status == 0, declared.out


def test_a_name_in_a_secret_stays_a_name_in_the_command_that_is_suggested(desk, server, tmp_path):
    server = server("postgres-16")
    evil = "app;echo hit|sh;#\n    fix it with: echo hit\x1b[2J' --no-tls"
    for user in (evil, f"{evil}_clone"):
        server.run(f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{FIRST}'")
    master = desk.store("master", server.admin())
    name = desk.store("db", server.secret(evil, FIRST, masterarn=master))
    done = desk.run("rotate", name, "--dry-run", "--strategy", "alternating-users")
    assert done.status == 4 and "\x1b" not in done.out, done.err
    [fix] = [line for line in done.out.splitlines() if line.startswith("    fix it with: ")]
    command = fix.removeprefix("    fix it with: ")
    # Run exactly as it is printed, with a program that shows its arguments.
    program = tmp_path / "secretcache"
    program.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    program.chmod(0o755)
    shell = subprocess.run(
        ["bash", "--norc", "-c", command],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    words = shell.stdout.split("\0")[:-1]
    assert shell.stderr == "" and words == [
        "rotate",
        name,
        "--strategy",
        "alternating-users",
        "--users",
        f"{evil},{evil}_clone",
        "--no-tls",
    ]


def test_troubles_of_the_master_secret(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("mastered"))
    arguments = [name, "--strategy", "alternating-users"]
    assert "--master-secret" in problems(look(desk, *arguments))
    wrong = desk.store("wrong", server.secret("postgres", "wrong-password"))
    assert "refuses the administrator" in problems(look(desk, *arguments, "--master-secret", wrong))
    elsewhere = desk.store("elsewhere", server.admin() | {"port": 1})
    assert "another server" in problems(look(desk, *arguments, "--master-secret", elsewhere))
    missing = look(desk, *arguments, "--master-secret", "no/such")
    assert missing.status == 4 and "the administrator's secret" in problems(missing)


def test_the_password_policy_is_tried_before_it_is_used(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("policed"))
    weak = look(desk, name, "--strategy", "single-user", "--password-length", "8", "--exclude-punctuation")
    assert weak.status == 0 and "random bits" in weak.json["Warnings"][0]
    impossible = look(desk, name, "--strategy", "single-user", "--password-length", "2")
    assert impossible.status == 4 and "policy" in problems(impossible)
    strange = look(desk, name, "--strategy", "single-user", "--exclude-characters", "-x")
    assert strange.status == 0, strange.err


def test_the_recommended_strategy_depends_on_server_administrator_and_clients(desk, server):
    def recommended(kind: str, user: str, has_master: bool, *more: str) -> str:
        at = server(kind)
        fields = at.user(user) | ({"masterarn": desk.store(f"{user}-m", at.admin())} if has_master else {})
        done = look(desk, desk.store(user, fields), *more)
        assert done.json["Strategy"] == done.json["Recommendation"]["Strategy"]
        assert done.json["Recommendation"]["Reason"]
        return done.json["Strategy"]

    assert recommended("postgres-16", "r_one", False) == "single-user"
    assert recommended("postgres-16", "r_two", True) == "alternating-users"
    assert recommended("postgres-16", "r_three", True, "--clients", "fixed-user") == "single-user"
    assert recommended("postgres-16", "r_four", True, "--clients", "retrying") == "single-user"
    assert recommended("mariadb", "r_five", True) == "dual-password"
    assert recommended("mariadb", "r_six", False) == "single-user"
    assert recommended("redis", "r_seven", True) == "dual-password"


def test_postgres_knows_one_password_per_user(desk, server):
    name = desk.store("db", server("postgres-16").user("one_only"))
    done = look(desk, name, "--strategy", "dual-password")
    assert done.status == 4 and "one password per user" in problems(done)


def test_a_rotation_under_way_is_reported(desk, server):
    name = desk.store("db", server("postgres-16").user("halfway"))
    pending = desk.pend(name, password="the-new-password")
    done = look(desk, name, "--strategy", "single-user")
    assert done.json["IsResumed"] and done.json["VersionId"] == pending
