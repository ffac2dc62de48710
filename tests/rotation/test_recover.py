"""`secretcache recover`: repairs the damage that people and crashes cause."""

from __future__ import annotations

import pytest
from conftest import FIRST

NEW = "the-new-password"


def strand(desk, server, user: str, **more: object) -> tuple[str, str]:
    """Simulate a rotation that was killed after setSecret and whose AWSPENDING someone removed, as the usual advice
    for a stuck rotation says. The version that works has no label. Return the secret and that version."""
    name = desk.store("db", server.user(user, **more))
    lost = desk.pend(name, password=NEW)
    server.change(user, NEW)
    desk.move(name, "AWSPENDING")
    return name, lost


@pytest.mark.parametrize("kind", ["postgres-15", "postgres-18", "mariadb", "mysql", "redis"])
def test_a_version_without_a_label_is_found(desk, server, kind):
    server = server(kind)
    name, lost = strand(desk, server, "stranded")
    first = desk.labels(name)["AWSCURRENT"]
    look = desk.run("recover", name, "--dry-run", "--json")
    assert look.status == 4, look.err
    assert look.json["Plan"] == {"MakeCurrent": lost} and not look.json["IsDone"]
    assert desk.labels(name) == {"AWSCURRENT": first}, "a dry run changed something"
    done = desk.run("recover", name)
    assert done.status == 0, done.err
    assert "which has no label" in done.out and "AWSCURRENT logs in" in done.out
    assert desk.labels(name) == {"AWSCURRENT": lost, "AWSPREVIOUS": first}
    again = desk.run("recover", name)
    assert again.status == 0 and "nothing to recover" in again.out


def test_after_recovery_the_secret_rotates_again(desk, server):
    server = server("postgres-16")
    name, _ = strand(desk, server, "again")
    assert desk.run("recover", name).status == 0
    assert desk.run("rotate", name, "--strategy", "single-user").status == 0
    assert server.logs_in("again", desk.value(name)["password"])


def test_the_resource_can_be_made_to_follow_instead(desk, server):
    server = server("postgres-16")
    name, _ = strand(desk, server, "follows")
    first = desk.labels(name)
    done = desk.run("recover", name, "--keep-current", "--json")
    assert done.status == 0, done.err
    assert desk.labels(name) == first
    assert server.logs_in("follows", FIRST) and not server.logs_in("follows", NEW)


def test_a_rotation_cancelled_after_the_change_is_finished(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("cancelled"))
    pending = desk.pend(name, password=NEW)
    server.change("cancelled", NEW)
    done = desk.run("recover", name)
    assert done.status == 0, done.err
    assert desk.labels(name)["AWSCURRENT"] == pending and "AWSPENDING" not in desk.labels(name)


def test_a_value_stored_by_hand_over_a_rotation(desk, server):
    server = server("postgres-16")
    name, lost = strand(desk, server, "by_hand")
    # Someone stores a password that was never set on the database.
    desk.client.put_secret_value(
        SecretId=name, SecretString=str(desk.value(name) | {"password": "typed-by-hand"}).replace("'", '"')
    )
    done = desk.run("recover", name)
    assert done.status == 0, done.err
    assert desk.labels(name)["AWSCURRENT"] == lost


@pytest.mark.parametrize("value", ["typed, not JSON", b"\0binary"])
def test_a_current_value_that_is_no_credential(desk, server, value):
    server = server("postgres-16")
    kind = "text" if isinstance(value, str) else "bytes"
    name = desk.store("db", server.user(f"garbage_{kind}"))
    good = desk.labels(name)["AWSCURRENT"]
    which = "SecretString" if isinstance(value, str) else "SecretBinary"
    desk.client.put_secret_value(SecretId=name, **{which: value})
    assert desk.run("status", name).status == 4
    done = desk.run("recover", name)
    assert done.status == 0, done.err
    assert desk.labels(name)["AWSCURRENT"] == good


