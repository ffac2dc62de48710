"""Programs like those of the README. Never run: mypy and pyright check their types."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

from secretcache import (
    AsyncSecretCache,
    Credential,
    InjectSecretString,
    LoginRejectedError,
    NewVersion,
    SecretCache,
    SecretCacheError,
    SecretValue,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type


def rotated(event: NewVersion) -> None:
    """Handle the event of a rotation."""
    print(event.secret_id, event.new_version_id)


with SecretCache(region_name="eu-central-1", refresh_interval=300) as cache:
    assert_type(cache, SecretCache)
    cache.on_new_version(rotated)
    assert_type(cache.get_secret_string("prod/checkout/db"), str)
    assert_type(cache.get_secret_binary("prod/checkout/key", version_id="v1"), bytes)
    assert_type(cache.get_secret_value("prod/checkout/db", "AWSPREVIOUS"), SecretValue)
    assert_type(cache.get_secret_json("prod/checkout/db"), Any)
    assert_type(cache.get_secret_field("prod/checkout/db", "password"), Any)
    assert_type(cache.get_secrets(["a", "b"]), dict[str, str])
    assert_type(cache.prefetch(["a"]), dict[str, BaseException])
    assert_type(cache.credential("prod/checkout/db"), Credential)
    assert_type(cache.stats(), dict[str, Any])


def connect(it: Credential) -> int:
    """Act as a driver's connect function."""
    return len(str(it.username)) + (it.port or 0)


plain = SecretCache()
assert_type(plain, SecretCache)
assert_type(plain.connect("prod/checkout/db", connect, timeout=5), int)
assert_type(plain.connect("prod/checkout/db", lambda credential: str(credential.username)), str)


@InjectSecretString("prod/api-key", plain)
def call_api(api_key: str, path: str) -> int:
    """Take the whole secret."""
    return len(path)


async def connect_async(it: Credential) -> bytes:
    """Act as the connect function of a driver for asyncio."""
    return str(it.username).encode()


def pool(it: Credential) -> Pool:
    """Act as a driver for asyncio whose connect function returns an awaitable object."""
    return Pool(it)


class Pool:
    """A pool that is ready once it has been awaited."""

    def __init__(self, it: Credential) -> None:
        self.username = it.username

    def __await__(self) -> Generator[Any, None, Pool]:
        yield
        return self


async def main(ids: Iterable[str]) -> str:
    """Use the cache for asyncio."""
    async with AsyncSecretCache() as cache:
        assert_type(cache, AsyncSecretCache)
        assert_type(await cache.get_secrets(ids), dict[str, str])
        assert_type(await cache.refresh_secret_now("a"), bool)
        assert_type(await cache.connect("prod/checkout/db", connect_async, timeout=5), bytes)
        assert_type(await cache.connect("prod/checkout/db", connect), int)
        assert_type(await cache.connect("prod/checkout/db", lambda credential: len(credential.username)), int)
        assert_type(await cache.connect("prod/checkout/db", pool), Pool)
        try:
            return await cache.get_secret_string("prod/checkout/db")
        except LoginRejectedError as error:
            return str(error.tried)
        except SecretCacheError as error:
            assert_type(error.retryable, bool)
            return error.kind


SecretCache(ttl=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
plain.get_secret_string(SecretId="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
