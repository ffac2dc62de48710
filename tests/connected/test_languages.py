"""PostgreSQL's refusals are understood in every language that it speaks: libpq hands on nothing but their text."""

from __future__ import annotations

import gettext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import Postgres
from programs import Programs, ended
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
def test_a_refusal_is_told_from_other_messages_in_every_language(catalogue: Path) -> None:
    with catalogue.open("rb") as file:
        translate = gettext.GNUTranslations(file).gettext
    refusal = translate('password authentication failed for user "%s"')
    assert is_rejected_login(psycopg.OperationalError("FATAL: " + refusal.replace("%s", "app")))
    for other in OTHERS:
        assert not is_rejected_login(psycopg.OperationalError("FATAL: " + translate(other))), other


def test_a_server_that_speaks_german_is_understood(client: Any, postgres: Postgres) -> None:
    secret = Secret(client, postgres, "german")
    with postgres.in_german(), Programs(secret.secret_id, postgres) as programs:
        programs.operate()
        by_hand = ByHand(secret, "single-user")
        _, pending = by_hand.create()
        by_hand.set(pending)
        programs.operate()
        where = {"dbname": "no such database"} | postgres.settings
        with pytest.raises(psycopg.OperationalError, match="existiert nicht"):
            connect(SecretCache(), secret.secret_id, **where)


def test_what_it_says_is_in_the_error(client: Any, postgres: Postgres) -> None:
    secret = Secret(client, postgres, "german/wrong")
    postgres.set_password("app", "changed behind our back")
    with (
        postgres.in_german(),
        Programs(
            secret.secret_id, postgres, of=lambda name: "pool" not in name, login_timeout=0.9
        ) as programs,
    ):
        programs.read()
        for name, error in ended(programs.start()).items():
            assert isinstance(error, LoginRejectedError), (name, error)
            assert "fehlgeschlagen" in str(error), name
