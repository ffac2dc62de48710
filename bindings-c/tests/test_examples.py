"""Runs the examples as their readers would: against `secretcache local`, a real PostgreSQL, and files."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, Any]]:
    """Start a PostgreSQL that has refused a wrong password, and says so in German."""
    program = ROOT / "target" / "debug" / "secretcache-databases"
    server = subprocess.Popen(
        [program, "postgres-15"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout
    assert server.stdin
    line = server.stdout.readline()
    assert line, "PostgreSQL did not start"
    described = json.loads(line)
    speak_german(described)
    yield described
    server.stdin.close()
    server.wait()


def sql(server: dict[str, Any], command: str, **options: Any) -> None:
    target = f"host={server['host']} port={server['port']} user={server['user']} dbname={server['database']}"
    # By standard input: a password has no place on a command line.
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
    """Have the server say everything in another language, as many do, and see that it does."""
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


def credential(password: str) -> str:
    return json.dumps({"username": "app", "password": password})


def test_get(installed: Installed, client: Any, tmp_path: Path) -> None:
    program = installed.compile(tmp_path / "get", [EXAMPLES / "get.c"])
    client.create_secret(Name="example/get", SecretString=credential("hunter2"))
    done = subprocess.run([program, "example/get"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "app\n", "")
    done = subprocess.run([program, "example/none"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "can't find the specified secret" in done.stderr


def test_libpq_stays_connected_through_rotations(
    installed: Installed, client: Any, postgres: dict[str, Any], tmp_path: Path
) -> None:
    flags = ["-I/usr/include/postgresql", "-lpq"]
    program = installed.compile(tmp_path / "postgres", [EXAMPLES / "postgres.c"], *flags)
    sql(postgres, "CREATE ROLE app LOGIN PASSWORD 'password-0';")
    client.create_secret(Name="example/db", SecretString=credential("password-0"))
    command = [program, "example/db", postgres["host"], str(postgres["port"]), postgres["database"]]
    example = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stdin, stdout = example.stdin, example.stdout
    assert stdin
    assert stdout
    answers: list[str] = []
    wanted = threading.Semaphore(0)
    rotating = threading.Event()
    rotating.set()

    def ask() -> None:
        while rotating.is_set():
            stdin.write("select current_user\n")
            stdin.flush()
            answers.append(stdout.readline())
            wanted.release()

    def await_connections() -> None:
        """Between two steps the program connects some times: before, after, or across the step."""
        for _ in range(20):
            assert wanted.acquire(timeout=120)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        await_connections()
        for number in range(1, ROTATIONS + 1):
            password, token = f"password-{number}", str(uuid.uuid4())
            old = client.describe_secret(SecretId="example/db")["VersionIdsToStages"]
            (current,) = [version for version, stages in old.items() if "AWSCURRENT" in stages]
            client.put_secret_value(
                SecretId="example/db",
                ClientRequestToken=token,
                SecretString=credential(password),
                VersionStages=["AWSPENDING"],
            )
            await_connections()
            sql(postgres, f"ALTER ROLE app PASSWORD '{password}';")
            await_connections()  # Only the pending version logs in.
            client.update_secret_version_stage(
                SecretId="example/db",
                VersionStage="AWSCURRENT",
                MoveToVersionId=token,
                RemoveFromVersionId=current,
            )
            await_connections()
            # The plan asks anew once a second; rotations closer than that are not what this is about.
            time.sleep(1.5)
    finally:
        rotating.clear()
        asking.join()
    rest, _ = example.communicate(timeout=120)
    assert set(answers) == {"app\n"}, "a connection failed"
    assert len(answers) >= 20 * (3 * ROTATIONS + 1)
    refused, _ = rest.split()
    # One tells of a rotation; one more is allowed where the machine is slow.
    assert ROTATIONS <= int(refused) <= 2 * ROTATIONS, rest


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
