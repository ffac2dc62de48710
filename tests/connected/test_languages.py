"""PostgreSQL's refusals are recognized in every language that it supports: libpq passes on only their text."""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import USERS, Database, Replica
from programs import Programs, ended, is_direct
from rotating import ByHand, Secret

from secretcache import LoginRejectedError, SecretCache
from secretcache._credential import is_rejected_login
from secretcache.integrations.psycopg import connect

CATALOGUES = sorted(Path("/usr/share/locale").glob("*/LC_MESSAGES/postgres-15.mo"))
OTHERS = (
    'database "%s" does not exist',
    'too many connections for role "%s"',
    'no pg_hba.conf entry for host "%s", user "%s", database "%s", %s',
    "the database system is starting up",
)


def test_the_server_is_installed_with_its_languages() -> None:
    assert len(CATALOGUES) > 8


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parts[4])
def test_a_refusal_is_distinguished_from_other_messages_in_every_language(catalogue: Path) -> None:
    with catalogue.open("rb") as file:
        translate = gettext.GNUTranslations(file).gettext
    refusal = translate('password authentication failed for user "%s"')
    assert is_rejected_login(psycopg.OperationalError("FATAL: " + refusal.replace("%s", "app")))
    for other in OTHERS:
        assert not is_rejected_login(psycopg.OperationalError("FATAL: " + translate(other))), other


@pytest.fixture(scope="module")
def german(databases: Callable[[str], Any]) -> Iterator[Replica]:
    """Provide a server with German messages."""
    with Replica(databases("postgres"), in_german=True) as replica:
        with pytest.raises(psycopg.OperationalError, match="Passwort-Authentifizierung"):
            replica.log_in("nobody", "wrong")
        yield replica


def test_a_server_that_speaks_german_is_understood(client: Any, postgres: Database, german: Replica) -> None:
    secret = Secret(client, postgres, "german")
    german.catch_up()
    with Programs(secret.secret_id, german) as programs:
        programs.operate()
        by_hand = ByHand(secret, "single-user")
        _, pending = by_hand.create()
        by_hand.set(pending)
        german.catch_up()
        programs.operate()
    where = {"dbname": "no such database"} | german.settings
    with pytest.raises(psycopg.OperationalError, match="existiert nicht"):
        connect(SecretCache(), secret.secret_id, **where)


def test_what_it_says_is_in_the_error(client: Any, postgres: Database, german: Replica) -> None:
    secret = Secret(client, postgres, "german/wrong")
    postgres.set_password(USERS[0], "changed behind our back")
    german.catch_up()
    with Programs(
        secret.secret_id, german, of=lambda name: "pool" not in name and is_direct(name), login_timeout=0.9
    ) as programs:
        programs.read()
        for name, error in ended(programs.start()).items():
            assert isinstance(error, LoginRejectedError), (name, error)
            assert "fehlgeschlagen" in str(error), name
