"""The real `aws` command line, and `secretcache local` as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from conftest import REGION, binary


def find_aws() -> str:
    """Return the path of the `aws` installed with this Python."""
    aws = Path(sys.executable).parent / "aws"
    assert aws.exists(), "awscli is not installed with this Python: pip install -r tests/requirements.txt"
    return str(aws)


@pytest.fixture
def aws(endpoint, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": REGION,
    }

    def aws(*arguments, fails=False):
        done = subprocess.run(
            [find_aws(), "secretsmanager", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert bool(done.returncode) == fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout or "null")

    return aws


def test_the_aws_command_line(aws, name):
    value = json.dumps({"username": "app", "password": "first"})
    made = aws("create-secret", "--name", name, "--description", "d", "--secret-string", value)
    assert (
        json.loads(aws("get-secret-value", "--secret-id", made["ARN"])["SecretString"])["password"] == "first"
    )
    aws("update-secret", "--secret-id", name, "--secret-string", "second")
    assert aws("get-secret-value", "--secret-id", name, "--query", "SecretString") == "second"
    assert len(aws("describe-secret", "--secret-id", name)["VersionIdsToStages"]) == 2
    assert len(aws("list-secret-version-ids", "--secret-id", name)["Versions"]) == 2
    aws("tag-resource", "--secret-id", name, "--tags", "Key=a,Value=b")
    assert [s["Name"] for s in aws("list-secrets", "--filters", "Key=tag-key,Values=a")["SecretList"]] == [
        name
    ]
    assert len(aws("get-random-password", "--password-length", "20")["RandomPassword"]) == 20
    aws("delete-secret", "--secret-id", name, "--recovery-window-in-days", "7")
    assert "marked for deletion" in aws("get-secret-value", "--secret-id", name, fails=True)
    aws("restore-secret", "--secret-id", name)
    aws("delete-secret", "--secret-id", name, "--force-delete-without-recovery")
    assert "ResourceNotFoundException" in aws("describe-secret", "--secret-id", name, fails=True)


def test_binary_from_a_file(aws, name, tmp_path):
    (tmp_path / "blob").write_bytes(b"\0\1\2\xff")
    aws("create-secret", "--name", name, "--secret-binary", f"fileb://{tmp_path / 'blob'}")
    assert aws("get-secret-value", "--secret-id", name, "--query", "SecretBinary") == "AAEC/w=="


def test_the_start_lines(run):
    endpoint = run()
    deadline = time.monotonic() + 5
    while len(endpoint.output) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    text = "\n".join(endpoint.output)
    assert f"AWS_ENDPOINT_URL_SECRETS_MANAGER={endpoint.url}" in text
    assert "development" in text
    endpoint.client().list_secrets()
    time.sleep(0.1)
    assert "\n".join(endpoint.output) == text, "quiet unless --verbose"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly_even_with_a_connection_open(run, number):
    endpoint = run()
    endpoint.client().list_secrets()
    address = endpoint.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))):
        endpoint.process.send_signal(number)
        assert endpoint.process.wait(5) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in the file system")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_while_it_waits_for_a_seed_from_a_pipe(tmp_path, number):
    os.mkfifo(tmp_path / "seed.toml")
    # As from a terminal: a script starts background processes with SIGINT ignored.
    usual = partial(signal.signal, number, signal.SIG_DFL)
    command = [binary(), "local", "--port", "0", "--seed", str(tmp_path / "seed.toml")]
    waiting = subprocess.Popen(command, preexec_fn=usual)
    # Opening this end blocks until the command has opened the other one.
    with open(tmp_path / "seed.toml", "w"):
        waiting.send_signal(number)
        assert waiting.wait(10) == -number


def test_verbose_names_operations_and_never_values(run, name):
    endpoint = run("--verbose")
    client = endpoint.client()
    client.create_secret(Name=name, SecretString="canary-text", Tags=[{"Key": "k", "Value": "canary-tag"}])
    client.put_secret_value(SecretId=name, SecretBinary=b"canary-binary")
    client.get_secret_value(SecretId=name)
    password = client.get_random_password()["RandomPassword"]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_secret_value(SecretId="nope")
    endpoint.stop()
    text = "\n".join(endpoint.output)
    assert [line.split()[3] for line in endpoint.output[-5:]] == [
        "CreateSecret",
        "PutSecretValue",
        "GetSecretValue",
        "GetRandomPassword",
        "GetSecretValue",
    ]
    when, *rest = endpoint.output[-1].split()
    assert when.endswith("Z")
    assert rest == ["123456789012", "us-east-1", "GetSecretValue", "nope", "ResourceNotFoundException"]
    assert "canary" not in text and "Y2FuYXJ5" not in text and password not in text


def test_verbose_says_why_something_was_not_found(run):
    endpoint = run("--log-format", "json")
    client = endpoint.client()
    arn = client.create_secret(Name="db", SecretString="canary")["ARN"]

    def missed(client, **wanted):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_secret_value(**wanted)
        deadline = time.monotonic() + 5
        while "ResourceNotFound" not in endpoint.output[-1] and time.monotonic() < deadline:
            time.sleep(0.01)
        return json.loads(endpoint.output.pop())

    line = missed(endpoint.client(region="eu-west-1"), SecretId="db")
    assert (line["account"], line["region"], line["secret_id"]) == ("123456789012", "eu-west-1", "db")
    assert line["why"] == "there is one in the Region us-east-1, not in eu-west-1"
    assert "account 123456789012" in missed(endpoint.client(key="000011112222"), SecretId="db")["why"]
    assert arn in missed(client, SecretId=arn[:-6] + "xxxxxx")["why"]
    line = missed(client, SecretId="db", VersionStage="AWSPENDING")
    assert line["why"] == "the secret has AWSCURRENT" and line["version_stage"] == "AWSPENDING"
    assert "why" not in missed(client, SecretId="nope")
    assert "canary" not in "".join(endpoint.output)


def test_requests_that_are_no_operation_are_logged_too(run):
    endpoint = run("--verbose")
    for path, headers in (("/_control/faults", {}), ("/", {"Host": "elsewhere.example"})):
        request = urllib.request.Request(endpoint.url + path, headers=headers)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10)
    sts = boto3.client(
        "sts", endpoint_url=endpoint.url, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
    )
    sts.get_caller_identity()
    endpoint.stop()
    said = [line.split(" us-east-1 ", 1)[1] for line in endpoint.output if " us-east-1 " in line]
    assert said[0] == "GET /_control/faults not found: start it with --control for these paths"
    assert said[1].startswith("GET / forbidden: ") and "--accept-host" in said[1]
    assert said[2:] == ["POST / ok"]


def test_a_log_that_nobody_reads_stops_nothing():
    process = subprocess.Popen(
        [binary(), "local", "--port", "0", "--verbose"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().split()[-1]
        client = boto3.client(
            "secretsmanager",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(read_timeout=20, retries={"total_max_attempts": 1}),
        )
        # More than fits into a pipe, which holds 64 KiB on Linux.
        for _ in range(150):
            with pytest.raises(client.exceptions.ResourceNotFoundException):
                client.get_secret_value(SecretId="x" * 500)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()


def test_a_port_in_use_is_said_plainly(endpoint):
    port = endpoint.url.rsplit(":", 1)[1]
    done = subprocess.run([binary(), "local", "--port", port], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "choose another port" in done.stderr
    assert done.stdout == ""


def test_a_host_to_accept_is_a_name_and_no_url():
    command = [binary(), "local", "--port", "0", "--accept-host", "http://x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode != 0
    assert 'cannot accept requests for the host "http://x"' in done.stderr


def test_it_listens_on_loopback_only(endpoint):
    assert endpoint.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("arguments", [["local", "--port", "x"], ["local", "--port", "70000"], ["nope"], []])
def test_wrong_usage(arguments):
    done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2
    assert "Usage:" in done.stderr or "--help" in done.stderr


def test_help_has_examples_and_exit_statuses():
    text = subprocess.run(
        [binary(), "local", "--help"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    assert "Examples:" in text and "Exit status:" in text and "--port" in text
