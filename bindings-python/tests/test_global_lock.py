"""Interpreters without the global lock, which the extension module relies on."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["secretcache", "aws_secretsmanager_caching"])
def test_it_is_not_imported_where_the_lock_stays_off(package: str) -> None:
    """As on a free-threaded interpreter with PYTHON_GIL=0."""
    code = f"import sys; sys._is_gil_enabled = lambda: False; import {package}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "ImportError: secretcache needs Python's global interpreter lock" in done.stderr
