"""`secretcache audit` on whole accounts in moto."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from accounts import ACCOUNT, NAME, REGION, Account, allow, good, policy
from botocore.parsers import create_parser
from conftest import ROOT, Relay, audit, fix, secretcache, shell
from sarif_pydantic import Sarif

from endpoint import Endpoint

# moto cannot have past dates, replicas, network activity or managed rotation. Snapshots test those.
FAULTS = [
    "access.all-actions",
    "access.all-secrets",
    "access.application-writes",
    "access.becomes-reader",
    "access.master-readable",
    "access.name-wildcard",
    "access.not-action",
    "access.not-resource",
    "access.recreate",
    "access.rotation-lacks",
    "access.rotation-wide",
    "access.sprawl",
    "access.trust-public",
    "access.trust-shared",
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
    "key.grant",
    "key.policy-broad",
    "key.policy-public",
    "key.reader",
    "key.rotation",
    "key.shared-closed",
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
    "sharing.service",
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

# Commands that moto accepts but ignores. Other tests run them.
NOT_IN_MOTO = {
    "rotation.off": "turns rotation on only with AutomaticallyAfterDays",
    "rotation.interval": "ignores ScheduleExpression",
    "rotation.window": "ignores ScheduleExpression",
    "network.private-dns": "ignores --private-dns-enabled for an existing endpoint",
}


# Findings that need a decision and have no command.
BY_HAND = {
    "access.becomes-reader",
    "access.not-action",
    "access.not-resource",
    "access.rotation-wide",
    "access.sprawl",
    "access.trust-shared",
    "key.grant",
    "key.reader",
    "key.shared-default",
    "rotation.function-missing",
    "rotation.strategy",
    "sharing.blast-radius",
    "sharing.name-suffix",
    "usage.injected",
}


def ids(report: dict) -> set[str]:
    return {finding["Check"] for finding in report["Findings"]}


def test_nothing_is_found_where_all_is_well(good_account: Account) -> None:
    report = audit(good_account.url)
    assert report["Findings"] == []
    assert {missing["Permission"] for missing in report["NotChecked"]} == {
        "secretsmanager:GetSecretValue",
        "cloudtrail:LookupEvents",
    }
    assert secretcache(good_account.url, "audit", NAME).status == 0


def test_every_fault_is_found(bad_account: Account) -> None:
    report = audit(bad_account.url)
    assert set(FAULTS) - ids(report) == set()
    assert secretcache(bad_account.url, "audit", "--all", "--fail-on", "critical").status == 4


def test_services_and_instances_are_asked_for_their_way_to_the_endpoint(bad_account: Account) -> None:
    seen = [
        it["Seen"] for it in audit(bad_account.url)["Findings"] if it["Check"] == "network.security-group"
    ]
    for name in ("service/shop/service", f"instance/{bad_account.ids['instance']}", "rotate-SingleUser"):
        assert [text for text in seen if f"lets {name} in on port 443" in text], name


def test_each_fix_run_as_printed_makes_its_finding_go(bad_account: Account) -> None:
    fixed: set[str] = set()
    fix(bad_account.url, audit, NOT_IN_MOTO, fixed)
    assert set(FAULTS) - fixed - BY_HAND - set(NOT_IN_MOTO) == set()


def test_the_commands_for_rotation_work_where_schedules_are_kept(
    empty: str, relay: Callable[..., Relay]
) -> None:
    """moto has no schedules, so Secrets Manager is `secretcache local` here, and everything else is moto."""
    made = relay()
    function = f"arn:aws:lambda:{REGION}:123456789012:function:secretcache-rotation"
    options = ("--region", REGION, "--function", "secretcache-rotation=single-user")
    with Endpoint("debug", *options) as local:
        made.secrets = local.url
        secrets = Account(made.url).client("secretsmanager")
        days = {"off": None, "interval": 200, "window": 30}
        for name, interval in days.items():
            secrets.create_secret(Name=name, SecretString='{"username": "app", "password": "not-a-secret"}')
            if interval:
                secrets.rotate_secret(
                    SecretId=name,
                    RotationLambdaARN=function,
                    RotationRules={"AutomaticallyAfterDays": interval},
                    RotateImmediately=False,
                )
        few = ",".join(f"rotation.{name}" for name in days)
        found = {(it["Secret"], it["Check"]) for it in audit(made.url, "--only", few)["Findings"]}
        assert {(name, f"rotation.{name}") for name in days} <= found
        done: set[str] = set()
        assert fix(made.url, lambda url: audit(url, "--only", few), done=done) == []
        assert done == {f"rotation.{name}" for name in days}
        for name in days:
            it = secrets.describe_secret(SecretId=name)
            assert (it["RotationEnabled"], it["RotationLambdaARN"]) == (True, function)
            assert it["RotationRules"] == {"ScheduleExpression": "cron(0 3 ? * SUN *)", "Duration": "3h"}


def test_the_command_for_private_dns_asks_ec2_for_it(
    bad_account: Account, relay: Callable[..., Relay]
) -> None:
    """moto accepts the call but does not turn private DNS on. Here it is on after the call, as in the EC2 reference."""
    made = relay()

    def is_on() -> bool:
        asked = [urllib.parse.parse_qs(body) for name, body in made.bodies if name == "ModifyVpcEndpoint"]
        return any(it.get("PrivateDnsEnabled") == ["true"] for it in asked)

    def rewrite(answer: bytes) -> bytes:
        return answer.replace(b"<privateDnsEnabled>false", b"<privateDnsEnabled>true") if is_on() else answer

    made.rewritten["DescribeVpcEndpoints"] = rewrite
    done: set[str] = set()
    # The readers must be let in first.
    few = "network.private-dns,network.security-group"
    assert fix(made.url, lambda url: audit(url, "--only", few), done=done) == []
    assert "network.private-dns" in done


def test_a_new_endpoint_lets_in_all_of_its_vpc(bad_account: Account) -> None:
    ec2 = bad_account.client("ec2")
    finding = audit(bad_account.url, "--only", "network.no-endpoint")["Findings"][0]
    vpc = finding["Resource"]
    ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.99.0.0/16")
    ec2.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)
    for command in finding["Run"]:
        shell(bad_account.url, command)
    known = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    filters = [{"Name": "group-name", "Values": ["secrets-endpoint"]}, {"Name": "vpc-id", "Values": [vpc]}]
    (rule,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["IpPermissions"]
    let_in = {it["CidrIp"] for it in rule["IpRanges"]} | {it["CidrIpv6"] for it in rule["Ipv6Ranges"]}
    ipv6 = {it["Ipv6CidrBlock"] for it in known["Ipv6CidrBlockAssociationSet"]}
    assert let_in == {known["CidrBlock"], "10.99.0.0/16"} | ipv6 and len(let_in) == 3


def test_only_reading_calls_are_made(
    bad_account: Account, relay: Callable[..., Relay], tmp_path: Path
) -> None:
    counted = relay()
    saved = tmp_path / "account.json"
    audit(counted.url, "--save", str(saved))
    assert all(name.startswith(("Get", "List", "Describe")) for name in counted.calls), counted.calls
    assert "GetSecretValue" not in counted.calls and "BatchGetSecretValue" not in counted.calls
    counts = json.loads(saved.read_text())["Calls"]
    assert {name.split(":")[1]: count for name, count in counts.items()} == dict(counted.calls)
    # Shared data is read once.
    secrets = len(json.loads(saved.read_text())["Secrets"])
    assert counted.calls["GetResourcePolicy"] == counted.calls["DescribeSecret"] == secrets
    assert counted.calls["GetAccountAuthorizationDetails"] == counted.calls["DescribeVpcEndpoints"] == 1


def test_a_job_that_rotates_is_judged_by_what_it_may_do_and_when_it_did(good_account: Account) -> None:
    account, iam = good_account, good_account.client("iam")
    secret = account.client("secretsmanager").create_secret(
        Name="prod/by-job", SecretString="{}", Tags=[{"Key": "owner", "Value": "x"}]
    )["ARN"]
    job = account.role("ci", trusts={"Service": "ecs-tasks.amazonaws.com"})
    place = ("--account", job.split(":")[4], "--region", REGION)
    printed = secretcache(account.url, "policy", "ci", "--secret", "prod/by-job", *place).out
    iam.put_role_policy(RoleName="ci", PolicyName="rotate", PolicyDocument=printed)

    def found(*more: str) -> set[str]:
        few = ("--only", "rotation,access.application-writes,access.rotation-wide", *more)
        return {it["Check"] for it in audit(account.url, *few)["Findings"] if it["Secret"] == "prod/by-job"}

    silent = {"rotation.off", "access.application-writes"}
    assert found() == silent
    # Only the person who audits can say so: anyone who can set a tag could otherwise silence findings.
    account.client("secretsmanager").tag_resource(
        SecretId=secret, Tags=[{"Key": "secretcache:rotated-by", "Value": job}]
    )
    assert found() == silent
    assert found("--rotated-by", job) == set()
    assert found("--rotated-by", account.ids["app"]) == silent
    more = allow("secretsmanager:DeleteSecret", secret)
    iam.put_role_policy(RoleName="ci", PolicyName="more", PolicyDocument=policy(more))
    assert found("--rotated-by", job) == {"access.application-writes"}
    ran = secretcache(account.url, "audit", "--all", "--rotated-by", f"{job}-misspelt")
    assert ran.status == 2 and "no such role" in ran.err
    ran = secretcache(account.url, "audit", "--all", "--rotated-by", "ci")
    assert ran.status == 2 and "is not the ARN of a role or a user" in ran.err


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
    counted = relay()
    ran = secretcache(counted.url, "audit", "no/such/secret")
    assert ran.status == 1 and "no/such/secret" in ran.err
    assert set(counted.calls) == {"GetCallerIdentity", "DescribeSecret"}
    ran = secretcache(good_account.url, "audit", "--prefix", "no/such/", "--only", "key")
    assert (ran.status, ran.err) == (
        1,
        f'no secret was checked: in account {ACCOUNT}, {REGION}, no secret\'s name starts with "no/such/"\n',
    )
    assert ran.out == f"0 secrets in account {ACCOUNT}, {REGION}: no secret was checked\n"


def test_that_nothing_could_be_checked_is_no_good_news(
    empty: str, relay: Callable[..., Relay], tmp_path: Path
) -> None:
    ran = secretcache(empty, "audit", "--all", "--only", "key,sharing")
    assert ran.status == 1 and "check the credentials and the Region" in ran.err, ran.err
    assert "no findings" not in ran.out
    account = good(empty)
    # Without --login, none of these checks can be made.
    ran = secretcache(account.url, "audit", NAME, "--only", "content")
    assert (ran.status, ran.out.splitlines()[-1]) == (
        1,
        f"1 secret in account {ACCOUNT}, {REGION}: nothing was checked",
    )
    assert "content.login: give --login" in ran.out and ran.err.startswith("nothing was checked: ")
    lesser = relay("GetAccountAuthorizationDetails").url
    ran = secretcache(lesser, "audit", NAME, "--only", "access", "--format", "json")
    assert ran.status == 1 and ran.json()["Checked"] == [] and ran.json()["NotChecked"]
    ran = secretcache(lesser, "access", NAME)
    assert ran.status == 1 and "iam:GetAccountAuthorizationDetails was refused" in ran.err
    # Checks that could be made count. The last line says how many could not.
    ran = secretcache(lesser, "audit", NAME, "--only", "key,access")
    assert ran.status == 0 and " checks were not made\n" in ran.out, ran.out
    sarif = json.loads(secretcache(lesser, "audit", NAME, "--only", "access", "--format", "sarif").out)
    assert sarif["runs"][0]["invocations"][0]["executionSuccessful"] is False
    nothing = {"Account": ACCOUNT, "Region": REGION, "Secrets": []}
    (file := tmp_path / "account.json").write_text(json.dumps(nothing))
    ran = secretcache("http://127.0.0.1:9", "audit", "--all", "--only", "key", "--offline", str(file))
    assert ran.status == 1 and "no secret was checked" in ran.out + ran.err


def test_a_saved_snapshot_says_the_same_and_holds_no_value(bad_account: Account, tmp_path: Path) -> None:
    saved = tmp_path / "account.json"
    online = audit(bad_account.url, "--save", str(saved))
    offline = secretcache("http://127.0.0.1:9", "audit", "--all", "--offline", str(saved), "--format", "json")
    assert offline.json() == online
    assert "not-a-secret" not in saved.read_text()
    one = secretcache("http://127.0.0.1:9", "audit", NAME, "--offline", str(saved), "--format", "json").json()
    assert one["Secrets"] == 1


def test_a_fault_of_a_key_is_printed_once_for_all_of_its_secrets(tmp_path: Path) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    secrets = [
        {
            "Name": name,
            "ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf",
            "KmsKeyId": key,
        }
        for name in ("prod/a", "prod/b", "prod/c")
    ]
    keys = [{"Arn": key, "KnownAs": [key], "KeyManager": "CUSTOMER", "KeyState": "Disabled"}]
    (file := tmp_path / "account.json").write_text(
        json.dumps({"Account": ACCOUNT, "Region": REGION, "Secrets": secrets, "Keys": keys})
    )
    arguments = ("audit", "--all", "--only", "key.state", "--offline", str(file))
    text = secretcache("http://127.0.0.1:9", *arguments).out
    assert text.count("key.state ") == 1 and "prod/a and 2 more: " in text and "3 critical" in text, text
    html = secretcache("http://127.0.0.1:9", *arguments, "--format", "html").out
    assert html.count('<tr class="critical">') == 1
    assert len(secretcache("http://127.0.0.1:9", *arguments, "--format", "json").json()["Findings"]) == 3


def test_somebody_elses_snapshot_cannot_write_over_the_terminal(tmp_path: Path) -> None:
    secret = {"Name": "a\x1b[2Jb\r", "ARN": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:a-AbCdEf"}
    (file := tmp_path / "account.json").write_text(
        json.dumps({"Account": "123456789012", "Region": REGION, "Secrets": [secret]})
    )
    for command in (["audit", "--all"], ["access", secret["ARN"]]):
        ran = secretcache("http://127.0.0.1:9", *command, "--offline", str(file))
        assert "a\ufffd[2Jb" in ran.out and not {"\x1b", "\r"} & set(ran.out)
    assert ran.out.endswith(" can read it: its roles and users were not read\n")


# In moto, the secret rotates when the test starts.
LONG_AFTER = int(time.time()) + 2 * 3600


def lookup(*events: dict[str, Any], token: str | None = None) -> str:
    """Return a LookupEvents response, which moto lacks, and check that botocore's service model reads all of it."""
    listed = [
        {
            "EventId": f"00000000-0000-4000-8000-{place:012}",
            "EventName": "GetSecretValue",
            "ReadOnly": "true",
            "EventTime": LONG_AFTER + place,
            "EventSource": "secretsmanager.amazonaws.com",
            "Username": "session",
            "Resources": [],
            "CloudTrailEvent": json.dumps(event),
        }
        for place, event in enumerate(events)
    ]
    answer: dict[str, Any] = {"Events": listed} | ({"NextToken": token} if token else {})
    shape = boto3.session.Session().client("cloudtrail", region_name=REGION).meta.service_model
    shape = shape.operation_model("LookupEvents").output_shape
    response = {"body": json.dumps(answer).encode(), "headers": {}, "status_code": 200}
    parsed = create_parser("json").parse(response, shape)
    assert [set(event) for event in parsed["Events"]] == [set(event) for event in listed]
    return json.dumps(answer)


