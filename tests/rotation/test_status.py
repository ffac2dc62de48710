"""`secretcache status`: what is wrong, in one sentence."""

from __future__ import annotations

import threading

import pytest
from conftest import FIRST


def test_a_secret_in_order(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("in_order"))
    assert desk.run("rotate", name, "--strategy", "single-user").status == 0
    done = desk.run("status", name, "--json")
    assert done.status == 0, done.err
    assert done.json["Verdict"]["Health"] == "Good"
    logins = {version["Stages"][0]: version["Login"] for version in done.json["Versions"]}
    assert logins == {"AWSCURRENT": "Accepted", "AWSPREVIOUS": "Refused"}
    text = desk.run("status", name).out
    assert "AWSCURRENT logs in as in_order" in text and "refused as in_order" in text


def test_each_trouble_has_its_sentence_and_its_remedy(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("troubled"))
    desk.pend(name, password="the-new-password")
    before = desk.run("status", name)
    assert before.status == 3 and "rotate " + name + " --resume" in before.out
    server.change("troubled", "the-new-password")
    window = desk.run("status", name)
    assert window.status == 4 and "was interrupted" in window.out and "--resume" in window.out
    desk.move(name, "AWSPENDING")
    stranded = desk.run("status", name)
    assert stranded.status == 4 and f"secretcache recover {name}" in stranded.out
    away = desk.store("away", server.secret("a", "b") | {"port": 1})
    lost = desk.run("status", away, "--json")
    assert lost.status == 3 and lost.json["Verdict"]["Health"] == "Unknown"
    assert lost.json["error"]["kind"] == "Unavailable" and lost.json["error"]["run"]
    assert "Connection refused" in lost.json["Verdict"]["Sentence"]
    dry = desk.run("rotate", away, "--dry-run", "--strategy", "single-user")
    assert dry.status == 4 and "Connection refused" in dry.out
    desk.client.delete_secret(SecretId=name)
    gone = desk.run("status", name)
    assert gone.status == 4 and "restore-secret" in gone.out


def test_labels_alone_cost_no_login(desk, server):
    server = server("postgres-16")
    fields = server.user("untried") | {"port": 1}
    name = desk.store("db", fields)
    done = desk.run("status", name, "--no-login", "--json")
    assert done.status == 0, done.err
    assert {version["Login"] for version in done.json["Versions"]} == {"NotTried"}


def test_what_a_secret_says_does_not_control_the_terminal(desk, server):
    user = "un\x1b[2J\nknown\x9b"
    name = desk.store("db", server("postgres-16").secret(user, "wrong-password"))
    text = desk.run("status", name).out
    assert "refused as un\ufffd[2J\ufffdknown\ufffd\n" in text and "\x1b" not in text
    done = desk.run("status", name, "--json")
    assert done.status == 4 and "\x9b" not in done.out


def test_many_secrets_at_once(desk, server):
    server = server("postgres-16")
    good = desk.store("many/good", server.user("many_good"))
    bad = desk.store("many/bad", server.secret("many_bad", "wrong-password"))
    desk.store("other", {"a": "b"})
    done = desk.run("status", "--prefix", f"{desk.prefix}/many", "--json")
    assert done.status == 4, done.err
    health = {each["Name"]: each["Verdict"]["Health"] for each in done.json}
    assert health == {good: "Good", bad: "Broken"}
    nothing = desk.run("status", "--prefix", "no/such")
    assert nothing.status == 0 and "no secret" in nothing.err


@pytest.mark.parametrize(("ending", "status", "word"), [("succeeds", 0, "succeeded"), ("fails", 1, "failed")])
def test_waiting_for_the_end_of_a_rotation(desk, server, ending, status, word):
    server = server("postgres-16")
    name = desk.store("db", server.user(f"wait_{ending}"))
    pending = desk.pend(name, password="the-new-password")
    result = []
    waiting = threading.Thread(target=lambda: result.append(desk.run("status", name, "--wait", "--json")))
    calls = desk.control("GET", "calls").get("DescribeSecret", {}).get("ok", 0)
    waiting.start()
    # After three polls it is waiting, because nothing has happened yet.
    while desk.control("GET", "calls").get("DescribeSecret", {}).get("ok", 0) < calls + 3:
        assert waiting.is_alive(), result
    if ending == "succeeds":
        server.change(f"wait_{ending}", "the-new-password")
        desk.move(name, "AWSCURRENT", pending)
    else:
        desk.move(name, "AWSPENDING")
    waiting.join(60)
    assert result[0].status == status, result[0].err
    assert result[0].json["Outcome"].lower() == word


def test_waiting_has_an_end(desk, server):
    server = server("postgres-16")
    name = desk.store("db", server.user("still_pending"))
    pending = desk.pend(name, password="the-new-password")
    done = desk.run("status", name, "--wait", "--timeout", "1")
    assert done.status == 3 and "still pending" in done.out
    by_id = desk.run("status", name, "--wait", "--timeout", "1", "--version-id", pending, "--json")
    assert by_id.status == 3 and by_id.json["Outcome"] == "Pending"
    desk.move(name, "AWSPENDING")
    assert desk.run("status", name, "--wait", "--version-id", pending).status == 1
    nothing = desk.run("status", name, "--wait")
    assert nothing.status == 0 and "no rotation is in progress" in nothing.err
    assert server.logs_in("still_pending", FIRST)
