"""`secretcache rotate --config FILE --due`: many secrets, from cron."""

from __future__ import annotations

import json

import pytest

DAY = 86_400


@pytest.fixture
def roster(desk, tmp_path):
    """Return a function that writes a configuration file and runs it."""

    def run(text: str, *more: str, **environment: str):
        file = tmp_path / "secrets.toml"
        file.write_text(text)
        return desk.run("rotate", "--config", str(file), "--due", *more, **environment)

    return run


def aged(desk, name: str, value: dict, days: float) -> str:
    """Create a secret that last changed this many days ago."""
    desk.control("POST", "clock", advance_seconds=-days * DAY)
    try:
        return desk.store(name, value)
    finally:
        desk.control("POST", "clock", advance_seconds=days * DAY)


def outcomes(done) -> dict[str, str]:
    """Return the outcome of each secret, by the last part of its name."""
    return {line["SecretId"].rsplit("/", 1)[1]: line["Outcome"] for line in done.json["Secrets"]}


def test_those_that_are_due_rotate_and_no_others(desk, server, roster):
    server = server("postgres-16")
    old = aged(desk, "old", server.user("d_old"), 40)
    new = desk.store("new", server.user("d_new"))
    text = f"""
        [defaults]
        schedule = "rate(30 days)"
        strategy = "single-user"
        tls = false
        [[secret]]
        id = "{old}"
        [[secret]]
        id = "{new}"
    """
    look = roster(text, "--dry-run", "--json")
    assert look.status == 0 and outcomes(look) == {"old": "Due", "new": "NotDue"}
    assert "AWSPREVIOUS" not in desk.labels(old)
    done = roster(text, "--json")
    assert done.status == 0, done.err
    assert outcomes(done) == {"old": "Rotated", "new": "NotDue"}
    assert done.json["Summary"] == "2 secrets: 1 rotated, 1 not due"
    assert server.logs_in("d_old", desk.value(old)["password"])
    again = roster(text, "--json")
    assert outcomes(again) == {"old": "NotDue", "new": "NotDue"}
    lines = roster(text).out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("not due")


def test_a_rotation_that_stopped_half_way_is_gone_on_with_before_its_time(desk, server, roster):
    server = server("postgres-16")
    name = desk.store("half", server.user("d_half"))
    desk.pend(name, password="the-new-password")
    server.change("d_half", "the-new-password")
    done = roster(
        f'[[secret]]\nid = "{name}"\nschedule = "rate(30 days)"\nstrategy = "single-user"\ntls = false',
        "--json",
    )
    assert outcomes(done) == {"half": "Rotated"}, done.err
    assert done.json["Secrets"][0]["Rotation"]["IsResumed"]


def test_failures_are_counted_and_stop_the_run(desk, server, roster):
    server = server("postgres-16")
    entries = ""
    for n in range(6):
        fields = server.user(f"d_stop{n}")
        if n in (0, 2):
            fields["password"] = "wrong-password"
        name = aged(desk, f"s{n}", fields, 10)
        entries += f'[[secret]]\nid = "{name}"\n'
    defaults = '[defaults]\nschedule = "rate(7 days)"\nstrategy = "single-user"\ntls = false\n'
    stopped = roster("[run]\nstop_after = 2\n" + defaults + entries, "--json")
    assert stopped.status == 5
    assert list(outcomes(stopped).values()) == [
        "Failed",
        "Rotated",
        "Failed",
        "NotStarted",
        "NotStarted",
        "NotStarted",
    ]
    assert "refuses" in stopped.json["Secrets"][0]["Reason"]
    # With a higher limit, the others rotate too, several at a time.
    done = roster(defaults + entries, "--json", "--concurrency", "4", "--stop-after", "6")
    assert done.status == 5
    assert sorted(outcomes(done).values()) == ["Failed", "Failed", "NotDue", "Rotated", "Rotated", "Rotated"]


