"""Fixtures: real servers, the local Secrets Manager, and the command line that works on both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from endpoint import Endpoint  # noqa: E402

FIRST = "first-password"
COMMAND = ROOT / "target" / "debug" / "secretcache"
SERVERS = ROOT / "target" / "debug" / "secretcache-databases"


MYSQL = {"mariadb", "mysql"}
SUFFIX = "dc=example,dc=com"


@dataclass
class Server:
    """A server, with its administrator's credential."""

    address: dict
    process: subprocess.Popen

    @property
    def engine(self) -> str:
        """The engine, as in a secret."""
        return self.address["kind"].split("-")[0]

    def run(
        self,
        statement: str,
        user: str | None = None,
        password: str | None = None,
        database: str | None = None,
    ) -> str:
        """Run a statement as the administrator or a user, and return its output."""
        user, password = user or self.address["user"], password or self.address["password"]
        done = self._client(statement, user, password, database)
        assert done.returncode == 0, f"{statement}: {done.stderr}"
        return done.stdout.strip()

    def logs_in(self, user: str, password: str) -> bool:
        """Check with the server's own client whether it accepts a password."""
        if self.engine == "ldap":
            done = self._ldap("ldapwhoami", by=(user, password), fails=True)
            assert done.returncode in {0, 49}, done.stderr
            return done.returncode == 0
        question = "PING" if self.engine == "redis" else "SELECT 1"
        done = self._client(question, user, password)
        text = done.stdout + done.stderr
        if re.search("password authentication failed|Access denied|WRONGPASS", text):
            return False
        assert done.returncode == 0, text
        return True

    def user(self, name: str, **more: object) -> dict:
        """Create an application's user, and return the fields of its secret."""
        if self.engine == "ldap":
            kinds = "objectClass: account\nobjectClass: simpleSecurityObject"
            dn = f"uid={name},ou=services,{SUFFIX}"
            self._ldap("ldapadd", text=f"dn: {dn}\n{kinds}\nuid: {name}\nuserPassword: {FIRST}\n")
            return self.secret(dn, FIRST, **more)
        if self.engine == "postgres":
            self.run(f"CREATE ROLE {name} LOGIN PASSWORD '{FIRST}'")
        elif self.engine in MYSQL:
            self.run(f"CREATE USER {name}@'%' IDENTIFIED BY '{FIRST}'")
        else:
            self.run(f"ACL SETUSER {name} on >{FIRST} ~{name}* +@all -@admin")
        return self.secret(name, FIRST, **more)

    def change(self, user: str, password: str) -> None:
        """Change a password on the server without updating the secret."""
        if self.engine == "ldap":
            self._ldap("ldappasswd", "-s", password, user)
        elif self.engine == "postgres":
            self.run(f"ALTER ROLE {user} PASSWORD '{password}'")
        elif self.engine in MYSQL:
            self.run(f"ALTER USER {user}@'%' IDENTIFIED BY '{password}'")
        else:
            self.run(f"ACL SETUSER {user} resetpass >{password}")

    def admin(self) -> dict:
        """Return the fields of the administrator's secret."""
        return self.secret(self.address["user"], self.address["password"])

    def secret(self, user: str, password: str, **more: object) -> dict:
        """Return the fields of a user's secret."""
        address = self.address
        fields = {"engine": self.engine, "host": address["host"], "port": address["port"]}
        return fields | {"username": user, "password": password, **more}

    def _ldap(
        self, program: str, *more: str, by: tuple[str, str] | None = None, text: str = "", fails: bool = False
    ) -> subprocess.CompletedProcess[str]:
        user, password = by or (self.address["user"], self.address["password"])
        url = f"ldap://{self.address['host']}:{self.address['port']}"
        command = [program, "-x", "-H", url, "-D", user, "-w", password, *more]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert fails or done.returncode == 0, done.stderr
        return done

    def _client(
        self, statement: str, user: str, password: str, database: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        host, port = self.address["host"], str(self.address["port"])
        if self.engine == "postgres":
            command = ["psql", "-XAtqw", "-h", host, "-p", port, "-U", user, "-d", database or "postgres"]
            command += ["-v", "ON_ERROR_STOP=1", "-c", statement]
            variable = "PGPASSWORD"
        elif self.engine in MYSQL:
            command = ["mariadb", "--no-defaults", "-BN", "-h", host, "-P", port, "-u", user, "-e", statement]
            # Without TLS, this client does not support MySQL's authentication.
            command.insert(2, "--ssl" if self.engine == "mysql" else "--skip-ssl")
            variable = "MYSQL_PWD"
        else:
            command = ["redis-cli", "-e", "--no-auth-warning", "-h", host, "-p", port, "--user", user]
            command += statement.split()
            variable = "REDISCLI_AUTH"
        environment = {"PATH": os.environ["PATH"], variable: password}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[str], Server]]:
    """Start a server by kind, once per session: postgres-15, postgres-16, postgres-18, mariadb, mysql, redis, ldap."""
    started: dict[str, Server] = {}

    def server(kind: str) -> Server:
        if kind not in started:
            process = subprocess.Popen(
                [SERVERS, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            line = process.stdout.readline()
            assert line, f"the server {kind} did not start; see above for what is missing"
            started[kind] = Server(json.loads(line), process)
        return started[kind]

    yield server
    for each in started.values():
        each.process.stdin.close()
        each.process.wait(60)


@dataclass
class Result:
    """The result of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """Standard output, parsed as JSON."""
        return json.loads(self.out)


@dataclass
class Desk:
    """What an operator works with: the command line, and a client of the service."""

    endpoint: Endpoint
    prefix: str
    client: object
    made: dict = field(default_factory=dict)

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run the command, without TLS if it connects to a resource."""
        command = [COMMAND, *arguments]
        if arguments[0] in {"rotate", "status", "recover", "adopt", "revoke-previous"}:
            is_set = {"--config", "--ca-file", "--no-tls", "--due", "--help"} & set(arguments)
            command += [] if is_set else ["--no-tls"]
        variables = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.endpoint.environment}
        done = subprocess.run(
            command, env=variables | environment, capture_output=True, text=True, timeout=120
        )
        for value in self.passwords():
            assert value not in done.stdout + done.stderr, "a password was printed"
        return Result(done.returncode, done.stdout, done.stderr)

    def store(self, name: str, value: dict | str | bytes) -> str:
        """Create a secret and return its name, which is unique to the test."""
        name = f"{self.prefix}/{name}"
        kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        self.client.create_secret(
            Name=name, **{kind: json.dumps(value) if isinstance(value, dict) else value}
        )
        self.made[name] = None
        return name

    def value(self, name: str, stage: str = "AWSCURRENT", version: str | None = None) -> dict:
        """Return a version's value."""
        which = {"VersionId": version} if version else {"VersionStage": stage}
        return json.loads(self.client.get_secret_value(SecretId=name, **which)["SecretString"])

    def labels(self, name: str) -> dict[str, str]:
        """Return the version ids by label."""
        versions = self.client.describe_secret(SecretId=name)["VersionIdsToStages"]
        return {stage: version for version, stages in versions.items() for stage in stages}

    def pend(self, name: str, **fields: object) -> str:
        """Store a new version as AWSPENDING, like createSecret, and return its id."""
        value = json.dumps(self.value(name) | fields)
        stored = self.client.put_secret_value(SecretId=name, SecretString=value, VersionStages=["AWSPENDING"])
        return stored["VersionId"]

    def move(self, name: str, stage: str, to: str | None = None) -> None:
        """Move a label manually, or remove it."""
        arguments = {"RemoveFromVersionId": self.labels(name)[stage]}
        arguments |= {"MoveToVersionId": to} if to else {}
        self.client.update_secret_version_stage(SecretId=name, VersionStage=stage, **arguments)

    def control(self, method: str, path: str, **body: object) -> dict:
        """Call the endpoint's control API, which injects faults and sets the clock."""
        url = f"{self.endpoint.url}/_control/{path}"
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    @contextmanager
    def trouble(self, name: str, operation: str, effect: object = "reset", **more: object) -> Iterator[None]:
        """Make one operation on one secret fail."""
        fault = self.control("POST", "faults", secret_id=name, operations=[operation], effect=effect, **more)
        try:
            yield
        finally:
            self.control("DELETE", f"faults/{fault['id']}")

    def passwords(self) -> Iterator[str]:
        """Yield every password and key that is stored in a secret of this test."""
        for name in self.made:
            versions = self.client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
            for version in versions:
                try:
                    value = self.client.get_secret_value(SecretId=name, VersionId=version["VersionId"])
                    fields = json.loads(value.get("SecretString", "null"))
                except (ValueError, self.client.exceptions.ClientError):
                    continue  # not JSON, or the secret cannot be read now
                for wanted in ("password", "key"):
                    if isinstance(fields, dict) and len(str(fields.get(wanted, ""))) > 8:
                        yield fields[wanted]


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """Start one Secrets Manager for all tests."""
    with Endpoint("debug", "--control") as endpoint:
        yield endpoint


@pytest.fixture
def desk(endpoint: Endpoint, request: pytest.FixtureRequest) -> Desk:
    """Return a desk whose secrets no other test sees."""
    client = endpoint.client()
    return Desk(endpoint, re.sub(r"[^A-Za-z0-9]+", "-", request.node.name), client)
