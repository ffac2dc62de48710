"""`secretcache access`: who can read a secret, and which link is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from accounts import ACCOUNT, NAME, REGION, Account, allow, policy
from conftest import Relay, secretcache


def ask(account: Account, *arguments: str) -> dict:
    ran = secretcache(account.url, "access", NAME, "--json", *arguments)
    return {"status": ran.status, **ran.json()}


def test_readers_are_named_with_the_statement_that_lets_them_in(good_account: Account) -> None:
    answer = ask(good_account)
    assert answer["status"] == 0
    assert [it["Principal"].rsplit("/", 1)[1] for it in answer["Principals"]] == ["app", "rotation"]
    endpoint, own = answer["Principals"][0]["Secret"]["Because"]
    assert endpoint.startswith("endpoint policy vpce-") and own == "identity policy own, statement 1"
    assert answer["Principals"][0]["Key"]["Because"][0].startswith("key policy arn:aws:kms:")
    text = secretcache(good_account.url, "access", NAME).out
    assert text.startswith(f"{NAME}: 2 principals of the account can read it\n")


def test_access_to_kms_is_not_allowed_and_why(good_account: Account) -> None:
    """The identity policy and the secret let it in; neither key policy nor identity policy allows kms:Decrypt."""
    account = good_account
    arn = account.role("late", allow("secretsmanager:GetSecretValue", account.ids["secret"]))
    account.client("secretsmanager").delete_resource_policy(SecretId=account.ids["secret"])
    answer = ask(account, "--principal", arn)
    assert answer["status"] == 4
    late = answer["Principals"][0]
    assert (late["Outcome"], late["Secret"]["Outcome"], late["Key"]["Missing"]) == (
        "Denied",
        "Allowed",
        ["key policy", "identity policy"],
    )
    text = secretcache(account.url, "access", NAME, "--principal", "late").out
    assert "KMS: no key policy allows it" in text


def test_the_statement_that_denies_is_named(good_account: Account) -> None:
    good_account.role("late", allow("secretsmanager:*", "*"))
    answer = ask(good_account, "--principal", "late")
    assert answer["status"] == 4
    assert answer["Principals"][0]["Secret"]["Because"] == ["resource policy of the secret, statement 1"]


def test_a_boundary_is_a_missing_link(good_account: Account) -> None:
    iam = good_account.client("iam")
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=policy(allow("s3:*", "*")))["Policy"][
        "Arn"
    ]
    iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=boundary)
    answer = ask(good_account, "--principal", "app")
    assert answer["Principals"][0]["Secret"]["Missing"] == ["permissions boundary"]


def test_a_session_policy_that_is_given_is_a_missing_link(good_account: Account, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    file.write_text(policy(allow("s3:*", "*")))
    answer = ask(good_account, "--principal", "app", "--session-policy", str(file))
    assert (answer["status"], answer["Principals"][0]["Secret"]["Missing"]) == (4, ["session policy"])
    file.write_text(policy(allow("secretsmanager:GetSecretValue", "*")))
    answer = ask(good_account, "--principal", "app", "--session-policy", str(file))
    assert answer["Principals"][0]["Key"]["Missing"] == ["session policy"]
    file.write_text(policy(allow(["secretsmanager:GetSecretValue", "kms:Decrypt"], "*")))
    answer = ask(good_account, "--principal", "app", "--session-policy", str(file))
    assert (answer["status"], answer["Principals"][0]["Outcome"]) == (0, "Allowed")
    file.write_text("{")
    ran = secretcache(good_account.url, "access", NAME, "--principal", "app", "--session-policy", str(file))
    assert ran.status == 2 and "session.json" in ran.err


def test_what_depends_on_the_request_is_a_condition(good_account: Account) -> None:
    condition = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    statement = allow("secretsmanager:GetSecretValue", good_account.ids["secret"], Condition=condition)
    good_account.client("iam").put_role_policy(
        RoleName="app", PolicyName="own", PolicyDocument=policy(statement)
    )
    text = secretcache(good_account.url, "access", NAME, "--principal", "app").out
    assert "role/app can read it on conditions" in text
    assert "depends on identity policy own, statement 1 if IpAddress aws:SourceIp 203.0.113.0/24" in text


def test_a_service_control_policy_keeps_the_account_out(good_account: Account) -> None:
    organizations = good_account.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    # The management account is bound by none; as a member it would be. moto's only account manages the organization.
    answer = ask(good_account)
    assert len(answer["Principals"]) == 2 and answer["NotCollected"] == []


def test_a_principal_that_is_not_there_is_an_error(good_account: Account) -> None:
    ran = secretcache(good_account.url, "access", NAME, "--principal", "nobody")
    assert ran.status == 1 and "no role or user nobody in account 123456789012" in ran.err


def test_an_answer_that_may_be_wrong_says_what_it_lacks(
    good_account: Account, relay: Callable[..., Relay]
) -> None:
    """Without the functions nobody knows whose requests an endpoint's policy restricts."""
    ran = secretcache(relay("ListFunctions", "DescribeVpcEndpoints").url, "access", NAME)
    assert ran.status == 0
    for permission in ("lambda:ListFunctions", "ec2:DescribeVpcEndpoints"):
        assert f"not known: {permission} was refused, so the answer may be wrong\n" in ran.out
    lesser = relay("GetAccountAuthorizationDetails").url
    ran = secretcache(lesser, "access", NAME, "--principal", "app")
    assert ran.status == 1 and "iam:GetAccountAuthorizationDetails was refused" in ran.err, ran.err


