"""--data FILE: no acknowledged change is lost, whenever the process is killed."""

from __future__ import annotations

import os
import random
import resource
import shutil
import stat
import subprocess
import threading
import time
import uuid

import botocore.exceptions
import pytest
from conftest import binary


def test_it_survives_a_clean_stop(run, tmp_path):
    first = run("--data", str(tmp_path / "data"))
    client = first.client()
    client.create_secret(Name="db", SecretString="one", Tags=[{"Key": "a", "Value": "b"}])
    client.put_secret_value(SecretId="db", SecretString="two", VersionStages=["AWSPENDING"])
    before = client.describe_secret(SecretId="db")
    assert first.stop() == 0
    after = run("--data", str(tmp_path / "data")).client().describe_secret(SecretId="db")
    assert {**before, "ResponseMetadata": 0} == {**after, "ResponseMetadata": 0}
    assert stat.S_IMODE(os.stat(tmp_path / "data").st_mode) == 0o600


def test_it_survives_kill_9_with_nothing_acknowledged_lost(run, tmp_path):
    data = str(tmp_path / "data")
    chance = random.Random(1)
    writers = 4
    acknowledged: list[dict[str, str]] = [{} for _ in range(writers)]
    last = [""] * writers
    for round in range(6):
        endpoint = run("--data", data)
        client = endpoint.client(max_pool_connections=8)
        for i in range(writers):
            for version, value in acknowledged[i].items():
                got = client.get_secret_value(SecretId=f"s{i}", VersionId=version)
                assert got["SecretString"] == value, f"round {round}"
            if acknowledged[i]:
                # The last acknowledged value, or one that was being written when the process was killed.
                current = client.get_secret_value(SecretId=f"s{i}")["SecretString"]
                assert int(current) >= int(last[i])
            else:
                client.create_secret(Name=f"s{i}")

        def write(i, client=client, start=round * 1_000_000):
            for n in range(start, start + 1_000_000):
                try:
                    token = str(uuid.UUID(int=n << 8 | i))
                    client.put_secret_value(SecretId=f"s{i}", SecretString=str(n), ClientRequestToken=token)
                except botocore.exceptions.BotoCoreError:
                    return
                acknowledged[i][token] = last[i] = str(n)

        threads = [threading.Thread(target=write, args=(i,)) for i in range(writers)]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.05, 0.4))
        endpoint.kill()
        for thread in threads:
            thread.join()
    assert all(len(of) > 10 for of in acknowledged), "there was something to lose"


def test_a_deletion_survives_kill_9(run, tmp_path):
    endpoint = run("--data", str(tmp_path / "data"))
    client = endpoint.client()
    client.create_secret(Name="db", SecretString="one")
    client.delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    endpoint.kill()
    assert run("--data", str(tmp_path / "data")).client().list_secrets()["SecretList"] == []


