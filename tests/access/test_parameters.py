"""deploy/: the parameters that are accepted, and those that are refused before anything is created."""

from __future__ import annotations

import re
from typing import Any

import pytest
import stack as stacks
from accounts import ACCOUNT, REGION
from forms import NAMES, made_up, module, unquoted

ROLE = f"arn:aws:iam::{ACCOUNT}:role/operator"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/checkout/admin"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BREAKS = ["\n", "a\n", "a\nb", 'a"b', "a\\\\b", "a\x00b", "a\x7f"]

# For each parameter of the template and variable of the module, texts that both accept and texts that both
# refuse.
TEXTS: dict[tuple[str, str], tuple[list[str], list[str]]] = {
    ("SecretName", "secret_name"): (
        ["prod/checkout/db", "a", "prod/my-secrets", "prod/my-secre", "prod/a-b/c_d", "x" * 505],
        ["prod/my-secret", "my-AbC123", "prod/db-", "", "x" * 506, "prod/*", "pröd", "a b"],
    ),
    ("Owner", "owner"): (["checkout", "Team A @x"], ["", "x" * 257, "a{b}"]),
    ("DatabaseHost", "database.host"): (
        ["db.internal", "10.0.0.7", "checkout.abc123.us-east-1.rds.amazonaws.com", "db_1"],
        ["", "db.internal:5432", "-db", "db.", "db internal", "a" * 254],
    ),
    ("DatabaseName", "database.name"): (["", "checkout", "my-db", "a.b$c"], ["a b", "x" * 65, "a/b"]),
    ("Username", "username"): (["app", "app_user", "svc.app@corp", "_a"], ["", "-x", "a b", "x" * 64, "'"]),
    ("InitialPassword", "initial_password"): (
        ["correct-horse", "a b!#$%&'()*+,-./:;<=>?@[]^_`{|}~", "x" * 256],
        ["", "pässword", "x" * 257],
    ),
    ("MasterSecretArn", "master_secret_arn"): (
        [
            f"{SECRET}-AbCdEf",
            f"arn:aws-us-gov:secretsmanager:us-gov-west-1:{ACCOUNT}:secret:rds!db-1a-AbCdEf",
        ],
        [SECRET, f"{SECRET}-*", f"{SECRET}-??????", f"{SECRET[:-5]}*", "prod/checkout/admin"],
    ),
    ("MasterKeyArn", "master_key_arn"): (
        [KEY, KEY.replace("1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab")],
        [KEY.rsplit("/", 1)[0] + "/*", KEY.replace("key/", "alias/"), "alias/admin"],
    ),
    ("MasterHost", "master_host"): (
        ["db.internal", "db.internal:5432", "10.0.0.7:1"],
        ["db:", ":5432", "db:x", "a b"],
    ),
    ("ScheduleExpression", "schedule.expression"): (
        ["cron(0 3 1 * ? *)", "cron(0 3 ? * SUN#1 *)", "rate(30 days)", "rate(1 day)", "rate(12 hours)"],
        ["", "rate(30 minutes)", "rate(0 days)", "cron(0 3 1 * ?)", "0 3 1 * ? *", "cron(0 3 1 * ? *) "],
    ),
    ("ScheduleDuration", "schedule.duration"): (["1h", "3h", "24h"], ["", "0h", "25h", "3", "03h"]),
    ("OperatorArn", "operator_arn"): (
        [ROLE, f"arn:aws:iam::{ACCOUNT}:role/path/x@y.z"],
        ["", f"arn:aws:iam::{ACCOUNT}:role/*", f"arn:aws:iam::{ACCOUNT}:user/x", f"{ROLE} ", "*"],
    ),
    ("ApplicationService", "application_service"): (
        ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"],
        ["", "*", "amazonaws.com", "ecs-tasks.amazonaws.com.example.org"],
    ),
    ("EndpointSecurityGroupId", "endpoint_security_group_id"): (["sg-0abc"], ["sg-", "sg-xyz", "vpce-0abc"]),
    ("NotificationEmail", "notification_email"): (["a@example.org"], ["a", "a@", "a@b@c", "a b@c"]),
}


