"""What the commands say of themselves."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

COMMANDS = ["rotate", "status", "recover", "adopt", "revoke-previous"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_statuses(desk, command):
    done = desk.run(command, "--help")
    assert done.status == 0
    assert f"Examples:\n  secretcache {command} " in done.out and "Exit status: 0 done" in done.out
    assert "--json" in done.out and "--endpoint-url" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_the_documentation(desk, command):
    text = (ROOT / "docs" / "command-line.md").read_text()
    assert f"secretcache {command}" in text
    for option in set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", desk.run(command, "--help").out, re.M)):
        assert option in text, f"docs/command-line.md does not explain {option}"


@pytest.mark.parametrize("command", COMMANDS)
def test_something_to_work_on_is_required(desk, command):
    done = desk.run(command)
    assert done.status == 2 and "Usage:" in done.err
