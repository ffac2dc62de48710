"""The steps of the GitHub Action, run as by a runner."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from conftest import ROOT, Endpoint, binary

START = ROOT / ".github" / "actions" / "local" / "start"


@pytest.fixture
def start(tmp_path):
    """Return a function that runs the start step and returns its result and the environment of later steps."""
    groups = []

    def start(options: str):
        for name in ("env", "output"):
            (tmp_path / name).write_text("")
        environment = {
            "PATH": os.environ["PATH"],
            "COMMAND": binary(),
            "OPTIONS": options,
            "PORT": "0",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_ENV": str(tmp_path / "env"),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
        }
        step = subprocess.Popen(
            [START], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        groups.append(step.pid)
        said = step.communicate(timeout=60)[0]
        later = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
        return step.returncode, said, later, (tmp_path / "output").read_text()

    yield start
    for group in groups:
        # The endpoint it started is in the step's process group.
        try:
            os.killpg(group, signal.SIGTERM)
        except ProcessLookupError:
            pass


def test_later_steps_find_the_endpoint_with_its_seed(start, tmp_path):
    seed = tmp_path / "a seed.toml"
    seed.write_text('[[secrets]]\nname = "db"\nstring = "one"\n')
    status, said, later, output = start(f"--seed\n{seed}\n")
    assert status == 0, said
    url = later["AWS_ENDPOINT_URL_SECRETS_MANAGER"]
    assert output == f"url={url}\n" and url in said
    client = Endpoint(url, None, []).client(region=later["AWS_REGION"], key=later["AWS_ACCESS_KEY_ID"])
    assert client.get_secret_value(SecretId="db")["SecretString"] == "one"
    assert Endpoint(url, None, []).control("GET", "faults") == {"faults": []}


def test_a_step_that_cannot_start_it_fails_and_says_why(start):
    status, said, later, _ = start("--seed\n/nowhere/seed.toml")
    assert status == 1 and not later
    assert said.startswith("::error::") and "/nowhere/seed.toml" in said
