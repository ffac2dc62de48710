"""As a replacement for LocalStack and for the Lambda extension, and with secrets from a file."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config
from conftest import binary

ADVICE = "AWS_ENDPOINT_URL_SECRETS_MANAGER"


def other(endpoint, service: str, **settings):
    """Return a client for another service that is directed here, as with AWS_ENDPOINT_URL."""
    config = Config(retries={"total_max_attempts": 1}, **settings)
    given = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=endpoint.url, config=config, **given)


def fetch(url: str, **headers: str):
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_test_harnesses_find_what_they_ask_localstack(endpoint):
    status, text = fetch(f"{endpoint.url}/_localstack/health")
    assert status == 200 and json.loads(text)["services"]["secretsmanager"] == "running"
    assert json.loads(fetch(f"{endpoint.url}/_localstack/init")[1])["completed"]["READY"] is True
    for stage in ("boot", "start", "ready", "READY", "shutdown"):
        is_over = json.loads(fetch(f"{endpoint.url}/_localstack/init/{stage}")[1])["completed"]
        assert is_over is (stage != "shutdown"), stage
    info = json.loads(fetch(f"{endpoint.url}/_localstack/info")[1])
    assert info["edition"] == "secretcache-local" and info["version"] and "T" in info["server_time_utc"]
    assert fetch(f"{endpoint.url}/_localstack/init/other")[0] == 404


def test_on_localstacks_port_it_has_its_account_and_says_ready(run):
    # An unusual loopback address, so that the port is not in use.
    endpoint = run("--host", "127.0.0.66", "--port", "4566")
    assert other(endpoint, "sts").get_caller_identity()["Account"] == "000000000000"
    assert endpoint.output[-1] == "Ready."


def test_get_caller_identity(endpoint):
    identity = other(endpoint, "sts").get_caller_identity()
    assert identity["Account"] == "123456789012" and identity["Arn"] == "arn:aws:iam::123456789012:user/local"


def test_an_assumed_role_is_of_its_account(run):
    endpoint = run("--verbose")
    sts = other(endpoint, "sts")
    role = {"RoleArn": "arn:aws:iam::210987654321:role/team/reads", "RoleSessionName": "session"}
    credentials = sts.assume_role(**role)["Credentials"]
    assert credentials["Expiration"].timestamp() > time.time() + 3000
    session = boto3.Session(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], "us-east-1"
    )
    client = session.client("secretsmanager", endpoint_url=endpoint.url)
    assert ":210987654321:" in client.create_secret(Name="theirs", SecretString="x")["ARN"]
    with pytest.raises(botocore.exceptions.ClientError, match="is invalid"):
        sts.assume_role(RoleArn="arn:aws:iam::12:role/reads", RoleSessionName="session")
    # The log has the error that the client got.
    endpoint.stop()
    assert "ValidationError" in endpoint.output[-1]


@pytest.mark.parametrize(
    ("service", "call", "parameters"),
    [
        ("dynamodb", "list_tables", {}),  # JSON 1.0
        ("kms", "list_keys", {}),  # JSON 1.1
        ("sqs", "list_queues", {}),
        ("iam", "list_users", {}),  # Query
        ("sns", "list_topics", {}),
        ("sts", "get_session_token", {}),
        ("ec2", "describe_instances", {}),
        ("s3", "list_buckets", {}),  # REST and XML
        ("s3", "get_object", {"Bucket": "a", "Key": "b"}),
        ("lambda", "list_functions", {}),  # REST and JSON
    ],
)
def test_calls_for_other_services_say_which_variable_to_set(endpoint, service, call, parameters):
    client = other(endpoint, service, **({"s3": {"addressing_style": "path"}} if service == "s3" else {}))
    with pytest.raises(botocore.exceptions.ClientError, match=ADVICE) as caught:
        getattr(client, call)(**parameters)
    assert caught.value.response["Error"]["Code"]


def test_parameters_that_refer_to_secrets(endpoint, client, name):
    made = client.create_secret(Name=name, SecretString="one")
    ssm = other(endpoint, "ssm")
    wanted = f"/aws/reference/secretsmanager/{name}"
    parameter = ssm.get_parameter(Name=wanted, WithDecryption=True)["Parameter"]
    assert (parameter["Value"], parameter["Type"], parameter["ARN"]) == ("one", "SecureString", made["ARN"])
    assert json.loads(parameter["SourceResult"])["VersionId"] == made["VersionId"]
    answer = ssm.get_parameters(Names=[wanted, "/other"], WithDecryption=True)
    assert [found["Value"] for found in answer["Parameters"]] == ["one"] and answer["InvalidParameters"] == [
        "/other"
    ]
    with pytest.raises(ssm.exceptions.ClientError, match="WithDecryption flag must be True"):
        ssm.get_parameter(Name=wanted)
    for missing in ("/aws/reference/secretsmanager/nope", "/other"):
        with pytest.raises(ssm.exceptions.ParameterNotFound):
            ssm.get_parameter(Name=missing, WithDecryption=True)
    with pytest.raises(ssm.exceptions.ClientError, match=ADVICE):
        ssm.put_parameter(Name="/other", Value="x", Type="String")


def test_the_extension(run):
    endpoint = run("--extension", "0", "--extension-token", "token")
    client = endpoint.client()
    made = client.create_secret(Name="prod/db", SecretString="one")
    client.put_secret_value(SecretId="prod/db", SecretString="two")
    line = next(line for line in endpoint.output if "extension" in line)
    url, right = line.rsplit(" ", 1)[1], {"X-Aws-Parameters-Secrets-Token": "token"}

    status, text = fetch(f"{url}/secretsmanager/get?secretId=prod%2Fdb", **right)
    body = json.loads(text)
    assert status == 200 and body["SecretString"] == "two" and body["ARN"] == made["ARN"]
    assert body["CreatedDate"].endswith("Z") and body["SecretBinary"] is None
    status, text = fetch(f"{url}/secretsmanager/get?secretId=prod/db&versionStage=AWSPREVIOUS", **right)
    assert json.loads(text)["SecretString"] == "one"
    status, text = fetch(f"{url}/secretsmanager/get?secretId=prod/db&versionId={made['VersionId']}", **right)
    assert json.loads(text)["SecretString"] == "one"
    reference = f"{url}/systemsmanager/parameters/get?name=%2Faws%2Freference%2Fsecretsmanager%2Fprod%2Fdb"
    assert json.loads(fetch(f"{reference}&withDecryption=true", **right)[1])["Parameter"]["Value"] == "two"

    assert fetch(f"{url}/secretsmanager/get?secretId=prod/db") == (403, "Bad Token")
    wrong = {"X-Aws-Parameters-Secrets-Token": "wrong"}
    assert fetch(f"{url}/secretsmanager/get?secretId=prod/db", **wrong) == (403, "Bad Token")
    assert fetch(f"{url}/secretsmanager/get", **right) == (400, "missing parameter secretId")
    assert fetch(f"{url}/secretsmanager/get?secretId=a&secret=b", **right) == (
        400,
        "unknown parameter: secret",
    )
    status, text = fetch(f"{url}/secretsmanager/get?secretId=nope", **right)
    assert status == 400 and json.loads(text)["__type"] == "ResourceNotFoundException"
    assert fetch(f"{url}/secretsmanager/get?secretId=prod/db", **right, Host="attacker.example")[0] == 403


def test_faults_and_counts_reach_every_way_to_read_a_secret(run):
    endpoint = run("--control", "--extension", "0")
    client, ssm = endpoint.client(), other(endpoint, "ssm")
    client.create_secret(Name="db", SecretString="one")
    client.create_secret(Name="other", SecretString="two")
    url = next(line for line in endpoint.output if "extension" in line).rsplit(" ", 1)[1]
    token = {"X-Aws-Parameters-Secrets-Token": "any"}
    reference = "/aws/reference/secretsmanager/db"

    endpoint.control("POST", "faults", secret_id="db", effect="throttle")
    status, text = fetch(f"{url}/secretsmanager/get?secretId=db", **token)
    assert status == 400 and json.loads(text)["__type"] == "ThrottlingException"
    assert fetch(f"{url}/secretsmanager/get?secretId=other", **token)[0] == 200
    with pytest.raises(ssm.exceptions.ClientError, match="ThrottlingException"):
        ssm.get_parameter(Name=reference, WithDecryption=True)
    with pytest.raises(ssm.exceptions.ClientError, match="ThrottlingException"):
        ssm.get_parameters(Names=[reference], WithDecryption=True)
    with pytest.raises(client.exceptions.ClientError, match="ThrottlingException"):
        client.batch_get_secret_value(SecretIdList=["other", "db"])
    assert client.batch_get_secret_value(SecretIdList=["other"])["SecretValues"]
    assert endpoint.control("GET", "calls")["GetSecretValue"] == {"ThrottlingException": 3, "ok": 1}

    endpoint.control("DELETE", "faults")
    for effect in ("malformed", {"error": {"type": "InternalServiceError", "message": "x", "status": 500}}):
        endpoint.control("POST", "faults", operations=["GetSecretValue"], times=2, effect=effect)
        status, text = fetch(f"{url}/secretsmanager/get?secretId=db", **token)
        assert (status, text) == (200, '{"ARN": "arn:aws:secretsma') or status == 500
        with pytest.raises(ssm.exceptions.ClientError, match="referencing Secrets Manager"):
            ssm.get_parameter(Name=reference, WithDecryption=True)
    endpoint.control("POST", "faults", operations=["GetSecretValue"], times=1, effect="reset")
    with pytest.raises(OSError):
        fetch(f"{url}/secretsmanager/get?secretId=db", **token)
    assert ssm.get_parameter(Name=reference, WithDecryption=True)["Parameter"]["Value"] == "one"


SEED = """
[[secrets]]
name = "prod/db"
arn_suffix = "AbCdEf"
json = { username = "app", password = "seeded" }
tags = { team = "checkout" }

