"""The exact members in the response of each operation."""

from __future__ import annotations

import base64

import model_table
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from conftest import ROOT
from service_model import MODEL, check_error, check_output

FULL = {
    "Description": "all there is",
    "KmsKeyId": "alias/mine",
    "Tags": [{"Key": "team", "Value": "payments"}],
    "Type": "",
}


def members(answer) -> set[str]:
    return set(answer) - {"ResponseMetadata"}


def test_members_of_every_operation(client, name):
    assert members(client.create_secret(Name=name, SecretString="one", **FULL)) == {
        "ARN",
        "Name",
        "VersionId",
    }
    assert members(client.create_secret(Name=name + "-empty")) == {"ARN", "Name"}
    value = {"ARN", "Name", "VersionId", "SecretString", "VersionStages", "CreatedDate"}
    assert members(client.get_secret_value(SecretId=name)) == value
    put = client.put_secret_value(SecretId=name, SecretBinary=b"\0two")
    assert members(put) == {"ARN", "Name", "VersionId", "VersionStages"}
    assert members(client.get_secret_value(SecretId=name)) == value - {"SecretString"} | {"SecretBinary"}
    assert members(client.update_secret(SecretId=name, Description="x")) == {"ARN", "Name"}
    assert members(client.update_secret(SecretId=name, SecretString="three")) == {"ARN", "Name", "VersionId"}

    described = {
        "ARN",
        "Name",
        "Description",
        "KmsKeyId",
        "LastChangedDate",
        "LastAccessedDate",
        "Tags",
        "CreatedDate",
    }
    assert members(client.describe_secret(SecretId=name)) == described | {"VersionIdsToStages"}
    assert members(client.describe_secret(SecretId=name + "-empty")) == {
        "ARN",
        "Name",
        "LastChangedDate",
        "CreatedDate",
    }
    filters = [{"Key": "name", "Values": [name]}]
    listed = client.list_secrets(Filters=filters, SortBy="name")
    assert members(listed) == {"SecretList"}
    assert set(listed["SecretList"][0]) == described | {"SecretVersionsToStages"}
    assert members(client.list_secrets(MaxResults=1, Filters=filters)) == {"SecretList", "NextToken"}

    versions = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)
    assert members(versions) == {"Versions", "ARN", "Name"}
    labelled = {"VersionId", "VersionStages", "CreatedDate", "KmsKeyIds"}
    assert [set(version) for version in versions["Versions"]] == [
        labelled - {"VersionStages"} | {"LastAccessedDate"},
        labelled | {"LastAccessedDate"},
        labelled,
    ]
    batch = client.batch_get_secret_value(SecretIdList=[name, name + "-empty"])
    assert members(batch) == {"SecretValues", "Errors"}
    assert set(batch["SecretValues"][0]) == value
    assert set(batch["Errors"][0]) == {"SecretId", "ErrorCode", "Message"}
    assert members(client.batch_get_secret_value(Filters=filters, MaxResults=1)) >= {
        "SecretValues",
        "NextToken",
    }

    current = client.get_secret_value(SecretId=name)["VersionId"]
    stage = {"SecretId": name, "VersionStage": "blue", "MoveToVersionId": current}
    assert members(client.update_secret_version_stage(**stage)) == {"ARN", "Name"}
    assert members(client.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": ""}])) == set()
    assert members(client.untag_resource(SecretId=name, TagKeys=["a"])) == set()
    assert members(client.get_random_password()) == {"RandomPassword"}

    policy = '{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}'
    named = {"ARN", "Name", "PolicyName"}
    assert members(client.put_resource_policy(SecretId=name, ResourcePolicy=policy)) == named
    assert members(client.get_resource_policy(SecretId=name)) == named | {"ResourcePolicy"}
    assert members(client.list_resource_policies(SecretId=name)) == {"ResourcePolicies"}
    assert members(client.delete_resource_policy(SecretId=name)) == named
    assert members(client.get_resource_policy(SecretId=name)) == named
    validated = client.validate_resource_policy(SecretId=name, ResourcePolicy=policy.replace("Deny", "Allow"))
    assert members(validated) == {"PolicyValidationPassed", "ValidationErrors"}
    assert set(validated["ValidationErrors"][0]) == {"CheckName", "ErrorMessage"}

    assert members(client.delete_secret(SecretId=name)) == {"ARN", "Name", "DeletionDate"}
    assert "DeletedDate" in client.describe_secret(SecretId=name)
    assert members(client.restore_secret(SecretId=name)) == {"ARN", "Name"}


def test_members_of_a_secret_that_rotates(client, name):
    client.create_secret(Name=name, SecretString="{}")
    rotate = {
        "SecretId": name,
        "RotationLambdaARN": "arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSMySQLRotationSingleUser",
        "RotationRules": {"ScheduleExpression": "rate(12 hours)", "Duration": "2h"},
        "ExternalSecretRotationMetadata": [{"Key": "partner", "Value": "x"}],
        "ExternalSecretRotationRoleArn": "arn:aws:iam::123456789012:role/rotation",
    }
    assert members(client.rotate_secret(**rotate)) == {"ARN", "Name", "VersionId"}
    configured = {
        "RotationLambdaARN",
        "RotationRules",
        "ExternalSecretRotationMetadata",
        "ExternalSecretRotationRoleArn",
    }
    described = client.describe_secret(SecretId=name)
    assert members(described) >= configured | {"RotationEnabled", "NextRotationDate"}
    assert {member: described[member] for member in configured} == {m: rotate[m] for m in configured}
    listed = client.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"][0]
    assert {member: listed[member] for member in configured} == {m: rotate[m] for m in configured}
    assert listed["NextRotationDate"] == described["NextRotationDate"]
    assert members(client.cancel_rotate_secret(SecretId=name)) == {"ARN", "Name", "VersionId"}
    assert members(client.cancel_rotate_secret(SecretId=name)) == {"ARN", "Name"}
    described = client.describe_secret(SecretId=name)
    assert configured <= members(described) and "NextRotationDate" not in described
    assert described["RotationEnabled"] is False


def test_every_operation_of_the_model_is_offered_or_refused_plainly(endpoint):
    """A new operation in the model must be handled; it must not fail as unknown."""
    client = endpoint.client(parameter_validation=False)
    for operation in MODEL.operation_names:
        takes_id = "SecretId" in MODEL.operation_model(operation).input_shape.members
        try:
            getattr(client, xform_name(operation))(**({"SecretId": "no-such"} if takes_id else {}))
        except ClientError as error:
            assert error.response["Error"]["Code"] != "UnknownOperationException", operation


def breaches(shape, path=()):
    """Yield every way to violate a constraint of an input: the path, and an invalid value."""
    limits = shape.metadata
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name not in model_table.ELSEWHERE:
                yield from breaches(member, (*path, name))
    elif shape.type_name == "list":
        yield from breaches(shape.member, (*path, 0))
        item = {} if shape.member.type_name == "structure" else "us-east-1"
        yield from ((path, [item] * n) for n in out_of(limits))
    elif shape.type_name == "blob":
        yield from ((path, base64.b64encode(b"x" * n).decode()) for n in out_of(limits))
    elif shape.type_name in ("integer", "long"):
        yield from ((path, n) for n in out_of(limits))
    elif shape.type_name == "string":
        yield from ((path, "x" * n) for n in out_of(limits))
        if limits.get("pattern"):
            yield path, "\u00e9" * max(limits.get("min", 1), 1)
        if shape.enum:
            yield path, "other"


def out_of(limits):
    least, most = limits.get("min"), limits.get("max")
    return ([least - 1] if least else []) + ([most + 1] if most is not None else [])


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_constraint_on_every_parameter_is_checked(endpoint, operation):
    client = endpoint.client(parameter_validation=False)
    shape = MODEL.operation_model(operation).input_shape
    for path, value in breaches(shape):
        request = {"SecretId": "no-such"} if "SecretId" in shape.members else {}
        inner = value
        for step in reversed(path[1:]):
            inner = [inner] if step == 0 else {step: inner}
        with pytest.raises(ClientError) as caught:
            client._make_api_call(operation, request | {path[0]: inner})
        error = caught.value.response["Error"]
        assert error["Code"] == "ValidationException", (path, value, error)
        # The service writes members with a lower-case first letter.
        assert path[0][0].lower() + path[0][1:] in error["Message"], (path, value, error)
    for name in shape.required_members:
        with pytest.raises(ClientError, match="Member must not be null"):
            client._make_api_call(operation, {})
        assert name in shape.members


def test_the_table_of_the_endpoint_is_that_of_the_model():
    path = ROOT / "local" / "src" / "model.json"
    command = "python tests/local/model_table.py > local/src/model.json"
    assert path.read_text() == model_table.table(), command


@pytest.mark.parametrize(
    "body",
    [
        {"ARN": "x" * 20, "Nome": "x"},
        {"ARN": 5},
        {"CreatedDate": "2026-01-01"},
        {"CreatedDate": 1_795_402_628_284},
        {"VersionStages": "AWSCURRENT"},
        {"VersionId": "short"},
        {"SecretBinary": "not base64!"},
        {"SecretString": None},
    ],
)
def test_the_check_itself_is_strict(body):
    with pytest.raises((AssertionError, ValueError)):
        check_output("GetSecretValue", body)


def test_the_check_of_errors_is_strict():
    good = {"__type": "ResourceNotFoundException", "Message": "x"}
    check_error("GetSecretValue", 400, good)
    for status, body in [
        (404, good),
        (400, {"__type": "ResourceNotFoundException", "message": "x"}),
        (400, {"__type": "LimitExceededException", "Message": "x"}),
    ]:
        with pytest.raises(AssertionError):
            check_error("GetSecretValue", status, body)
