"""The commands' help texts and generated reference pages."""

from __future__ import annotations

import pytest
from conftest import ROOT

COMMANDS = ["rotate", "status", "recover", "adopt", "revoke-previous"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_statuses(desk, command):
    done = desk.run(command, "--help")
    assert done.status == 0
    assert f"Examples:\n  secretcache {command} " in done.out and "Exit status: 0 done" in done.out
    assert "--json" in done.out and "--endpoint-url" in done.out


def test_the_command_reference_is_what_the_command_says(desk):
    page = ROOT / "docs" / "command-reference.md"
    assert desk.run("generate", "reference").out == page.read_text(), "run `make reference`"


def test_the_page_of_permissions_is_what_policies_are_made_from(desk):
    page = ROOT / "docs" / "permissions.md"
    assert desk.run("generate", "permissions").out == page.read_text(), "run `make reference`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_explained(desk, command):
    assert f"secretcache {command}" in (ROOT / "docs" / "command-line.md").read_text()


def test_completions_and_man_pages_know_every_command(desk, tmp_path):
    completions = desk.run("generate", "completions", "bash").out
    assert desk.run("generate", "man", str(tmp_path)).status == 0
    for command in COMMANDS:
        assert command in completions
        assert (tmp_path / f"secretcache-{command}.1").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_something_to_work_on_is_required(desk, command):
    done = desk.run(command)
    assert done.status == 2 and "Usage:" in done.err
