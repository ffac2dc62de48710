"""Airflow's secrets backend reading from memory, and the documentation's examples for Airflow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from configparser import ConfigParser
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from brokers import until
from databases import ROOT, USERS, Database
from fleet import IN_AIRFLOW
from relay import Relay
from rotating import ByHand, Secret

from endpoint import Endpoint

COMPARISON = """
import json, sys
from airflow.providers.amazon.aws.secrets.secrets_manager import SecretsManagerBackend as Theirs
from secretcache.integrations.airflow.secrets_manager import SecretsManagerBackend as Ours

def answer(kind, options, method, name):
    try:
        return getattr(kind(**options), method)(name)
    except Exception as error:
        return type(error).__name__

calls = json.load(sys.stdin)
print(json.dumps([[answer(kind, *call) for kind in (Theirs, Ours)] for call in calls]))
"""
READER = """
import sys
try:
    from airflow.sdk import BaseHook, Variable
except ImportError:  # Airflow 2
    from airflow.hooks.base import BaseHook
    from airflow.models import Variable
for line in sys.stdin:
    connection = BaseHook.get_connection("shop")
    print(connection.login, connection.password, Variable.get("colour"), flush=True)
"""
METADATA = """
import sys, airflow
exec(sys.stdin.read())
"""
HOOK = """
import json, sys, airflow
from secretcache import SecretCache
names = {"cache": SecretCache()}
exec(json.loads(sys.stdin.readline()), names)
hook = names["PostgresHook"]("nowhere")
names["stay_connected"](hook, names["cache"], "airflow/hook", endpoint_from_secret=True)
for _ in sys.stdin:
    with hook.get_sqlalchemy_engine().connect() as connection:
        print(*hook.get_first("SELECT session_user"), connection.engine.name, flush=True)
