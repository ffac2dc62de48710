"""Compare this endpoint with moto: the same calls must have the same result.

KNOWN lists the intended differences and the reasons. Any other difference is a failure, and so is a known one that no
longer exists.
"""

from __future__ import annotations

import re
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto_endpoint import moto_endpoint

A, B, C = (f"{n}{n}{n}{n}{n}{n}{n}{n}-0000-4000-8000-000000000000" for n in "abc")


def create(**more):
    return "create_secret", {"Name": "s", "SecretString": "one", "ClientRequestToken": A, **more}


def put(token, value, **more):
    return "put_secret_value", {"SecretId": "s", "SecretString": value, "ClientRequestToken": token, **more}


def stage(**more):
    return "update_secret_version_stage", {"SecretId": "s", "VersionStage": "AWSCURRENT", **more}


def put_policy():
    policy = '{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}'
    return "put_resource_policy", {"SecretId": "s", "ResourcePolicy": policy}


GET = ("get_secret_value", {"SecretId": "s"})
DESCRIBE = ("describe_secret", {"SecretId": "s"})
DELETE = ("delete_secret", {"SecretId": "s"})

# Sequences of calls. The result of the last one is compared.
CASES = {
    "create": [create()],
    "create without a value": [("create_secret", {"Name": "s", "ClientRequestToken": A})],
    "create with everything": [create(Description="d", KmsKeyId="k", Tags=[{"Key": "a", "Value": "b"}])],
    "create again": [create(), create(ClientRequestToken=B)],
    "create again, same token and value": [create(), create()],
    "create again, same token, other value": [create(), create(SecretString="two")],
    "create over a deleted one": [create(), DELETE, create(ClientRequestToken=B)],
    "create, short token": [
        create(ClientRequestToken="x" * 32),
        create(Name="t", ClientRequestToken="x" * 65),
    ],
    "get": [create(), GET],
    "get by version": [create(), put(B, "two"), ("get_secret_value", {"SecretId": "s", "VersionId": A})],
    "get previous": [
        create(),
        put(B, "two"),
        ("get_secret_value", {"SecretId": "s", "VersionStage": "AWSPREVIOUS"}),
    ],
    "get nothing": [GET],
    "get without a value": [("create_secret", {"Name": "s", "ClientRequestToken": A}), GET],
    "get unknown version": [create(), ("get_secret_value", {"SecretId": "s", "VersionId": C})],
    "get unknown stage": [create(), ("get_secret_value", {"SecretId": "s", "VersionStage": "nope"})],
    "get version and other stage": [
        create(),
        put(B, "two"),
        ("get_secret_value", {"SecretId": "s", "VersionId": A, "VersionStage": "AWSCURRENT"}),
    ],
    "get deleted": [create(), DELETE, GET],
    "get after a pending put": [create(), put(B, "two", VersionStages=["AWSPENDING"]), GET],
    "get after a flip": [
        create(),
        put(B, "two", VersionStages=["AWSPENDING"]),
        stage(MoveToVersionId=B, RemoveFromVersionId=A),
        GET,
    ],
    "put": [create(), put(B, "two")],
    "put pending": [create(), put(B, "two", VersionStages=["AWSPENDING"])],
    "put to nothing": [put(B, "two")],
    "put without a value": [create(), ("put_secret_value", {"SecretId": "s", "ClientRequestToken": B})],
    "put, same token, other value": [create(), put(B, "two"), put(B, "three")],
    "put to a deleted one": [create(), DELETE, put(B, "two")],
    "update": [
        create(),
        ("update_secret", {"SecretId": "s", "SecretString": "two", "ClientRequestToken": B}),
    ],
    "update text only": [
        create(),
        ("update_secret", {"SecretId": "s", "Description": "d", "ClientRequestToken": B}),
    ],
    "update nothing": [("update_secret", {"SecretId": "s", "SecretString": "x", "ClientRequestToken": B})],
    "describe": [create(Description="d", Tags=[{"Key": "a", "Value": "b"}]), DESCRIBE],
    "describe after a put": [create(), put(B, "two"), DESCRIBE],
    "describe after a flip": [
        create(),
        put(B, "two", VersionStages=["AWSPENDING"]),
        stage(MoveToVersionId=B, RemoveFromVersionId=A),
        DESCRIBE,
    ],
    "describe deleted": [create(), DELETE, DESCRIBE],
    "describe nothing": [DESCRIBE],
    "flip without RemoveFromVersionId": [
        create(),
        put(B, "two", VersionStages=["p"]),
        stage(MoveToVersionId=B),
    ],
    "flip from the wrong version": [
        create(),
        put(B, "two", VersionStages=["p"]),
        stage(MoveToVersionId=B, RemoveFromVersionId=B),
    ],
    "flip to an unknown version": [create(), stage(MoveToVersionId=C, RemoveFromVersionId=A)],
    "take AWSCURRENT away": [create(), stage(RemoveFromVersionId=A)],
    "versions": [create(), put(B, "two"), ("list_secret_version_ids", {"SecretId": "s"})],
    "versions of nothing": [("list_secret_version_ids", {"SecretId": "s"})],
    "list": [create(Description="d"), ("list_secrets", {})],
    "list by name": [
        create(),
        create(Name="t"),
        ("list_secrets", {"Filters": [{"Key": "name", "Values": ["t"]}]}),
    ],
    "list by description": [
        create(Description="Big Red Dog"),
        ("list_secrets", {"Filters": [{"Key": "description", "Values": ["red"]}]}),
    ],
    "list all but": [
        create(),
        create(Name="t"),
        ("list_secrets", {"Filters": [{"Key": "name", "Values": ["!t"]}]}),
    ],
    "list by an unknown key": [("list_secrets", {"Filters": [{"Key": "nope", "Values": ["t"]}]})],
    "batch": [create(), ("batch_get_secret_value", {"SecretIdList": ["s"]})],
    "batch by nothing": [("batch_get_secret_value", {})],
    "delete": [create(), DELETE],
    "delete now": [create(), ("delete_secret", {"SecretId": "s", "ForceDeleteWithoutRecovery": True})],
    "delete nothing now": [("delete_secret", {"SecretId": "s", "ForceDeleteWithoutRecovery": True})],
    "delete nothing": [DELETE],
    "delete, short window": [create(), ("delete_secret", {"SecretId": "s", "RecoveryWindowInDays": 3})],
    "delete twice": [create(), DELETE, DELETE],
    "restore": [create(), DELETE, ("restore_secret", {"SecretId": "s"})],
    "restore what is there": [create(), ("restore_secret", {"SecretId": "s"})],
    "restore nothing": [("restore_secret", {"SecretId": "s"})],
    "rotate nothing": [("rotate_secret", {"SecretId": "s", "ClientRequestToken": B})],
    "rotate a deleted one": [create(), DELETE, ("rotate_secret", {"SecretId": "s", "ClientRequestToken": B})],
    "rotate, short token": [create(), ("rotate_secret", {"SecretId": "s", "ClientRequestToken": "x"})],
    "cancel nothing": [("cancel_rotate_secret", {"SecretId": "s"})],
    "cancel a deleted one": [create(), DELETE, ("cancel_rotate_secret", {"SecretId": "s"})],
    "cancel what never rotated": [create(), ("cancel_rotate_secret", {"SecretId": "s"})],
    "tag": [create(), ("tag_resource", {"SecretId": "s", "Tags": [{"Key": "a", "Value": "b"}]}), DESCRIBE],
    "untag": [
        create(Tags=[{"Key": "a", "Value": "b"}]),
        ("untag_resource", {"SecretId": "s", "TagKeys": ["a"]}),
        DESCRIBE,
    ],
    "tag nothing": [("tag_resource", {"SecretId": "s", "Tags": [{"Key": "a", "Value": "b"}]})],
    "policy": [create(), put_policy(), ("get_resource_policy", {"SecretId": "s"})],
    "put a policy": [create(), put_policy()],
    "delete a policy": [create(), put_policy(), ("delete_resource_policy", {"SecretId": "s"})],
    "no policy": [create(), ("get_resource_policy", {"SecretId": "s"})],
    "policy of nothing": [("get_resource_policy", {"SecretId": "s"})],
    "password too short": [("get_random_password", {"PasswordLength": 3})],
}