def test_windows_overrides_and_strategies_of_each_secret(desk, server, roster, tmp_path):
    postgres, redis = server("postgres-16"), server("redis")
    turns = aged(desk, "turns", postgres.user("d_turns"), 10)
    admin = desk.store("admin", postgres.admin())
    cache = aged(desk, "cache", redis.user("d_cache"), 10)
    root = desk.store("root", redis.admin())
    never = aged(desk, "never", postgres.user("d_never"), 10)
    done = roster(
        f"""
        [run]
        concurrency = 3
        [defaults]
        schedule = "rate(7 days)"
        tls = false
        password = {{ length = 20, exclude_punctuation = true }}
        [[secret]]
        id = "{turns}"
        strategy = "alternating-users"
        master_secret = "{admin}"
        users = ["d_turns", "d_turns_too"]
        [[secret]]
        id = "{cache}"
        strategy = "dual-password"
        master_secret = "{root}"
        password.length = 40
        [[secret]]
        id = "{never}"
        schedule = "cron(0 3 30 2 ? *)"
        strategy = "single-user"
        """,
        "--json",
    )
    assert done.status == 0, done.err
    assert outcomes(done) == {"turns": "Rotated", "cache": "Rotated", "never": "NotDue"}
    assert desk.value(turns)["username"] == "d_turns_too"
    assert len(desk.value(turns)["password"]) == 20 and desk.value(turns)["password"].isalnum()
    assert len(desk.value(cache)["password"]) == 40 and desk.value(cache)["password"].isalnum()


def test_a_secret_that_cannot_be_judged_fails_alone(desk, server, roster):
    name = aged(desk, "fine", server("postgres-16").user("d_fine"), 10)
    unscheduled = desk.store("unscheduled", {"a": "b"})
    done = roster(
        f"""
        [defaults]
        strategy = "single-user"
        tls = false
        [[secret]]
        id = "no/such"
        schedule = "rate(1 day)"
        [[secret]]
        id = "{unscheduled}"
        [[secret]]
        id = "{name}"
        schedule = "rate(1 day)"
        """,
        "--json",
    )
    assert done.status == 5
    assert outcomes(done) == {"such": "Failed", "unscheduled": "Failed", "fine": "Rotated"}
    reasons = [line["Reason"] for line in done.json["Secrets"]]
    assert "can't find" in reasons[0] and "no schedule" in reasons[1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "lists no secret"),
        ("[[secret]]\nid = ", "secrets.toml"),
        ('[[secret]]\nid = "a"\nschedule = "rate(1 minute)"', "a: the schedule"),
        ('[[secret]]\nid = "a"\nstrategy = "both"', 'a: "both" is not a strategy'),
        ('[[secret]]\nid = "a"\nengine = "oracle"', 'a: "oracle" is not an engine'),
        ('[[secret]]\nid = "a"\nca_file = "/nonexistent"', "a: /nonexistent cannot be read"),
        ('[[secret]]\nid = "a"\npassword.length = 0', "a: PASSWORD_LENGTH"),
        ('[[secret]]\nid = "a"\npasword.length = 8', "pasword"),
    ],
)
def test_a_mistake_in_the_file_is_reported_before_anything_rotates(desk, server, roster, text, problem):
    name = aged(desk, "first", server("redis").secret("nobody", "no-password"), 10)
    good = f'[[secret]]\nid = "{name}"\nschedule = "rate(1 day)"\nstrategy = "single-user"\n' if text else ""
    done = roster(good + text)
    assert done.status == 2, done.err
    assert problem in done.err and done.out == ""
    assert list(desk.labels(name)) == ["AWSCURRENT"]


def test_json_is_all_that_is_on_standard_output(desk, server, roster):
    name = aged(desk, "only", server("postgres-16").user("d_only"), 10)
    done = roster(
        f'[[secret]]\nid = "{name}"\nschedule = "rate(1 day)"\nstrategy = "single-user"\ntls = false',
        "--json",
    )
    assert json.loads(done.out)["Secrets"][0]["Outcome"] == "Rotated"
    assert "finishSecret" in done.err