def test_labels_that_were_swapped(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("swapped"))
    assert desk.run("rotate", name, "--strategy", "single-user").status == 0
    good = desk.labels(name)["AWSCURRENT"]
    desk.move(name, "AWSCURRENT", desk.labels(name)["AWSPREVIOUS"])
    done = desk.run("recover", name)
    assert done.status == 0, done.err
    assert desk.labels(name)["AWSCURRENT"] == good


def test_a_pending_version_that_leads_nowhere_no_longer_bars_rotations(desk, server):
    server = server("postgres-16")
    name, lost = strand(desk, server, "barred")
    desk.pend(name, password="never-set-anywhere")
    assert desk.run("recover", name).status == 0
    assert "AWSPENDING" not in desk.labels(name) and desk.labels(name)["AWSCURRENT"] == lost


def test_alternating_users_go_back_to_the_one_that_works(desk, server):
    server = server("postgres-16")
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("back", masterarn=master))
    rotate = ("rotate", name, "--strategy", "alternating-users")
    assert desk.run(*rotate).status == 0
    server.change("back_clone", "changed-behind-its-back")
    assert desk.run("status", name).status == 4
    done = desk.run("recover", name)
    assert done.status == 0, done.err
    assert desk.value(name)["username"] == "back"
    assert desk.run(*rotate).status == 0


def test_a_wrong_password_everywhere_needs_an_administrator(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("everywhere"))
    for round in range(6):
        desk.client.put_secret_value(
            SecretId=name,
            SecretString=str(desk.value(name) | {"password": f"wrong-in-round-{round}"}).replace("'", '"'),
        )
    server.change("everywhere", "known-to-nobody")
    done = desk.run("recover", name, "--json")
    assert done.status == 1, done.err
    tried = [version["Login"] for version in done.json["Versions"]]
    assert tried == ["Refused"] * 5, "two labelled versions and three others are tried, no more"
    assert "--administrator" in done.json["Sentence"]
    assert len(desk.run("recover", name, "--json", "--attempts", "0").json["Versions"]) == 2
    lacks = desk.run("recover", name, "--administrator")
    assert lacks.status == 1 and "--master-secret" in lacks.err
    master = desk.store("master", server.admin())
    done = desk.run("recover", name, "--administrator", "--master-secret", master)
    assert done.status == 0, done.err
    assert server.logs_in("everywhere", desk.value(name)["password"])


def test_another_users_password_is_not_tried(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("mine"))
    server.run("CREATE ROLE theirs LOGIN PASSWORD 'their-password'")
    theirs = str(desk.value(name) | {"username": "theirs", "password": "their-password"}).replace("'", '"')
    mine = str(desk.value(name)).replace("'", '"')
    desk.client.put_secret_value(SecretId=name, SecretString=theirs)
    desk.client.put_secret_value(SecretId=name, SecretString=mine)
    server.change("mine", "known-to-nobody")
    done = desk.run("recover", name, "--strategy", "single-user", "--json")
    assert done.status == 1
    logins = {version["User"]: version["Login"] for version in done.json["Versions"]}
    assert logins["theirs"] == "NotTried"


def test_two_that_recover_at_once(desk, server):
    from concurrent.futures import ThreadPoolExecutor

    server = server("postgres-16")
    name, lost = strand(desk, server, "recovered_twice")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: desk.run("recover", name), range(2)))
    # The slower one can find that the labels moved, and advise the operator to retry.
    assert sorted(each.status for each in done)[0] == 0
    assert {each.status for each in done} <= {0, 3}, [each.err for each in done]
    assert desk.labels(name)["AWSCURRENT"] == lost


def test_a_resource_that_is_away_is_no_reason_to_move_labels(desk):
    fields = {"engine": "postgres", "host": "127.0.0.1", "port": 1, "username": "a", "password": "canary-pw"}
    name = desk.store("db", fields)
    labels = desk.labels(name)
    done = desk.run("recover", name)
    assert done.status == 3 and "no version can be tried" in done.err
    assert desk.labels(name) == labels