STATUS = "the service returns 400 for every client error of this protocol; moto has 404 for what is not found"
WRAPPED = "moto puts boto3's own prefix (and source code indentation) into the message"
POLICY_NAME = "the service model has PolicyName in these responses; moto does not"
DELETED = "moto has its own wording for deleted secrets"

# The intended differences: the case, what differs, and why.
KNOWN: dict[str, tuple[set[str], str]] = {
    "create over a deleted one": (
        {"code", "message"},
        "recorded from AWS: InvalidRequestException, with the name",
    ),
    "get nothing": ({"status"}, STATUS),
    "get without a value": ({"status"}, STATUS),
    "get unknown version": ({"status"}, STATUS),
    "get unknown stage": ({"status", "message"}, "the service names the staging label it looked for"),
    "get version and other stage": ({"status"}, STATUS),
    "get deleted": ({"message"}, DELETED),
    "get after a flip": (
        {"answer.VersionId", "answer.SecretString", "answer.VersionStages"},
        "moto returns the version that was current before UpdateSecretVersionStage",
    ),
    "put to nothing": ({"status"}, STATUS),
    "put to a deleted one": (
        {
            "code",
            "message",
            "status",
            "answer.ARN",
            "answer.Name",
            "answer.VersionId",
            "answer.VersionStages",
        },
        "moto accepts the value and restores the secret",
    ),
    "update nothing": ({"status"}, STATUS),
    "describe nothing": ({"status"}, STATUS),
    "flip from the wrong version": ({"message"}, "ours names the version that has the label"),
    "flip to an unknown version": (
        {"code", "message"},
        "ours returns the same error for a missing version as GetSecretValue",
    ),
    "take AWSCURRENT away": (
        {"code", "message", "status", "answer.ARN", "answer.Name"},
        "the service refuses a secret without a current version; moto allows it",
    ),
    "versions": (
        {"answer.Versions", "answer.NextToken", "answer.ARN"},
        "moto has the name as ARN, an empty NextToken, accesses that never happened, and no KmsKeyIds",
    ),
    "versions of nothing": ({"code", "message", "status"}, "moto crashes"),
    "list by an unknown key": ({"message"}, "the model has two keys that moto does not know"),
    "batch by nothing": (
        {"code", "message", "status", "answer.SecretValues", "answer.Errors"},
        "the API reference: you must include Filters or SecretIdList, but not both",
    ),
    "delete nothing": ({"status"}, STATUS),
    "delete, short window": ({"message"}, WRAPPED),
    "delete twice": ({"message"}, DELETED),
    "restore nothing": ({"status"}, STATUS),
    "rotate nothing": ({"status"}, STATUS),
    "rotate a deleted one": ({"message"}, WRAPPED),
    "cancel nothing": ({"status"}, STATUS),
    "cancel a deleted one": ({"message"}, DELETED),
    "cancel what never rotated": (
        {"message"},
        "ours is the service's message for RotateSecret, as recorded",
    ),
    "policy": ({"answer.PolicyName"}, POLICY_NAME),
    "put a policy": ({"answer.PolicyName"}, POLICY_NAME),
    "delete a policy": ({"answer.PolicyName"}, POLICY_NAME),
    "no policy": ({"answer.PolicyName"}, POLICY_NAME),
    "policy of nothing": ({"status"}, STATUS),
    "tag nothing": ({"status"}, STATUS),
    "password too short": ({"message"}, WRAPPED),
}