def test_a_full_disk_refuses_the_change_and_keeps_what_was(run, tmp_path):
    """A limit on file size simulates a full disk: writes beyond it also fail halfway through."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    # Python ignores SIGXFSZ, and so must its child, so that the write fails instead of killing the process.
    endpoint = run("--data", str(tmp_path / "data"), preexec_fn=limit, restore_signals=False)
    client = endpoint.client()
    client.create_secret(Name="db", SecretString="a" * 60_000)
    client.put_secret_value(SecretId="db", SecretString="b" * 60_000)
    size = (tmp_path / "data").stat().st_size
    for _ in range(3):
        with pytest.raises(client.exceptions.InternalServiceError, match="data file cannot be written"):
            client.put_secret_value(SecretId="db", SecretString="c" * 60_000)
        assert (tmp_path / "data").stat().st_size == size, "a failed write leaves nothing behind"
    client.put_secret_value(SecretId="db", SecretString="small")
    endpoint.kill()
    client = run("--data", str(tmp_path / "data")).client()
    assert client.get_secret_value(SecretId="db")["SecretString"] == "small"
    assert client.get_secret_value(SecretId="db", VersionStage="AWSPREVIOUS")["SecretString"] == "b" * 60_000
    versions = client.list_secret_version_ids(SecretId="db", IncludeDeprecated=True)["Versions"]
    assert len(versions) == 3


@pytest.mark.parametrize("path", ["/dev/full", "/dev/null", "/tmp"])
def test_what_is_no_file_is_left_alone(path):
    before = os.stat(path)
    done = subprocess.run(
        [binary(), "local", "--port", "0", "--data", path], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 1 and path in done.stderr
    after = os.stat(path)
    assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)


def test_a_file_that_is_itself_a_mount_says_what_to_mount(tmp_path):
    data = tmp_path / "data"
    data.touch()
    mounting = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        'mount --bind "$0" "$0" && exec "$@"',
        str(data),
    ]
    if not shutil.which("unshare") or subprocess.run([*mounting, "true"], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    command = [binary(), "local", "--port", "0", "--data", str(data)]
    done = subprocess.run([*mounting, *command], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1, done.stdout
    assert str(data) in done.stderr and "mount its folder instead" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_symbolic_link_stays_one(run, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "data")
    endpoint = run("--data", str(tmp_path / "link"))
    endpoint.client().create_secret(Name="db", SecretString="one")
    endpoint.stop()
    assert run("--data", str(tmp_path / "link")).client().list_secrets()["SecretList"]
    assert (tmp_path / "link").is_symlink()


def test_a_second_process_is_refused(run, tmp_path):
    run("--data", str(tmp_path / "data"))
    done = subprocess.run(
        [binary(), "local", "--port", "0", "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode == 1
    assert "in use by another process" in done.stderr


def test_l6_the_file_stays_small_while_it_runs(run, tmp_path):
    data = tmp_path / "data"
    endpoint = run("--data", str(data))
    client = endpoint.client()
    client.create_secret(Name="db", SecretString="start")
    # 3 MB of changes, which leave one secret of a few bytes.
    for n in range(60):
        client.create_secret(Name=f"big{n}", SecretString="x" * 50_000)
        client.delete_secret(SecretId=f"big{n}", ForceDeleteWithoutRecovery=True)
    client.put_secret_value(SecretId="db", SecretString="last")
    assert data.stat().st_size < 1_200_000
    assert stat.S_IMODE(data.stat().st_mode) == 0o600
    endpoint.kill()
    client = run("--data", str(data)).client()
    assert [secret["Name"] for secret in client.list_secrets()["SecretList"]] == ["db"]
    assert client.get_secret_value(SecretId="db")["SecretString"] == "last"


def test_l6_it_starts_on_a_full_disk_and_says_what_to_free(run, tmp_path):
    data = tmp_path / "data"
    endpoint = run("--data", str(data))
    client = endpoint.client()
    for n in range(4):
        client.create_secret(Name=f"s{n}", SecretString=str(n) * 60_000)
    client.put_secret_value(SecretId="s0", SecretString="new" * 10_000)
    endpoint.kill()
    before = data.read_bytes()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    endpoint = run("--data", str(data), preexec_fn=limit, restore_signals=False)
    client = endpoint.client()
    assert client.get_secret_value(SecretId="s3")["SecretString"] == "3" * 60_000
    with pytest.raises(client.exceptions.InternalServiceError, match="data file cannot be written"):
        client.put_secret_value(SecretId="s1", SecretString="lost")
    assert client.get_secret_value(SecretId="s1")["SecretString"] == "1" * 60_000
    warning = next(line for line in endpoint.output if "Warning: the data file" in line)
    assert str(data) in warning and "Free" in warning and "KiB" in warning
    endpoint.kill()
    assert data.read_bytes() == before, "nothing is lost, and nothing is left half-written"
    assert not list(tmp_path.glob("*.new"))
    client = run("--data", str(data)).client()
    assert client.get_secret_value(SecretId="s0")["SecretString"] == "new" * 10_000
    client.put_secret_value(SecretId="s1", SecretString="kept")


def test_l6_killed_while_it_rewrites_the_file_nothing_is_lost(run, tmp_path):
    """The values are so large that the file is rewritten every few writes, so it is also killed while rewriting."""
    data = tmp_path / "data"
    chance = random.Random(6)
    kept: dict[str, str] = {}
    rewritten = 0
    for round in range(3):
        endpoint = run("--data", str(data))
        client = endpoint.client()
        for name, value in kept.items():
            assert client.get_secret_value(SecretId=name)["SecretString"] == value, f"round {round}"
        started = data.stat().st_ino

        def write(client=client, round=round, kept=kept):
            for number in range(1_000_000):
                name, value = f"s{number % 4}", f"{round} {number} ".ljust(60_000, "x")
                try:
                    client.delete_secret(SecretId="passing", ForceDeleteWithoutRecovery=True)
                    client.create_secret(Name="passing", SecretString="y" * 60_000)
                    if name in kept:
                        client.put_secret_value(SecretId=name, SecretString=value)
                    else:
                        client.create_secret(Name=name, SecretString=value)
                except (botocore.exceptions.BotoCoreError, client.exceptions.ResourceExistsException):
                    return
                kept[name] = value

        writer = threading.Thread(target=write)
        writer.start()
        # Wait until it has been rewritten at least once; the next time follows soon.
        deadline = time.monotonic() + 30
        while data.stat().st_ino == started:
            assert time.monotonic() < deadline, "it is rewritten while it runs"
        rewritten += 1
        time.sleep(chance.uniform(0, 0.3))
        endpoint.kill()
        writer.join()
        # A request in progress when it was killed may have taken effect.
        endpoint = run("--data", str(data))
        client = endpoint.client()
        for name in list(kept):
            value = client.get_secret_value(SecretId=name)["SecretString"]
            if value != kept[name]:
                assert [int(part) for part in value.split()[:2]] > [
                    int(part) for part in kept[name].split()[:2]
                ]
                kept[name] = value
        names = {secret["Name"] for secret in client.list_secrets()["SecretList"]}
        assert names - set(kept) <= {"passing", *(f"s{number}" for number in range(4))}
        kept |= {name: client.get_secret_value(SecretId=name)["SecretString"] for name in names - {"passing"}}
        assert endpoint.stop() == 0
    assert rewritten == 3 and len(kept) == 4


def test_l6_a_disk_too_full_to_rewrite_the_file_keeps_the_old_one_in_use(run, tmp_path):
    data = tmp_path / "data"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    endpoint = run("--data", str(data), preexec_fn=limit, restore_signals=False)
    client = endpoint.client()

    def create(number: int) -> None:
        client.create_secret(Name=f"s{number}", SecretString=f"{number} ".ljust(60_000, "x"))

    # More than 1.5 MB of current values: rewriting cannot make the file fit.
    acknowledged = 15
    for number in range(acknowledged):
        create(number)
    with pytest.raises(client.exceptions.InternalServiceError, match="data file cannot be written"):  # noqa: PT012
        for number in range(acknowledged, 40):
            create(number)
            acknowledged = number + 1
    for number in range(acknowledged):
        assert client.get_secret_value(SecretId=f"s{number}")["SecretString"].startswith(f"{number} ")
    endpoint.kill()
    assert not list(tmp_path.glob("*.new"))
    client = run("--data", str(data)).client()
    assert len(client.list_secrets(MaxResults=100)["SecretList"]) == acknowledged
    client.create_secret(Name="room-again", SecretString="x")
