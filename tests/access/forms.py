"""The two forms of deploy/: the template with made-up resource names, and the parsed Terraform module."""

from __future__ import annotations

from functools import cache
from typing import Any

import hcl2
from accounts import ACCOUNT, REGION
from stack import ROOT, Stack

TERRAFORM = ROOT / "deploy" / "terraform"

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


def made_up(*, has_master: bool, has_master_key: bool, **parameters: Any) -> Stack:
    """Return the template with made-up resource names."""
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


@cache
def module() -> dict[str, Any]:
    """Return all blocks of the module by kind, each with its labels."""
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
