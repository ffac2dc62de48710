"""Hosts with a foreign function interface: LuaJIT, Ruby's Fiddle, and ctypes, used like JNA."""

from __future__ import annotations

import json
import re
import shutil
import sys

import pytest
from conftest import HERE, Installed, run

from endpoint import Endpoint

SECRET = json.dumps({"username": "app", "password": "hunter2"})
EXPECTED = ["hunter2", SECRET, "ffi/db", "ResourceNotFoundException", "app\thunter2"]


@pytest.fixture(scope="module")
def secret(endpoint: Endpoint) -> None:
    endpoint.client().create_secret(Name="ffi/db", SecretString=SECRET)


def declarations(installed: Installed) -> str:
    return (installed.prefix / "include" / "secretcache" / "ffi.h").read_text()


@pytest.mark.parametrize("host", ["luajit", "ruby", "python"])
def test_c9_a_host_reads_and_logs_in(installed: Installed, secret: None, host: str) -> None:
    interpreter = sys.executable if host == "python" else shutil.which(host)
    assert interpreter, f"{host} is missing; `make test-c` installs it"
    script = HERE / "ffi" / {"luajit": "read.lua", "ruby": "read.rb", "python": "read.py"}[host]
    header = installed.prefix / "include" / "secretcache" / "ffi.h"
    output = run(interpreter, script, installed.library, header, timeout=300)
    assert output.splitlines() == EXPECTED


def test_c9_pointer_variants_pass_no_structure_by_value(installed: Installed) -> None:
    """Neither does any of their callbacks, nor the callback for all events."""
    text = declarations(installed)
    functions = re.findall(r"^[^\n(]*\bsecretcache_ffi_\w+\(.*?\);", text, re.MULTILINE | re.DOTALL)
    callbacks = re.findall(
        r"typedef \w+ \(\*secretcache_(?:ffi_\w+|on_event|on_login|on_done)\)\(.*?\);", text, re.DOTALL
    )
    assert len(functions) > 40
    assert len(callbacks) == 4
    for declaration in functions + callbacks:
        assert not re.search(r"\bsecretcache_(str|bytes|version_selector)\b(?!\s*\*)", declaration), (
            declaration
        )


def test_c9_declarations_need_no_preprocessor(installed: Installed) -> None:
    text = re.sub(r"/\*.*?\*/", "", declarations(installed), flags=re.DOTALL)
    assert "#" not in text
    assert "static" not in text
    assert "{" not in re.sub(r"(struct|enum) \w+\s*\{[^}]*\}", "", text)


def test_c9_functions_that_pass_texts_by_value_have_a_variant(installed: Installed) -> None:
    """All have one, except for these, which a host can do without."""
    text = declarations(installed)
    by_value = set()
    for declaration in re.findall(r"^[^\n(;}]*\bsecretcache_\w+\([^;]*\);", text, re.MULTILINE):
        if re.search(r"\bsecretcache_(str|bytes)\b(?!\s*\*)", declaration) and "typedef" not in declaration:
            by_value.add(re.search(r"\bsecretcache_(\w+)\(", declaration).group(1))  # type: ignore[union-attr]
    without = {name for name in by_value if f"secretcache_ffi_{name}(" not in text}
    assert without == {
        "answer_fail_as_service",
        "connect_stages",
        "credential_dbname",
        "credential_engine",
        "credential_host",
        "credential_password",
        "credential_username",
        "stats_secret_id",
        "stats_secret_stage",
        "stats_secret_version_id",
    }
