"""Reads one secret through every interface of the wheel, on interpreters other than the one that built it."""

import asyncio
import platform
import sys

from aws_secretsmanager_caching import SecretCache as DropIn
from secretcache import AsyncSecretCache, SecretCache

assert DropIn().get_secret_string("bench/0") == "value"
with SecretCache() as cache:
    assert cache.get_secret_string("bench/0") is cache.get_secret_string("bench/0")
    assert cache.get_secret_value("bench/0").created_date is not None


async def read() -> str:
    async with AsyncSecretCache() as cache:
        return await cache.get_secret_string("bench/0")


assert asyncio.run(read()) == "value"
sys.stdout.write(platform.python_version())
