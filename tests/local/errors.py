"""Every error that the service documents, by operation, and what makes this endpoint return it.

`python tests/local/errors.py` prints docs/local-errors.md; tests compare page, model and endpoint.
"""

from __future__ import annotations

import json

from service_model import MODEL

POLICY = json.dumps({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}})
PUBLIC = POLICY.replace("Deny", "Allow")
TOKEN = "11111111-1111-4111-8111-111111111111"
ARN = "arn:aws:secretsmanager:us-east-1:210987654321:secret:theirs-AbCdEf"
VALUES = {"SecretString": "x", "SecretBinary": b"x"}

# What an operation needs in addition to a secret, so that only the secret causes an error.
REST: dict[str, dict] = {
    "AssociateCrossAccountReplica": {"CrossAccountReplicaARN": ARN},
    "DisassociateCrossAccountReplica": {"CrossAccountReplicaARN": ARN},
    "PutResourcePolicy": {"ResourcePolicy": POLICY},
    "PutSecretValue": {"SecretString": "x"},
    "RemoveRegionsFromReplication": {"RemoveReplicaRegions": ["eu-west-1"]},
    "ReplicateSecretToRegions": {"AddReplicaRegions": [{"Region": "eu-west-1"}]},
    "TagResource": {"Tags": [{"Key": "a", "Value": "b"}]},
    "UntagResource": {"TagKeys": ["a"]},
    "UpdateSecret": {"Description": "x"},
    "UpdateSecretVersionStage": {"VersionStage": "blue", "MoveToVersionId": TOKEN},
    "ValidateResourcePolicy": {"ResourcePolicy": POLICY},
}