@pytest.fixture(scope="module")
def moto():
    """Start a moto server on a free port."""
    with moto_endpoint() as url:
        yield url


def moto_client(url):
    """Return a boto3 client for moto."""
    return boto3.client(
        "secretsmanager",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def outcome(client, calls) -> dict[str, object]:
    """Return the result of the last call: error code and message, or members without random parts."""
    for method, parameters in calls[:-1]:
        try:
            getattr(client, method)(**parameters)
        except ClientError:
            pass
    method, parameters = calls[-1]
    try:
        answer = getattr(client, method)(**parameters)
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        details = error.response["Error"]
        message = re.sub(r"(arn:\S+)-\w{6}", r"\1", details["Message"])
        return {"code": details["Code"], "message": message, "status": metadata["HTTPStatusCode"]}
    answer.pop("ResponseMetadata")
    return {f"answer.{member}": plain(value) for member, value in answer.items()}


def plain(value):
    """Replace dates by their type, remove the suffix of ARNs, and sort lists of labels."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((plain(inner) for inner in value), key=str)
    if isinstance(value, str) and value.startswith("arn:"):
        return value[:-7]
    return value if isinstance(value, (str, bool)) else type(value).__name__


TEXTS = [
    "test",
    "MyTest",
    "ThisTestSecret",
    "Nexttestsecret",
    "HTTPServerName",
    "my/test",
    "my/Test/secret",
    "my-test_secret",
    "a.b.c",
    "with space and Capitals",
    "UPPER",
    "v2beta",
    "x=1",
    "one@two",
]
VALUES = [
    *TEXTS,
    "tes",
    "TEST",
    "my",
    "secret",
    "b",
    "/",
    "server name",
    "Space Capitals",
    "est",
    "2",
    "two",
    "!test",
]


def test_words_are_found_as_moto_finds_them(run, moto):
    """moto's behavior here has been compared with the service."""
    urllib.request.urlopen(
        urllib.request.Request(f"{moto}/moto-api/reset", method="POST"), timeout=10
    ).close()
    clients = (run().client(), moto_client(moto))
    for client in clients:
        for i, text in enumerate(TEXTS):
            client.create_secret(Name=f"n{i}", Description=text)
    for key in ("description", "all", "name"):
        for value in VALUES:
            if (key, value) == ("all", "!test"):
                continue  # moto lets a secret pass if any one of its attributes does not match
            filters = [{"Key": key, "Values": [value]}]
            answers = [client.list_secrets(Filters=filters)["SecretList"] for client in clients]
            # The order of two secrets created within a millisecond does not matter.
            ours, theirs = (sorted(secret["Name"] for secret in answer) for answer in answers)
            assert ours == theirs, (key, value)


@pytest.mark.parametrize("title", CASES)
def test_same_as_moto(run, moto, title):
    urllib.request.urlopen(
        urllib.request.Request(f"{moto}/moto-api/reset", method="POST"), timeout=10
    ).close()
    other = moto_client(moto)
    ours = outcome(run().client(parameter_validation=False), CASES[title])
    theirs = outcome(other, CASES[title])
    differs = {what for what in ours.keys() | theirs.keys() if ours.get(what) != theirs.get(what)}
    known, reason = KNOWN.get(title, (set(), ""))
    assert differs == known, f"ours {ours}\nmoto {theirs}\nexpected to differ: {known} {reason}"
