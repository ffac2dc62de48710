"""Operations of `integrations`: brokers, and Redis as a cluster and behind a sentinel."""

from __future__ import annotations

import ssl
from typing import Any


def _kombu_amqp(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from secretcache.integrations.kombu import connection_class

    Connection = connection_class(cache, secret, **options)

    def operate() -> None:
        with Connection(f"amqp://{where['host']}:{where['port']}//") as connection:
            queue = connection.SimpleQueue(f"queue of {secret}")
            queue.put("hello")
            queue.get(timeout=20).ack()
            queue.close()

    return operate


def _kombu_redis(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from secretcache.integrations.kombu import connection_class

    Connection = connection_class(cache, secret, **options)

    def operate() -> None:
        with Connection(f"redis://{where['host']}:{where['port']}/3") as connection:
            connection.channel().client.ping()

    return operate


def _kombu_rediss(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from secretcache.integrations.kombu import connection_class

    Connection = connection_class(cache, secret, **options)
    trust = {"ssl_cert_reqs": "required", "ssl_ca_data": _certificate(where)}

    def operate() -> None:
        with Connection(f"rediss://{where['host']}:{where['port']}/3", ssl=trust) as connection:
            connection.channel().client.ping()

    return operate


def _redis_tls(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    import redis

    from secretcache.integrations.redis import connection_class

    logging_in = connection_class(cache, secret, redis.SSLConnection, **options)
    trust = {"ssl_cert_reqs": "required", "ssl_ca_data": _certificate(where)}
    pool = redis.ConnectionPool(connection_class=logging_in, **trust, **where)
    client = redis.Redis(connection_pool=pool)

    def operate() -> None:
        client.ping()
        pool.disconnect(inuse_connections=False)

    return operate


def _certificate(where: dict[str, Any]) -> str:
    return ssl.get_server_certificate((where["host"], where["port"]))


def _pika(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from pika import ConnectionParameters

    from secretcache.integrations.pika import connect

    parameters = ConnectionParameters(**where)

    def operate() -> None:
        connection = connect(cache, secret, parameters, **options)
        connection.channel().basic_publish("", "nobody", b"hello")
        connection.close()

    return operate


def _aio_pika(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from secretcache.integrations.aio_pika import connect

    async def operate() -> None:
        async with await connect(cache, secret, **where, **options) as connection:
            await connection.channel()

    return operate


def _aio_pika_robust(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from secretcache.integrations.aio_pika import connect_robust

    url = f"amqp://{where['host']}:{where['port']}/"

    async def operate() -> None:
        async with await connect_robust(cache, secret, url, **options) as connection:
            await connection.channel()

    return operate


def _cluster(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from secretcache.integrations.redis import cluster

    client = cluster(cache, secret, f"redis://{where['host']}:{where['port']}", **options)

    def operate() -> None:
        for key in "abc":  # one on each node
            client.set(key, key)
        for node in client.get_nodes():
            if node.redis_connection is not None:
                node.redis_connection.connection_pool.disconnect(inuse_connections=False)

    return operate


def _cluster_async(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from secretcache.integrations.redis import async_cluster

    async def operate() -> None:
        url = f"redis://{where['host']}:{where['port']}"
        async with async_cluster(cache, secret, url, **options) as client:
            for key in "abc":
                await client.set(key, key)

    return operate


def _sentinel(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
    from redis.sentinel import Sentinel, SentinelManagedConnection

    from secretcache.integrations.redis import connection_class

    logging_in = connection_class(cache, secret, SentinelManagedConnection, **options)
    sentinel = Sentinel([(where["host"], where["port"])])
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 8)
    client = sentinel.master_for("shop", connection_class=logging_in, retry=retry)
    replica = sentinel.slave_for("shop", connection_class=logging_in, retry=retry)

    def operate() -> None:
        client.set("key", "value")
        replica.get("key")
        for each in (client, replica):
            each.connection_pool.disconnect(inuse_connections=False)

    return operate


def _sentinel_async(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection
    from redis.backoff import ExponentialBackoff

    from secretcache.integrations.redis import async_connection_class

    logging_in = async_connection_class(cache, secret, SentinelManagedConnection, **options)
    sentinel = Sentinel([(where["host"], where["port"])])
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 8)

    async def operate() -> None:
        async with sentinel.master_for("shop", connection_class=logging_in, retry=retry) as client:
            await client.set("key", "value")

    return operate
