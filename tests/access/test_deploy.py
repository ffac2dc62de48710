"""deploy/: a deployment passes the audit, and the audit finds every fault made in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import documents
import pytest
import stack as stacks
from accounts import ACCOUNT, REGION, Account, allow, policy
from conftest import fix, secretcache
from stack import Stack, apply, surroundings


def audit(url: str) -> dict[str, Any]:
    ran = secretcache(url, "audit", "prod/checkout/db", "--format", "json")
    assert ran.status in (0, 4), ran.err
    return ran.json()


@pytest.fixture
def deployed(empty: str) -> tuple[Account, Stack]:
    account = Account(empty)
    stack = apply(account, surroundings(account))
    text = documents.printed(
        *("operator", "--secret", stack.ids["Secret"], "--key", stack.attributes["Key", "Arn"]),
        *("--function", "checkout-rotation", "--master-secret", stack.parameters["MasterSecretArn"]),
        *("--account", ACCOUNT, "--region", REGION),
    )
    account.client("iam").put_role_policy(RoleName="operator", PolicyName="operate", PolicyDocument=text)
    return account, stack


def seen(url: str) -> set[str]:
    return {finding["Check"] for finding in audit(url)["Findings"]}


def put_role(account: Account, role: str, name: str, *statements: dict[str, Any]) -> None:
    account.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy(*statements))


def key_policy(account: Account, stack: Stack, change: Callable[[list[dict[str, Any]]], None]) -> None:
    kms, key = account.client("kms"), stack.ids["Key"]
    document = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    change(document["Statement"])
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))


def ingress(stack: Stack, **source: Any) -> dict[str, Any]:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **source}
    return {"GroupId": stack.ids["EndpointSecurityGroup"], "IpPermissions": [rule]}


def remove_targets(account: Account, stack: Stack, rule: str) -> None:
    account.client("events").remove_targets(Rule=stack.ids[rule], Ids=["sns"])


def widen(statements: list[dict[str, Any]]) -> None:
    next(it for it in statements if it["Sid"] == "Read").pop("Condition")


def without_rotation(statements: list[dict[str, Any]]) -> None:
    statements[:] = [it for it in statements if it["Sid"] != "Rotate"]


def wrong_rule(account: Account, stack: Stack) -> None:
    rule = account.client("events").describe_rule(Name=stack.ids["ReadDenied"])
    account.client("events").put_rule(Name=rule["Name"], EventPattern=rule["EventPattern"], State="ENABLED")


Spoil = Callable[[Account, Stack], Any]
READ = "secretsmanager:GetSecretValue"
WRITES_ONLY = {
    "Name": "Writes",
    "FieldSelectors": [
        {"Field": "eventCategory", "Equals": ["Management"]},
        {"Field": "readOnly", "Equals": ["false"]},
    ],
}

# Each resource in turn: the change that breaks it, and the checks that then newly report it.
SPOILS: list[tuple[str, Spoil, set[str]]] = [
    (
        "Key",
        lambda account, stack: account.client("kms").disable_key_rotation(KeyId=stack.ids["Key"]),
        {"key.rotation"},
    ),
    ("Key", lambda account, stack: key_policy(account, stack, widen), {"key.via-service"}),
    (
        "Key",
        lambda account, stack: key_policy(account, stack, without_rotation),
        {"key.writer", "key.reader"},
    ),
    (
        "ApplicationPolicy",
        lambda account, stack: put_role(account, stack.ids["ApplicationRole"], "more", allow(READ, "*")),
        {"access.all-secrets"},
    ),
    (
        "RotationPolicy",
        lambda account, stack: put_role(
            account, stack.ids["RotationRole"], "rotate-secret", allow(READ, stack.ids["Secret"])
        ),
        {"access.rotation-lacks"},
    ),
    (
        "RotationPolicy",
        lambda account, stack: put_role(
            account, stack.ids["RotationRole"], "more", allow("secretsmanager:*", "*")
        ),
        {"access.rotation-wide"},
    ),
    (
        "Secret",
        lambda account, stack: account.client("secretsmanager").untag_resource(
            SecretId=stack.ids["Secret"], TagKeys=["owner"]
        ),
        {"usage.untagged"},
    ),
    (
        "SecretPolicy",
        lambda account, stack: account.client("secretsmanager").delete_resource_policy(
            SecretId=stack.ids["Secret"]
        ),
        {"sharing.open-to-account"},
    ),
    (
        "SecretPolicy",
        lambda account, stack: account.client("secretsmanager").put_resource_policy(
            SecretId=stack.ids["Secret"], ResourcePolicy=policy(allow(READ, "*", Principal="*"))
        ),
        {"sharing.public"},
    ),
    (
        "FunctionPermission",
        lambda account, stack: account.client("lambda").remove_permission(
            FunctionName=stack.ids["Function"], StatementId="FunctionPermission"
        ),
        {"sharing.function-not-permitted"},
    ),
    (
        "FunctionPermission",
        lambda account, stack: account.client("lambda").add_permission(
            FunctionName=stack.ids["Function"],
            StatementId="anybody",
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
        ),
        {"sharing.function-permission"},
    ),
    (
        "Endpoint",
        lambda account, stack: account.client("ec2").modify_vpc_endpoint(
            VpcEndpointId=stack.ids["Endpoint"], PolicyDocument=policy(allow("*", "*", Principal="*"))
        ),
        {"network.endpoint-policy"},
    ),
    (
        "EndpointIngressFromFunction",
        lambda account, stack: account.client("ec2").revoke_security_group_ingress(
            **ingress(stack, UserIdGroupPairs=[{"GroupId": stack.ids["FunctionSecurityGroup"]}])
        ),
        {"network.security-group"},
    ),
    (
        "EndpointSecurityGroup",
        lambda account, stack: account.client("ec2").authorize_security_group_ingress(
            **ingress(stack, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
        ),
        {"network.open-group"},
    ),
    (
        "VpcId",
        lambda account, stack: account.client("ec2").modify_vpc_attribute(
            VpcId=stack.parameters["VpcId"], EnableDnsHostnames={"Value": False}
        ),
        {"network.dns-attributes"},
    ),
    (
        "Trail",
        lambda account, _: account.client("cloudtrail").update_trail(
            Name=stacks.STACK, IsMultiRegionTrail=False
        ),
        {"trail.single-region"},
    ),
    # Must come before the next one: without reads in the trail, no alarm receives any.
    (
        "ReadsAlarm",
        lambda account, _: account.client("cloudwatch").delete_alarms(
            AlarmNames=[f"{stacks.STACK}-ReadsAlarm"]
        ),
        {"alarm.access-volume"},
    ),
    (
        "Trail",
        lambda account, _: account.client("cloudtrail").put_event_selectors(
            TrailName=stacks.STACK, AdvancedEventSelectors=[WRITES_ONLY]
        ),
        {"trail.write-only", "trail.network-activity"},
    ),
    (
        "RotationFailed",
        lambda account, stack: account.client("events").disable_rule(Name=stack.ids["RotationFailed"]),
        {"alarm.rotation-failed"},
    ),
    (
        "SecretDeleted",
        lambda account, stack: remove_targets(account, stack, "SecretDeleted"),
        {"alarm.delete"},
    ),
    (
        "PolicyChanged",
        lambda account, stack: remove_targets(account, stack, "PolicyChanged"),
        {"alarm.policy-change"},
    ),
    (
        "ValueWritten",
        lambda account, stack: remove_targets(account, stack, "ValueWritten"),
        {"alarm.put-value"},
    ),
    ("ReadDenied", wrong_rule, {"alarm.access-denied", "trail.rule-state"}),
]

# These leave nothing to check for some of the others, so they run after those are fixed.
LAST: list[tuple[str, Spoil, set[str]]] = [
    (
        "Trail",
        lambda account, _: account.client("cloudtrail").stop_logging(Name=stacks.STACK),
        {"trail.not-logging"},
    ),
    (
        "Endpoint",
        lambda account, stack: account.client("ec2").delete_vpc_endpoints(
            VpcEndpointIds=[stack.ids["Endpoint"]]
        ),
        {"network.no-endpoint"},
    ),
    ("Key", lambda account, stack: account.client("kms").disable_key(KeyId=stack.ids["Key"]), {"key.state"}),
    (
        "Schedule",
        lambda account, stack: account.client("secretsmanager").cancel_rotate_secret(
            SecretId=stack.ids["Secret"]
        ),
        {"rotation.off"},
    ),
    (
        "Secret",
        lambda account, stack: account.client("secretsmanager").update_secret(
            SecretId=stack.ids["Secret"], KmsKeyId="alias/aws/secretsmanager"
        ),
        {"key.default"},
    ),
    (
        "Trail",
        lambda account, _: account.client("cloudtrail").delete_trail(Name=stacks.STACK),
        {"trail.none"},
    ),
]


def test_a_deployment_passes_the_audit_and_each_fault_is_found_and_fixed(
    deployed: tuple[Account, Stack],
) -> None:
    account, stack = deployed
    url = account.url
    report = audit(url)
    assert report["Findings"] == []
    assert {it["Permission"] for it in report["NotChecked"]} == {
        "secretsmanager:GetSecretValue",
        "cloudtrail:LookupEvents",
    }
    before: set[str] = set()
    for name, spoil, expected in SPOILS:
        spoil(account, stack)
        now = seen(url)
        assert now - before == expected, name
        before = now
    # The rest needs a decision: which permission on the key a reader lacks, and what else a wide policy is
    # for.
    assert {finding["Check"] for finding in fix(url, audit)} <= {
        "access.all-secrets",
        "access.rotation-wide",
        "key.encryption-context",
        "key.reader",
    }
    before = seen(url)
    for name, spoil, expected in LAST:
        spoil(account, stack)
        now = seen(url)
        assert expected <= now - before, (name, now - before)
        before = now
    resources = {name for name, _, _ in SPOILS + LAST} - {"VpcId"}
    # The audit does not check the other resources: they only support these.
    assert set(stack.resources) - resources == {
        "ApplicationRole",
        "DatabaseIngressFromFunction",
        "EndpointIngressFromApplication",
        "Function",
        "FunctionLog",
        "FunctionSecurityGroup",
        "ReadsFilter",
        "RecordsKey",
        "RotationRole",
        "Topic",
        "TopicPolicy",
        "TrailBucket",
        "TrailBucketPolicy",
        "TrailLog",
        "TrailRole",
        "TrailRolePolicy",
    }


def test_who_can_read_the_deployed_secret(deployed: tuple[Account, Stack]) -> None:
    account, stack = deployed
    ran = secretcache(account.url, "access", "prod/checkout/db", "--json")
    readers = {it["Principal"]: it["Outcome"] for it in ran.json()["Principals"]}
    application, rotation = (stack.attributes[name, "Arn"] for name in ("ApplicationRole", "RotationRole"))
    assert readers == {
        application: "Allowed",
        rotation: "Allowed",
        stack.parameters["OperatorArn"]: "Allowed",
    }