# Requests that cause an error: a description and the parameters. The secrets are those of `test_errors.world`.
BY_REQUEST: dict[tuple[str, str], tuple[str, dict]] = {
    ("AssociateCrossAccountReplica", "InvalidRequestException"): (
        "the primary secret has the default key",
        {"SecretId": "db", "CrossAccountReplicaARN": ARN},
    ),
    ("AssociateCrossAccountReplica", "LimitExceededException"): (
        "the primary secret has a cross-account replica",
        {"SecretId": "primary", "CrossAccountReplicaARN": ARN},
    ),
    ("BatchGetSecretValue", "InvalidNextTokenException"): (
        "a `NextToken` that no response contained",
        {"Filters": [{"Key": "name", "Values": ["db"]}], "NextToken": "other"},
    ),
    ("BatchGetSecretValue", "InvalidParameterException"): ("neither `SecretIdList` nor `Filters`", {}),
    ("CreateSecret", "InvalidParameterException"): (
        "both `SecretString` and `SecretBinary`",
        {"Name": "new", **VALUES},
    ),
    ("CreateSecret", "InvalidRequestException"): (
        "a secret with this name is marked for deletion",
        {"Name": "deleted", "SecretString": "x"},
    ),
    ("CreateSecret", "LimitExceededException"): (
        "more than 50 tags",
        {"Name": "new", "Tags": [{"Key": f"tag{number}", "Value": ""} for number in range(51)]},
    ),
    ("CreateSecret", "ResourceExistsException"): ("the name is taken", {"Name": "db", "SecretString": "x"}),
    ("DeleteResourcePolicy", "InvalidParameterException"): (
        "a `PolicyName` other than `default`",
        {"SecretId": "db", "PolicyName": "other"},
    ),
    ("DeleteSecret", "InvalidParameterException"): (
        "both `RecoveryWindowInDays` and `ForceDeleteWithoutRecovery`",
        {"SecretId": "db", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True},
    ),
    ("DisassociateCrossAccountReplica", "InvalidRequestException"): (
        "the secret has no such replica",
        {"SecretId": "db", "CrossAccountReplicaARN": ARN},
    ),
    ("GetRandomPassword", "InvalidParameterException"): (
        "every kind of character is excluded",
        {
            "ExcludeLowercase": True,
            "ExcludeUppercase": True,
            "ExcludeNumbers": True,
            "ExcludePunctuation": True,
        },
    ),
    ("ListResourcePolicies", "InvalidNextTokenException"): (
        "a `NextToken` that no response contained",
        {"SecretId": "db", "NextToken": "other"},
    ),
    ("ListSecretVersionIds", "InvalidNextTokenException"): (
        "a `NextToken` that no response contained",
        {"SecretId": "db", "NextToken": "other"},
    ),
    ("ListSecrets", "InvalidNextTokenException"): (
        "a `NextToken` that no response contained",
        {"NextToken": "other"},
    ),
    ("ListSecrets", "InvalidParameterException"): (
        "a filter without a key",
        {"Filters": [{"Values": ["x"]}]},
    ),
    ("PutResourcePolicy", "InvalidParameterException"): (
        "a `PolicyName` other than `default`",
        {"SecretId": "db", "ResourcePolicy": POLICY, "PolicyName": "other"},
    ),
    ("PutResourcePolicy", "MalformedPolicyDocumentException"): (
        "the policy is not valid",
        {"SecretId": "db", "ResourcePolicy": "{}"},
    ),
    ("PutResourcePolicy", "PublicPolicyException"): (
        "the policy allows everybody, with `BlockPublicPolicy`",
        {"SecretId": "db", "ResourcePolicy": PUBLIC, "BlockPublicPolicy": True},
    ),
    ("PutSecretValue", "InvalidParameterException"): (
        "both `SecretString` and `SecretBinary`",
        {"SecretId": "db", **VALUES},
    ),
    ("PutSecretValue", "LimitExceededException"): (
        "more than 20 staging labels",
        {"SecretId": "full", "SecretString": "x", "VersionStages": ["another"]},
    ),
    ("PutSecretValue", "ResourceExistsException"): (
        "the token belongs to a version with another value",
        {"SecretId": "db", "SecretString": "other", "ClientRequestToken": TOKEN},
    ),
    ("ReplicateSecretToRegions", "InvalidParameterException"): (
        "the secret's own Region",
        {"SecretId": "db", "AddReplicaRegions": [{"Region": "us-east-1"}]},
    ),
    ("RotateSecret", "InvalidParameterException"): (
        "a schedule that is not valid",
        {"SecretId": "db", "RotationRules": {"ScheduleExpression": "rate(1 hour)"}},
    ),
    ("StopReplicationToReplica", "InvalidRequestException"): (
        "the secret is not a replica",
        {"SecretId": "db"},
    ),
    ("TagResource", "InvalidParameterException"): (
        "the same key twice, or more than 50 tags",
        {"SecretId": "db", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
    ),
    ("UpdateSecret", "InvalidParameterException"): (
        "both `SecretString` and `SecretBinary`",
        {"SecretId": "db", **VALUES},
    ),
    ("UpdateSecret", "LimitExceededException"): (
        "more than 20 staging labels: `AWSPREVIOUS`",
        {"SecretId": "full", "SecretString": "x"},
    ),
    ("UpdateSecret", "ResourceExistsException"): (
        "the token belongs to a version with another value",
        {"SecretId": "db", "SecretString": "other", "ClientRequestToken": TOKEN},
    ),
    ("UpdateSecretVersionStage", "InvalidParameterException"): (
        "neither `MoveToVersionId` nor `RemoveFromVersionId`",
        {"SecretId": "db", "VersionStage": "blue"},
    ),
    ("UpdateSecretVersionStage", "LimitExceededException"): (
        "more than 20 staging labels",
        {"SecretId": "full", "VersionStage": "another", "MoveToVersionId": TOKEN},
    ),
    ("ValidateResourcePolicy", "MalformedPolicyDocumentException"): (
        "the policy is not valid",
        {"ResourcePolicy": "{}"},
    ),
}

# Errors that no request causes here, and why. They need a fault.
BY_FAULT: dict[str, str] = {
    "DecryptionFailure": "KMS keys are only names here, and never fail",
    "EncryptionFailure": "KMS keys are only names here, and never fail",
    "InternalServiceError": "a failure inside the service; here, also when the data file cannot be written",
    "InvalidParameterException": "forbidden values get a `ValidationException`; no other wrong parameter is known",
    "InvalidRequestException": "no state of a secret is known to cause it",
    "MalformedPolicyDocumentException": "the operation takes no policy",
    "PreconditionNotMetException": "no condition is documented",
    "ResourceNotFoundException": "the request names no secret; secrets that a batch does not find are in `Errors`",
}


def pairs() -> list[tuple[str, str]]:
    """Return every operation with every error that the model documents."""
    return [
        (operation, shape.name)
        for operation in sorted(MODEL.operation_names)
        for shape in sorted(MODEL.operation_model(operation).error_shapes, key=lambda shape: shape.name)
    ]


def request(operation: str, error: str) -> tuple[str, dict] | None:
    """Return a description and the parameters of a request that causes an error; None if it needs a fault."""
    takes_secret = "SecretId" in MODEL.operation_model(operation).input_shape.members
    if (operation, error) in BY_REQUEST:
        return BY_REQUEST[operation, error]
    rest = REST.get(operation, {})
    if error == "ResourceNotFoundException" and takes_secret:
        return "no such secret", {**rest, "SecretId": "no-such"}
    deleted_is_fine = operation in ("RestoreSecret", "DescribeSecret", "ListSecretVersionIds")
    if error == "InvalidRequestException" and takes_secret and not deleted_is_fine:
        return "the secret is marked for deletion", {**rest, "SecretId": "deleted"}
    return None


def page() -> str:
    """Return the page docs/local-errors.md."""
    lines = [
        "# Errors of the local endpoint",
        "",
        "Every error in the service model that botocore ships, and how a test can make `secretcache local` return it.",
        "If no state of a secret causes an error, add a fault on an endpoint with `--control`:",
        "",
        "```json",
        '{"operations": ["GetSecretValue"], "effect": {"error": {"type": "DecryptionFailure", "status": 400}}}',
        "```",
        "",
        "Every operation can also return `AccessDeniedException` and `ThrottlingException` (with the faults `deny` and",
        "`throttle`; the first also where the service does), `ValidationException` for values that the model forbids,",
        "`SerializationException` for a body that is not JSON or has a member of the wrong type, and",
        "`UnknownOperationException`.",
        "",
        "| operation | error | how |",
        "|---|---|---|",
    ]
    for operation, error in pairs():
        found = request(operation, error)
        how = found[0] if found else f"with a fault: {BY_FAULT[error]}"
        lines.append(f"| {operation} | {error} | {how} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
