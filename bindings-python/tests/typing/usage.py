"""A typed program that uses the packages. Never run: `make lint` checks that the types match."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_secretsmanager_caching import (
    InjectKeywordedSecretString,
    InjectSecretString,
    SecretCache,
    SecretCacheConfig,
)
from aws_secretsmanager_caching.cache.secret_cache_hook import SecretCacheHook

if TYPE_CHECKING:
    from typing_extensions import assert_type


class Plain(SecretCacheHook):
    """Stores responses as they are."""

    def put(self, obj: Any) -> Any:
        return obj

    def get(self, cached_obj: Any) -> Any:
        return cached_obj


config = SecretCacheConfig(secret_refresh_interval=timedelta(minutes=5), secret_cache_hook=Plain())
assert_type(config.max_cache_size, int)

cache = SecretCache(config=config)
assert_type(cache.get_secret_string("prod/checkout/db"), "str | None")
assert_type(cache.get_secret_binary("prod/checkout/db", "AWSPREVIOUS"), "bytes | None")
assert_type(cache.refresh_secret_now("prod/checkout/db"), bool)


@InjectSecretString("prod/api-key", cache)
def call_api(api_key: str, path: str) -> int:
    """Take the whole secret."""
    return len(path)


@InjectKeywordedSecretString("prod/checkout/db", cache, user="username")
async def connect(host: str, *, user: str) -> int:
    """Take one field of the secret."""
    return len(host + user)


assert_type(call_api("/orders"), int)
SecretCacheConfig(refresh=5)  # type: ignore[call-arg]
SecretCacheConfig(max_cache_size="many")  # type: ignore[arg-type]
