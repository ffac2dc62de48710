"""Runs `programs/accounts.c`: several accounts in one cache."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
from conftest import HERE, Installed, run
from moto_endpoint import moto_endpoint

ROLE = "arn:aws:iam::111122223333:role/reads-secrets"


def test_secrets_of_a_prefix_are_read_as_its_role(installed: Installed, tmp_path: Path) -> None:
    program = installed.compile(tmp_path / "accounts", [HERE / "programs" / "accounts.c"])
    with moto_endpoint() as url:
        own = {"endpoint_url": url, "region_name": "us-east-1"}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        sts = boto3.client("sts", **own, **keys)
        role = sts.assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
        boto3.client("secretsmanager", **own, **keys).create_secret(Name="key", SecretString="ours")
        boto3.client(
            "secretsmanager",
            **own,
            aws_access_key_id=role["AccessKeyId"],
            aws_secret_access_key=role["SecretAccessKey"],
            aws_session_token=role["SessionToken"],
        ).create_secret(Name="billing/key", SecretString="theirs")
        environment = os.environ | {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        run(program, env=environment, timeout=120)
