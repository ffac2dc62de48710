"""Tortoise ORM over psycopg 3, logging in with a secret."""

from __future__ import annotations

from tortoise.backends.psycopg import client

from ..psycopg_pool import AsyncConnectionPool
from ._login import LoginMixin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Pool(AsyncConnectionPool, client.AsyncConnectionPool):
    """Tortoise's pool, which logs in with a secret."""


class Client(LoginMixin, client.PsycopgClient):
    """Tortoise's connection, whose pool logs in with a secret."""

    async def create_pool(self, **kwargs: Any) -> Any:
        """Create a pool whose connections log in with the secret."""
        pool = _Pool(*self._secret, open=False, **(kwargs | self._options))
        await pool.open()
        return pool


client_class = Client
