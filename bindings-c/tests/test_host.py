"""Runs `programs/host.c`: effects of the host program on the library, and of the library on the program."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import HERE, Installed, run

from endpoint import Endpoint

LONGEST = 120
KEYS = {"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": "worthless-secret-key"}


@pytest.fixture(scope="module")
def program(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("host") / "host"
    return installed.compile(output, [HERE / "programs" / name for name in ("host.c", "store.c")])


@pytest.fixture
def secret(endpoint: Endpoint) -> Endpoint:
    """Store the secret that the programs read."""
    client = endpoint.client()
    if "db" not in (each["Name"] for each in client.list_secrets()["SecretList"]):
        client.create_secret(Name="db", SecretString='{"username":"app"}')
    return endpoint


def test_c1_a_daemon_reads_and_leaves_its_sockets_alone(program: Path, secret: Endpoint) -> None:
    run(program, "a_daemon_reads_and_leaves_its_sockets_alone", timeout=LONGEST)


@pytest.mark.parametrize(
    "children", ["where_children_are_ignored", "where_children_are_reaped", "where_nobody_minds"]
)
def test_c2_a_credential_process_works(
    program: Path, secret: Endpoint, tmp_path: Path, children: str
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/keys.json\n")
    environment = os.environ | {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    del environment["AWS_ACCESS_KEY_ID"]
    run(program, f"a_credential_process_works_{children}", timeout=LONGEST, env=environment)


def test_c6_a_source_that_hangs_holds_up_itself_alone(program: Path, secret: Endpoint) -> None:
    environment = os.environ | {"AWS_ENDPOINT_URL": secret.url.replace("127.0.0.1", "localhost")}
    run(program, "a_source_that_hangs_holds_up_itself_alone", timeout=LONGEST, env=environment)


@pytest.mark.parametrize("shortage", ["threads_is_named", "descriptors_is_named_and_passes"])
def test_c7_a_shortage_is_named(program: Path, secret: Endpoint, shortage: str) -> None:
    program.parent.chmod(0o755)
    run(program, f"a_lack_of_{shortage}", timeout=LONGEST)


@pytest.mark.parametrize(
    "test", ["locked_values_stay_out_of_swap_and_dumps", "memory_that_cannot_be_locked_is_an_error"]
)
def test_s6_memory_is_locked(program: Path, secret: Endpoint, test: str) -> None:
    program.parent.chmod(0o755)
    run(program, test, timeout=LONGEST)


def test_s6_nothing_is_left_in_memory(program: Path, secret: Endpoint) -> None:
    """After the secret is replaced and the cache closed, neither password is in memory."""
    client = secret.client()

    def put(password: str) -> None:
        client.put_secret_value(
            SecretId="db", SecretString=json.dumps({"password": password, "pad": "x" * 500})
        )

    def raised(text: str) -> str:
        return "".join(chr(ord(letter) + 1) for letter in text)

    old, new = "first-password-canary-0123", "second-password-canary-4567"
    put(old)
    environment = os.environ | {"OLD": raised(old), "NEW": raised(new)}
    process = subprocess.Popen(
        [program, "nothing_is_left_in_memory"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "read\n"
    put(new)
    output, _ = process.communicate("go\n", timeout=LONGEST)
    assert process.returncode == 0
    assert output == "0 0\n", "occurrences of the old and the new password in memory"
