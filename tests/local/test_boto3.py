"""The real boto3 against the real command."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

NEW = "11111111-1111-4111-8111-111111111111"


def test_versions_and_labels(client, name):
    first = client.create_secret(Name=name, SecretString="one")["VersionId"]
    second = client.put_secret_value(SecretId=name, SecretString="two")["VersionId"]
    assert client.get_secret_value(SecretId=name)["SecretString"] == "two"
    assert client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    assert client.get_secret_value(SecretId=name, VersionId=first)["VersionStages"] == ["AWSPREVIOUS"]
    assert client.describe_secret(SecretId=name)["VersionIdsToStages"] == {
        first: ["AWSPREVIOUS"],
        second: ["AWSCURRENT"],
    }


def test_boto3_retries_are_harmless(client, name):
    """boto3 sends the same token when it retries, so nothing may happen twice."""
    client.create_secret(Name=name, SecretString="one")
    for _ in range(3):
        client.put_secret_value(SecretId=name, SecretString="two", ClientRequestToken=NEW)
    assert client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    with pytest.raises(client.exceptions.ResourceExistsException):
        client.put_secret_value(SecretId=name, SecretString="other", ClientRequestToken=NEW)


def test_a_whole_rotation(client, name):
    first = client.create_secret(Name=name, SecretString="one")["VersionId"]
    client.put_secret_value(
        SecretId=name, SecretString="two", ClientRequestToken=NEW, VersionStages=["AWSPENDING"]
    )
    assert client.get_secret_value(SecretId=name)["SecretString"] == "one"
    finish = {
        "SecretId": name,
        "VersionStage": "AWSCURRENT",
        "MoveToVersionId": NEW,
        "RemoveFromVersionId": first,
    }
    client.update_secret_version_stage(**finish)
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.update_secret_version_stage(**finish)
    client.update_secret_version_stage(SecretId=name, VersionStage="AWSPENDING", RemoveFromVersionId=NEW)
    assert client.describe_secret(SecretId=name)["VersionIdsToStages"] == {
        first: ["AWSPREVIOUS"],
        NEW: ["AWSCURRENT"],
    }


def test_modelled_exceptions(client, name):
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.get_secret_value(SecretId=name)
    assert caught.value.response["Error"]["Message"] == "Secrets Manager can't find the specified secret."
    client.create_secret(Name=name, SecretString="one")
    client.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    with pytest.raises(client.exceptions.InvalidRequestException):
        client.get_secret_value(SecretId=name)
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.delete_secret(SecretId=name, RecoveryWindowInDays=3)


@pytest.mark.parametrize(
    "value", [b"\0\xff" * 8, b"x" * 65_536, bytes(range(256))], ids=["nul", "64k", "bytes"]
)
def test_binary(client, name, value):
    client.create_secret(Name=name, SecretBinary=value)
    assert client.get_secret_value(SecretId=name)["SecretBinary"] == value


@pytest.mark.parametrize(
    "value",
    ['{"password": "\\u00e9\\"\\n"}', "naïve 秘密 🔑", "\u2028\0\x7f", "x" * 65_536],
    ids=["json", "wide", "odd", "64k"],
)
def test_text(client, name, value):
    client.create_secret(Name=name, SecretString=value)
    assert client.get_secret_value(SecretId=name)["SecretString"] == value


def test_paginators(client, name):
    for i in range(7):
        client.create_secret(Name=f"{name}-{i}", SecretString="x")
    filters = [{"Key": "name", "Values": [name]}]
    pages = client.get_paginator("list_secrets").paginate(Filters=filters, PaginationConfig={"PageSize": 3})
    assert [len(page["SecretList"]) for page in pages] == [3, 3, 1]
    first = client.batch_get_secret_value(Filters=filters, MaxResults=4)
    rest = client.batch_get_secret_value(Filters=filters, MaxResults=4, NextToken=first["NextToken"])
    assert [len(page["SecretValues"]) for page in (first, rest)] == [4, 3]
    assert "NextToken" not in rest


def test_a_token_is_good_where_it_was_given_only(client, name):
    for number in range(3):
        client.create_secret(Name=f"{name}/{number}", SecretString="x")
        client.put_secret_value(SecretId=f"{name}/0", SecretString=str(number))
    filters = [{"Key": "name", "Values": [name]}]
    listed = client.list_secrets(Filters=filters, MaxResults=1)["NextToken"]
    versions = client.list_secret_version_ids(SecretId=f"{name}/0", IncludeDeprecated=True, MaxResults=1)
    for call, parameters in [
        (client.list_secret_version_ids, {"SecretId": f"{name}/0", "NextToken": listed}),
        (client.list_secret_version_ids, {"SecretId": f"{name}/1", "NextToken": versions["NextToken"]}),
        (client.batch_get_secret_value, {"Filters": filters, "NextToken": listed}),
        (client.list_secrets, {"NextToken": versions["NextToken"]}),
    ]:
        with pytest.raises(client.exceptions.InvalidNextTokenException):
            call(**parameters)
    assert client.list_secrets(Filters=filters, NextToken=listed)["SecretList"]


def test_regions_and_accounts(endpoint, name):
    here = endpoint.client().create_secret(Name=name, SecretString="here", KmsKeyId="alias/shared")["ARN"]
    there = endpoint.client(region="eu-west-1", key="000011112222")
    with pytest.raises(there.exceptions.ResourceNotFoundException):
        there.get_secret_value(SecretId=name)
    arn = there.create_secret(Name=name, SecretString="there")["ARN"]
    assert arn.startswith(f"arn:aws:secretsmanager:eu-west-1:000011112222:secret:{name}-")
    assert here.startswith(f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-")
    assert there.get_secret_value(SecretId=here)["SecretString"] == "here"


def test_concurrent_puts_leave_one_current_and_one_previous(endpoint, name):
    client = endpoint.client(max_pool_connections=16)
    client.create_secret(Name=name, SecretString="start")
    with ThreadPoolExecutor(16) as pool:
        ids = list(
            pool.map(
                lambda i: client.put_secret_value(SecretId=name, SecretString=str(i))["VersionId"], range(64)
            )
        )
    assert len(set(ids)) == 64
    labels = [
        label
        for labels in client.describe_secret(SecretId=name)["VersionIdsToStages"].values()
        for label in labels
    ]
    assert sorted(labels) == ["AWSCURRENT", "AWSPREVIOUS"]
    versions = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    assert len(versions) == 65


def test_concurrent_compare_and_swap_has_one_winner(endpoint, name):
    client = endpoint.client(max_pool_connections=16)
    first = client.create_secret(Name=name, SecretString="start")["VersionId"]
    candidates = [
        client.put_secret_value(SecretId=name, SecretString=str(i), VersionStages=[f"try-{i}"])["VersionId"]
        for i in range(12)
    ]

    def flip(version):
        try:
            client.update_secret_version_stage(
                SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=first
            )
            return version
        except client.exceptions.InvalidParameterException:
            return None

    with ThreadPoolExecutor(12) as pool:
        winners = [version for version in pool.map(flip, candidates) if version]
    assert len(winners) == 1
    assert client.get_secret_value(SecretId=name)["VersionId"] == winners[0]


def test_concurrent_creates_have_one_winner(endpoint, name):
    client = endpoint.client(max_pool_connections=16)

    def create(i):
        try:
            return client.create_secret(Name=name, SecretString=str(i))["ARN"]
        except client.exceptions.ResourceExistsException:
            return None

    with ThreadPoolExecutor(16) as pool:
        assert len([arn for arn in pool.map(create, range(16)) if arn]) == 1


def raw(url, body: bytes, **headers):
    """Send a request that no SDK would send."""
    request = urllib.request.Request(
        url, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


JSON = {"Content_Type": "application/x-amz-json-1.1", "X_Amz_Target": "secretsmanager.GetSecretValue"}


@pytest.mark.parametrize(
    ("body", "headers", "kind"),
    [
        (b"{", JSON, "SerializationException"),
        (b"[]", JSON, "SerializationException"),
        (b'"x"', JSON, "SerializationException"),
        (b'["db", null, null]', JSON, "SerializationException"),
        (b"\xff\xfe", JSON, "SerializationException"),
        (b'{"SecretId": 5}', JSON, "SerializationException"),
        (b'{"SecretId": "a"} trailing', JSON, "SerializationException"),
        (b"", JSON, "ValidationException"),
        (b"{}", JSON, "ValidationException"),
        (b"{}", {**JSON, "Content_Type": "application/json"}, "UnknownOperationException"),
        (b"{}", {**JSON, "X_Amz_Target": "secretsmanager.Nope"}, "UnknownOperationException"),
        (b"{}", {"Content_Type": JSON["Content_Type"]}, "UnknownOperationException"),
        (b'{"SecretId": "nope-' + str(uuid.uuid4()).encode() + b'"}', JSON, "ResourceNotFoundException"),
    ],
)
def test_what_no_sdk_sends(endpoint, body, headers, kind):
    status, answer = raw(endpoint.url, body, **headers)
    assert (status, answer["__type"]) == (400, kind)


def test_an_unsigned_request_is_answered(endpoint, client, name):
    client.create_secret(Name=name, SecretString="one")
    status, answer = raw(endpoint.url, json.dumps({"SecretId": name}).encode(), **JSON)
    assert (status, answer["SecretString"]) == (200, "one")
