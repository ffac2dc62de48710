"""The demo's second act: the database's password rotates while two programs keep opening connections."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import boto3
import psycopg
from picture import Band, draw
from psycopg import sql

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PRODUCTION = "checkout.abc123.us-east-1.rds.amazonaws.com:5432"
"""The server that the article's secret names."""
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSPostgreSQLRotation"
Say = Callable[[str], None]
REST = 4.0
"""Seconds before, between and after the rotations."""


class Database:
    """A PostgreSQL server on this machine that stands in for the article's, until the end of the `with` block."""

    def __init__(self) -> None:
        command = ROOT / "target" / "debug" / "secretcache-databases"
        self._process = subprocess.Popen(
            [command, "postgres-18"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._address = json.loads(_line(self._process.stdout))
        with self.admin("postgres") as admin:
            admin.execute("create role app login password 'REPLACE_ME'")
            admin.execute("create database checkout owner app")
        with self.admin() as admin:
            admin.execute("set role app; create table carts (id bigint primary key)")

    @property
    def server(self) -> str:
        """The server's connection string, without credentials."""
        return f"host={self._address['host']} port={self._address['port']} dbname=checkout"

    @property
    def stands_in(self) -> list[str]:
        """The options that make `secretcache local` connect to it instead of the article's server."""
        real = f"{self._address['host']}:{self._address['port']}"
        return ["--map-host", f"{PRODUCTION}={real}", "--db-plaintext"]

    @property
    def administrator(self) -> dict[str, str]:
        """The administrator's credential, as in a secret."""
        return {"username": self._address["user"], "password": self._address["password"]}

    def admin(self, dbname: str = "checkout") -> psycopg.Connection[Any]:
        """Connect as the administrator."""
        who = {"user": self._address["user"], "password": self._address["password"]}
        return psycopg.connect(self.server, autocommit=True, dbname=dbname, **who)

    def set_password(self, user: str, password: str) -> None:
        """Set a user's password to the one that its secret has now."""
        statement = sql.SQL("alter role {} password {}").format(sql.Identifier(user), sql.Literal(password))
        with self.admin() as admin:
            admin.execute(statement)

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # the end of its standard input stops it


@dataclass
class Outcome:
    """Each program's attempts and failures, and the file of the picture."""

    ours: Band
    official: Band
    picture: Path


def act(database: Database, url: str, secret_id: str, *, interval: float, official: str, say: Say) -> Outcome:
    """Rotate twice under load, and draw what happened. `url` is the endpoint's, which has its control API enabled."""
    asm = boto3.client("secretsmanager")
    rotations: list[tuple[float, float, str]] = []
    command = ("connections.py", secret_id, str(interval), database.server)
    with (
        _program(sys.executable, "ours", *command) as ours,
        _program(official, "official", *command) as theirs,
    ):
        start = time.time()
        time.sleep(REST)
        for strategy, name in (("SingleUser", "single user"), ("MultiUser", "alternating users")):
            if strategy == "MultiUser":
                _name_administrator(asm, database, secret_id)
            began, ended = _rotate(url, secret_id, FUNCTION + strategy)
            rotations.append((began - start, ended - start, name))
            user = json.loads(asm.get_secret_value(SecretId=secret_id)["SecretString"])["username"]
            say(f"rotated by {name} in {ended - began:.1f} s; the secret names the user {user} now")
            time.sleep(REST)
        bands = [
            Band(name, [(time - start, problem is not None) for time, problem in program()])
            for name, program in (("secretcache", ours), ("AWS's own caching library", theirs))
        ]
    picture = ROOT / "target" / "demo" / "rotation.svg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    title = f"Connections opened while the secret rotates (refresh interval {interval:g} s)"
    picture.write_text(draw(title, bands, rotations))
    return Outcome(*bands, picture)


def _name_administrator(asm: Any, database: Database, secret_id: str) -> None:
    """Store the administrator's credential as a secret, and name it in the program's secret."""
    current = json.loads(asm.get_secret_value(SecretId=secret_id)["SecretString"])
    # The administrator's own secret must say where the administrator logs in.
    server = {field: current[field] for field in ("engine", "host", "port") if field in current}
    administrator = json.dumps(server | database.administrator)
    master = asm.create_secret(Name="prod/checkout/admin", SecretString=administrator)
    value = json.dumps(current | {"masterarn": master["ARN"]})
    asm.put_secret_value(SecretId=secret_id, SecretString=value)


def _rotate(url: str, secret_id: str, function: str) -> tuple[float, float]:
    """Rotate as the article does, with the aws command line; return when that began and ended."""
    rotate = [
        "aws",
        "secretsmanager",
        "rotate-secret",
        "--secret-id",
        secret_id,
        "--rotation-lambda-arn",
        function,
    ]
    rules = ["--rotation-rules", '{"ScheduleExpression":"rate(30 days)"}']
    started = subprocess.run([*rotate, *rules], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    version = json.loads(started.stdout)["VersionId"]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/_control/events", timeout=10) as answer:
            events = [event for event in json.load(answer)["events"] if event["version_id"] == version]
        times = {event["event"]: event["time"] for event in events}
        if "RotationSucceeded" in times:
            return times["RotationStarted"], times["RotationSucceeded"]
        time.sleep(0.1)
    raise SystemExit(f"the rotation did not end within 30 s: {events}")


@contextmanager
def _program(python: str, library: str, script: str, *arguments: str) -> Iterator[Any]:
    """Run a program that keeps connecting; yield a function that ends it and returns its attempts."""
    secret_id, interval, server = arguments
    options = ["--interval", interval, "--server", server]
    command = [python, str(HERE / script), library, secret_id, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if _line(process.stdout) != "ready\n":
                raise SystemExit(f"the program with the library {library!r} did not start")
            yield lambda: json.loads(process.communicate(timeout=60)[0])
        finally:
            process.kill()


def _line(stream: IO[str] | None) -> str:
    return stream.readline() if stream is not None else ""
