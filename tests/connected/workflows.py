"""Operations of `integrations` that run where Airflow is installed: its metadata database, and a hook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ASK = "SELECT current_user"
given: tuple[Any, str, dict[str, Any]]
"""The cache, the secret id and the options for `airflow_local_settings`."""


def _configure(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> None:
    """Configure Airflow before its first import; it gets no pool, so that each session connects."""
    global given
    given = (cache, secret, options)
    place = f"{where['host']}:{where['port']}/postgres"
    os.environ |= {
        "AIRFLOW_CONFIG": os.devnull,
        "AIRFLOW_HOME": str(ROOT / "target" / "airflow"),
        "AIRFLOW_CONN_SHOP": f"postgres://{place}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg://{place}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }


def _airflow_metadata(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    _configure(cache, secret, where, options)
    from airflow.utils.session import create_session
    from sqlalchemy import text

    def operate() -> None:
        with create_session() as session:
            session.execute(text(ASK))

    return operate


def _airflow_metadata_async(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    _configure(cache, secret, where, options)
    from airflow.utils.session import create_session_async
    from sqlalchemy import text

    async def operate() -> None:
        async with create_session_async() as session:
            await session.execute(text(ASK))

    return operate


def _airflow_hook(cache: Any, secret: str, where: dict[str, Any], options: dict[str, Any]) -> Any:
    _configure(cache, secret, where, options)
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from sqlalchemy import NullPool, text

    from secretcache.integrations.airflow import stay_connected

    hook = PostgresHook("shop")
    stay_connected(hook, cache, secret, **options)
    engine = hook.get_sqlalchemy_engine({"poolclass": NullPool})

    def operate() -> None:
        hook.get_first(ASK)
        with engine.connect() as connection:
            connection.execute(text(ASK))

    return operate
