"""aio-pika's robust connections, which reconnect on their own, through rotations and outages of the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aio_pika
import pytest
from databases import Database
from rotating import ROTATIONS, ByHand, Secret

from secretcache import AsyncSecretCache
from secretcache.integrations.aio_pika import connect_robust

INTERVAL = 0.2
"""Seconds between aio-pika's attempts to reconnect."""


class Way:
    """A proxy to a server, which can be closed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, port: int = 0) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Cut off all connections, and accept no more."""
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._database.host, self._database.port)
        self._writers |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()


async def deliver(queue: Any, channel: Any) -> None:
    """Send and receive a message, once the connection is back."""
    await channel.ready()
    await channel.default_exchange.publish(aio_pika.Message(b"hello"), queue.name)
    await (await asyncio.wait_for(queue.get(), 30)).ack()


@pytest.mark.parametrize("strategy", ["single-user", "alternating-users"])
def test_a_robust_connection_that_is_cut_off_logs_in_with_the_version_that_works(
    client: Any, databases: Callable[[str], Any], strategy: str
) -> None:
    database = databases("rabbitmq")
    secret = Secret(client, database, f"aio-pika/{strategy}")
    rotation = ByHand(secret, strategy)

    async def run() -> None:
        cache = AsyncSecretCache()
        way = Way(database)
        await way.open()
        url = f"amqp://127.0.0.1:{way.port}/"
        connecting = connect_robust(cache, secret.secret_id, url, reconnect_interval=INTERVAL)
        async with await connecting as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("robust", durable=True)

            async def cut_off(meanwhile: Callable[[], object] = lambda: None) -> None:
                way.close()
                await asyncio.sleep(2 * INTERVAL)
                await asyncio.to_thread(meanwhile)
                await way.open(way.port)
                await asyncio.wait_for(connection.connected.wait(), 60)
                await deliver(queue, channel)

            await deliver(queue, channel)
            for _ in range(ROTATIONS):
                token, pending = rotation.create()
                rotation.set(pending)
                await cut_off()
                rotation.finish(token)
                await cut_off()
            # When the broker is back, the version that last logged in no longer works.
            await cut_off(lambda: rotation.rotate(0))
        way.close()

    asyncio.run(run())


def test_a_patient_connection_waits_for_the_broker(client: Any, databases: Callable[[str], Any]) -> None:
    database = databases("rabbitmq")
    secret = Secret(client, database, "aio-pika/patient")

    async def run() -> None:
        cache = AsyncSecretCache()
        way = Way(database)
        await way.open()
        way.close()
        url = f"amqp://127.0.0.1:{way.port}/"
        options = {"reconnect_interval": INTERVAL, "fail_fast": False}
        connecting = asyncio.ensure_future(connect_robust(cache, secret.secret_id, url, **options))
        await asyncio.sleep(2 * INTERVAL)
        assert not connecting.done()
        await way.open(way.port)
        await (await asyncio.wait_for(connecting, 30)).close()
        way.close()

    asyncio.run(run())
