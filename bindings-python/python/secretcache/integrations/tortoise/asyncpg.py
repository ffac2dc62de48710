"""Tortoise ORM over asyncpg, logging in with a secret."""

from __future__ import annotations

from tortoise.backends.asyncpg.client import AsyncpgDBClient

from ..asyncpg import create_pool
from ._login import LoginMixin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Client(LoginMixin, AsyncpgDBClient):
    """Tortoise's connection, whose pool logs in with a secret."""

    async def create_pool(self, *, password: Any = None, **kwargs: Any) -> Any:
        """Create a pool whose connections log in with the secret."""
        return await create_pool(*self._secret, password=password, **(kwargs | self._options))


client_class = Client
