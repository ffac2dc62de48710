"""`secretcache access`: who can read a secret, and which policy is missing."""

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
    assert text.startswith(f"{NAME}: 2 principals in the account can read it\n")


def test_access_to_kms_is_not_allowed_and_why(good_account: Account) -> None:
    """The identity policy allows the read, but neither the key policy nor the identity policy allows kms:Decrypt."""
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
    for text, said in [
        ("{", "not JSON"),
        (policy(allow("secretsmanager:GetSecretValue", "*", Principal="*")), "has a Principal"),
    ]:
        file.write_text(text)
        ran = secretcache(
            good_account.url, "access", NAME, "--principal", "app", "--session-policy", str(file)
        )
        assert ran.status == 2 and "session.json" in ran.err and said in ran.err


def test_what_depends_on_the_request_is_a_condition(good_account: Account) -> None:
    condition = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    statement = allow("secretsmanager:GetSecretValue", good_account.ids["secret"], Condition=condition)
    good_account.client("iam").put_role_policy(
        RoleName="app", PolicyName="own", PolicyDocument=policy(statement)
    )
    text = secretcache(good_account.url, "access", NAME, "--principal", "app").out
    assert "role/app can read it under conditions" in text
    assert "depends on identity policy own, statement 1 if IpAddress aws:SourceIp 203.0.113.0/24" in text


def test_a_service_control_policy_keeps_the_account_out(good_account: Account) -> None:
    organizations = good_account.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    # Service control policies do not apply to the management account, only to members. moto's only account is
    # the management account.
    answer = ask(good_account)
    assert len(answer["Principals"]) == 2 and answer["NotCollected"] == []