"""


class WithoutDescribing(Relay):
    """Secrets Manager for a role that may call only ``GetSecretValue``."""

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        if headers["X-Amz-Target"].endswith(".DescribeSecret"):
            return 400, b'{"__type": "AccessDeniedException", "Message": "not for you"}'
        return super().answer(headers, body)


@pytest.fixture
def environment_of_airflow(environment: None, postgres: Database, tmp_path: Path) -> dict[str, str]:
    """Provide the environment variables that configure Airflow."""
    assert Path(IN_AIRFLOW[0]).exists(), f"{IN_AIRFLOW[0]} is missing; `make venv-airflow` makes it"
    return os.environ | {
        "AIRFLOW_CONFIG": os.devnull,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW_CONN_SHOP": f"postgres://{postgres.host}:{postgres.port}/postgres",
        "AIRFLOW_CONN_NOWHERE": "postgres://127.0.0.1:1/postgres",
    }


def run(program: str, given: str, environment: dict[str, str]) -> str:
    """Run a program in the environment with Airflow; return its output."""
    command = [IN_AIRFLOW[0], "-c", program]
    return subprocess.run(
        command, input=given, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


CONNECTION = {
    "username": "app",
    "pass": "hunter2",
    "engine": "postgres",
    "host": "db.example",
    "dbname": "shop",
}
SECRETS = {
    "airflow/connections/uri": "postgres://app:hunter2@db.example:5432/shop",
    "airflow/connections/fields": json.dumps(CONNECTION),
    "airflow-dashed-uri": "mysql://db.example/shop",
    "airflow/variables/colour": "blue",
    "airflow/config/sql_alchemy_conn": "postgres://db.example/airflow",
    "uri": "redis://cache.example",
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"connections_prefix": "airflow-dashed", "sep": "-"},
    {"connections_prefix": None, "variables_prefix": None, "config_prefix": None},
    {"connections_prefix": ""},
    {"connections_lookup_pattern": "^f", "variables_lookup_pattern": "^f", "config_lookup_pattern": "^f"},
    {"extra_conn_words": {"schema": ["dbname"]}},
]
CALLS = [
    ("get_conn_value", "uri"),
    ("get_conn_value", "fields"),
    ("get_conn_value", "binary"),
    ("get_conn_value", "deleted"),
    ("get_conn_value", "missing"),
    ("get_conn_value", "no such name!"),
    ("get_variable", "colour"),
    ("get_variable", "missing"),
    ("get_config", "sql_alchemy_conn"),
]


def test_the_secrets_backend_answers_what_airflows_own_answers(
    client: Any, endpoint: Endpoint, environment_of_airflow: dict[str, str]
) -> None:
    for name, value in SECRETS.items():
        client.create_secret(Name=name, SecretString=value)
    client.create_secret(Name="airflow/connections/binary", SecretBinary=b"binary")
    client.create_secret(Name="airflow/connections/deleted", SecretString="gone")
    client.delete_secret(SecretId="airflow/connections/deleted")
    calls = [(options, *call) for options in OPTIONS for call in CALLS]
    with WithoutDescribing(endpoint.url) as relay:
        environment = environment_of_airflow | {"AWS_ENDPOINT_URL": relay.url}
        answers = json.loads(run(COMPARISON, json.dumps(calls), environment).splitlines()[-1])
    different = {
        str(call): answer for call, answer in zip(calls, answers, strict=True) if len({*map(str, answer)}) > 1
    }
    assert different == {}
    assert {theirs for theirs, _ in answers} > {SECRETS["uri"], SECRETS["airflow-dashed-uri"], "blue", None}


def test_airflow_reads_from_memory_and_sees_a_rotation(
    client: Any, endpoint: Endpoint, environment_of_airflow: dict[str, str]
) -> None:
    client.create_secret(Name="read/shop", SecretString="postgres://app:one@db.example")
    client.create_secret(Name="read/colour", SecretString="blue")
    documented = settings()
    options = json.loads(documented["backend_kwargs"])
    assert options.keys() == {"connections_prefix", "refresh_interval"}
    options |= {"connections_prefix": "read", "variables_prefix": "read", "refresh_interval": 1}
    environment = environment_of_airflow | {
        "AIRFLOW__SECRETS__BACKEND": documented["backend"],
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(options),
    }
    program = subprocess.Popen(
        [IN_AIRFLOW[0], "-c", READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    with program:
        assert program.stdin is not None and program.stdout is not None

        def read() -> str:
            print(file=program.stdin, flush=True)
            return program.stdout.readline()

        assert read() == "app one blue\n"
        before = endpoint.requests().total()
        begun = time.monotonic()
        for _ in range(50):
            assert read() == "app one blue\n"
        refreshes = 2 * (1 + 2 * (time.monotonic() - begun))
        assert endpoint.requests().total() - before <= refreshes
        client.put_secret_value(SecretId="read/shop", SecretString="postgres://app:two@db.example")
        until(lambda: read() == "app two blue\n")
        program.stdin.close()


PAGE = (ROOT / "docs" / "staying-connected.md").read_text()


def settings() -> dict[str, str]:
    """Return the page's settings for the secrets backend."""
    (text,) = re.findall(r"^```ini\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return dict(parser["secrets"])


def examples() -> list[str]:
    """Return the page's examples for Airflow: the metadata database, and a hook."""
    found = re.findall(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    return found


def test_the_example_for_the_metadata_database_runs_as_it_is_written(
    environment_of_airflow: dict[str, str],
) -> None:
    run(METADATA, examples()[0], environment_of_airflow)


def test_a_hook_as_in_the_example_stays_connected_and_takes_host_and_port_from_the_secret_if_asked(
    client: Any, postgres: Database, environment_of_airflow: dict[str, str]
) -> None:
    secret = Secret(client, postgres, "airflow/hook", address=True)
    command = [IN_AIRFLOW[0], "-c", HOOK]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment_of_airflow, **pipes) as program:
        assert program.stdin is not None and program.stdout is not None
        example = examples()[1].replace("prod/checkout/db", secret.secret_id)
        print(json.dumps(example), file=program.stdin, flush=True)

        def operate() -> str:
            print(file=program.stdin, flush=True)
            user, dialect = program.stdout.readline().split()
            assert dialect == "postgresql"
            return user

        assert operate() == USERS[0]
        for strategy in ("single-user", "alternating-users", "single-user"):
            rotation = ByHand(secret, strategy)
            token, pending = rotation.create()
            rotation.set(pending)
            assert operate() in USERS
            rotation.finish(token)
            assert operate() in USERS
        program.stdin.close()
