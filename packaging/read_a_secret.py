"""Reads a secret with the installed package from the installed command's endpoint, and prints the platform."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

import aws_secretsmanager_caching
from secretcache import SecretCache
from secretcache.testing import LocalEndpoint

with tempfile.TemporaryDirectory() as folder:
    seed = Path(folder) / "seed.toml"
    seed.write_text('[[secrets]]\nname = "db"\nstring = "from the endpoint"\n')
    with LocalEndpoint(["--seed", str(seed)]):
        assert SecretCache().get_secret_string("db") == "from the endpoint"
        assert aws_secretsmanager_caching.SecretCache().get_secret_string("db") == "from the endpoint"

name, version = platform.libc_ver()
print(f"read on {name} {version} with Python {platform.python_version()}, {platform.machine()}")
