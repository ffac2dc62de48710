"""R11, how commands fail: causes the failure in every row of the documented table, and runs the advised commands.

For each row, a function causes the failure on a server and returns the commands that fail. Takes about 60 s.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import botocore
import pytest
from conftest import FIRST, MYSQL, ROOT, SERVERS, Desk, Result, Server

SINGLE = ("--strategy", "single-user")
ALTERNATING = ("--strategy", "alternating-users")
WRONG = "wrong-1-Password"
MODES = ["--dry-run", "--check", "--due", "--wait", "--prefix"]

Command = tuple[str, ...]


@dataclass
class Row:
    """A row of the documented table."""

    seen_with: set[str]
    status: int
    kinds: list[str]
    run: str


def documented() -> dict[str, Row]:
    """Parse the table, and return its rows by what is wrong."""
    text = (ROOT / "docs" / "command-line.md").read_text()
    table = text.split("| what is wrong |")[1].split("\n\n")[0]
    rows = {}
    for line in table.splitlines()[2:]:
        what, seen_with, status, kinds, run = (cell.strip() for cell in line.strip("|").split("|"))
        code = re.compile("`([^`]+)`")
        run = code.findall(run)[0] if "`" in run else run
        rows[what] = Row(set(code.findall(seen_with)), int(status), code.findall(kinds), run)
    return rows


@dataclass
class Failure:
    """The commands that fail, and the circumstances."""

    commands: list[Command]
    name: str | None = None
    meanwhile: Callable[[], contextmanager] = nullcontext


@dataclass
class Site:
    """The place where a failure is caused: a desk and a server."""

    desk: Desk
    server: Server
    folder: Path
    made: int = field(default=0)

    def secret(self, what: str = "db", **more: object) -> str:
        """Create a secret for a new user, with a master secret."""
        self.made += 1
        number = re.sub(r"[^0-9]+", "", f"{abs(hash(self.desk.prefix)) % 10**8}{self.made}")
        master = self.desk.store(f"master-{self.made}", self.server.admin())
        return self.desk.store(
            f"{what}-{self.made}", self.server.user(f"u{number}", masterarn=master, **more)
        )

    def user(self, name: str) -> str:
        """Return the user of a secret."""
        return self.desk.value(name)["username"]

    def set_by_hand(self, name: str, **fields: object) -> None:
        """Store a value manually."""
        value = json.dumps(self.desk.value(name) | fields)
        self.desk.client.put_secret_value(SecretId=name, SecretString=value)


ROWS: dict[str, tuple[tuple[str, ...], Callable[[Site], Failure]]] = {}


def row(what: str, *kinds: str) -> Callable:
    """Register a function that causes the failure of a documented row, with the servers to run it on."""

    def register(arrange: Callable[[Site], Failure]) -> Callable[[Site], Failure]:
        ROWS[what] = (kinds or ("postgres-16",), arrange)
        return arrange

    return register


def everywhere(name: str) -> list[Command]:
    """Return every command that connects to a secret's resource."""
    return [
        ("rotate", name, *SINGLE),
        ("rotate", name, "--dry-run"),
        ("recover", name),
        ("adopt", name),
        ("revoke-previous", name),
    ]


def mode(command: Command) -> str:
    """Return a command as the table names it."""
    return " ".join([command[0], *(word for word in command if word in MODES)])


def advised(done: Result) -> str | None:
    """Return the last command that the output advises."""
    lines = re.findall(r"(?:run|fix it with): (.+)$", done.out + done.err, re.MULTILINE)
    return lines[-1].strip() if lines else None


def follow(site: Site, done: Result) -> tuple[int, bool]:
    """Run the advised commands as printed until one succeeds. Return their number, and whether the last one rotated."""
    ran, rotated = 0, False
    while done.status != 0 and (command := advised(done)) and ran < 6:
        ran += 1
        words = shlex.split(command)
        if words[0] == "secretcache":
            done = site.desk.run(*words[1:])
            rotated = done.status == 0 and words[1] == "rotate" and "--dry-run" not in words
        elif words[:3] == ["aws", "secretsmanager", "restore-secret"]:
            site.desk.client.restore_secret(SecretId=words[words.index("--secret-id") + 1])
            break
        else:
            site.server.run(command)
            break
    return ran, rotated


