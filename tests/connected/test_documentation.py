"""The documentation's examples, unchanged, against real servers.

Their host names lead to local servers: `db.example` to PostgreSQL, or to MariaDB on MySQL's port; `cache.example` to
Redis; `api.example` to an HTTP proxy that answers in its place.
"""

from __future__ import annotations

import ast
import json
import re
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import boto3
import pytest
from celery import Celery
from databases import ROOT, Postgres
from loopback import Server
from programs import Loop
from sqlalchemy import Engine
from tortoise.context import TortoiseContext

DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "bindings-python" / "README.md",
    # The omitted page's examples are parts of test suites, which `tests/local/test_documentation.py` runs.
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "local-endpoint.md"),
)
USER, PASSWORD = "documented", "hunter2"
PRELUDE = """
import psycopg
from sqlalchemy import create_engine
from secretcache import AsyncSecretCache, SecretCache
cache = SecretCache()
"""
"""Code that runs before each example."""


def examples() -> Iterator[Any]:
    """Return the Python code blocks."""
    for document in DOCUMENTS:
        blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
        for number, block in enumerate(blocks, 1):
            yield pytest.param(block, id=f"{document.parent.name}-{document.stem}-{number}")


class Api(BaseHTTPRequestHandler):
    """Accepts one API key."""

    def do_GET(self) -> None:
        is_right = self.headers["Authorization"] == f"Bearer {PASSWORD}"
        self.send_response(200 if is_right else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def places(databases: Callable[[str], Any]) -> Iterator[dict[tuple[str, int | None], int]]:
    """Provide the ports of the servers that the examples connect to, where the user of the secrets exists."""
    ports = {}
    for name in ("postgres", "mariadb", "redis", "rabbitmq", "redis-cluster", "redis-sentinel"):
        database = databases(name)
        database.create_user(USER)
        database.set_password(USER, PASSWORD)
        ports[name] = database.port
    postgres: Postgres = databases("postgres")
    for name in ("shop", "checkout"):
        postgres._run(f"CREATE DATABASE {name}")
    api = Server(Api)
    yield {
        ("db.example", 5432): ports["postgres"],
        ("db.example", ports["postgres"]): ports["postgres"],
        ("db.example", 3306): ports["mariadb"],
        ("cache.example", 6379): ports["redis"],
        ("cluster.example", 6379): ports["redis-cluster"],
        ("sentinel.example", 26379): ports["redis-sentinel"],
        ("rabbit.example", 5672): ports["rabbitmq"],
        ("api.example", 80): api.server_address[1],
    }
    api.close()


@pytest.fixture
def world(
    client: Any, places: dict[tuple[str, int | None], int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Set up the examples' secrets, and direct their connections to the servers."""
    user = {"username": USER, "password": PASSWORD, "host": "db.example", "dbname": "shop"}
    secrets = dict.fromkeys(("prod/checkout/db", "prod/redis", "prod/rabbit"), user)
    secrets["prod/payments"] = {"api_key": PASSWORD}
    clients = [client, boto3.client("secretsmanager", region_name="eu-central-1")]
    for each in clients:
        for name, value in secrets.items():
            each.create_secret(Name=name, SecretString=json.dumps(value))
    # The endpoint takes an access key id of twelve digits as an account id.
    theirs = boto3.client("secretsmanager", aws_access_key_id="111122223333", aws_secret_access_key="local")
    theirs.create_secret(Name="billing/api-key", SecretString="key")
    # For the examples that start an endpoint.
    monkeypatch.setenv("SECRETCACHE_BIN", str(ROOT / "target" / "debug" / "secretcache"))
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name.endswith(".example"):
            return look_up("127.0.0.1", places[name, int(port)], *arguments, **options)
        return look_up(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    # libpq does not resolve names through Python.
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(places["db.example", 5432]))
    # The HTTP clients use a proxy, which answers in place of the host.
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{places['api.example', 80]}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield
    for each in clients:
        for name in secrets:
            each.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    theirs.delete_secret(SecretId="billing/api-key", ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize("example", list(examples()))
def test_an_example_runs_as_it_is_written(world: None, example: str) -> None:
    names: dict[str, Any] = {}
    exec(PRELUDE, names)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(example, "example", "exec", flags=flags, dont_inherit=True)
    result = eval(code, names)
    if result is not None:
        Loop().run(result)
    if isinstance(engine := names.get("engine"), Engine):
        engine.connect().close()
    if "TORTOISE_ORM" in names:
        Loop().run(_ask_tortoise(names["TORTOISE_ORM"]["connections"]))
    if isinstance(app := names.get("app"), Celery):
        app.connection().connect()
        app.backend.client.ping()
    if "DATABASES" in names:
        from django import setup
        from django.conf import settings
        from django.db.utils import ConnectionHandler

        if not settings.configured:
            settings.configure()
            setup()
        with ConnectionHandler(names["DATABASES"])["default"].cursor() as cursor:
            cursor.execute("SELECT 1")


async def _ask_tortoise(connections: dict[str, Any]) -> None:
    async with TortoiseContext() as context:
        await context.init({"connections": connections, "apps": {"shop": {"models": [__name__]}}})
        await context.connections.get("default").execute_query("SELECT 1")
        await context.close_connections()


def test_every_integration_has_an_example() -> None:
    text = "".join(document.read_text() for document in DOCUMENTS)
    folder = Path(ROOT / "bindings-python/python/secretcache/integrations")
    modules = [path.stem for path in folder.glob("[a-z]*.py")]
    modules += ["django.postgresql", "django.mysql", "tortoise.asyncpg", "tortoise.psycopg"]
    assert [module for module in modules if f"{module}" not in text] == []
    for module in folder.glob("[a-z]*.py"):
        assert f"from secretcache.integrations.{module.stem} import" in text, module.stem
