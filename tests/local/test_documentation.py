"""The examples of docs/local-endpoint.md, unchanged, and the faults that both pages of the endpoint show.

`bindings-node/test/documentation.test.mjs` runs the one for node:test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import boto3
import pytest
import yaml
from conftest import PYTEST, ROOT, binary

from secretcache.testing import LocalEndpoint

PAGE = ROOT / "docs" / "local-endpoint.md"
PYTHON = ROOT / "bindings-python" / "python"


def blocks(page: Path, language: str) -> list[str]:
    """Return a page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def block(language: str, holds: str) -> str:
    """Return the page's only block in a language that contains this text."""
    (found,) = [text for text in blocks(PAGE, language) if holds in text]
    return found


@pytest.fixture
def seed(tmp_path, monkeypatch):
    """Provide the page's seed, under the name that the page's tests use, in the working directory."""
    (tmp_path / "tests").mkdir()
    file = tmp_path / "tests" / "secrets.toml"
    file.write_text(block("toml", "[[secrets]]"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRETCACHE_BIN", binary())
    return file


def test_the_seed_creates_what_it_describes(run, seed):
    endpoint = run("--seed", str(seed))
    client = endpoint.client()
    value = client.get_secret_value(SecretId="prod/checkout/db")
    assert json.loads(value["SecretString"])["password"] == "example"
    described = client.describe_secret(SecretId="prod/checkout/db")
    assert described["ARN"].endswith(":secret:prod/checkout/db-AbCdEf")
    assert (
        described["RotationEnabled"] and described["RotationRules"]["ScheduleExpression"] == "rate(30 days)"
    )
    replica = endpoint.client(region="eu-west-1").get_secret_value(SecretId="prod/checkout/db")
    assert replica["VersionId"] == value["VersionId"]
    shared = endpoint.client(region="eu-west-1", key="210987654321")
    both = [
        shared.get_secret_value(SecretId="shared/key", VersionStage=stage)["SecretString"]
        for stage in ("AWSPREVIOUS", "AWSCURRENT")
    ]
    assert both == ["old", "new"]
    assert "Principal" in shared.get_resource_policy(SecretId="shared/key")["ResourcePolicy"]


def test_the_pytest_fixture_and_its_options(seed, tmp_path):
    options, test = (
        block("python", f"def {name}") for name in ("secretcache_local_options", "test_the_service")
    )
    seeded = (
        'def test_the_seed(secretcache_local):\n    assert "shared/key" in str(secretcache_local.secrets())\n'
    )
    (tmp_path / "test_mine.py").write_text(
        "\n\n".join(["import boto3\nimport pytest", options, test, seeded])
    )
    environment = {**os.environ, "PYTHONPATH": str(PYTHON)}
    done = subprocess.run(PYTEST, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_context_manager(seed):
    seed.write_text('[[secrets]]\nname = "prod/db"\nstring = "one"\n')
    names = {"LocalEndpoint": LocalEndpoint, "boto3": boto3}
    exec(block("python", "with LocalEndpoint("), names)
    assert not names["local"].environment.items() <= os.environ.items()


@pytest.mark.parametrize("page", [PAGE, ROOT / "docs" / "local-errors.md"], ids=lambda page: page.stem)
def test_a_fault_that_is_shown_is_accepted(run, page):
    faults = blocks(page, "json")
    assert faults
    endpoint = run("--control")
    for fault in faults:
        added = endpoint.control("POST", "faults", **json.loads(fault))
        assert "id" in added, added


def test_the_step_for_github_passes_options_that_the_action_has(run, seed):
    action, run_tests = yaml.safe_load(block("yaml", "steps:"))["steps"]
    folder = action["uses"].split("@")[0].removeprefix("secretcache/secretcache/")
    inputs = yaml.safe_load((ROOT / folder / "action.yml").read_text())["inputs"]
    assert action["with"].keys() <= inputs.keys()
    endpoint = run(*action["with"]["options"].split())
    assert endpoint.client().get_secret_value(SecretId="prod/checkout/db")
    assert run_tests == {"run": "pytest"}
