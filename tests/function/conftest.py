"""Fixtures for tests of the rotation function: the function, the service that drives it, and real databases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

from rotation_service import RotationService  # noqa: E402
from runtime_api import Function  # noqa: E402

from endpoint import Endpoint  # noqa: E402

BOOTSTRAP = ROOT / "target" / "debug" / "bootstrap"
DATABASES = ROOT / "target" / "debug" / "secretcache-databases"
FIRST = "canary-first-password"


@dataclass
class House:
    """Secrets Manager, the service that rotates, and everything that a test starts."""

    endpoint: Endpoint
    service: RotationService
    client: Any
    stack: ExitStack
    functions: list[Function] = field(default_factory=list)
    iam: Any = None

    def function(self, name: str = "rotator", root: Path | None = None, **variables: str) -> Function:
        """Start the function with these variables, in addition to those that Lambda sets."""
        if not BOOTSTRAP.exists():
            pytest.exit(f"{BOOTSTRAP} is missing: `make build` builds it", 4)
        environment = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SECRETS_MANAGER_ENDPOINT": self.service.url,
            **variables,
        }
        function = self.stack.enter_context(Function([BOOTSTRAP], environment, name, root))
        self.functions.append(function)
        return function

    def create(self, name: str, value: dict[str, Any]) -> str:
        """Store a secret, and return its ARN."""
        return self.client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"]

    def value(self, secret_id: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
        """Return the value with a label."""
        answer = self.client.get_secret_value(SecretId=secret_id, VersionStage=stage)
        return json.loads(answer["SecretString"])

    def labels(self, secret_id: str) -> dict[str, str]:
        """Return the version ids by label."""
        versions = self.client.describe_secret(SecretId=secret_id)["VersionIdsToStages"]
        return {stage: version for version, stages in versions.items() for stage in stages}


@pytest.fixture
def house() -> Iterator[House]:
    """Start everything except databases. At the end, check that no log contains a canary and every line is JSON."""
    with Endpoint() as endpoint, RotationService(endpoint.url) as service, ExitStack() as stack:
        client = endpoint.client()
        house = House(endpoint, service, client, stack)
        yield house
        secrets = [body for operation, body in service.requests if operation == "PutSecretValue"]
        values = [json.loads(body["SecretString"]) for body in secrets]
        stored = {str(value.get(field)) for value in values for field in ("password", "SecretAccessKey")}
        for function in house.functions:
            log = function.log()
            assert function.lines() is not None
            assert "canary" not in log.replace("canary-harmless", "")
            assert not [secret for secret in stored - {"None"} if secret in log]


@dataclass
class Database:
    """A real server, with what is needed to connect to it."""

    kind: str
    host: str
    port: int
    user: str
    password: str
    database: str | None
    ca_file: str | None

    def secret(self, user: str, password: str, **more: Any) -> dict[str, Any]:
        """Return the secret of a user of this server."""
        return {"host": self.host, "port": self.port, "username": user, "password": password, **more}

    def connect(self, secret: dict[str, Any] | None = None) -> psycopg.Connection:
        """Log in to PostgreSQL as the user of a secret, or as the administrator."""
        user, password = (secret["username"], secret["password"]) if secret else (self.user, self.password)
        options = {"sslmode": "verify-full", "sslrootcert": self.ca_file} if self.ca_file else {}
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=password,
            dbname="postgres",
            autocommit=True,
            **options,
        )

    def accepts(self, secret: dict[str, Any]) -> bool:
        """Check whether the user of a secret can log in."""
        try:
            self.connect(secret).close()
        except psycopg.OperationalError as error:
            assert "password authentication failed" in str(error)
            return False
        return True


@pytest.fixture(scope="session")
def databases() -> Iterator[Callable[..., Database]]:
    """Start a server by its kind, once per session."""
    known: dict[tuple[str, ...], Database] = {}
    with ExitStack() as stack:

        def start(*arguments: str) -> Database:
            if arguments not in known:
                process = subprocess.Popen(
                    [DATABASES, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
                # Closing its standard input stops the server.
                stack.callback(process.communicate)
                assert process.stdout
                known[arguments] = Database(**json.loads(process.stdout.readline()))
            return known[arguments]

        yield start


@pytest.fixture
def postgres(databases: Callable[..., Database]) -> Iterator[Database]:
    """Start PostgreSQL 15 with a user `app`, whose password is `FIRST` and who owns a schema."""
    database = databases("postgres-15")
    with database.connect() as admin:
        admin.execute(f"CREATE ROLE app LOGIN PASSWORD '{FIRST}'")
        admin.execute("CREATE SCHEMA shop AUTHORIZATION app")
        yield database
        admin.execute("DROP SCHEMA shop CASCADE")
        admin.execute("REASSIGN OWNED BY app TO CURRENT_USER")
        admin.execute("DROP OWNED BY app")
        admin.execute("DROP ROLE IF EXISTS app_clone")
        admin.execute("DROP ROLE app")