def read(secret: str, role: str, **others: Any) -> dict[str, Any]:
    """Return a CloudTrail record of a read by a role's session."""
    name = role.rsplit("/", 1)[1]
    return {
        "eventVersion": "1.11",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "GetSecretValue",
        "readOnly": True,
        "managementEvent": True,
        "eventCategory": "Management",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::123456789012:assumed-role/{name}/session",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role, "userName": name}},
        },
        "requestParameters": {"secretId": secret, **others.pop("asked", {})},
        "responseElements": None,
        **others,
    }


def test_who_reads_old_versions_is_found_in_the_event_history(
    good_account: Account, relay: Callable[..., Relay], tmp_path: Path
) -> None:
    app, rotation, secret = (good_account.ids[name] for name in ("app", "rotation", "secret"))
    previous, pending = {"versionStage": "AWSPREVIOUS"}, {"versionStage": "AWSPENDING"}
    first = [
        read(NAME, app, asked=previous),
        read(secret, rotation, asked=pending),  # a rotation's own read
        read(NAME, app, asked=previous, errorCode="AccessDenied"),
        read(NAME, app),
        read("somebody/else", app, asked=previous),
    ]
    made = relay()
    made.recorded["LookupEvents"] = [lookup(*first, token="more"), lookup(read(secret, app, asked=previous))]
    saved = tmp_path / "account.json"
    arguments = ["audit", NAME, "--format", "json", "--look-back", "7", "--save", str(saved)]
    report = secretcache(made.url, *arguments).json()
    (finding,) = report["Findings"]
    assert (finding["Check"], finding["Resource"]) == ("usage.stage-readers", app)
    assert finding["Seen"].startswith("read AWSPREVIOUS 2 times since ")
    assert made.calls["LookupEvents"] == 2 and not made.recorded["LookupEvents"]
    assert "LookupEvents" not in json.dumps(report["NotChecked"])
    offline = secretcache("http://127.0.0.1:9", "audit", NAME, "--offline", str(saved), "--format", "json")
    assert offline.json() == report