[[secrets]]
name = "key"
region = "eu-west-1"
versions = [
  { string = "old", stages = ["AWSPREVIOUS"] },
  { string = "new", stages = ["AWSCURRENT"], id = "11111111-1111-4111-8111-111111111111" },
]
"""


@pytest.fixture
def seed(tmp_path):
    """Return the path of a seed file."""
    (tmp_path / "seed.toml").write_text(SEED)
    return str(tmp_path / "seed.toml")


def test_seed_reset_and_export(run, seed, tmp_path):
    endpoint = run("--control", "--seed", seed)
    client = endpoint.client()
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf"
    assert json.loads(client.get_secret_value(SecretId=arn)["SecretString"])["password"] == "seeded"
    there = endpoint.client(region="eu-west-1")
    assert there.get_secret_value(SecretId="key", VersionStage="AWSPREVIOUS")["SecretString"] == "old"
    client.put_secret_value(SecretId="prod/db", SecretString="canary-2")
    client.create_secret(Name="more", SecretString="x")

    listed = endpoint.control("GET", "secrets")
    assert sorted(secret["name"] for secret in listed["secrets"]) == ["key", "more", "prod/db"]
    assert "seeded" not in json.dumps(listed) and "canary-2" not in json.dumps(listed)
    (tmp_path / "export.json").write_text(json.dumps(endpoint.control("GET", "export")))
    copy = run("--seed", str(tmp_path / "export.json")).client()
    assert copy.get_secret_value(SecretId=arn)["SecretString"] == "canary-2"
    assert copy.get_secret_value(SecretId="more")["SecretString"] == "x"

    endpoint.control("POST", "faults", effect="throttle")
    endpoint.control("POST", "clock", advance_seconds=1000)
    assert endpoint.control("POST", "reset") == {}
    assert json.loads(client.get_secret_value(SecretId=arn)["SecretString"])["password"] == "seeded"
    assert [secret["Name"] for secret in client.list_secrets()["SecretList"]] == ["prod/db"]


def test_a_data_file_keeps_what_it_has_of_the_seed(run, seed, tmp_path):
    arguments = ["--control", "--seed", seed, "--data", str(tmp_path / "data")]
    endpoint = run(*arguments)
    endpoint.client().put_secret_value(SecretId="prod/db", SecretString="kept")
    endpoint.stop()
    endpoint = run(*arguments)
    assert endpoint.client().get_secret_value(SecretId="prod/db")["SecretString"] == "kept"
    assert endpoint.control("POST", "reset") == {}
    endpoint.kill()
    endpoint = run(*arguments)
    assert "seeded" in endpoint.client().get_secret_value(SecretId="prod/db")["SecretString"]
    endpoint.stop()
    unseeded = run("--data", str(tmp_path / "data")).client(region="eu-west-1")
    assert unseeded.get_secret_value(SecretId="key")["SecretString"] == "new", "seeded secrets are kept"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "seed.json",
            '{"secrets": [{"name": "a", "string": ["canary"]}]}',
            "secrets[0].string: expected a string",
        ),
        (
            "seed.toml",
            '[[secrets]]\nname = "a"\nbinary = "canary!"',
            "line 3, column 10: secrets[0].binary: not valid",
        ),
        (
            "seed.json",
            '{"secrets": [{"name": "a", "string": "canary',
            "line 1, column 44: secrets[0].string: EOF",
        ),
        (
            "seed.json",
            '{"secrets": [{"name": "a", "string": "canary", "tags": {"aws:x": ""}}]}',
            'the secret "a": tags: Tag keys can',
        ),
    ],
)
def test_mistakes_in_a_seed_are_reported_without_values(tmp_path, name, text, message):
    (file := tmp_path / name).write_text(text)
    command = [binary(), "local", "--port", "0", "--seed", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and name in done.stderr and message in done.stderr, done.stderr
    assert "canary" not in done.stderr


def test_a_frozen_clock_and_the_next_rotation(run):
    endpoint = run("--control")
    client = endpoint.client()
    frozen = endpoint.control("POST", "clock", freeze=True, at=1_900_000_000)
    assert frozen["frozen"] and frozen["now"] == 1_900_000_000
    assert endpoint.control("GET", "clock")["now"] == 1_900_000_000
    client.create_secret(
        Name="db", SecretString='{"username":"a","password":"b","host":"127.0.0.1","port":1}'
    )
    assert endpoint.control("POST", "next_rotation", secret_id="db")[0] == 400
    client.rotate_secret(
        SecretId="db",
        RotationLambdaARN="SecretsManagerRDSPostgreSQLRotationSingleUser",
        RotationRules={"AutomaticallyAfterDays": 30},
    )
    endpoint.wait_for_event("RotationFailed")
    event = endpoint.control("POST", "next_rotation", secret_id="db")
    assert event["event"] == "RotationFailed" and event["time"] == 1_900_000_002
    assert endpoint.control("POST", "clock", freeze=False)["frozen"] is False
