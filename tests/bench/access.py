#!/usr/bin/env python3
"""Measures `secretcache audit` on a snapshot of a large account: 1,000 secrets, 200 roles, no network.

Exits with 1 if it takes more than 2 s or 200 MB.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(os.environ.get("SECRETCACHE", ROOT / "target" / "release" / "secretcache"))
SECRETS, ROLES = 1000, 200
ACCOUNT, REGION = "111122223333", "eu-central-1"
MOST_SECONDS, MOST_MB = 2.0, 200


def account() -> dict:
    """Return the tests' good account, scaled up: every role reads five secrets and has further policies."""
    good = json.loads((ROOT / "access" / "tests" / "checks" / "good.json").read_text())
    secret, key = good["Secrets"][0], good["Keys"][0]
    arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
    names = [f"prod/team{place % 50}/db{place}" for place in range(SECRETS)]
    roles = [f"arn:aws:iam::{ACCOUNT}:role/role{place}" for place in range(ROLES)]
    good["Secrets"] = [
        {**secret, "Name": name, "ARN": f"{arn}{name}-AbCdEf", "ResourcePolicy": None, "Content": None}
        for name in names
    ]
    key["Policy"]["Statement"][1]["Principal"] = {"AWS": roles}
    key["Policy"]["Statement"][1]["Condition"]["StringLike"] = {
        "kms:EncryptionContext:SecretARN": f"{arn}prod/*"
    }

    def policy(place: int) -> list[dict]:
        own = [f"{arn}{name}-??????" for name in names[place * 5 : place * 5 + 5]]
        read = {
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
            "Resource": own,
        }
        rest = [
            {"Effect": "Allow", "Action": [f"{service}:Get*", f"{service}:List*"], "Resource": "*"}
            for service in ("s3", "sqs", "sns", "dynamodb", "logs", "ec2", "cloudwatch", "ecs")
        ]
        path = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": f"{arn}prod/team{place % 50}/*"}
        return [read, path, *rest]

    statements = {role: policy(place) for place, role in enumerate(roles)}
    good["Principals"] += [
        {
            "Arn": role,
            "InlinePolicies": [{"Name": "own", "Document": {"Version": "2012-10-17", "Statement": own}}],
        }
        for role, own in statements.items()
    ]
    return good


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "account.json"
        snapshot.write_text(json.dumps(account()))
        begin = time.perf_counter()
        with open(os.devnull, "w") as nowhere:
            command = [COMMAND, "audit", "--all", "--offline", snapshot, "--format", "json"]
            child = os.posix_spawn(
                COMMAND,
                list(map(str, command)),
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)],
            )
            _, status, used = os.wait4(child, 0)
        took = time.perf_counter() - begin
    megabytes = used.ru_maxrss / 1024
    figures = f"{took:.2f} s, {megabytes:.0f} MB"
    print(
        f"| audit of {SECRETS:,} secrets and {ROLES} roles | {figures} | at most {MOST_SECONDS:g} s, {MOST_MB} MB |"
    )
    found = os.waitstatus_to_exitcode(status)
    assert found == 4, f"exit status {found}"
    return int(took > MOST_SECONDS or megabytes > MOST_MB)


if __name__ == "__main__":
    sys.exit(main())
