"""Runs the examples against `secretcache local`, real databases, and files."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from conftest import ROOT, Installed

from endpoint import Endpoint

EXAMPLES = ROOT / "bindings-c" / "examples"
ROTATIONS = 3


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Any:
    return boto3.client("secretsmanager")


def sql(server: dict[str, Any], command: str, **options: Any) -> None:
    target = f"host={server['host']} port={server['port']} user={server['user']} dbname={server['database']}"
    # On standard input, because other users can see a password on the command line.
    psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", target]
    subprocess.run(
        psql,
        input=command,
        text=True,
        check=True,
        env={"PGPASSWORD": server["password"], "PATH": "/usr/bin:/bin"},
        **options,
    )


def speak_german(server: dict[str, Any]) -> None:
    """Switch the server's messages to German, as many servers use another language, and wait until it does."""
    sql(server, "ALTER SYSTEM SET lc_messages = 'de_DE.UTF-8';")
    sql(server, "SELECT pg_reload_conf();")
    wrong = server | {"password": "wrong"}
    deadline = time.monotonic() + 120
    while True:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            sql(wrong, "SELECT 1;", stderr=subprocess.PIPE)
        if "Passwort-Authentifizierung" in refused.value.stderr:
            return
        assert time.monotonic() < deadline, refused.value.stderr


