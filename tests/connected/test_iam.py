"""Programs that log in with IAM tokens: every integration accepts one in place of a secret.

There is no AWS here. AWS's databases accept the tokens because they equal botocore's, byte for byte. Real servers show
that programs log in with them, and never with an expired one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import iam
import iam_tokens
import integrations
import pytest
from databases import Database, Postgres
from programs import Program

from secretcache import IamLogin, LoginRejectedError, SecretCache
from secretcache.integrations.psycopg import connect
from secretcache.integrations.psycopg_pool import ConnectionPool

USER = "tokens"
PLACE = "shop.abc123.eu-central-1.rds.amazonaws.com", 5432
"""RDS's endpoint as the token names it; programs connect to another address."""
LOGIN = IamLogin.rds(USER, *PLACE, region_name="eu-central-1")
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LASTING = 4
"""Seconds for which the short-lived credentials are valid."""
PROCESS = f"""#!/bin/sh
now=$(date +%s)
cat <<END
{{"Version": 1, "AccessKeyId": "ASIA$now", "SecretAccessKey": "{SECRET_KEY}", "SessionToken": "token+of/$now==",
  "Expiration": "$(date -u -d @$((now + {LASTING})) +%Y-%m-%dT%H:%M:%SZ)"}}
END
"""


@pytest.fixture(scope="module")
def directory(databases: Callable[[str], Any]) -> Iterator[iam.Directory]:
    """Provide the directory that PostgreSQL checks passwords with; it accepts only valid tokens."""
    directory = iam.Directory(is_valid)
    iam.ask_directory(databases("postgres"), USER, directory)
    yield directory
    directory.shutdown()
    directory.server_close()


def is_valid(user: str, token: str) -> bool:
    """Check a token as AWS does: is it signed with the key it names, and is neither expired?"""
    now, place = time.time(), f"{PLACE[0]}:{PLACE[1]}/"
    if user != USER or not token.startswith(place):
        return False
    key_id = iam_tokens.access_key_id(token)
    key = {"access_key_id": key_id, "secret_access_key": SECRET_KEY}
    end = iam_tokens.signed_at(token) + iam_tokens.VALIDITY
    if key_id.startswith("ASIA"):
        made_at = key_id.removeprefix("ASIA")
        key["session_token"] = f"token+of/{made_at}=="
        end = min(end, int(made_at) + LASTING)
    return now < end and token == iam_tokens.token(LOGIN, key, iam_tokens.signed_at(token))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let caches find an access key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


@pytest.mark.parametrize("name", integrations.OF["postgres"])
def test_every_integration_logs_in_to_postgres(
    name: str, keys: None, directory: iam.Directory, postgres: Postgres
) -> None:
    directory.taken.clear()
    program = Program(name, LOGIN, postgres, None)
    try:
        program.start().result(60)
        assert directory.taken
        assert program.cache.stats()["api_calls"] == {}
    finally:
        program.close()


@pytest.mark.parametrize("kind", ["mariadb", "redis"])
def test_every_integration_logs_in_with_what_the_server_takes(
    kind: str, keys: None, databases: Callable[[str], Any]
) -> None:
    database: Database = databases(kind)
    database.create_user(USER)
    login = IamLogin.elasticache(USER, "sessions") if kind == "redis" else IamLogin.rds(USER, *PLACE)
    for name in integrations.OF[kind]:
        program = Program(name, str(login), database, None)
        try:
            read = program.cache.credential(login)
            credential = program._loop.run(read) if program._loop else read
            database.set_password(USER, credential.password)
            program.start().result(60)
        finally:
            program.close()


@pytest.fixture
def short_lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let caches find credentials that expire within seconds, and new ones after that."""
    process = tmp_path / "process"
    process.write_text(PROCESS)
    process.chmod(0o755)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_no_login_gets_a_token_that_has_ended(
    short_lived: None, directory: iam.Directory, postgres: Postgres
) -> None:
    cache = SecretCache()
    where = {"dbname": "postgres", **postgres.settings}
    directory.taken.clear()
    refused = postgres._log.read_text().count("LDAP authentication failed")
    seen: set[str] = set()
    with ConnectionPool(cache, LOGIN, kwargs=where, min_size=1, max_size=2, open=True) as pool:
        deadline = time.monotonic() + 60
        while len(seen) < 4:
            assert time.monotonic() < deadline, seen
            # Lets the credentials expire once while the token is not in use.
            if len(seen) == 2:
                time.sleep(LASTING)
            connect(cache, LOGIN, **where).close()
            with pool.connection(10) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (USER,)
            time.sleep(0.05)
            seen = {iam_tokens.access_key_id(token) for token in directory.taken}
    assert postgres._log.read_text().count("LDAP authentication failed") == refused
    logins = cache.stats()["logins"]
    assert logins["rejected"] == 0 and logins["accepted"] >= len(directory.taken) - 1


def test_a_token_of_another_key_is_refused(
    directory: iam.Directory, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another key")
    with pytest.raises(LoginRejectedError) as caught:
        connect(SecretCache(), LOGIN, dbname="postgres", login_timeout=1.5, **postgres.settings)
    assert caught.value.tried == [("AWSCURRENT", "AKIDEXAMPLE")]
    assert "X-Amz-Signature" not in str(caught.value)
