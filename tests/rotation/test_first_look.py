"""What a new user sees first: a status without a login, and a dry run or a wait that cannot reach the server."""

from __future__ import annotations

import os
import re
import subprocess

from conftest import COMMAND, FIRST


def with_tls(desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does who has not heard of --no-tls."""
    variables = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **desk.endpoint.environment}
    return subprocess.run([COMMAND, *arguments], env=variables, capture_output=True, text=True, timeout=120)


def test_a_status_without_a_login_says_so_in_words(desk):
    name = desk.store("db", {"engine": "postgres", "host": "127.0.0.1", "username": "app", "password": FIRST})
    text = desk.run("status", name, "--no-login").out
    assert "login not tried" in text and "for -" not in text


def test_a_status_after_a_rotation_by_the_command_is_true(desk, server):
    name = desk.store("db", server("postgres-16").user("dated"))
    assert desk.run("rotate", name, "--strategy", "single-user").status == 0
    text = desk.run("status", name).out
    # The service has no date, because it did not start the rotation.
    assert "last rotation it started: never" in text
    created = re.search(r"AWSCURRENT was created (\S+)\n", text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z", created[1]), text


def test_a_missing_secret_is_missing_in_a_region(desk):
    region = f"; each Region has its own secrets, and this is us-east-1 at {desk.endpoint.url}"
    assert region in desk.run("status", "nothing/here").err
    name = desk.store("labelled", {"password": FIRST})
    no_version = desk.run("get", name, "--stage", "AWSPREVIOUS").err
    assert "can't find" in no_version and "Region" not in no_version


def test_times_have_no_more_digits_than_the_service_sends(desk, server):
    name = desk.store("db", server("postgres-16").user("timed"))
    for version in desk.run("status", name, "--json").json["Versions"]:
        assert re.fullmatch(r"[^.]+(\.\d{1,3})?Z", version["Created"])
    desk.client.delete_secret(SecretId=name)
    assert re.search(r"deletion on \S+:\d\d(\.\d{1,3})?Z and", desk.run("status", name).out)


def test_a_dry_run_that_could_not_log_in_cannot_tell_which_strategy_fits(desk, server):
    stopped = desk.store("stopped", server("postgres-16").user("stopped") | {"port": 1})
    wrong = desk.store("wrong", server("redis").secret("nobody", "wrong-password"))
    for name, reason in ((stopped, "Connection refused"), (wrong, "refuses AWSCURRENT")):
        done = desk.run("rotate", name, "--dry-run")
        last = done.out.splitlines()[-1]
        assert done.status == 4, done.err
        assert last.startswith("Cannot tell which strategy fits: ") and reason in last
        assert "neither" not in done.out and "its resource" not in done.out
        recommendation = desk.run("rotate", name, "--dry-run", "--json").json["Recommendation"]
        assert recommendation["IsKnown"] is False and reason in recommendation["Reason"]
    dual = desk.run("rotate", wrong, "--dry-run", "--strategy", "dual-password")
    assert "one password per user" not in dual.out


def test_a_dry_run_that_saw_the_server_recommends(desk, server):
    name = desk.store("db", server("postgres-16").user("seen"))
    done = desk.run("rotate", name, "--dry-run")
    assert done.status == 0 and "single-user fits: " in done.out
    assert desk.run("rotate", name, "--dry-run", "--json").json["Recommendation"]["IsKnown"] is True


def test_a_server_without_tls_is_an_obstacle_with_the_option_that_helps(desk, server):
    name = desk.store("db", server("postgres-16").user("bare"))
    for command in (["rotate", name, "--dry-run"], ["adopt", name, "--dry-run"]):
        done = with_tls(desk, *command)
        assert done.returncode == 4 and "pass --no-tls" in done.stdout, done.stdout + done.stderr
    done = with_tls(desk, "status", name)
    assert done.returncode == 1 and "pass --no-tls" in done.stderr


def test_waiting_is_for_the_rotation_and_not_for_a_login(desk, server):
    name = desk.store("db", server("postgres-16").user("unreached") | {"port": 1})
    version = desk.labels(name)["AWSCURRENT"]
    for more in ([], ["--version-id", version]):
        done = desk.run("status", name, "--wait", *more)
        assert done.status == 0, done.out + done.err
        assert "cannot tell whether AWSCURRENT logs in" in done.out
    assert desk.run("status", name).status == 3


def test_an_outcome_is_reported_if_the_server_offers_no_tls(desk, server):
    name = desk.store("db", server("postgres-16").user("plain"))
    version = desk.labels(name)["AWSCURRENT"]
    done = with_tls(desk, "status", name, "--wait", "--version-id", version)
    assert done.returncode == 0 and "The rotation succeeded." in done.stdout
    assert "could not log in" in done.stderr and "--no-tls" in done.stderr
