"""The policies in deploy/, and the commands that print them.

To regenerate the Terraform module's policies: python tests/access/documents.py
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "target" / "debug" / "secretcache"
POLICIES = ROOT / "deploy" / "terraform" / "policies"


def printed(*arguments: str) -> str:
    """Return what `secretcache policy` prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [str(COMMAND), "policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(names: dict[str, str], *, has_master: bool, has_master_key: bool) -> dict[str, list[str]]:
    """Return the arguments that print each policy of a deployment with these names."""
    master = ["--master-secret", names["master"]] if has_master else []
    master_key = ["--master-key", names["master_key"]] if has_master_key else []
    strategy = "rotate-alternating-users" if has_master else "rotate-single-user"
    features = [word for it in (strategy, "function", "function-in-vpc") for word in ("--feature", it)]
    place = ["--account", names["account"], "--region", names["region"], "--partition", names["partition"]]
    by_arn, by_name = ["--secret", names["secret"], *place], ["--secret", names["secret_by_name"], *place]
    readers, rotators = ["--reader", names["application"]], ["--rotator", names["rotation"]]
    operator = ["--rotator", names["operator"]]
    key = ["--key", names["key"]]
    function = ["--function", names["function"]]
    return {
        "app": ["app", *by_arn, *key],
        "rotation": ["rotation", *by_arn, *key, *function, *features, *master, *master_key],
        "kms": ["kms", *by_name, *readers, *rotators, *operator],
        "resource": ["resource", *by_name, *readers, *rotators, *operator],
        "endpoint": ["endpoint", *by_arn, *readers, *rotators, *master],
    }


# Placeholders that Terraform fills in. Accounts and roles must look like real ones.
PLACEHOLDERS = {
    "partition": "${partition}",
    "account": "000000000000",
    "region": "${region}",
    "secret": "arn:${partition}:secretsmanager:${region}:${account}:secret:${secret_id}",
    "secret_by_name": "${secret_name}",
    "key": "${key}",
    "master": "arn:${partition}:secretsmanager:${region}:${account}:secret:${master_id}",
    "master_key": "${master_key}",
    "function": "${function}",
    **{name: f"arn:aws:iam::000000000000:role/{name}" for name in ("application", "rotation", "operator")},
}


def terraform() -> dict[str, str]:
    """Return the policy files of the Terraform module, as the command prints them."""
    files = {}
    for suffix, has_master, has_key in (
        ("", False, False),
        ("-with-master", True, False),
        ("-with-master-and-key", True, True),
    ):
        every = commands(PLACEHOLDERS, has_master=has_master, has_master_key=has_key)
        for name in ("rotation", "endpoint") if has_master else every:
            if name == "endpoint" and has_key:
                continue
            text = printed(*every[name])
            for role in ("application", "rotation", "operator"):
                text = text.replace(PLACEHOLDERS[role], "${" + role + "}")
            text = text.replace(PLACEHOLDERS["master"], "${master}").replace(
                PLACEHOLDERS["account"], "${account}"
            )
            files[f"{name}{suffix}.json"] = text
    return files


def filled(text: str, names: dict[str, str]) -> Any:
    """Return a policy of the module as `templatefile` renders it."""
    for name, value in names.items():
        text = text.replace("${" + name + "}", value)
    assert "${" not in text, text
    return json.loads(text)


def normal(document: Any) -> Any:
    """Normalize a document: a single value equals a list of it, and the order of a list does not matter."""
    if isinstance(document, dict):
        lists = {"Action", "Resource", "AWS", "Service"}
        items = {name: normal(value) for name, value in document.items()}
        return {
            name: [value] if name in lists and isinstance(value, str) else value
            for name, value in items.items()
        }
    if isinstance(document, list):
        values = [normal(value) for value in document]
        if all(isinstance(value, str) for value in values):
            values = sorted(values)
        return values[0] if len(values) == 1 and isinstance(values[0], str) else values
    return document


def main() -> None:
    for name, text in terraform().items():
        (POLICIES / name).write_text(text)


if __name__ == "__main__":
    main()
