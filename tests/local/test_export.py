"""`secretcache local export`: a seed file with the secrets of an endpoint."""

from __future__ import annotations

import json
import stat
import subprocess
import time

import pytest
from conftest import binary

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:SecretsManagerRDSMySQLRotationSingleUser"


def export(*arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        [binary(), "local", "export", *arguments], capture_output=True, text=True, timeout=30
    )
    assert bool(done.returncode) == fails, done.stderr
    return done.stderr if fails else done.stdout


def fill(client) -> None:
    """Create secrets with everything that a seed can contain."""
    client.create_secret(
        Name="prod/db",
        SecretString='{"password":"canary"}',
        Description="the database",
        KmsKeyId="alias/mine",
        Tags=[{"Key": "team", "Value": "checkout"}],
    )
    client.put_secret_value(SecretId="prod/db", SecretBinary=b"\0\1", VersionStages=["blue"])
    policy = {"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}
    client.put_resource_policy(SecretId="prod/db", ResourcePolicy=json.dumps(policy))
    client.create_secret(Name="rotated", SecretString='{"engine": "mysql"}')
    rules = {"ScheduleExpression": "cron(0 4 ? * SUN *)", "Duration": "3h"}
    client.rotate_secret(
        SecretId="rotated", RotationLambdaARN=FUNCTION, RotationRules=rules, RotateImmediately=False
    )
    # The configuration is tested with a copy of the value, which is then removed.
    deadline = time.monotonic() + 30
    while len(client.describe_secret(SecretId="rotated")["VersionIdsToStages"]) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    client.create_secret(Name="cancelled", SecretString='{"engine": "mysql"}')
    client.rotate_secret(
        SecretId="cancelled", RotationLambdaARN=FUNCTION, RotationRules=rules, RotateImmediately=False
    )
    client.cancel_rotate_secret(SecretId="cancelled")


def seen(client) -> dict:
    """Return what a client sees of every secret, except dates, which are not in a seed."""
    found = {}
    for listed in client.list_secrets()["SecretList"]:
        name = listed["Name"]
        described = client.describe_secret(SecretId=name)
        dates = [member for member in described if member.endswith("Date")]
        for member in ["ResponseMetadata", *dates]:
            described.pop(member, None)
        values = {
            version: client.get_secret_value(SecretId=name, VersionId=version)
            for version in described["VersionIdsToStages"]
        }
        shown = {v: (got.get("SecretString"), got.get("SecretBinary")) for v, got in values.items()}
        found[name] = (described, shown, client.get_resource_policy(SecretId=name).get("ResourcePolicy"))
    return found


def test_a_running_endpoint_is_exported_and_started_again_from_that(run, tmp_path):
    endpoint = run("--control")
    fill(endpoint.client())
    seed = tmp_path / "seed.json"
    seed.write_text("was there, for all to read")
    seed.chmod(0o644)
    assert export("--endpoint-url", endpoint.url, "--output", str(seed)) == ""
    assert stat.S_IMODE(seed.stat().st_mode) == 0o600
    assert json.loads(seed.read_text()) == json.loads(export("--endpoint-url", endpoint.url))
    before = seen(endpoint.client())
    again = seen(run("--seed", str(seed)).client())
    # The policy is the same document but not the same text.
    for name in before:
        assert before[name][:2] == again[name][:2]
        assert json.loads(before[name][2] or "0") == json.loads(again[name][2] or "0")
    assert set(before) == set(again) == {"prod/db", "rotated", "cancelled"}
    assert (
        again["cancelled"][0]["RotationEnabled"] is False
        and again["cancelled"][0]["RotationLambdaARN"] == FUNCTION
    )


def test_a_data_file_is_exported_while_it_is_in_use_and_after(run, tmp_path):
    data = tmp_path / "data"
    endpoint = run("--data", str(data))
    fill(endpoint.client())
    before = data.read_bytes()
    while_open = export("--data", str(data))
    endpoint.kill()
    # A line cut short by a crash is ignored.
    with data.open("ab") as file:
        file.write(b'[{"put":{"acc')
    assert export("--data", str(data)) == while_open and '"canary' not in while_open[:10]
    assert [secret["name"] for secret in json.loads(while_open)["secrets"]] == [
        "cancelled",
        "prod/db",
        "rotated",
    ]
    assert data.read_bytes().startswith(before) and data.read_bytes().endswith(b'"acc'), "it is unchanged"
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.parametrize("options", [(), ("--data",)])
def test_what_cannot_be_exported_is_reported_with_what_to_do(run, tmp_path, options):
    if options:
        assert "missing" in export("--data", str(tmp_path / "missing"), fails=True)
        (tmp_path / "other").write_text("canary\n")
        error = export("--data", str(tmp_path / "other"), fails=True)
        assert "line 1 is not a record" in error and "canary" not in error
        return
    endpoint = run()
    assert "started without --control" in export("--endpoint-url", endpoint.url, fails=True)
    assert endpoint.stop() == 0
    assert "is secretcache local running there?" in export("--endpoint-url", endpoint.url, fails=True)
    assert "is secretcache local running there?" in export(
        "--endpoint-url", "https://127.0.0.1:1", fails=True
    )
    # An endpoint without TLS is there, but not by https.
    plain = run("--control")
    error = export("--endpoint-url", plain.url.replace("http:", "https:"), fails=True)
    assert "use http://" in error and "--ca-file" in error
    assert "http://" in export("--endpoint-url", "ftp://127.0.0.1:1", fails=True)
    error = export("--endpoint-url", endpoint.url, "--output", "/nowhere/x", fails=True)
    assert endpoint.url in error