def test_only_the_checks_that_are_asked_for_are_made(bad_account: Account) -> None:
    found = ids(audit(bad_account.url, "--only", "trail,alarm,key.state"))
    assert {check.split(".")[0] for check in found} == {"trail", "alarm", "key"}
    assert {check for check in found if check.startswith("key.")} == {"key.state"}
    ran = secretcache(bad_account.url, "audit", "--all", "--only", "keys")
    assert ran.status == 2 and "no check is called keys" in ran.err


def test_from_inside_reports_where_the_name_resolves_or_that_it_does_not(good_account: Account) -> None:
    report = audit(good_account.url, "--from-inside")
    missing = {it["Permission"] for it in report["NotChecked"]}
    found = ids(report)
    # This machine is in no VPC, so the name has public addresses or does not resolve.
    assert (found == {"network.resolves-publicly"}) != ("dns:resolve" in missing)
    assert found <= {"network.resolves-publicly"}


def test_the_commands_that_moto_cannot_show_are_listed_in_the_documentation() -> None:
    page = (ROOT / "docs" / "checks.md").read_text()
    for check, reason in NOT_IN_MOTO.items():
        assert f"| `{check}` | moto {reason} |" in page
    assert page.count("| moto ") == len(NOT_IN_MOTO)
    for check in BY_HAND:
        assert f"`{check}`" in page.split("## Tests")[1]


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
    # The model drops fields that SARIF does not have.
    understood = Sarif.model_validate(sarif).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert {**understood, "$schema": sarif["$schema"]} == sarif
    run = sarif["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert sarif["version"] == "2.1.0" and {result["level"] for result in run["results"]} == {
        "error",
        "warning",
        "note",
    }
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    # SARIF also lists what was not checked.
    [invocation] = run["invocations"]
    notes = invocation["toolExecutionNotifications"]
    assert invocation["executionSuccessful"] and all(
        rules[it["associatedRule"]["index"]] == it["associatedRule"]["id"] for it in notes
    )
    texts = [it["message"]["text"] for it in notes]
    assert any(text.startswith("not checked: content.") for text in texts), texts
    html = printed("html")
    assert html.startswith("<!doctype html>") and "<script" not in html and "key.default" in html
    text = printed("text")
    assert "fix: aws kms enable-key --key-id " in text and "why: " in text
    assert text.splitlines()[-1].startswith("8 secrets in account 123456789012, eu-central-1: ")


def test_what_is_not_shown_fails_nothing(bad_account: Account) -> None:
    few = ["audit", "--all", "--only", "usage.untagged"]
    assert secretcache(bad_account.url, *few, "--fail-on", "info").status == 4
    assert secretcache(bad_account.url, *few, "--fail-on", "info", "--min-severity", "high").status == 0


def test_a_secret_that_is_named_twice_counts_once(good_account: Account) -> None:
    ran = secretcache(good_account.url, "audit", NAME, good_account.ids["secret"], NAME, "--format", "json")
    assert ran.json()["Secrets"] == 1


def test_what_was_not_asked_for_is_not_missing(good_account: Account) -> None:
    out = secretcache(good_account.url, "audit", NAME).out
    assert "usage.stage-readers: give --look-back" in out and "is missing" not in out


def test_a_secret_that_cannot_be_described_is_taken_as_it_is_listed(
    good_account: Account, relay: Callable[..., Relay]
) -> None:
    report = audit(relay("DescribeSecret").url)
    assert report["Findings"] == []
    missing = {(it["Check"], it["Permission"]) for it in report["NotChecked"]}
    assert ("usage.replica", "secretsmanager:DescribeSecret") in missing
