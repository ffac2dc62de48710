"""Prints which of the named modules are loaded by importing the cache."""

import sys

before = set(sys.modules)
import aws_secretsmanager_caching  # noqa: E402, F401

loaded = [name for name in sys.argv[1:] if name in sys.modules and name not in before]
print(", ".join(loaded) or "none of them")