@contextmanager
def started(kind: str) -> Iterator[dict[str, Any]]:
    """Start a server. It is ready and has already refused a wrong password."""
    program = ROOT / "target" / "debug" / "secretcache-databases"
    server = subprocess.Popen([program, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    assert server.stdin
    line = server.stdout.readline()
    assert line, f"{kind} did not start"
    try:
        yield json.loads(line)
    finally:
        server.stdin.close()
        server.wait()


class Postgres:
    """PostgreSQL, which reports refused logins in German."""

    kind, flags = "postgres-15", ("-I/usr/include/postgresql", "-lpq")
    query = "select current_user"

    def __init__(self, server: dict[str, Any]) -> None:
        self.server = server
        speak_german(server)

    def create(self, user: str, password: str) -> None:
        sql(self.server, f"CREATE ROLE {user} LOGIN PASSWORD '{password}';")

    def change(self, user: str, password: str) -> None:
        sql(self.server, f"ALTER ROLE {user} PASSWORD '{password}';")

    def place(self) -> list[str]:
        return [self.server["host"], str(self.server["port"]), self.server["database"]]


class MariaDb:
    """MariaDB, with its own connector."""

    kind, flags = "mariadb", ("-I/usr/include/mariadb", "-lmariadb")
    query = "select substring_index(current_user(), '@', 1)"

    def __init__(self, server: dict[str, Any]) -> None:
        self.server = server

    def run(self, statement: str) -> None:
        target = [
            f"--host={self.server['host']}",
            f"--port={self.server['port']}",
            f"--user={self.server['user']}",
        ]
        subprocess.run(
            ["mariadb", "--no-defaults", "--protocol=tcp", *target],
            input=statement,
            text=True,
            check=True,
            env={"MYSQL_PWD": self.server["password"], "PATH": "/usr/bin:/bin"},
        )

    def create(self, user: str, password: str) -> None:
        self.run(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'; GRANT SELECT ON *.* TO '{user}'@'%';")

    def change(self, user: str, password: str) -> None:
        self.run(f"ALTER USER '{user}'@'%' IDENTIFIED BY '{password}';")

    def place(self) -> list[str]:
        return [self.server["host"], str(self.server["port"]), "mysql"]


class Redis:
    """Redis, with hiredis."""

    kind, flags = "redis", ("-lhiredis",)
    query = "ACL WHOAMI"

    def __init__(self, server: dict[str, Any]) -> None:
        self.server = server

    def change(self, user: str, password: str) -> None:
        target = ["-h", self.server["host"], "-p", str(self.server["port"]), "--user", self.server["user"]]
        done = subprocess.run(
            ["redis-cli", *target],
            input=f"ACL SETUSER {user} on resetpass >{password} ~* +@all\n",
            text=True,
            check=True,
            capture_output=True,
            env={"REDISCLI_AUTH": self.server["password"], "PATH": "/usr/bin:/bin"},
        )
        assert done.stdout == "OK\n", done

    create = change

    def place(self) -> list[str]:
        return [self.server["host"], str(self.server["port"])]


EXAMPLE_OF = {Postgres: "postgres", MariaDb: "mariadb", Redis: "redis"}


@pytest.fixture(scope="module", params=EXAMPLE_OF, ids=EXAMPLE_OF.values())
def database(request: pytest.FixtureRequest) -> Iterator[Any]:
    with started(request.param.kind) as server:
        yield request.param(server)


def credential(password: str, user: str = "app") -> str:
    return json.dumps({"username": user, "password": password})


def test_get(installed: Installed, client: Any, tmp_path: Path) -> None:
    program = installed.compile(tmp_path / "get", [EXAMPLES / "get.c"])
    client.create_secret(Name="example/get", SecretString=credential("hunter2"))
    done = subprocess.run([program, "example/get"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "app\n", "")
    done = subprocess.run([program, "example/none"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "can't find the specified secret" in done.stderr


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_a_driver_stays_connected_through_rotations(
    installed: Installed, client: Any, database: Any, strategy: str, tmp_path: Path
) -> None:
    """User and password come from the same version, so either or both can change."""
    example = EXAMPLE_OF[type(database)]
    program = installed.compile(tmp_path / example, [EXAMPLES / f"{example}.c"], *database.flags)
    users = [f"{strategy}_app"] * 2 if strategy == "single" else [f"{strategy}_app", f"{strategy}_clone"]
    for user in dict.fromkeys(users):
        database.create(user, "password-0")
    secret = f"example/{example}/{strategy}"
    client.create_secret(Name=secret, SecretString=credential("password-0", users[0]))
    process = subprocess.Popen(
        [program, secret, *database.place()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin
    assert stdout
    answers: list[str] = []
    wanted = threading.Semaphore(0)
    rotating = threading.Event()
    rotating.set()

    def ask() -> None:
        while rotating.is_set():
            stdin.write(f"{database.query}\n")
            stdin.flush()
            answers.append(stdout.readline())
            wanted.release()

    def await_connections() -> None:
        """Wait for 20 connections, so that some happen before, during and after each step."""
        for _ in range(20):
            assert wanted.acquire(timeout=120)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        await_connections()
        for number in range(1, ROTATIONS + 1):
            user, password, token = users[number % 2], f"password-{number}", str(uuid.uuid4())
            old = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
            (current,) = [version for version, stages in old.items() if "AWSCURRENT" in stages]
            client.put_secret_value(
                SecretId=secret,
                ClientRequestToken=token,
                SecretString=credential(password, user),
                VersionStages=["AWSPENDING"],
            )
            await_connections()
            database.change(user, password)
            await_connections()  # With a single user, only the pending version logs in.
            client.update_secret_version_stage(
                SecretId=secret,
                VersionStage="AWSCURRENT",
                MoveToVersionId=token,
                RemoveFromVersionId=current,
            )
            await_connections()
            # An attempt to connect checks the labels at most once a second. This test is not about faster rotations.
            time.sleep(1.5)
    finally:
        rotating.clear()
        asking.join()
    rest, _ = process.communicate(timeout=120)
    assert set(answers) <= {f"{user}\n" for user in users}, "a connection failed"
    assert len(answers) >= 20 * (3 * ROTATIONS + 1)
    refused, _ = rest.split()
    if strategy == "single":
        # Each rotation costs one refused login; one more is allowed on a slow machine.
        assert ROTATIONS <= int(refused) <= 2 * ROTATIONS, rest
    else:
        # The previous version's user can log in until the rotation that changes its password.
        assert int(refused) <= ROTATIONS, rest


def test_cpp_watcher(installed: Installed, client: Any, tmp_path: Path) -> None:
    program = installed.compile(tmp_path / "watcher", [EXAMPLES / "watcher.cpp"])
    client.create_secret(Name="example/watched", SecretString=credential("one"))
    command = [program, "example/watched"]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert watcher.stdout
    assert watcher.stdout.readline() == "user app\n"
    for password in ("two", "three"):
        client.put_secret_value(SecretId="example/watched", SecretString=credential(password))
        assert watcher.stdout.readline() == "example/watched has rotated\n"
    watcher.communicate(timeout=120)
    assert watcher.returncode == 0


def test_custom_source(installed: Installed, tmp_path: Path) -> None:
    program = installed.compile(tmp_path / "mounted", [EXAMPLES / "mounted.c"])
    (tmp_path / "token").write_text("hunter2")
    (tmp_path / "blob").write_bytes(b"\xff")
    for name, status, output in (
        ("token", 0, "hunter2"),
        ("none", 1, "there is no such file\n"),
        ("blob", 1, "the file is not text\n"),
        ("../token", 1, "there is no such version\n"),
    ):
        done = subprocess.run([program, tmp_path, name], capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stdout + done.stderr) == (status, output)
