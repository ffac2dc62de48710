"""Real servers for the tests of staying connected: starts them, manages users, counts refused logins."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import pymysql
import redis

ROOT = Path(__file__).resolve().parents[2]
POSTGRES = Path("/usr/lib/postgresql/15/bin")
USERS = ("app", "app_clone")
"""The user of the secret, and the one that alternates with it."""


class Database:
    """A server on a free loopback port, stopped at the end of the `with` block."""

    kind: str
    engine: str
    """The engine's name in secrets."""
    how_to_rotate: tuple[str, ...] = ("--no-tls",)
    """The options that `secretcache rotate` needs."""

    def __init__(self) -> None:
        program = ROOT / "target" / "debug" / "secretcache-databases"
        if not program.exists():
            raise RuntimeError(f"{program} is missing; `make build` builds it")
        self._process = subprocess.Popen([program, self.kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.kind} did not start")
        address = json.loads(line)
        self.host: str = address["host"]
        self.port: int = address["port"]
        self._admin: str = address["user"]
        self._admin_password: str = address["password"]

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def set_password(self, user: str, password: str, *, also: str | None = None) -> None:
        """Make a password the user's only one, or the only one apart from `also`."""
        raise NotImplementedError

    def create_user(self, user: str) -> None:
        """Make a user with some password."""
        raise NotImplementedError

    def drop_user(self, user: str) -> None:
        """Remove a user."""
        raise NotImplementedError

    def log_in(self, user: str, password: str) -> None:
        """Log in and out."""
        raise NotImplementedError

    def refused(self) -> int:
        """Count the logins that the server has refused so far."""
        raise NotImplementedError

    def sessions(self, user: str) -> int:
        """Count the connections of a user."""
        raise NotImplementedError

    def end_sessions(self, user: str) -> None:
        """End the connections of a user."""
        raise NotImplementedError

    @contextmanager
    def obstacle(self) -> Iterator[str]:
        """Provide a statement that blocks until the end of the `with` block, and then returns a true value."""
        raise NotImplementedError
        yield

    def blocked(self) -> int:
        """Count the connections that the obstacle blocks."""
        raise NotImplementedError

    @property
    def administrator(self) -> dict[str, str]:
        """The administrator's credential, as in a secret."""
        return {"username": self._admin, "password": self._admin_password}

    @property
    def settings(self) -> dict[str, Any]:
        """The server's address, as keyword arguments for drivers."""
        return {"host": self.host, "port": self.port}


class Postgres(Database):
    """PostgreSQL; refused logins are counted in its log."""

    kind = "postgres-15"
    engine = "postgres"

    def __init__(self) -> None:
        super().__init__()
        self._connection = self._connect()
        for user in USERS:
            self.create_user(user)
        self._log = Path(self._run("SHOW data_directory")[0][0]).parent / "log"

    def set_password(self, user: str, password: str, *, also: str | None = None) -> None:
        assert also is None, "PostgreSQL has one password per user"
        self._run(f"ALTER ROLE \"{user}\" PASSWORD '{password}'")

    def create_user(self, user: str) -> None:
        self._run(f'CREATE ROLE "{user}" LOGIN')

    def drop_user(self, user: str) -> None:
        self._run(f'DROP ROLE "{user}"')

    def log_in(self, user: str, password: str) -> None:
        psycopg.connect(dbname="postgres", user=user, password=password, **self.settings).close()

    def refused(self) -> int:
        return self._log.read_text().count("FATAL:  password authentication failed")

    def sessions(self, user: str) -> int:
        ((count,),) = self._run(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'")
        return count

    def end_sessions(self, user: str) -> None:
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'")

    @contextmanager
    def obstacle(self) -> Iterator[str]:
        self._run("SELECT pg_advisory_lock(1)")
        yield "SELECT count(*) FROM pg_advisory_xact_lock(1)"
        self._run("SELECT pg_advisory_unlock(1)")

    def blocked(self) -> int:
        ((count,),) = self._run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return count

    def _connect(self) -> psycopg.Connection[Any]:
        who = {"user": self._admin, "password": self._admin_password}
        return psycopg.connect(dbname="postgres", autocommit=True, **who, **self.settings)

    def _run(self, statement: str) -> list[Any]:
        cursor = self._connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


class Replica(Postgres):
    """A replica of a PostgreSQL server that can lag behind on request, optionally with German messages."""

    def __init__(self, primary: Postgres, *, in_german: bool = False) -> None:
        self._primary = primary
        self._folder = tempfile.TemporaryDirectory(prefix="secretcache-replica-")
        data = Path(self._folder.name) / "data"
        self.host = primary.host
        with socket.create_server((self.host, 0)) as free:
            self.port = free.getsockname()[1]
        self._admin, self._admin_password = primary._admin, primary._admin_password
        # PostgreSQL refuses to run as root.
        as_user: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
        if as_user:
            shutil.chown(self._folder.name, "nobody")
        copy = [POSTGRES / "pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        where = ["-h", primary.host, "-p", str(primary.port), "-U", self._admin]
        environment = {"PGPASSWORD": self._admin_password}
        subprocess.run([*copy, *where], env=environment, cwd="/", check=True, **as_user)
        serve = [POSTGRES / "postgres", "-D", data, "-p", str(self.port), "-c", "fsync=off"]
        options = ["-c", f"listen_addresses={self.host}", "-c", "unix_socket_directories="]
        log = (Path(self._folder.name) / "log").open("w")
        options += ["-c", f"lc_messages={'C.UTF-8' if in_german else 'C'}"]
        environment = {"LC_ALL": "C.UTF-8", "LANGUAGE": "de"}
        self._process = subprocess.Popen(
            [*serve, *options], env=environment, cwd="/", stderr=log, stdout=log, **as_user
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connection = self._connect()
                break
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def __exit__(self, *_: Any) -> None:
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()
        self._folder.cleanup()

    def pause(self) -> None:
        """Stop replication, so that this server lags behind."""
        self._run("SELECT pg_wal_replay_pause()")
        while self._run("SELECT pg_get_wal_replay_pause_state()") != [("paused",)]:
            time.sleep(0.01)

    def resume(self) -> None:
        """Resume replication."""
        self._run("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Wait until this server has everything that the primary has now."""
        ((position,),) = self._primary._run("SELECT pg_current_wal_lsn()::text")
        while self._run(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") != [(True,)]:
            time.sleep(0.01)


class MariaDb(Database):
    """MariaDB, which counts refused logins."""

    kind = engine = "mariadb"

    def __init__(self) -> None:
        super().__init__()
        self._connection = pymysql.connect(
            user=self._admin, password=self._admin_password, autocommit=True, **self.settings
        )
        self._run("CREATE DATABASE shop")
        self._run("SET GLOBAL max_connect_errors = 1000000, max_connections = 200")
        for user in USERS:
            self.create_user(user)

    def set_password(self, user: str, password: str, *, also: str | None = None) -> None:
        ways = [
            f"mysql_native_password USING PASSWORD('{each}')" for each in (password, also) if each is not None
        ]
        self._run(f"ALTER USER '{user}'@'%' IDENTIFIED VIA {' OR '.join(ways)}")

    def create_user(self, user: str) -> None:
        self._run(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'not yet'")
        self._run(f"GRANT ALL ON shop.* TO '{user}'@'%'")

    def drop_user(self, user: str) -> None:
        self._run(f"DROP USER '{user}'@'%'")

    def log_in(self, user: str, password: str) -> None:
        pymysql.connect(user=user, password=password, **self.settings).close()

    def refused(self) -> int:
        return int(self._run("SHOW GLOBAL STATUS LIKE 'Access_denied_errors'")[0][1])

    def sessions(self, user: str) -> int:
        return self._count(f"user = '{user}'")

    def end_sessions(self, user: str) -> None:
        self._run(f"KILL USER '{user}'@'%'")

    @contextmanager
    def obstacle(self) -> Iterator[str]:
        self._run("SELECT GET_LOCK('obstacle', 60)")
        yield "SELECT GET_LOCK('obstacle', 60)"
        self._run("SELECT RELEASE_LOCK('obstacle')")

    def blocked(self) -> int:
        return self._count("state = 'User lock'")

    def _count(self, condition: str) -> int:
        ((count,),) = self._run(f"SELECT COUNT(*) FROM information_schema.processlist WHERE {condition}")
        return count

    def _run(self, statement: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()


class Redis(Database):
    """Redis, which counts refused logins."""

    kind = engine = "redis"

    def __init__(self) -> None:
        super().__init__()
        self._client = self._administrator_of(self.port)

    def _administrator_of(self, port: int) -> Any:
        who = {"username": self._admin, "password": self._admin_password}
        return redis.Redis(host=self.host, port=port, decode_responses=True, **who)

    def set_password(self, user: str, password: str, *, also: str | None = None) -> None:
        passwords = [f">{each}" for each in (password, also) if each is not None]
        self._client.execute_command(
            "ACL", "SETUSER", user, "on", "resetpass", *passwords, "~*", "&*", "+@all"
        )

    def create_user(self, user: str) -> None:
        self.set_password(user, "not yet")

    def drop_user(self, user: str) -> None:
        self._client.execute_command("ACL", "DELUSER", user)

    def log_in(self, user: str, password: str) -> None:
        with redis.Redis(username=user, password=password, **self.settings) as client:
            client.ping()

    def refused(self) -> int:
        errors = self._client.info("errorstats")
        return int(errors.get("errorstat_WRONGPASS", {}).get("count", 0))

    def sessions(self, user: str) -> int:
        return sum(client["user"] == user for client in self._client.client_list())

    def unacknowledged(self) -> int:
        """Count the messages that Kombu delivered to a worker and will redeliver if that worker is gone."""
        return self._client.hlen("unacked")

    def end_sessions(self, user: str) -> None:
        for client in self._client.client_list():
            if client["user"] == user:
                self._client.client_kill_filter(_id=client["id"])

    @contextmanager
    def obstacle(self) -> Iterator[str]:
        yield "BLPOP obstacle 0"
        self._client.lpush("obstacle", "gone")

    def blocked(self) -> int:
        return int(self._client.info("clients")["blocked_clients"])


DATABASES: dict[str, type[Database]] = {"postgres": Postgres, "mariadb": MariaDb, "redis": Redis}
