"""The files that docs/command-line.md shows: a list of secrets, and a CronJob that rotates those that are due."""

from __future__ import annotations

import re

import pytest
import yaml
from certificate import authority
from conftest import ROOT
from test_due import aged

PAGE = (ROOT / "docs" / "command-line.md").read_text()


def block(language: str) -> str:
    """Return the page's only block in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture
def config(desk, tmp_path):
    """Provide the page's list, with this test's secrets and a certificate. Only the first secret is due."""
    value = {"engine": "postgres", "host": "db.example", "username": "app", "password": "long-password"}
    aged(desk, "checkout/db", value, 40)
    desk.store("ledger/db", value)
    file = tmp_path / "secrets.toml"
    trusted, _ = authority(tmp_path)
    text = block("toml").replace('"prod/', f'"{desk.prefix}/').replace("/etc/ssl/ledger.pem", str(trusted))
    file.write_text(text)
    return file


def test_the_list_of_secrets_is_understood(desk, config):
    done = desk.run("rotate", "--config", str(config), "--due", "--dry-run", "--json")
    assert done.status == 0, done.err
    assert [line["SecretId"] for line in done.json["Secrets"]] == [
        f"{desk.prefix}/checkout/db",
        f"{desk.prefix}/ledger/db",
    ]
    assert [line["Outcome"] for line in done.json["Secrets"]] == ["Due", "NotDue"]


def test_the_job_runs_a_command_that_is_understood(desk, config):
    pod = yaml.safe_load(block("yaml"))["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] in {volume["name"] for volume in pod["volumes"]}
    shown = f"{mount['mountPath']}/secrets.toml"
    assert shown in container["args"]
    arguments = [str(config) if word == shown else word for word in container["args"]]
    done = desk.run(*arguments, "--dry-run")
    assert done.status == 0, done.err
    assert done.json["Secrets"]
