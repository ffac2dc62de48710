"""A Django project behind gunicorn, with each way to keep connections, during rotations. Takes about 20 s."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import integrations
import psycopg
import psycopg_pool
import pytest
from brokers import until
from databases import USERS, Postgres
from rotating import ROTATIONS, ByHand, Secret

import secretcache.integrations.psycopg_pool  # noqa: F401 - before a test puts another class in place of its base
from endpoint import Endpoint
from secretcache import SecretCache

HERE = Path(__file__).parent
GAPS = (0.2, 0.5, 1.1)
"""Seconds between setSecret and finishSecret, for each rotation in turn."""
CLIENTS = 2
"""Clients of each server."""
PAUSE = 0.02
"""Seconds between two requests of a client."""
POOL = {"OPTIONS": {"pool": {"min_size": 1, "max_size": 4, "max_lifetime": 2}}}
PERSISTENT = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
BY_REQUEST: dict[str, Any] = {}
THREADS = ("--workers", "2", "--worker-class", "gthread", "--threads", "4", "shop.wsgi")
GEVENT = ("--worker-class", "gevent", "shop.wsgi")
ASGI = ("--worker-class", "asgi", "shop.asgi")
SERVED = {
    "threads-pool": (THREADS, POOL, "order"),
    "threads-persistent": (THREADS, PERSISTENT, "order"),
    "threads-asynchronous-view": (THREADS, PERSISTENT, "order-later"),
    "gevent-pool": (GEVENT, POOL, "order"),
    "gevent": (GEVENT, BY_REQUEST, "order"),
    "asgi-pool": (ASGI, POOL, "order-later"),
    "asgi": (ASGI, BY_REQUEST, "order-later"),
}
"""For each server: gunicorn's worker class, how connections are kept, and the page requested."""
FAILED = r"Traceback|\b(ERROR|CRITICAL)\b"


@pytest.fixture(scope="module")
def database(databases: Callable[[str], Any]) -> Iterator[Postgres]:
    """Provide a database owned by a role that both users can assume, as alternating users need it."""
    postgres: Postgres = databases("postgres")
    for statement in ("CREATE ROLE shop CREATEDB", *(f"GRANT shop TO {user}" for user in USERS)):
        postgres._run(statement)
    postgres._run("CREATE DATABASE orders OWNER shop")
    yield postgres
    postgres._run("DROP DATABASE orders WITH (FORCE)")
    postgres._run("DROP ROLE shop")


def environment(endpoint: Endpoint, database: Postgres, secret_id: str, kept: dict[str, Any]) -> Any:
    """Return the environment for a process of the project."""
    own = {"secret_id": secret_id, "secret_cache": "shop.secrets.cache", "options": "-c role=shop"}
    settings = {
        "ENGINE": "secretcache.integrations.django.postgresql",
        "HOST": database.host,
        "PORT": str(database.port),
        "NAME": "orders",
    }
    settings |= kept | {"OPTIONS": own | kept.get("OPTIONS", {})}
    path = os.pathsep.join((str(HERE), *filter(None, sys.path)))
    more = {"DATABASE": json.dumps(settings), "DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": path}
    return os.environ | endpoint.environment | more


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run a management command, check that it succeeds, and return its output."""
    command = [sys.executable, "-m", "django", *arguments]
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, env=environment, cwd=HERE, text=True, check=False, timeout=120, **out)
    assert done.returncode == 0, done.stdout
    return done.stdout


class Served:
    """A server of the project, and clients that send requests continuously."""

    def __init__(self, environment: dict[str, str], how: tuple[str, ...], page: str, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", *how]
        self._process = subprocess.Popen(
            command, env=environment, cwd=HERE, stdout=log.open("w"), stderr=subprocess.STDOUT
        )
        until(lambda: "Listening at" in self.log or self._process.poll() is not None)
        address = re.search(r"Listening at: (\S+)", self.log)
        assert address, self.log
        self._page = f"{address[1]}/{page}"
        self.failures: list[str] = []
        self.answers = Counter[str]()
        self._is_over = threading.Event()
        self._clients = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for each in self._clients:
            each.start()

    @property
    def log(self) -> str:
        """The server's log."""
        return self._log.read_text()

    def _ask(self) -> None:
        while not self._is_over.is_set() and len(self.failures) < 10:
            try:
                with urllib.request.urlopen(self._page, timeout=30) as answer:
                    self.answers[answer.read().decode()] += 1
            except OSError as error:
                self.failures.append(repr(error))
            self._is_over.wait(PAUSE)

    def is_with(self, user: str) -> bool:
        """Return whether several responses in a row all come from connections of this user."""
        before = self.answers.copy()
        until(lambda: (self.answers - before).total() > 4 * CLIENTS or self.failures)
        return bool(self.failures) or set(self.answers - before) == {user}

    def close(self) -> None:
        """Stop clients and server."""
        self._is_over.set()
        for each in self._clients:
            each.join()
        self._process.terminate()
        self._process.wait(60)


