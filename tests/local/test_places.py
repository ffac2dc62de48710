"""Endpoints and Regions: which ones the commands use, and what they say if they do not find a secret there."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from conftest import REGION, binary

CLOSED = "http://127.0.0.1:9"
ROLE = "arn:aws:iam::111122223333:role/app"
POLICY = ["policy", "app", "--secret", "db", "--account", "111122223333", "--check", ROLE]
CALLERS = [
    ["get", "db"],
    ["status", "db"],
    ["rotate", "db", "--strategy", "single-user"],
    ["recover", "db"],
    ["adopt", "--prefix", "db"],
    ["revoke-previous", "db"],
    ["audit", "db"],
    ["access", "db"],
    POLICY,
    ["local", "export"],
]


def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command with credentials and a Region."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": REGION,
        **more,
    }
    return subprocess.run([binary(), *arguments], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", CALLERS, ids=lambda command: " ".join(command[:2]))
def test_without_a_connection_every_command_says_where_and_that_it_can_be_run_again(command):
    done = call(*command, AWS_ENDPOINT_URL=CLOSED)
    assert done.returncode == 3, done.stderr
    assert CLOSED in done.stderr and "refused" in done.stderr
    assert f"run: secretcache {command[0]} " in done.stderr


def test_a_listed_secret_that_cannot_be_reached_is_reported_with_the_endpoint(tmp_path):
    file = tmp_path / "secrets.toml"
    file.write_text('[[secret]]\nid = "db"\nschedule = "rate(1 days)"\nstrategy = "single-user"\n')
    done = call("rotate", "--config", str(file), "--due", AWS_ENDPOINT_URL=CLOSED)
    assert done.returncode == 5 and CLOSED in done.stderr


@pytest.mark.parametrize("command", ["get", "status", "rotate"])
def test_a_secret_that_does_not_exist_is_missing_in_a_region(endpoint, name, command):
    done = call(command, name, AWS_ENDPOINT_URL=endpoint.url, AWS_REGION="eu-west-1")
    assert done.returncode == 1
    assert name in done.stderr and "eu-west-1" in done.stderr and endpoint.url in done.stderr


def test_a_name_is_said_even_if_another_word_contains_it(endpoint):
    done = call("get", "-f", "password", "a", AWS_ENDPOINT_URL=endpoint.url)
    assert done.returncode == 1 and "secretcache: a: " in done.stderr


def test_a_json_result_of_a_failed_get_has_the_status(endpoint, name):
    done = call("get", name, "--json", AWS_ENDPOINT_URL=CLOSED)
    error = json.loads(done.stdout)["error"]
    assert done.returncode == error["status"] == 3 and error["kind"] == "Unavailable"


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ([], "# and any AWS credentials and Region"),
        (["us-east-1"], " AWS_DEFAULT_REGION=us-east-1   # and any AWS credentials; its secrets are in this"),
        (["us-east-1", "eu-west-1"], "its secrets are in the Regions eu-west-1, us-east-1"),
    ],
)
def test_the_start_lines_say_in_which_region_the_secrets_are(run, tmp_path, regions, said):
    seed = tmp_path / "seed.json"
    secrets = [{"name": f"db{number}", "string": "x", "region": at} for number, at in enumerate(regions)]
    seed.write_text(json.dumps({"secrets": secrets}))
    endpoint = run("--seed", str(seed))
    deadline = time.monotonic() + 5
    while len(endpoint.output) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert said in endpoint.output[1]


def test_an_export_is_of_the_endpoint_in_the_environment(run):
    one, other = run("--control"), run("--control")
    one.client().create_secret(Name="of-one", SecretString="x")
    other.client().create_secret(Name="of-other", SecretString="x")

    def exported(*arguments: str, **environment: str) -> list[str]:
        done = call("local", "export", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return [secret["name"] for secret in json.loads(done.stdout)["secrets"]]

    assert exported(AWS_ENDPOINT_URL=one.url) == ["of-one"]
    both = {"AWS_ENDPOINT_URL": one.url, "AWS_ENDPOINT_URL_SECRETS_MANAGER": other.url}
    assert exported(**both) == ["of-other"]
    assert exported("--endpoint-url", one.url, **both) == ["of-one"]


def test_an_export_of_a_file_needs_no_endpoint(run, tmp_path):
    endpoint = run("--data", str(tmp_path / "data"))
    endpoint.client().create_secret(Name="kept", SecretString="x")
    done = call("local", "export", "--data", str(tmp_path / "data"), AWS_ENDPOINT_URL=CLOSED)
    assert done.returncode == 0 and "kept" in done.stdout