OFFLINE = "http://127.0.0.1:9"


def snapshot(file: Path, principal: dict | None = None, **changes: object) -> list[str]:
    """An account with one reader and one secret, and the options that ask it."""
    secret = {"Name": NAME, "ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{NAME}-AbCdEf"}
    own = {"Name": "own", "Document": json.loads(policy(allow("secretsmanager:GetSecretValue", "*")))}
    reader = {"Arn": f"arn:aws:iam::{ACCOUNT}:role/team/app", "InlinePolicies": [own], **(principal or {})}
    file.write_text(
        json.dumps(
            {"Account": ACCOUNT, "Region": REGION, "Secrets": [{**secret, **changes}], "Principals": [reader]}
        )
    )
    return ["--offline", str(file)]


def test_a_session_is_its_role(tmp_path: Path) -> None:
    offline = snapshot(tmp_path / "account.json")
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/i-0abc"
    ran = secretcache(OFFLINE, "access", NAME, "--principal", session, *offline)
    assert (ran.status, ran.out.splitlines()[0]) == (0, f"arn:aws:iam::{ACCOUNT}:role/team/app can read it")
    other = session.replace(ACCOUNT, "444455556666")
    assert secretcache(OFFLINE, "access", NAME, "--principal", other, *offline).status == 1


def test_nobody_reads_what_waits_to_be_deleted(tmp_path: Path) -> None:
    offline = snapshot(tmp_path / "account.json", DeletedDate="2026-03-20T00:00:00Z")
    ran = secretcache(OFFLINE, "access", NAME, "--principal", "app", *offline)
    assert ran.status == 4 and "scheduled for deletion" in ran.out and "cannot read it now" in ran.out
    assert f"{NAME}: 0 principals" in secretcache(OFFLINE, "access", NAME, *offline).out


def test_a_policy_that_the_snapshot_lacks_is_named(tmp_path: Path) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    offline = snapshot(tmp_path / "account.json", {"PermissionsBoundary": boundary})
    out = secretcache(OFFLINE, "access", NAME, *offline).out
    assert "app may be able to read it: not known" in out
    assert f"not known: the document of permissions boundary {boundary}" in out


def test_names_stay_on_their_line_and_in_their_direction(tmp_path: Path) -> None:
    name = "prod/a\nb\u202ec\u2066"
    offline = snapshot(tmp_path / "account.json", Name=name)
    for command in ("audit", "access"):
        ran = secretcache(OFFLINE, command, name, *offline)
        assert "prod/a\ufffdb\ufffdc\ufffd" in ran.out and not {"\u202e", "\u2066"} & set(ran.out)
    ran = secretcache(OFFLINE, "access", "no\x1b[2Jsuch", *offline)
    assert ran.status == 1 and "no\ufffd[2Jsuch" in ran.err and "\x1b" not in ran.err


def test_the_endpoint_that_is_given_wins(good_account: Account) -> None:
    for command in ("audit", "access"):
        ran = secretcache(OFFLINE, command, NAME, "--endpoint-url", good_account.url)
        assert ran.status == 0, ran.err
