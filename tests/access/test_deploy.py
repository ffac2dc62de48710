"""deploy/: both forms are well made, their policies are what the command prints, a deployment passes the audit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import documents
import hcl2
import pytest
import stack as stacks
from accounts import ACCOUNT, REGION, Account, allow, policy
from conftest import ROOT, mend, secretcache
from stack import Stack, apply, surroundings

DEPLOY = ROOT / "deploy"
TERRAFORM = DEPLOY / "terraform"
CHECKOV = ROOT / "target" / "venv" / "deploy" / "bin" / "checkov"

NAMES = {
    "partition": "aws",
    "account": ACCOUNT,
    "region": REGION,
    "secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/checkout/db-AbCdEf",
    "secret_by_name": "prod/checkout/db",
    "key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "master": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/checkout/admin-GhIjKl",
    "master_key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/5678abcd-12ab-34cd-56ef-1234567890ab",
    "function": "checkout-rotation",
    "application": f"arn:aws:iam::{ACCOUNT}:role/checkout-application",
    "rotation": f"arn:aws:iam::{ACCOUNT}:role/checkout-rotation",
    "operator": f"arn:aws:iam::{ACCOUNT}:role/operator",
}

# With which administrator's secret: none, one under the default key, one with a key.
MASTERS = [(False, False), (True, False), (True, True)]


def made_up(*, has_master: bool, has_master_key: bool, **parameters: Any) -> Stack:
    """The template with names in place of resources."""
    given = {
        "SecretName": NAMES["secret_by_name"],
        "Owner": "checkout",
        "Engine": "postgres",
        "Strategy": "alternating-users" if has_master else "single-user",
        "DatabaseHost": "db.internal",
        "DatabasePort": 5432,
        "Username": "app",
        "InitialPassword": "correct-horse",
        "MasterSecretArn": NAMES["master"] if has_master else "",
        "MasterKeyArn": NAMES["master_key"] if has_master_key else "",
        "OperatorArn": NAMES["operator"],
        "CodeBucket": "code",
        "VpcId": "vpc-1",
        "SubnetIds": ["subnet-1", "subnet-2"],
        "ApplicationSecurityGroupId": "sg-1",
        "DatabaseSecurityGroupId": "sg-2",
        **parameters,
    }
    stack = Stack(given)
    stack.ids = {name: name for name in stack.template["Resources"]} | {"Secret": NAMES["secret"]}
    stack.attributes = {
        ("Key", "Arn"): NAMES["key"],
        ("ApplicationRole", "Arn"): NAMES["application"],
        ("RotationRole", "Arn"): NAMES["rotation"],
        ("EndpointSecurityGroup", "GroupId"): "sg-3",
        ("FunctionSecurityGroup", "GroupId"): "sg-4",
        ("TrailBucket", "Arn"): "arn:aws:s3:::trail",
        **{(name, "Arn"): f"arn:{name}" for name in ("RecordsKey", "TrailLog", "TrailRole", "Function")},
    }
    return stack


def test_cfn_lint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([linter, stacks.TEMPLATE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_checkov_has_nothing_to_say() -> None:
    assert CHECKOV.exists(), "run `make venv-deploy`"
    command = [CHECKOV, "--directory", DEPLOY, "--framework", "cloudformation", "terraform"]
    command += ["--quiet", "--compact", "--skip-download", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    summaries = {report["check_type"]: report["summary"] for report in json.loads(done.stdout)}
    failed = {kind: (it["failed"], it["parsing_errors"]) for kind, it in summaries.items()}
    assert failed == {"cloudformation": (0, 0), "terraform": (0, 0)}, done.stdout
    assert all(it["passed"] > 50 for it in summaries.values()), summaries


@pytest.mark.parametrize(("has_master", "has_master_key"), MASTERS)
def test_policies_of_the_template_are_what_the_command_prints(has_master: bool, has_master_key: bool) -> None:
    stack = made_up(has_master=has_master, has_master_key=has_master_key)
    in_template = {
        "app": stack.properties("ApplicationPolicy")["PolicyDocument"],
        "rotation": stack.properties("RotationPolicy")["PolicyDocument"],
        "kms": stack.properties("Key")["KeyPolicy"],
        "resource": stack.properties("SecretPolicy")["ResourcePolicy"],
        "endpoint": stack.properties("Endpoint")["PolicyDocument"],
    }
    every = documents.commands(NAMES, has_master=has_master, has_master_key=has_master_key)
    for name, arguments in every.items():
        wanted = json.loads(documents.printed(*arguments))
        assert documents.normal(in_template[name]) == documents.normal(wanted), name


def test_policies_of_the_module_are_what_the_command_prints() -> None:
    """To write them again: python tests/access/documents.py"""
    files = {path.name: path.read_text() for path in documents.POLICIES.glob("*.json")}
    by_hand = {"records-key.json", "trail-bucket.json"}
    assert {name: text for name, text in files.items() if name not in by_hand} == documents.terraform()


@pytest.mark.parametrize(("has_master", "has_master_key"), MASTERS)
def test_policies_of_the_module_are_those_of_the_template(has_master: bool, has_master_key: bool) -> None:
    stack = made_up(has_master=has_master, has_master_key=has_master_key)
    trail = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/checkout"
    given = {
        **{name: value for name, value in NAMES.items() if not name.startswith(("secret", "master"))},
        "secret_name": NAMES["secret_by_name"],
        "secret_id": NAMES["secret"].split(":")[6],
        "master_id": NAMES["master"].split(":")[6],
        "master_key": NAMES["master_key"],
        "name": "checkout",
        "trail_arn": trail,
        "bucket": "arn:aws:s3:::trail",
    }
    rotation = "-with-master-and-key" if has_master_key else "-with-master" if has_master else ""
    endpoint = "-with-master" if has_master else ""
    same = {
        "app.json": stack.properties("ApplicationPolicy")["PolicyDocument"],
        f"rotation{rotation}.json": stack.properties("RotationPolicy")["PolicyDocument"],
        "kms.json": stack.properties("Key")["KeyPolicy"],
        "resource.json": stack.properties("SecretPolicy")["ResourcePolicy"],
        f"endpoint{endpoint}.json": stack.properties("Endpoint")["PolicyDocument"],
        "records-key.json": stack.properties("RecordsKey")["KeyPolicy"],
        "trail-bucket.json": stack.properties("TrailBucketPolicy")["PolicyDocument"],
    }
    for name, document in same.items():
        text = (documents.POLICIES / name).read_text()
        assert documents.normal(documents.filled(text, given)) == documents.normal(document), name


def module() -> dict[str, Any]:
    """All blocks of the module by kind, each with its labels."""
    blocks: dict[str, Any] = {}
    for path in sorted(TERRAFORM.glob("*.tf")):
        with path.open() as file:
            parsed = hcl2.load(file)
        for kind, found in parsed.items():
            if kind.startswith("__"):
                continue
            blocks.setdefault(kind, []).extend(found if isinstance(found, list) else [found])
    return blocks


def unquoted(name: str) -> str:
    return name.strip('"')


def test_every_name_in_the_module_leads_somewhere() -> None:
    blocks = module()
    known = {f"var.{unquoted(name)}" for block in blocks["variable"] for name in block}
    known |= {f"local.{unquoted(name)}" for block in blocks["locals"] for name in block if name[0] != "_"}
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for block in blocks[kind]:
            for resource, named in block.items():
                known |= {f"{prefix}{unquoted(resource)}.{unquoted(name)}" for name in named}
    text = "\n".join(path.read_text() for path in sorted(TERRAFORM.glob("*.tf")))
    text = re.sub(r"#.*|description\s*=.*", "", text)
    used = set(re.findall(r"\b(?:var|local)\.\w+|\b(?:data\.)?aws_\w+\.\w+", text))
    assert used - known == set()
    assert known - used - {name for name in known if name.startswith(("aws_", "data."))} == set(), "unused"
    files = set(re.findall(r'"\$\{path\.module\}/(policies/[\w-]+)', text))
    assert all(list(TERRAFORM.glob(f"{file}*.json")) for file in files) and len(files) == 7


def test_module_and_template_make_the_same() -> None:
    """Each kind of resource as often; where the providers cut differently, it says so here."""
    ours = Counter(
        unquoted(kind) for block in module()["resource"] for kind, named in block.items() for _ in named
    )
    apart = {
        "aws_secretsmanager_secret_version",  # a property of the secret there
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_versioning",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_cloudwatch_event_target",
        "aws_vpc_security_group_egress_rule",
    }
    kinds = {
        "AWS::IAM::Role": "aws_iam_role",
        "AWS::IAM::RolePolicy": "aws_iam_role_policy",
        "AWS::KMS::Key": "aws_kms_key",
        "AWS::SecretsManager::Secret": "aws_secretsmanager_secret",
        "AWS::SecretsManager::ResourcePolicy": "aws_secretsmanager_secret_policy",
        "AWS::SecretsManager::RotationSchedule": "aws_secretsmanager_secret_rotation",
        "AWS::Lambda::Function": "aws_lambda_function",
        "AWS::Lambda::Permission": "aws_lambda_permission",
        "AWS::Logs::LogGroup": "aws_cloudwatch_log_group",
        "AWS::EC2::SecurityGroup": "aws_security_group",
        "AWS::EC2::SecurityGroupIngress": "aws_vpc_security_group_ingress_rule",
        "AWS::EC2::VPCEndpoint": "aws_vpc_endpoint",
        "AWS::S3::Bucket": "aws_s3_bucket",
        "AWS::S3::BucketPolicy": "aws_s3_bucket_policy",
        "AWS::CloudTrail::Trail": "aws_cloudtrail",
        "AWS::SNS::Topic": "aws_sns_topic",
        "AWS::SNS::TopicPolicy": "aws_sns_topic_policy",
        "AWS::SNS::Subscription": "aws_sns_topic_subscription",
        "AWS::Events::Rule": "aws_cloudwatch_event_rule",
        "AWS::Logs::MetricFilter": "aws_cloudwatch_log_metric_filter",
        "AWS::CloudWatch::Alarm": "aws_cloudwatch_metric_alarm",
    }
    theirs = Counter(kinds[it["Type"]] for it in stacks.template()["Resources"].values())
    theirs["aws_cloudwatch_event_rule"] = 1  # five by for_each
    assert {kind: count for kind, count in ours.items() if kind not in apart} == dict(theirs)


def test_parts_that_an_account_has_already_are_left_out() -> None:
    lean = made_up(
        has_master=False,
        has_master_key=False,
        CreateTrail="false",
        CreateAlarms="false",
        EndpointSecurityGroupId="sg-0abc",
    )
    kinds = {it["Type"].split("::")[1] for it in lean.resources.values()}
    assert kinds == {"IAM", "KMS", "SecretsManager", "Lambda", "Logs", "EC2"}
    assert "Endpoint" not in lean.resources
    assert lean.properties("EndpointIngressFromFunction")["GroupId"] == "sg-0abc"
    for name in lean.resources:
        assert stacks.needs(lean, name) <= set(lean.resources) and lean.properties(name)


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

# One resource after another: what is done to it, and what the audit then says that it did not say before.
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
    (
        "ReadsAlarm",
        lambda account, _: account.client("cloudwatch").delete_alarms(
            AlarmNames=[f"{stacks.STACK}-ReadsAlarm"]
        ),
        {"alarm.access-volume"},
    ),
]

# After these nothing is left to look at for some of the others, so they come when those are mended.
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


def test_a_deployment_passes_the_audit_and_each_fault_is_found_and_mended(
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
    # What is left takes a decision: what a reader of a secret lacks of its key, and what else a wide policy is for.
    assert {finding["Check"] for finding in mend(url, audit)} <= {
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
    # The others are not looked at by the audit: they carry these, or are theirs.
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