def refused_by_module(variable: str, text: str) -> bool:
    """Check a text against the conditions of a variable or field. All of them are regular expressions."""
    name = variable.split(".")[0]
    (block,) = [it for block in module()["variable"] for key, it in block.items() if unquoted(key) == name]
    found = 0
    condition = re.compile(r'(!?)can\(regex\("((?:[^"\\]|\\.)*)", var\.([\w.]+)\)\)')
    for validation in block["validation"]:
        for no, pattern, of in condition.findall(validation["condition"]):
            if of != variable:
                continue
            found += 1
            # In RE2, $ matches only at the very end.
            python = pattern.replace("\\\\", "\\").removesuffix("$") + r"\Z"
            if bool(re.search(python, text)) == bool(no):
                return True
    assert found, variable
    return False


@pytest.mark.parametrize(("parameter", "variable"), TEXTS)
def test_template_and_module_take_and_refuse_the_same(parameter: str, variable: str) -> None:
    pattern = stacks.template()["Parameters"][parameter]["AllowedPattern"]
    accepted, refused = TEXTS[parameter, variable]
    for text in accepted:
        assert re.fullmatch(pattern, text) and not refused_by_module(variable, text), text
    for text in [*refused, *BREAKS]:
        # In the template, an empty text means no value; in the module, null does.
        assert not re.fullmatch(pattern, text) and refused_by_module(variable, text), text


def test_every_text_that_a_user_writes_has_a_pattern_that_is_explained() -> None:
    for name, it in stacks.template()["Parameters"].items():
        if it["Type"] == "String" and "AllowedValues" not in it:
            assert {"AllowedPattern", "ConstraintDescription"} <= set(it), name
            if "Default" in it:
                assert re.fullmatch(it["AllowedPattern"], it["Default"]), name
            assert not re.fullmatch(it["AllowedPattern"], "a\nb") and not re.fullmatch(
                it["AllowedPattern"], "a\n"
            ), name


def test_the_longest_name_fits_everywhere() -> None:
    stack = made_up(has_master=False, has_master_key=False, SecretName="x" * 505)
    longest = {
        ("Function", "Description"): 256,
        ("FunctionSecurityGroup", "GroupDescription"): 255,
        ("EndpointSecurityGroup", "GroupDescription"): 255,
        ("Topic", "DisplayName"): 100,
        ("RotationRole", "Description"): 1000,
        ("ApplicationRole", "Description"): 1000,
        ("Secret", "Name"): 512,
    }
    for (name, field), most in longest.items():
        assert len(stack.properties(name)[field]) <= most, (name, field)


@pytest.mark.parametrize(
    ("strategy", "engine", "master", "key", "refusal"),
    [
        ("alternating-users", "postgres", "", "", "alternating-users needs MasterSecretArn"),
        ("alternating-users", "postgres", NAMES["master"], NAMES["master_key"], None),
        (
            "dual-password",
            "postgres",
            "",
            "",
            "a user of PostgreSQL has one password; choose alternating-users",
        ),
        (
            "dual-password",
            "aurora-postgresql",
            "",
            "",
            "a user of PostgreSQL has one password; choose alternating-users",
        ),
        ("dual-password", "mariadb", "", "", None),
        (
            "single-user",
            "postgres",
            "",
            NAMES["master_key"],
            "MasterKeyArn needs MasterSecretArn",
        ),
        ("single-user", "redis", "", "", None),
    ],
)
def test_parameters_that_do_not_fit_each_other_are_refused(
    strategy: str, engine: str, master: str, key: str, refusal: str | None
) -> None:
    stack = made_up(
        has_master=False,
        has_master_key=False,
        Strategy=strategy,
        Engine=engine,
        MasterSecretArn=master,
        MasterKeyArn=key,
    )

    def holds(node: Any) -> bool:
        if isinstance(node, dict) and "Fn::Contains" in node:
            among, one = node["Fn::Contains"]
            return stack.value(one) in stack.value(among)
        return bool(stack.value(node))

    rules = stack.template["Rules"].values()
    assertions = [it for rule in rules if holds(rule["RuleCondition"]) for it in rule["Assertions"]]
    refused = [it["AssertDescription"] for it in assertions if not holds(it["Assert"])]
    assert refused == ([refusal] if refusal else [])
