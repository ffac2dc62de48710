"""The defaults are the same in every language: each tests its own against one table."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from aws_secretsmanager_caching import SecretCacheConfig
from secretcache import AsyncSecretCache, SecretCache

TABLE = json.loads((Path(__file__).parents[2] / "tests" / "defaults.json").read_text())


def test_the_defaults_are_those_of_the_table() -> None:
    for face in (SecretCache, AsyncSecretCache):
        defaults = {name: each.default for name, each in inspect.signature(face).parameters.items()}
        assert defaults["refresh_interval"] == TABLE["refresh_interval_seconds"]
        assert defaults["max_wait"] == TABLE["max_wait_seconds"]
        assert defaults["max_stale"] == TABLE["max_stale_seconds"]
        assert defaults["fallback_after"] == TABLE["fallback_after_seconds"]
        assert defaults["max_size"] == TABLE["max_size"]
        assert defaults["stale_on_denied"] == TABLE["stale_on_denied"]
        assert defaults["version_stage"] == TABLE["version_stage"]


def test_the_drop_in_has_the_interval_of_aws_library() -> None:
    config = SecretCacheConfig()
    assert config.secret_refresh_interval == TABLE["drop_in_refresh_interval_seconds"]
    assert config.max_cache_size == TABLE["max_size"]
    assert config.default_version_stage == TABLE["version_stage"]