@pytest.fixture(scope="module")
def served(
    endpoint: Endpoint, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Served]]:
    """Provide all servers, after the rotations of both strategies."""
    secret = Secret(endpoint.client(), database, "django/served")
    folder = tmp_path_factory.mktemp("django")
    manage(environment(endpoint, database, secret.secret_id, {}), "migrate")
    with ExitStack() as stack:
        made = {}
        for name, (how, kept, page) in SERVED.items():
            where = environment(endpoint, database, secret.secret_id, kept)
            made[name] = Served(where, how, page, folder / name)
            stack.callback(made[name].close)
        for each in made.values():
            until(lambda each=each: each.answers or each.failures)
        for strategy in ("single-user", "alternating-users"):
            for number in range(ROTATIONS):
                ByHand(secret, strategy).rotate(GAPS[number % len(GAPS)])
        _, current = secret.current()
        for each in made.values():
            until(lambda each=each: each.is_with(current["username"]))
        yield made


@pytest.mark.parametrize("name", SERVED)
def test_no_request_notices_a_rotation(served: dict[str, Served], name: str) -> None:
    assert served[name].failures == [], served[name].log
    assert set(served[name].answers) == set(USERS)
    assert not re.search(FAILED, served[name].log), served[name].log


def test_commands_work_in_the_middle_of_a_rotation(
    endpoint: Endpoint, client: Any, database: Postgres
) -> None:
    secret = Secret(client, database, "django/commands")
    rotation = ByHand(secret, "single-user")
    token, pending = rotation.create()
    rotation.set(pending)
    where = environment(endpoint, database, secret.secret_id, POOL)
    manage(where, "migrate", "shop", "zero")
    manage(where, "migrate")
    assert "OK" in manage(where, "test", "shop", "--noinput")
    question = "SELECT 'as ' || session_user"
    assert f"as {USERS[0]}" in manage(where, "dbshell", "--", "-c", question)
    rotation.finish(token)
    assert f"as {USERS[0]}" in manage(where, "dbshell", "--", "-c", question)


class Pooled:
    """A database with Django's pool of one connection."""

    def __init__(self, client: Any, database: Postgres, name: str, **pool: Any) -> None:
        self._secret = Secret(client, database, f"django/{name}")
        self._cache = SecretCache()
        options = {"pool": {"min_size": 1, "max_size": 1} | pool}
        where = (self._cache, self._secret.secret_id, database.settings, "postgres")
        self.connection = integrations.django("postgresql", *where, OPTIONS=options)

    def ask(self) -> str:
        """Return the user of a connection, and return the connection to the pool."""
        with self.connection().cursor() as cursor:
            cursor.execute("SELECT session_user")
            (user,) = cursor.fetchone()
        self.connection().close()
        return user

    def rotate(self) -> None:
        """Rotate to the other user."""
        ByHand(self._secret, "alternating-users").rotate(0)
        self._cache.refresh_secret_now(self._secret.secret_id)

    def check(self) -> None:
        """Check that outdated connections are replaced once they are returned."""
        for _ in range(2):
            before = self.ask()
            self.rotate()
            self.ask()
            assert self.ask() != before


def test_a_pool_that_several_threads_made_at_once_replaces_outdated_connections(
    client: Any, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_make_one = threading.Barrier(2)

    class Pool(psycopg_pool.ConnectionPool):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            all_make_one.wait(30)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(psycopg_pool, "ConnectionPool", Pool)
    pooled = Pooled(client, postgres, "at-once")
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: pooled.connection().pool, range(2))
    assert one is other
    pooled.check()
    pooled.connection().close_pool()


def test_a_pool_that_is_made_again_replaces_outdated_connections(client: Any, postgres: Postgres) -> None:
    pooled = Pooled(client, postgres, "again")
    pooled.ask()
    pooled.connection().close_pool()
    pooled.check()
    pooled.connection().close_pool()


def test_a_pool_of_connections_of_another_class_logs_in_with_the_secret(
    client: Any, postgres: Postgres
) -> None:
    class Own(psycopg.Connection[Any]):
        pass

    pooled = Pooled(client, postgres, "own-class", connection_class=Own)
    pooled.ask()
    pooled.check()
    with pooled.connection().cursor():
        assert isinstance(pooled.connection().connection, Own)
    pooled.connection().close()
    pooled.connection().close_pool()
