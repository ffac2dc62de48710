"""deploy/: both forms are valid, and their policies are what the command prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import documents
import hcl2
import pytest
import stack as stacks
from accounts import ACCOUNT, REGION
from conftest import ROOT
from forms import NAMES, TERRAFORM, made_up, module, unquoted

DEPLOY = ROOT / "deploy"
CHECKOV = ROOT / "target" / "venv" / "deploy" / "bin" / "checkov"

# The administrator's secret: none, one under the default key, one under its own key.
MASTERS = [(False, False), (True, False), (True, True)]


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
    """To regenerate them: python tests/access/documents.py"""
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
        "master": NAMES["master"],
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


def test_the_call_of_the_module_that_is_documented_has_its_variables() -> None:
    page = (DEPLOY / "README.md").read_text()
    (text,) = re.findall(r"^```hcl\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ((_, call),) = hcl2.loads(text)["module"][0].items()
    given = {name for name in call if not name.startswith("__")}
    variables = {unquoted(name): body for each in module()["variable"] for name, body in each.items()}
    required = {name for name, body in variables.items() if "default" not in body}
    assert required <= given - {"source"} <= variables.keys()
    assert unquoted(call["source"]).endswith("/deploy/terraform")


# Services that send no source in their requests: deploy/README.md, "Which services may use what".
WITHOUT_SOURCE = {("TopicPolicy", "events.amazonaws.com")}
SOURCES = {
    "aws:SourceAccount",
    "aws:SourceArn",
    "kms:EncryptionContext:aws:logs:arn",
    "kms:EncryptionContext:aws:sns:topicArn",
}


def services(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal", {})
    named = principal.get("Service", []) if isinstance(principal, dict) else []
    return [named] if isinstance(named, str) else named


def test_no_service_acts_for_another_account() -> None:
    stack = made_up(has_master=True, has_master_key=True)
    checked = set()
    documents_of = {
        "RecordsKey": "KeyPolicy",
        "Key": "KeyPolicy",
        "TopicPolicy": "PolicyDocument",
        "TrailBucketPolicy": "PolicyDocument",
        "TrailRole": "AssumeRolePolicyDocument",
    }
    for name, document in documents_of.items():
        for statement in stack.properties(name)[document]["Statement"]:
            conditions = statement.get("Condition", {})
            keys = {key for keys in conditions.values() for key in keys}
            values = json.dumps([value for keys in conditions.values() for value in keys.values()])
            for service in services(statement):
                checked.add((name, service))
                if (name, service) in WITHOUT_SOURCE:
                    assert not conditions, statement
                else:
                    assert keys & SOURCES and ACCOUNT in values, statement
    assert len(checked) == 8, checked
    # EventBridge sends KMS no source, so a condition on it would refuse the request.
    for statement in stack.properties("RecordsKey")["KeyPolicy"]["Statement"]:
        if "events.amazonaws.com" in services(statement):
            assert "aws:Source" not in json.dumps(statement)
    assert stack.properties("FunctionPermission")["SourceAccount"] == ACCOUNT


def test_the_topic_policy_of_the_module_is_that_of_the_template() -> None:
    (found,) = [
        it
        for block in module()["data"]
        for kind, named in block.items()
        for name, it in named.items()
        if (unquoted(kind), unquoted(name)) == ("aws_iam_policy_document", "publish")
    ]
    ours = {}
    for it in found["statement"]:
        conditions: dict[str, Any] = {}
        for condition in it.get("condition", []):
            (value,) = condition["values"]
            value = unquoted(value).replace("${local.account}", ACCOUNT).replace("${local.region}", REGION)
            value = value.replace("${local.partition}", "aws")
            test, variable = unquoted(condition["test"]), unquoted(condition["variable"])
            conditions.setdefault(test, {})[variable] = value
        (principals,) = it["principals"]
        ours[unquoted(it["sid"])] = ([unquoted(one) for one in principals["identifiers"]], conditions)
    stack = made_up(has_master=False, has_master_key=False)
    theirs = {
        it["Sid"]: (services(it), it.get("Condition", {}))
        for it in stack.properties("TopicPolicy")["PolicyDocument"]["Statement"]
    }
    assert ours == theirs


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
    """Compare how many resources of each kind there are, except where the providers divide them differently."""
    ours = Counter(
        unquoted(kind) for block in module()["resource"] for kind, named in block.items() for _ in named
    )
    apart = {
        "aws_secretsmanager_secret_version",  # in the template, a property of the secret
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
    theirs["aws_cloudwatch_event_rule"] = 1  # for_each makes five
    assert {kind: count for kind, count in ours.items() if kind not in apart} == dict(theirs)


def test_a_trail_that_stays_has_what_it_needs() -> None:
    resources = stacks.template()["Resources"]

    def named(part: Any) -> set[str]:
        """Return the resources that a part of the template refers to."""
        if isinstance(part, str):
            return {name for name in resources if f"${{{name}" in part}
        if isinstance(part, list):
            return set().union(*map(named, part))
        if not isinstance(part, dict):
            return set()
        found = set().union(*map(named, part.values())) if part else set()
        for function in ("Ref", "Fn::GetAtt"):
            target = part.get(function, "")
            found.add(target if isinstance(target, str) else target[0])
        return {name.split(".")[0] for name in found if name}

    needed, waiting = set(), {"Secret", "Trail"}
    while waiting:
        name = waiting.pop()
        needed.add(name)
        resource = resources[name]
        after = resource.get("DependsOn", [])
        after = [after] if isinstance(after, str) else after
        waiting |= ((named(resource["Properties"]) | set(after)) & set(resources)) - needed
    kept = {name for name in needed if resources[name].get("DeletionPolicy") == "Retain"}
    # Resources that only the key policies name can be deleted.
    assert {
        "Secret",
        "Trail",
        "TrailBucket",
        "TrailBucketPolicy",
        "TrailLog",
        "TrailRole",
        "TrailRolePolicy",
    } <= kept
    of_trail = {name for name in needed if name.startswith("Trail") or name.endswith("Key")}
    assert of_trail <= kept, of_trail - kept


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