def test_who_may_become_a_reader_is_named(good_account: Account) -> None:
    account = good_account
    iam = account.client("iam")
    iam.create_user(UserName="ops")
    assume = policy(allow("sts:AssumeRole", account.ids["app"]))
    iam.put_user_policy(UserName="ops", PolicyName="assume", PolicyDocument=assume)
    own = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    }
    other = {**own, "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}
    iam.update_assume_role_policy(RoleName="app", PolicyDocument=policy(own, other))
    app, rotation = ask(account)["Principals"]
    assert rotation["AssumedBy"] == ["lambda.amazonaws.com"] and "OpenTo" not in rotation
    assert app["AssumedBy"][0].endswith(f"whose policies allow it: arn:aws:iam::{ACCOUNT}:user/ops")
    assert app["AssumedBy"][1] == "any principal that account 444455556666 allows"
    assert len(app["OpenTo"]) == 1 and "without an external id" in app["OpenTo"][0]
    out = secretcache(account.url, "access", NAME).out
    assert "  can be assumed by: lambda.amazonaws.com\n" in out
    both = "any principal that account 444455556666 allows"
    assert f"; {both}\n  too open: {both}" in out


def test_grants_on_the_key_are_named_or_said_to_be_unknown(
    good_account: Account, relay: Callable[..., Relay]
) -> None:
    account = good_account
    batch = f"arn:aws:iam::{ACCOUNT}:role/batch"
    made = account.client("kms").create_grant(
        KeyId=account.ids["key"],
        GranteePrincipal=batch,
        Operations=["Decrypt"],
        Constraints={"EncryptionContextSubset": {"SecretARN": account.ids["secret"]}},
    )["GrantId"]
    answer = ask(account)
    assert answer["KeyGrants"] == [{"GrantId": made, "GranteePrincipal": batch}]
    out = secretcache(account.url, "access", NAME).out
    assert f"{batch} can decrypt with the key by grant {made}, whatever the policies say\n" in out
    ran = secretcache(relay("ListGrants").url, "access", NAME)
    assert ran.status == 0 and "the grants on its key are not known" in ran.out
    assert "kms:ListGrants failed" in ran.out


def test_a_principal_that_is_not_there_is_an_error(good_account: Account) -> None:
    ran = secretcache(good_account.url, "access", NAME, "--principal", "nobody")
    assert ran.status == 1 and "no role or user nobody in account 123456789012" in ran.err


def test_an_answer_that_may_be_wrong_says_what_it_lacks(
    good_account: Account, relay: Callable[..., Relay]
) -> None:
    """Without the functions, it is not known whose requests an endpoint's policy restricts."""
    ran = secretcache(relay("ListFunctions", "DescribeVpcEndpoints").url, "access", NAME)
    assert ran.status == 0
    for permission in ("lambda:ListFunctions", "ec2:DescribeVpcEndpoints"):
        assert f"{permission} failed, so this answer may be wrong\n" in ran.out
    lesser = relay("GetAccountAuthorizationDetails").url
    ran = secretcache(lesser, "access", NAME, "--principal", "app")
    assert ran.status == 1 and "iam:GetAccountAuthorizationDetails was refused" in ran.err, ran.err


OFFLINE = "http://127.0.0.1:9"


def snapshot(file: Path, principal: dict | None = None, **changes: object) -> list[str]:
    """Write a snapshot with one reader and one secret, and return the options to use it."""
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
    assert "app may be able to read it: not all policies are known" in out
    assert f"not known: the document of permissions boundary {boundary}" in out


def test_names_stay_on_their_line_and_in_their_direction(tmp_path: Path) -> None:
    name = "prod/a\nb\u202ec\u2066"
    offline = snapshot(tmp_path / "account.json", Name=name)
    for command in ("audit", "access"):
        ran = secretcache(OFFLINE, command, name, *offline)
        assert "prod/a\ufffdb\ufffdc\ufffd" in ran.out and not {"\u202e", "\u2066"} & set(ran.out)
    ran = secretcache(OFFLINE, "access", "no\x1b[2Jsuch", *offline)
    assert ran.status == 1 and "no\ufffd[2Jsuch" in ran.err and "\x1b" not in ran.err


def test_the_sessions_that_a_policy_names_are_named(tmp_path: Path) -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/one"
    statement = allow("secretsmanager:GetSecretValue", "*", Principal={"AWS": session})
    offline = snapshot(
        tmp_path / "account.json", {"InlinePolicies": []}, ResourcePolicy=json.loads(policy(statement))
    )
    out = secretcache(OFFLINE, "access", NAME, "--principal", "app", *offline).out
    assert f"depends on resource policy of the secret, statement 1 if the session is {session}\n" in out


def test_nothing_that_is_printed_controls_a_terminal(tmp_path: Path) -> None:
    name = "prod/a\x1b[2J\x9b\u202e"
    offline = snapshot(tmp_path / "account.json", Name=name)
    for arguments in (["audit", name, "--format", "json"], ["access", name, "--json"]):
        ran = secretcache(OFFLINE, *arguments, *offline)
        assert not {"\x1b", "\x9b", "\u202e"} & set(ran.out)
        # The JSON value itself is complete.
        assert name in json.dumps(ran.json(), ensure_ascii=False) or json.dumps(name)[1:-1] in ran.out
    # The argument parser's messages repeat the arguments.
    for arguments in (["audit", f"--{name}"], [name], ["policy", name, "--secret", "a"]):
        ran = secretcache(OFFLINE, *arguments)
        assert ran.status == 2 and "a\ufffd[2J" in ran.err and not {"\x1b", "\x9b", "\u202e"} & set(ran.err)


def test_the_endpoint_that_is_given_wins(good_account: Account) -> None:
    for command in ("audit", "access"):
        ran = secretcache(OFFLINE, command, NAME, "--endpoint-url", good_account.url)
        assert ran.status == 0, ran.err


def offline(tmp_path: Path, *arguments: str, mark: str = "", **changes: object) -> tuple[dict, str]:
    """Return the JSON and text output of `access` for a snapshot with one secret."""
    secret = {"Name": NAME, "ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{NAME}-AbCdEf"}
    secret |= changes.pop("Secret", {})
    snapshot = {"Account": ACCOUNT, "Region": REGION, "Secrets": [secret], **changes}
    (file := tmp_path / "account.json").write_text(mark + json.dumps(snapshot))
    command = ["access", NAME, "--offline", str(file), *arguments]
    return secretcache(OFFLINE, *command, "--json").json(), secretcache(OFFLINE, *command).out


def app(*statements: dict) -> dict:
    policies = [{"Name": "own", "Document": json.loads(policy(*statements))}] if statements else []
    return {"Arn": f"arn:aws:iam::{ACCOUNT}:role/app", "InlinePolicies": policies}


def test_the_condition_of_a_deny_is_no_condition_of_an_allow(tmp_path: Path) -> None:
    read = allow("secretsmanager:GetSecretValue", "*")
    deny = {**read, "Effect": "Deny", "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}
    answer, text = offline(tmp_path, Principals=[app(read, deny)])
    [depends] = answer["Principals"][0]["Secret"]["DependsOn"]
    assert (depends["Effect"], depends["Condition"]) == ("Deny", "StringNotEquals aws:SourceVpce vpce-1")
    assert "Secrets Manager: unless StringNotEquals aws:SourceVpce vpce-1, which identity policy own" in text


def test_nobody_is_counted_where_nobody_is_known(tmp_path: Path) -> None:
    refused = [{"Permission": "iam:GetAccountAuthorizationDetails", "Error": "AccessDenied"}]
    for missing in ({}, {"NotCollected": refused}):
        answer, text = offline(tmp_path, mark="\ufeff", **missing)
        assert not answer["PrincipalsAreKnown"] and "0 principals" not in text
        assert "cannot tell who in the account can read it" in text
        file = str(tmp_path / "account.json")
        ran = secretcache(OFFLINE, "access", NAME, "--principal", "app", "--offline", file)
        assert ran.status == 1 and "roles and users are not known" in ran.err


def test_a_resource_policy_that_was_refused_may_let_in(tmp_path: Path) -> None:
    refused = [{"Permission": "secretsmanager:GetResourcePolicy", "Error": "AccessDenied"}]
    answer, text = offline(tmp_path, "--principal", "app", Principals=[app()], NotCollected=refused)
    assert answer["Principals"][0]["Outcome"] == "Conditional"
    assert "may be able to read it: not all policies are known" in text and "cannot read it" not in text
    denied = app({**allow("secretsmanager:*", "*"), "Effect": "Deny"})
    answer, _ = offline(tmp_path, "--principal", "app", Principals=[denied], NotCollected=refused)
    assert answer["Principals"][0]["Outcome"] == "Denied"


def test_a_federated_user_that_the_secret_lets_in_is_listed(tmp_path: Path) -> None:
    bob = f"arn:aws:sts::{ACCOUNT}:federated-user/bob"
    let_in = {**allow("secretsmanager:GetSecretValue", "*"), "Principal": {"AWS": bob}}
    answer, text = offline(
        tmp_path, Principals=[app()], Secret={"ResourcePolicy": json.loads(policy(let_in))}
    )
    assert answer["FederatedUsers"] == [bob] and f"{bob} is allowed by the resource policy" in text


def test_a_service_that_the_secret_lets_in_is_listed(tmp_path: Path) -> None:
    read = allow("secretsmanager:GetSecretValue", "*")
    by_name = {**read, "Principal": {"Service": "rds.amazonaws.com"}}
    answer, text = offline(
        tmp_path, Principals=[app()], Secret={"ResourcePolicy": json.loads(policy(by_name))}
    )
    assert answer["Services"] == ["rds.amazonaws.com"] and answer["OtherAccounts"] == []
    assert "rds.amazonaws.com is allowed by the resource policy\n" in text
    answer, text = offline(
        tmp_path,
        Principals=[app()],
        Secret={"ResourcePolicy": json.loads(policy({**read, "Principal": "*"}))},
    )
    assert answer["OtherAccounts"] == ["*"] and "everyone is allowed by the resource policy" in text