def leads_out(site: Site, name: str, command: Command) -> None:
    """Follow a failing command's advice repeatedly, until it succeeds or another command has done its work."""
    for _ in range(4):
        done = site.desk.run(*command)
        if done.status == 0:
            break
        ran, rotated = follow(site, done)
        assert ran, f"nothing is advised: {done.out}{done.err}"
        if rotated and command[0] == "rotate":
            break
    else:
        raise AssertionError(f"{command} still fails: {done.out}{done.err}")
    value = site.desk.value(name)
    assert site.server.logs_in(value["username"], value["password"])


@row("the secret does not exist")
def missing(site: Site) -> Failure:
    name = f"{site.desk.prefix}/missing"
    return Failure([*everywhere(name), ("status", name)])


@row("the secret is scheduled for deletion")
def deleted(site: Site) -> Failure:
    name = site.secret()
    assert site.desk.run("rotate", name, *SINGLE).status == 0
    site.desk.client.delete_secret(SecretId=name)
    return Failure(everywhere(name), name)


@row("the value is not a JSON object")
def text(site: Site) -> Failure:
    return Failure(everywhere(site.desk.store("text", "not JSON")))


@row("a field is missing")
def field_missing(site: Site) -> Failure:
    name = site.desk.store("bare", {"engine": site.server.engine, "host": "127.0.0.1", "username": "nobody"})
    return Failure([("rotate", name, *SINGLE)])


@row("your AWS identity is not allowed to read or write the secret")
def denied(site: Site) -> Failure:
    name = site.secret()

    @contextmanager
    def meanwhile() -> Iterator[None]:
        with site.desk.trouble(name, "GetSecretValue", "deny"):
            yield

    return Failure([*everywhere(name), ("status", name)], meanwhile=meanwhile)


@row("no labelled version has the right password", "postgres-16", "mariadb", "mysql", "redis", "ldap")
def changed_by_hand(site: Site) -> Failure:
    name = site.secret()
    assert site.desk.run("rotate", name, *SINGLE).status == 0
    site.server.change(site.user(name), "by-hand-1-Password")
    return Failure([("revoke-previous", name), ("rotate", name, *SINGLE)], name)


@row("no version logs in, and an administrator is known", "postgres-16", "mariadb", "redis", "ldap")
def lost(site: Site) -> Failure:
    name = site.secret()
    site.server.change(site.user(name), "by-hand-1-Password")
    return Failure([("recover", name)], name)


@row("no version logs in, and no administrator is known")
def lost_for_good(site: Site) -> Failure:
    return Failure([("recover", site.desk.store("lost", site.server.secret("nobody_at_all", WRONG)))])


@row("a wrong value was stored, and users alternate", "postgres-16", "mariadb", "mysql")
def wrong_value(site: Site) -> Failure:
    name = site.secret()
    command = ("rotate", name, *ALTERNATING)
    assert site.desk.run(*command).status == 0
    site.set_by_hand(name, password=WRONG)
    return Failure([command], name)


@row("the account is locked, or its password has expired", "postgres-16", "mariadb", "mysql")
def locked(site: Site) -> Failure:
    name = site.secret()
    if site.server.engine in MYSQL:
        site.server.run(f"ALTER USER {site.user(name)}@'%' ACCOUNT LOCK")
    else:
        site.server.run(f"ALTER ROLE {site.user(name)} VALID UNTIL '2020-01-01'")
    return Failure([("rotate", name, *SINGLE)], name)


@row("the second user belongs to somebody else", "postgres-16", "mariadb")
def somebody_elses_user(site: Site) -> Failure:
    name = site.secret()
    site.server.user(site.user(name) + "_clone")
    return Failure([("rotate", name, *ALTERNATING)], name)


@row("the administrator lacks a right", "postgres-16", "mariadb")
def powerless(site: Site) -> Failure:
    name = site.secret()
    keeper = site.desk.store("keeper", site.server.user(f"k{site.user(name)}"))
    return Failure([("rotate", name, *ALTERNATING, "--master-secret", keeper)], name)


@row("the server cannot do what the strategy needs")
def unsupported(site: Site) -> Failure:
    name = site.secret()
    return Failure([("rotate", name, "--strategy", "dual-password")], name)


@row("the server offers no TLS, and TLS was not turned off", "postgres-16", "mariadb")
def unencrypted(site: Site) -> Failure:
    name = site.desk.store("unencrypted", site.server.secret("a", "b"))
    authorities = ("--ca-file", str(Path(botocore.__file__).with_name("cacert.pem")))
    return Failure(
        [(command, name, *authorities) for command in ("status", "recover")]
        + [("rotate", name, *SINGLE, *authorities)]
    )


