#!/usr/bin/env python3
"""Counts the calls of `secretcache audit` on 10,000 secrets and 200 roles, and compares them with the service's quotas.

The secrets are in `secretcache local`, whose log has the time of each call; roles and keys are in moto. Takes five
minutes, most of them spent waiting to stay within the quotas. Exits with 1 if a quota is exceeded or the number of
calls is not the expected one.

Run with the Python of target/venv/tests; PROFILE=debug measures that build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from moto_endpoint import moto_endpoint  # noqa: E402

from endpoint import Endpoint  # noqa: E402

PROFILE = os.environ.get("PROFILE", "release")
COMMAND = ROOT / "target" / PROFILE / "secretcache"
SECRETS, ROLES, KEYS = int(os.environ.get("SECRETS", "10000")), 200, 20
ACCOUNT, REGION = "123456789012", "us-east-1"
READ = "secretsmanager:GetSecretValue"

# Calls per second for one account and Region: AWS Secrets Manager User Guide, "AWS Secrets Manager quotas".
QUOTAS = {"DescribeSecret": 10_000, "GetResourcePolicy": 50, "ListSecretVersionIds": 50, "ListSecrets": 100}
EXPECTED = {
    "DescribeSecret": SECRETS,
    "GetResourcePolicy": SECRETS,
    "ListSecretVersionIds": SECRETS,
    "ListSecrets": -(-SECRETS // 100),
}


def surroundings(url: str) -> list[str]:
    """Create roles and keys in moto; return the keys' ARNs."""
    made = {
        name: boto3.client(
            name,
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="example",
        )
        for name in ("iam", "kms")
    }
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    for place in range(ROLES):
        name = f"team{place}"
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        made["iam"].create_role(RoleName=name, AssumeRolePolicyDocument=document)
        resource = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/team{place}/*"
        read = {"Effect": "Allow", "Action": READ, "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [read]})
        made["iam"].put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=document)
    return [made["kms"].create_key()["KeyMetadata"]["Arn"] for _ in range(KEYS)]


def seed(keys: list[str]) -> str:
    secrets = [
        {
            "name": f"prod/team{place % ROLES}/db{place}",
            "json": {"username": "app", "password": f"example-{place}"},
            "kms_key_id": keys[place % KEYS],
        }
        for place in range(SECRETS)
    ]
    return json.dumps({"secrets": secrets})


def most_in_a_second(lines: list[dict]) -> Counter[str]:
    """Return each operation's highest number of calls within any one second."""
    most: Counter[str] = Counter()
    times: dict[str, list[float]] = {}
    for line in lines:
        times.setdefault(line["operation"], []).append(line["time"])
    for name, all_times in times.items():
        begin = 0
        for end, now in enumerate(all_times):
            while now - all_times[begin] >= 1:
                begin += 1
            most[name] = max(most[name], end - begin + 1)
    return most


def main() -> int:
    with tempfile.TemporaryDirectory() as name, moto_endpoint() as moto:
        folder = Path(name)
        (folder / "seed.json").write_text(seed(surroundings(moto)))
        options = ["--seed", str(folder / "seed.json"), "--log-format", "json"]
        with Endpoint(PROFILE, *options) as local:
            environment = {
                **os.environ,
                "AWS_ENDPOINT_URL": moto,
                "AWS_ENDPOINT_URL_SECRETS_MANAGER": local.url,
                "AWS_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "example",
            }
            saved = folder / "account.json"
            command = [COMMAND, "audit", "--all", "--save", saved, "--format", "json"]
            begin = time.perf_counter()
            with open(os.devnull, "w") as nowhere:
                child = subprocess.Popen(command, stdout=nowhere, env=environment)
                _, status, used = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
            took = time.perf_counter() - begin
            assert child.returncode == 4, child.returncode
            printed = [json.loads(line) for line in local.log() if line[0] == "{"]
        calls = json.loads(saved.read_text())["Calls"]
    requests = [line for line in printed if "operation" in line]
    most = most_in_a_second(requests)
    print(
        f"audit of {SECRETS:,} secrets, {ROLES} roles and {KEYS} keys: {took:.0f} s, {used.ru_maxrss / 1024:.0f} MB"
    )
    print("| call | made | most in a second | quota |")
    print("|---|---|---|---|")
    for call, count in sorted(calls.items(), key=lambda item: -item[1]):
        service, operation = call.split(":")
        known = service == "secretsmanager"
        print(
            f"| {call} | {count:,} | {most[operation] if known else ''} | {QUOTAS[operation] if known else ''} |"
        )
    too_often = {name for name, quota in QUOTAS.items() if most[name] > quota}
    made = {name: calls.get(f"secretsmanager:{name}") for name in EXPECTED}
    return int(bool(too_often) or made != EXPECTED)


if __name__ == "__main__":
    sys.exit(main())
