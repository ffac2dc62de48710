"""The members each operation answers, exactly."""

from __future__ import annotations

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
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
    """A new operation in the model must be dealt with, not answered "unknown"."""
    client = endpoint.client(parameter_validation=False)
    for operation in MODEL.operation_names:
        takes_id = "SecretId" in MODEL.operation_model(operation).input_shape.members
        try:
            getattr(client, xform_name(operation))(**({"SecretId": "no-such"} if takes_id else {}))
        except ClientError as error:
            assert error.response["Error"]["Code"] != "UnknownOperationException", operation


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
