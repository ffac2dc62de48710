"""What `SecretCacheConfig` promises. Runs against AWS's library as well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
from support import Service, eventually

DEFAULTS = {
    "max_cache_size": 1024,
    "exception_retry_delay_base": 1,
    "exception_retry_growth_factor": 2,
    "exception_retry_delay_max": 3600,
    "default_version_stage": "AWSCURRENT",
    "secret_refresh_interval": 3600,
    "secret_cache_hook": None,
}


def test_defaults() -> None:
    assert DEFAULTS == SecretCacheConfig.OPTION_DEFAULTS
    assert vars(SecretCacheConfig()) == DEFAULTS
    assert all(type(getattr(SecretCacheConfig(), name)) is type(value) for name, value in DEFAULTS.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_cache_size", 10),
        ("exception_retry_delay_base", 0.5),
        ("exception_retry_growth_factor", 3),
        ("exception_retry_delay_max", 60),
        ("default_version_stage", "AWSPENDING"),
        ("secret_refresh_interval", 300),
    ],
)
def test_options_are_attributes_as_given(name: str, value: Any) -> None:
    config = SecretCacheConfig(**{name: value})
    assert vars(config) == {**DEFAULTS, name: value}
    assert getattr(config, name) is value


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="^Unexpected keyword argument refresh$"):
        SecretCacheConfig(refresh=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        SecretCacheConfig(300)  # type: ignore[call-arg]


def test_a_subclass_may_have_defaults_of_its_own() -> None:
    class Ours(SecretCacheConfig):
        OPTION_DEFAULTS = {
            **SecretCacheConfig.OPTION_DEFAULTS,
            "secret_refresh_interval": 60,
            "team": "checkout",
        }

    config: Any = Ours(max_cache_size=5)
    assert (config.secret_refresh_interval, config.max_cache_size, config.team) == (60, 5, "checkout")
    assert SecretCacheConfig.OPTION_DEFAULTS == DEFAULTS


@pytest.mark.ours_only(
    "P11: the interval goes to randint, which takes whole numbers only, after a billed call"
)
@pytest.mark.parametrize("interval", [0.6, 1.5, timedelta(seconds=1)])
def test_intervals_may_be_fractions_and_timedeltas(service: Service, interval: float | timedelta) -> None:
    cache = SecretCache(SecretCacheConfig(secret_refresh_interval=interval), service)
    assert cache.get_secret_string("db") == "value-1"
    service.put("db", "v2", "value-2")
    eventually(lambda: cache.get_secret_string("db"), "value-2")


@pytest.mark.ours_only("P11: an interval that cannot work is found at the first read, after a billed call")
@pytest.mark.parametrize(
    "interval", [-1, -0.5, float("nan"), float("inf"), timedelta(seconds=-1), "300", None, [1]]
)
def test_intervals_that_cannot_work_are_refused_at_once(interval: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="secret_refresh_interval"):
        SecretCacheConfig(secret_refresh_interval=interval)


@pytest.mark.ours_only("P11: nor is it found when set on the config afterwards")
def test_options_set_as_attributes_are_checked_by_the_cache(service: Service) -> None:
    config = SecretCacheConfig()
    config.secret_refresh_interval = -1
    with pytest.raises(ValueError, match="secret_refresh_interval"):
        SecretCache(config, service)


@pytest.mark.ours_only("P12: sizes below one make every read an AttributeError")
@pytest.mark.parametrize("size", [0, -1, "many", None])
def test_sizes_that_cannot_work_are_refused_at_once(size: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="max_cache_size"):
        SecretCacheConfig(max_cache_size=size)
