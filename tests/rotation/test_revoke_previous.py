"""`secretcache revoke-previous`: a leaked credential stops working at once."""

from __future__ import annotations

import pytest
from conftest import FIRST


@pytest.mark.parametrize("kind", ["postgres-15", "mariadb", "mysql"])
def test_a_single_users_former_password_had_ended(desk, server, kind):
    server = server(kind)
    name = desk.store("db", server.user("ended"))
    assert desk.run("rotate", name, "--strategy", "single-user").status == 0
    done = desk.run("revoke-previous", name, "--json")
    assert done.status == 0, done.err
    assert done.json["Result"] == "Before" and done.json["IsRefused"]


@pytest.mark.parametrize("kind", ["mariadb", "redis"])
@pytest.mark.parametrize("by", ["itself", "administrator"])
def test_the_second_of_two_passwords_ends(desk, server, kind, by):
    server = server(kind)
    user = f"leak_{by}"
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user(user))
    more = ["--master-secret", master]
    assert desk.run("rotate", name, "--strategy", "dual-password", *more).status == 0
    assert server.logs_in(user, FIRST)
    if by == "itself" and kind == "redis":
        server.run(f"ACL SETUSER {user} +acl|setuser +acl|save")
    if by == "itself" and kind == "mariadb":
        server.run(f"GRANT CREATE USER ON *.* TO {user}@'%'")
    done = desk.run("revoke-previous", name, "--json", *([] if by == "itself" else more))
    assert done.status == 0, done.err
    assert done.json["Result"] == "OnlyCurrentPassword"
    assert not server.logs_in(user, FIRST) and server.logs_in(user, desk.value(name)["password"])
    # The secret still rotates.
    assert desk.run("rotate", name, "--strategy", "dual-password", *more).status == 0


@pytest.mark.parametrize("kind", ["postgres-16", "mariadb", "mysql"])
def test_the_user_whose_turn_is_over_cannot_log_in(desk, server, kind):
    server = server(kind)
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("turned"))
    rotate = ("rotate", name, "--strategy", "alternating-users", "--master-secret", master)
    assert desk.run(*rotate).status == 0
    alone = desk.run("revoke-previous", name)
    assert alone.status == 1 and "--master-secret" in alone.err
    assert server.logs_in("turned", FIRST)
    done = desk.run("revoke-previous", name, "--master-secret", master, "--json")
    assert done.status == 0, done.err
    assert done.json["Result"] == "UnknownPassword" and done.json["User"] == "turned"
    assert not server.logs_in("turned", FIRST)
    assert server.logs_in("turned_clone", desk.value(name)["password"])
    assert desk.run(*rotate).status == 0
    assert desk.value(name)["username"] == "turned"


def test_nothing_is_revoked_while_the_current_one_is_refused(desk, server):
    server = server("postgres-16")
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("careful"))
    assert desk.run("rotate", name, "--strategy", "alternating-users", "--master-secret", master).status == 0
    server.change("careful_clone", "changed-behind-its-back")
    done = desk.run("revoke-previous", name, "--master-secret", master)
    assert done.status == 1 and "recover" in done.err
    assert server.logs_in("careful", FIRST), "the one credential that works"


def test_a_rotation_under_way_is_let_alone(desk, server):
    server = server("mariadb")
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("busy", masterarn=master))
    assert desk.run("rotate", name, "--strategy", "dual-password").status == 0
    desk.pend(name, password="the-new-password")
    done = desk.run("revoke-previous", name)
    assert done.status == 3 and "in progress" in done.err


def test_without_a_former_version_there_is_nothing_to_revoke(desk, server):
    name = desk.store("db", server("postgres-16").user("only_one"))
    done = desk.run("revoke-previous", name)
    assert done.status == 1 and "no AWSPREVIOUS" in done.err
