"""Subscribers of redis-py during rotations: they miss no message, and can subscribe to more channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from brokers import until
from databases import Redis
from rotating import ROTATIONS, ByHand, Secret

from secretcache import AsyncSecretCache, SecretCache
from secretcache.integrations.redis import async_connection_class, connection_class

STRATEGIES = ("single-user", "alternating-users", "dual-password")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_subscriber_goes_on_after_a_rotation(
    client: Any, databases: Callable[[str], Any], strategy: str
) -> None:
    database: Redis = databases("redis")
    secret = Secret(client, database, f"subscriber/{strategy}")
    rotation = ByHand(secret, strategy)
    cache = SecretCache()
    logging_in = connection_class(cache, secret.secret_id)
    pool = redis.ConnectionPool(connection_class=logging_in, decode_responses=True, **database.settings)
    subscriber = redis.Redis(connection_pool=pool).pubsub(ignore_subscribe_messages=True)
    for number in range(ROTATIONS):
        subscriber.subscribe(f"news {number}")
        rotation.rotate(0)
        cache.refresh_secret_now(secret.secret_id)
        subscriber.subscribe(f"more {number}")
        assert database._client.publish(f"news {number}", "hello"), "there was a gap"
        until(lambda: (subscriber.get_message() or {}).get("data") == "hello")
    subscriber.close()
    pool.disconnect()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_subscriber_of_asyncio_goes_on_after_a_rotation(
    client: Any, databases: Callable[[str], Any], strategy: str
) -> None:
    database: Redis = databases("redis")
    secret = Secret(client, database, f"subscriber/asyncio/{strategy}")
    rotation = ByHand(secret, strategy)

    async def run() -> None:
        cache = AsyncSecretCache()
        logging_in = async_connection_class(cache, secret.secret_id)
        pool = redis.asyncio.ConnectionPool(
            connection_class=logging_in, decode_responses=True, **database.settings
        )
        subscriber = redis.asyncio.Redis(connection_pool=pool).pubsub(ignore_subscribe_messages=True)
        for number in range(ROTATIONS):
            await subscriber.subscribe(f"news {number}")
            rotation.rotate(0)
            await cache.refresh_secret_now(secret.secret_id)
            await subscriber.subscribe(f"more {number}")
            assert database._client.publish(f"news {number}", "hello"), "there was a gap"
            while await subscriber.get_message(timeout=30) is None:
                pass
        await subscriber.aclose()
        await pool.disconnect()

    asyncio.run(asyncio.wait_for(run(), 60 * ROTATIONS))
