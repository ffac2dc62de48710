"""Real database servers, inspected with their own command-line clients."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Database:
    """A running server, stopped when its standard input ends."""

    process: subprocess.Popen
    kind: str
    host: str
    port: int
    user: str
    password: str
    database: str | None
    ca_file: str | None

    @classmethod
    def start(cls, kind: str, *options: str) -> Database:
        program = ROOT / "target" / "debug" / "secretcache-databases"
        assert program.exists(), f"{program} is missing: cargo build -p secretcache-tests"
        process = subprocess.Popen(
            [program, kind, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = process.stdout.readline()
        assert line, "the server did not start; the reason is above"
        return cls(process, **json.loads(line))

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)

    def secret(self, user: str, password: str, **more: object) -> str:
        """Return the value of a secret for a user of this server."""
        engine = {"mariadb": "mariadb", "redis": "redis"}.get(self.kind, "postgres")
        fields = {"engine": engine, "host": self.host, "port": self.port}
        fields |= {"dbname": self.database} if self.database else {}
        return json.dumps({**fields, "username": user, "password": password, **more})

    def admin(self, statements: str) -> str:
        """Run statements as the administrator."""
        done = self._client(self.user, self.password, statements)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def logs_in(self, user: str, password: str, statements: str = "") -> bool:
        """Return whether this user can log in and run the statements."""
        done = self._client(user, password, statements)
        # redis-cli always exits with 0.
        return done.returncode == 0 and not any(
            word in done.stdout for word in ("WRONGPASS", "NOAUTH", "NOPERM")
        )

    def _client(self, user: str, password: str, statements: str) -> subprocess.CompletedProcess:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        port = str(self.port)
        if self.kind == "mariadb":
            environment["MYSQL_PWD"] = password
            command = ["mariadb", "--no-defaults", "--protocol=tcp", "-N", "-h", self.host, "-P", port]
            command += ["-u", user, "-e", statements or "select 1"]
        elif self.kind == "redis":
            environment["REDISCLI_AUTH"] = password
            words = statements.split() or ["PING"]
            command = ["redis-cli", "-h", self.host, "-p", port, "--user", user, *words]
        else:
            environment |= {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"}
            target = f"host={self.host} port={port} user={user} dbname={self.database}"
            command = ["psql", "-X", "-A", "-t", "-q", target, "-c", statements or "select 1"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