@row("no trusted certificate authority has signed the server's certificate")
def untrusted(site: Site) -> Failure:
    process = subprocess.Popen(
        [SERVERS, "postgres-15", "--tls"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    address = json.loads(process.stdout.readline())
    where = {"engine": "postgres", "host": address["host"], "port": address["port"]}
    name = site.desk.store("untrusted", where | {"username": "a", "password": "b"})
    authorities = ("--ca-file", str(Path(botocore.__file__).with_name("cacert.pem")))

    @contextmanager
    def served() -> Iterator[None]:
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(60)

    return Failure(
        [(command, name, *authorities) for command in ("status", "recover")]
        + [("rotate", name, *SINGLE, *authorities)],
        meanwhile=served,
    )


@row("there is no previous credential")
def no_previous(site: Site) -> Failure:
    return Failure([("revoke-previous", site.secret())])


@row("the rotation that was waited for failed")
def failed(site: Site) -> Failure:
    name = site.secret()
    pending = site.desk.pend(name, password=WRONG)
    site.desk.move(name, "AWSPENDING")
    return Failure([("status", name, "--wait", "--version-id", pending)])


@row("an option is wrong")
def option(site: Site) -> Failure:
    name = site.secret()
    return Failure(
        [
            ("rotate", name),  # no strategy
            ("rotate", name, "--strategy", "none"),
            ("rotate", name, *SINGLE, "--engine", "oracle"),
            ("rotate", name, *SINGLE, "--users", "one"),
            ("rotate", name, *SINGLE, "--password-length", "nine"),
            ("rotate", name, "--strategy", "api-key"),
            ("rotate", name, "--dry-run", "--clients", "many"),
            ("rotate", name, "--check", "file.toml"),
            ("rotate", name, "--due"),
            ("status", name, "--timeout", "1"),
            ("recover", name, "--attempts", "many"),
            ("adopt", name, "--strategy", "none"),
            ("revoke-previous", name, "--strategy", "none"),
        ]
    )


@row("a file is wrong")
def file(site: Site) -> Failure:
    name = site.secret()
    bad, gone = site.folder / "bad.toml", site.folder / "missing.toml"
    bad.write_text('protocol = "oracle"\n')
    return Failure(
        [
            ("rotate", name, *SINGLE, "--statements", str(bad)),
            ("rotate", name, *SINGLE, "--statements", str(gone)),
            ("rotate", name, "--strategy", "api-key", "--provider", str(bad)),
            ("rotate", name, *SINGLE, "--ca-file", str(bad)),
            ("rotate", "--check", str(bad)),
            ("rotate", "--check", str(gone)),
            ("rotate", "--config", str(bad), "--due"),
            ("rotate", "--config", str(gone), "--due"),
            ("status", name, "--ca-file", str(bad)),
            *(
                (verb, name, "--statements", str(bad))
                for verb in ("status", "recover", "adopt", "revoke-previous")
            ),
        ]
    )


@row("the `engine` is unknown")
def engine(site: Site) -> Failure:
    return Failure(
        everywhere(site.desk.store("oracle", site.server.secret("app", FIRST) | {"engine": "oracle"}))
    )


@row("the resource cannot be reached")
def away(site: Site) -> Failure:
    name = site.desk.store("away", site.server.secret("a", "b") | {"port": 1})
    return Failure([("status", name), ("recover", name), ("rotate", name, *SINGLE)])


@row("Secrets Manager cannot be reached, or throttles")
def throttled(site: Site) -> Failure:
    name = site.secret()
    assert site.desk.run("rotate", name, *SINGLE).status == 0

    @contextmanager
    def meanwhile() -> Iterator[None]:
        with site.desk.trouble(
            name, "DescribeSecret", {"error": {"type": "InternalServiceError", "status": 500}}
        ):
            yield

    return Failure([("rotate", name, *SINGLE), ("status", name), ("recover", name)], name, meanwhile)


@row("something else changes the secret at the same time")
def conflict(site: Site) -> Failure:
    name = site.secret()
    effect = {
        "error": {"type": "InvalidParameterException", "status": 400, "message": "the label is elsewhere"}
    }

    @contextmanager
    def meanwhile() -> Iterator[None]:
        with site.desk.trouble(name, "UpdateSecretVersionStage", effect):
            yield

    return Failure([("rotate", name, *ALTERNATING)], name, meanwhile)


@row("a rotation is in progress, and the previous password works", "mariadb", "redis")
def previous_under_way(site: Site) -> Failure:
    name = site.secret()
    assert site.desk.run("rotate", name, "--strategy", "dual-password").status == 0
    site.desk.pend(name, password="the-new-password-1")
    return Failure([("revoke-previous", name, "--strategy", "dual-password")], name)


@row("a rotation is in progress")
def under_way(site: Site) -> Failure:
    name = site.secret()
    site.desk.pend(name, password="the-new-password-1")
    return Failure([("status", name), ("status", name, "--wait", "--timeout", "1")], name)


@row("there is an obstacle")
def in_the_way(site: Site) -> Failure:
    name = site.secret()
    site.desk.pend(name, password="the-new-password-1")
    other = site.secret("other")
    site.server.user(site.user(other) + "_clone")
    return Failure(
        [("adopt", name), ("adopt", name, "--dry-run"), ("rotate", other, *ALTERNATING, "--dry-run")]
    )


@row("the current version does not log in")
def broken(site: Site) -> Failure:
    name = site.secret()
    assert site.desk.run("rotate", name, *SINGLE).status == 0
    site.set_by_hand(name, password=WRONG)
    return Failure([("status", name)], name)


@row("there is something to recover")
def recoverable(site: Site) -> Failure:
    name = site.secret()
    assert site.desk.run("rotate", name, *SINGLE).status == 0
    site.set_by_hand(name, password=WRONG)
    return Failure([("recover", name, "--dry-run")], name)


@row("one of several secrets failed")
def several(site: Site) -> Failure:
    site.secret("many/good")
    site.desk.store("many/text", "not JSON")
    site.desk.store("many/oracle", {"engine": "oracle", "username": "a", "password": "b"})
    gone = f"{site.desk.prefix}/missing"
    due = site.folder / "due.toml"
    due.write_text(f'[[secret]]\nid = "{gone}"\nschedule = "rate(1 day)"\nstrategy = "single-user"\n')
    prefix = f"{site.desk.prefix}/many"
    denied = site.desk.store("many/denied", site.server.secret("a", "b"))

    @contextmanager
    def meanwhile() -> Iterator[None]:
        with site.desk.trouble(denied, "GetSecretValue", "deny"):
            yield

    commands = [("status", "--prefix", prefix), ("adopt", "--prefix", prefix, "--dry-run")]
    return Failure([*commands, ("rotate", "--config", str(due), "--due")], meanwhile=meanwhile)


def test_every_documented_failure_is_brought_about_and_every_status_has_one() -> None:
    rows = documented()
    assert list(rows) == list(ROWS)
    statuses = re.findall(r"^\| ([0-9]) \|", (ROOT / "docs" / "command-line.md").read_text(), re.MULTILINE)
    assert {row.status for row in rows.values()} == {int(status) for status in statuses} - {0}
    for command in [
        "rotate",
        "status",
        "recover",
        "adopt",
        "revoke-previous",
        "rotate --dry-run",
        "rotate --check",
    ]:
        assert any(command in row.seen_with for row in rows.values()), command


@pytest.mark.parametrize(
    ("what", "kind"), [(what, kind) for what, (kinds, _) in ROWS.items() for kind in kinds]
)
def test_a_failure_is_as_documented_and_leads_out(
    desk: Desk, server: Callable[[str], Server], tmp_path: Path, what: str, kind: str
) -> None:
    row, site = documented()[what], Site(desk, server(kind), tmp_path)
    failure = ROWS[what][1](site)
    assert {mode(command) for command in failure.commands} == row.seen_with
    with failure.meanwhile():
        for command in failure.commands:
            done, as_json = desk.run(*command), desk.run(*command, "--json")
            output = f"{command}: {done.status}: {done.out}{done.err}{as_json.out}"
            assert done.status == as_json.status == row.status, output
            error = as_json.json.get("error") if isinstance(as_json.json, dict) else None
            fails = row.status in {1, 2} or row.kinds
            assert bool(error) == bool(fails), output
            if error:
                assert error["status"] == row.status and error["message"], output
                assert error.get("kind") in (row.kinds or [None]), output
                name = failure.name or (command[1] if row.status == 1 else "")
                assert name in error["message"] + json.dumps(as_json.json), output
            next_one = error.get("run") if error else advised(done)
            expected = shlex.join(["secretcache", *command]) if row.run == "the same command" else row.run
            if not row.run:
                assert not (error and next_one), output
            elif row.run.startswith("a statement"):
                assert next_one, output
            else:
                words = shlex.split(next_one or "")
                assert all(word in words for word in shlex.split(expected)), output
    # Commands whose failures have no advice are skipped.
    for command in failure.commands if failure.name and row.run else []:
        if what == "the resource cannot be reached":
            continue
        leads_out(site, failure.name, command)
