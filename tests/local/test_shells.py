"""What shells and readers get: help, completions and man pages."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from conftest import binary


def printed(*arguments: str) -> str:
    """Run the command and return its output."""
    return subprocess.run(
        [binary(), *arguments], capture_output=True, text=True, check=True, timeout=30
    ).stdout


@pytest.mark.parametrize("command", [[], ["rotate"], ["local", "export"], ["generate", "man"]])
def test_help_as_a_command_prints_what_the_option_prints(command):
    assert printed("help", *command) == printed(*command, "--help")


@pytest.fixture(scope="session")
def completions(tmp_path_factory):
    """Return a function that completes a command line in bash."""
    script = tmp_path_factory.mktemp("completions") / "secretcache.bash"
    script.write_text(printed("generate", "completions", "bash"))

    def completions(*words: str) -> list[str]:
        line = " ".join(words)
        code = (
            f"source {script}; COMP_WORDS=(secretcache {line} ''); COMP_CWORD={len(words) + 1};"
            f" _secretcache secretcache '' '{words[-1]}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.split()

    return completions


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["rotate", "--strategy"], {"single-user", "alternating-users", "dual-password", "api-key"}),
        (["status", "--engine"], {"postgres", "mariadb", "redis"}),
        (["audit", "--only"], {"key", "access", "key.default"}),
        (["audit", "--format"], {"text", "json", "sarif", "html"}),
        (["audit", "--fail-on"], {"info", "low", "medium", "high", "critical"}),
        (["audit", "--min-severity"], {"low", "critical"}),
        (["policy"], {"app", "rotation", "ci", "operator", "kms", "resource", "endpoint"}),
        (["policy", "app", "--format"], {"json", "terraform", "cloudformation"}),
        (["policy", "app", "--partition"], {"aws", "aws-cn", "aws-us-gov"}),
        (["policy", "app", "--feature"], {"read", "prefetch", "rotate-alternating-users"}),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else "",
)
def test_a_shell_offers_the_words_of_an_option(completions, words, offered):
    assert offered <= set(completions(*words))


def test_words_are_accepted_in_other_cases_as_before():
    done = subprocess.run(
        [binary(), "status", "x", "--engine", "PostgreSQL"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2 and "is not an engine; use one of" in done.stderr
    help_of_status = printed("status", "--help")
    assert "active-directory" in help_of_status


def test_examples_of_a_man_page_are_the_lines_of_the_help(tmp_path):
    groff = shutil.which("groff")
    assert groff, "groff is not installed: apt-get install groff"
    printed("generate", "man", str(tmp_path))
    for name in ["policy", "rotate", "status", "get", "local-export"]:
        page = tmp_path / f"secretcache-{name}.1"
        shown = subprocess.run(
            [groff, "-man", "-Kutf8", "-Tutf8", "-P-cbou", page],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert shown.stderr == ""
        section = re.search(r"^EXAMPLES\n(.*?)^EXIT STATUS\n", shown.stdout, re.MULTILINE | re.DOTALL)
        lines = [line.strip() for line in section[1].splitlines() if line.strip()]
        text = printed(*name.split("-"), "--help")
        examples = text.split("Examples:\n")[1].split("\n\n")[0]
        assert lines == [line.strip() for line in examples.splitlines()], name
        assert "EXTRA" not in shown.stdout
    page = (tmp_path / "secretcache.1").read_text()
    assert "secretcache\\-help" not in page and not (tmp_path / "secretcache-help.1").exists()
