"""Messages and exit status of `secretcache audit` if a secret, a key, a file or an option is missing."""

from __future__ import annotations

from pathlib import Path

from accounts import ACCOUNT, NAME, REGION, Account, allow
from conftest import audit, secretcache

NOWHERE = "http://127.0.0.1:9"


def test_one_wrong_id_leaves_the_others_checked(good_account: Account, tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    for arguments in (["--save", str(file)], ["--offline", str(file)]):
        ran = secretcache(good_account.url, "audit", NAME, "no/such/secret", "--only", "key", *arguments)
        assert ran.status == 5 and ran.err.startswith("no/such/secret: "), ran
        assert f"1 secret in account {ACCOUNT}, {REGION}: no findings" in ran.out, ran.out


def test_what_is_found_of_the_account_is_not_found_of_secrets_that_are_not_there(empty: str) -> None:
    ran = secretcache(empty, "audit", "--prefix", "zzz", "--fail-on", "info")
    assert ran.status == 1 and "trail.none" in ran.out and 'starts with "zzz"' in ran.err, ran


def test_a_key_that_does_not_exist_is_critical(empty: str) -> None:
    account = Account(empty)
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    arn = account.client("secretsmanager").create_secret(Name="k/gone", SecretString="x", KmsKeyId=key)["ARN"]
    account.role("app", allow("secretsmanager:GetSecretValue", arn))
    report = audit(empty, "--only", "key")
    assert [(it["Check"], it["Resource"]) for it in report["Findings"]] == [("key.state", key)]
    assert report["NotChecked"] == []
    ran = secretcache(empty, "access", "k/gone")
    assert f"nobody can read it now: its key {key} is Missing" in ran.out, ran.out


def test_a_failure_is_json_where_the_result_is(tmp_path: Path) -> None:
    offline = ("--offline", str(tmp_path / "none.json"))
    for arguments in (["--format", "json"], ["--format=json"]):
        ran = secretcache(NOWHERE, "audit", "--all", *offline, *arguments)
        assert ran.status == 1 and "none.json" in ran.json()["error"]["message"], ran
    ran = secretcache(NOWHERE, "audit", "--all", *offline)
    assert ran.status == 1 and ran.out == ""


def test_what_is_missing_or_misspelt_on_the_command_line_is_said(tmp_path: Path) -> None:
    ran = secretcache(NOWHERE, "audit", "--offline", str(tmp_path / "account.json"))
    assert ran.status == 2 and "--prefix <P>|--all>" in ran.err, ran.err
    ran = secretcache(NOWHERE, "audit", "--all", "--allowed-regions", "eu-west-1,nowhere")
    assert ran.status == 2 and '"nowhere" is not a Region' in ran.err, ran.err
