"""`secretcache audit` on whole accounts in moto."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from accounts import NAME, Account
from conftest import Relay, audit, secretcache, shell

# What moto cannot have: times of the past, replicas, network activity, managed rotation. Snapshots test those.
FAULTS = [
    "access.all-actions",
    "access.all-secrets",
    "access.application-writes",
    "access.master-readable",
    "access.name-wildcard",
    "access.not-action",
    "access.not-resource",
    "access.recreate",
    "access.rotation-lacks",
    "access.rotation-wide",
    "access.sprawl",
    "alarm.access-denied",
    "alarm.access-volume",
    "alarm.delete",
    "alarm.policy-change",
    "alarm.put-value",
    "alarm.rotation-failed",
    "key.context-mismatch",
    "key.context-version",
    "key.default",
    "key.encryption-context",
    "key.policy-broad",
    "key.policy-public",
    "key.reader",
    "key.rotation",
    "key.shared-default",
    "key.state",
    "key.via-service",
    "key.via-service-mismatch",
    "network.dns-attributes",
    "network.endpoint-policy",
    "network.endpoint-trust",
    "network.no-endpoint",
    "network.private-dns",
    "network.security-group",
    "network.zones",
    "rotation.function-missing",
    "rotation.interval",
    "rotation.off",
    "rotation.strategy",
    "rotation.window",
    "sharing.blast-radius",
    "sharing.cross-account",
    "sharing.function-not-permitted",
    "sharing.function-permission",
    "sharing.ghost-principal",
    "sharing.name-suffix",
    "sharing.open-to-account",
    "sharing.organization",
    "sharing.public",
    "trail.network-activity",
    "trail.rule-state",
    "trail.single-region",
    "trail.write-only",
    "usage.database-without-secret",
    "usage.deleted-in-use",
    "usage.deletion-window",
    "usage.injected",
    "usage.untagged",
]

# Commands that moto takes and does not act on, or does not have.
NOT_IN_MOTO = {
    "rotation.off": "takes rotation as on only with AutomaticallyAfterDays",
    "rotation.interval": "ignores ScheduleExpression",
    "rotation.window": "ignores ScheduleExpression",
    "usage.database-without-secret": "has no managed password for an instance that exists",
    "usage.deletion-window": "shows the day of the deletion, not the day after which it is gone",
    "network.private-dns": "ignores --private-dns-enabled of an endpoint that exists",
}


def ids(report: dict) -> set[str]:
    return {finding["Check"] for finding in report["Findings"]}


def apart(finding: dict) -> str:
    """What makes the fixes of two findings about one resource independent of each other."""
    return finding["Check"] if finding["Check"].startswith(("alarm.", "network.dns", "usage.")) else ""


def test_nothing_is_found_where_all_is_well(good_account: Account) -> None:
    report = audit(good_account.url)
    assert report["Findings"] == []
    assert {missing["Permission"] for missing in report["NotChecked"]} == {"secretsmanager:GetSecretValue"}
    assert secretcache(good_account.url, "audit", NAME).status == 0


def test_every_fault_is_found(bad_account: Account) -> None:
    report = audit(bad_account.url)
    assert set(FAULTS) - ids(report) == set()
    assert secretcache(bad_account.url, "audit", "--all", "--fail-on", "critical").status == 4


def test_each_fix_run_as_printed_makes_its_finding_go(bad_account: Account) -> None:
    url = bad_account.url
    key = lambda finding: (finding["Check"], finding["Secret"], finding["Resource"], finding["Seen"])  # noqa: E731
    fixed: set[str] = set()
    for _ in range(20):
        findings = [
            finding
            for finding in audit(url)["Findings"]
            if finding["Run"] and finding["Check"] not in NOT_IN_MOTO
        ]
        # Two findings about one thing each print all of it without their own fault: one at a time.
        todo = {(finding["Resource"], apart(finding)): finding for finding in reversed(findings)}.values()
        if not todo:
            break
        for finding in todo:
            for command in finding["Run"]:
                shell(url, command)
        left = {key(finding) for finding in audit(url)["Findings"]}
        stays = [finding for finding in todo if key(finding) in left]
        assert not stays, stays
        fixed |= {finding["Check"] for finding in todo}
    assert not todo, "each round of fixes finds something else"
    by_hand = {
        "key.reader",
        "key.shared-default",
        "rotation.function-missing",
        "rotation.strategy",
        "sharing.blast-radius",
        "sharing.name-suffix",
        "usage.injected",
        "access.sprawl",
    }
    assert set(FAULTS) - fixed - by_hand - set(NOT_IN_MOTO) == set()


def test_only_reading_calls_are_made(
    bad_account: Account, relay: Callable[..., Relay], tmp_path: Path
) -> None:
    counted = relay()
    saved = tmp_path / "account.json"
    audit(counted.url, "--save", str(saved))
    assert all(name.startswith(("Get", "List", "Describe")) for name in counted.calls), counted.calls
    assert "GetSecretValue" not in counted.calls and "BatchGetSecretValue" not in counted.calls
    told = json.loads(saved.read_text())["Calls"]
    assert {name.split(":")[1]: count for name, count in told.items()} == dict(counted.calls)
    # What is shared is read once.
    secrets = len(json.loads(saved.read_text())["Secrets"])
    assert counted.calls["GetResourcePolicy"] == counted.calls["DescribeSecret"] == secrets
    assert counted.calls["GetAccountAuthorizationDetails"] == counted.calls["DescribeVpcEndpoints"] == 1


def test_what_the_auditor_may_not_read_is_said(good_account: Account, relay: Callable[..., Relay]) -> None:
    lesser = relay("GetKeyPolicy", "DescribeTrails", "GetAccountAuthorizationDetails", "ListFunctions")
    ran = secretcache(lesser.url, "audit", NAME, "--format", "json")
    assert ran.status == 0, ran.out
    missing = {(it["Check"], it["Permission"]) for it in ran.json()["NotChecked"]}
    assert {
        ("key.policy-public", "kms:GetKeyPolicy"),
        ("trail.write-only", "cloudtrail:DescribeTrails"),
        ("access.all-secrets", "iam:GetAccountAuthorizationDetails"),
        ("rotation.function-missing", "lambda:ListFunctions"),
    } <= missing
    assert "trail.none: cloudtrail:DescribeTrails is missing" in secretcache(lesser.url, "audit", NAME).out


def test_without_the_secrets_themselves_nothing_can_be_said(
    good_account: Account, relay: Callable[..., Relay]
) -> None:
    ran = secretcache(relay("ListSecrets").url, "audit", "--all")
    assert ran.status == 1 and "secretsmanager:ListSecrets" in ran.err
    ran = secretcache(good_account.url, "audit", "no/such/secret")
    assert ran.status == 1 and "no/such/secret" in ran.err


def test_a_saved_snapshot_says_the_same_and_holds_no_value(bad_account: Account, tmp_path: Path) -> None:
    saved = tmp_path / "account.json"
    online = audit(bad_account.url, "--save", str(saved))
    offline = secretcache("http://127.0.0.1:9", "audit", "--all", "--offline", str(saved), "--format", "json")
    assert offline.json() == online
    assert "not-a-secret" not in saved.read_text()
    one = secretcache("http://127.0.0.1:9", "audit", NAME, "--offline", str(saved), "--format", "json").json()
    assert one["Secrets"] == 1


def test_values_that_login_reads_stay_in_memory(good_account: Account, tmp_path: Path) -> None:
    value = json.dumps(
        {
            "username": "app",
            "host": "127.0.0.1",
            "port": 9,
            "engine": "postgres",
            "password": "canary-password",
        }
    )
    account, secrets = good_account, good_account.client("secretsmanager")
    for name in ("prod/one", "prod/two"):
        secrets.create_secret(Name=name, SecretString=value)
    lambda_ = account.client("lambda")
    lambda_.update_function_configuration(
        FunctionName=account.ids["function"],
        Environment={"Variables": {"DB": "postgres://app:canary-password@db"}},
    )
    saved = tmp_path / "account.json"
    ran = secretcache(account.url, "audit", "--all", "--login", "--save", str(saved), "--format", "json")
    assert "canary" not in ran.out + ran.err + saved.read_text()
    shared = [
        finding for finding in ran.json()["Findings"] if finding["Check"] == "content.shared-credential"
    ]
    assert {finding["Secret"] for finding in shared} == {"prod/one", "prod/two"}
    injected = json.loads(saved.read_text())["Functions"][0]["InjectedSecrets"]
    assert len(injected) == 2


def test_formats(bad_account: Account, tmp_path: Path) -> None:
    saved = tmp_path / "account.json"
    audit(bad_account.url, "--save", str(saved))

    def printed(name: str) -> str:
        return secretcache(
            "http://127.0.0.1:9", "audit", "--all", "--offline", str(saved), "--format", name
        ).out

    sarif = json.loads(printed("sarif"))
    run = sarif["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert sarif["version"] == "2.1.0" and {result["level"] for result in run["results"]} == {
        "error",
        "warning",
        "note",
    }
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    html = printed("html")
    assert html.startswith("<!doctype html>") and "<script" not in html and "key.default" in html
    text = printed("text")
    assert "fix: aws kms enable-key --key-id " in text and "why: " in text
    assert text.splitlines()[-1].startswith("8 secrets in account 123456789012, eu-central-1: ")
