"""What every integration does with a wrong secret: it fails in time, says why, and makes few attempts."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from databases import USERS, Database
from programs import Programs, ended, is_direct, is_patient
from rotating import ByHand, Secret

from secretcache import LoginRejectedError

REFUSALS = "password authentication failed|Access denied for user|invalid username-password pair"
"""The servers' refusals, as the drivers report them."""


@contextmanager
def changed(database: Database) -> Iterator[None]:
    """Change the password without changing the secret."""
    database.set_password(USERS[0], "changed behind our back")
    yield


@contextmanager
def dropped(database: Database) -> Iterator[None]:
    """Drop the user for the duration of the `with` block."""
    database.drop_user(USERS[0])
    yield
    database.create_user(USERS[0])


@pytest.mark.parametrize("misfortune", [changed, dropped])
def test_a_wrong_secret_fails_in_time_and_says_what_was_tried_and_what_the_server_answered(
    client: Any, database: Database, misfortune: Callable[[Database], AbstractContextManager[None]]
) -> None:
    secret = Secret(client, database, f"wrong/{database.kind}/{misfortune.__name__}")
    version, _ = secret.current()
    with Programs(secret.secret_id, database, of=is_direct, login_timeout=0.9) as programs:
        programs.read()
        programs.operate()
        before = {each.name: each.calls for each in programs}, database.refused()
        with misfortune(database):
            errors = ended(programs.start())
        logins = {each.name: each.logins["rejected"] for each in programs}
        calls = {each.name: each.calls - before[0][each.name] for each in programs}
        refused = database.refused() - before[1]
    for name, error in errors.items():
        assert isinstance(error, LoginRejectedError), (name, error)
        assert f"AWSCURRENT {version}" in str(error), name
        assert re.search(REFUSALS, str(error)), (name, error)
        assert error.tried[0] == ("AWSCURRENT", version), name
    assert {name: count for name, count in logins.items() if not 1 <= count <= 5} == {}
    assert {name: count for name, count in calls.items() if count > 3} == {}
    assert refused == sum(logins.values())


def test_a_pool_that_goes_on_trying_hammers_nobody_either(client: Any, postgres: Database) -> None:
    secret = Secret(client, postgres, "wrong/pools")
    with changed(postgres), Programs(secret.secret_id, postgres, of=is_patient, login_timeout=3) as programs:
        programs.start()
        time.sleep(1)  # the test is about the first second
        seen = {each.name: (each.logins["rejected"], each.calls) for each in programs}
    assert {name for name, (logins, calls) in seen.items() if logins > 5 or calls > 3} == set(), seen


def test_only_the_stages_asked_for_are_tried(client: Any, database: Database) -> None:
    secret = Secret(client, database, f"stages/{database.kind}")
    options = {"stages": ["AWSCURRENT", "AWSPREVIOUS"], "login_timeout": 0.3}
    with Programs(secret.secret_id, database, **options) as programs:
        programs.read()
        programs.operate()
        half_rotated(secret)
        # A pool can still be filling up from before.
        direct = [each for each in programs if is_direct(each.name)]
        accepted = {each.name: each.logins["accepted"] for each in direct}
        errors = ended({each.name: each.start() for each in direct})
        assert {name for name, error in errors.items() if not isinstance(error, LoginRejectedError)} == set()
        assert {each.name: each.logins["accepted"] for each in direct} == accepted
    with Programs(secret.secret_id, database, stages=["AWSPENDING"]) as programs:
        programs.operate()
        assert all(each.logins["rejected"] == 0 for each in programs)


def test_which_errors_are_refusals_can_be_decided_by_the_program(client: Any, database: Database) -> None:
    secret = Secret(client, database, f"rejected/{database.kind}")
    half_rotated(secret)
    asked: list[str] = []

    def nothing(error: BaseException) -> bool:
        asked.append(str(error))
        return False

    with Programs(secret.secret_id, database, of=is_direct, rejected=nothing) as programs:
        errors = ended(programs.start())
        assert {name for name, error in errors.items() if not re.search(REFUSALS, str(error))} == set()
        assert len(asked) >= len(errors)
        assert all(each.logins["rejected"] == 0 for each in programs)
    with Programs(secret.secret_id, database, rejected=lambda error: True) as programs:
        programs.operate()


def test_other_errors_pass_through_untouched_and_start_nothing(client: Any, database: Database) -> None:
    secret = Secret(client, database, f"untouched/{database.kind}")
    nowhere = type("Nowhere", (), {"host": "127.0.0.1", "port": 1, "engine": database.engine})
    with Programs(secret.secret_id, nowhere, of=is_direct) as programs:
        errors = ended(programs.start())
        odd = {
            name for name, error in errors.items() if error is None or isinstance(error, LoginRejectedError)
        }
        assert odd == set()
        assert {each.name: each.calls for each in programs if each.calls != 1} == {}
        assert all(each.logins["rejected"] == 0 for each in programs)


def half_rotated(secret: Secret) -> None:
    """Begin a rotation: only the pending version logs in."""
    by_hand = ByHand(secret, "single-user")
    _, pending = by_hand.create()
    by_hand.set(pending)


def shown(error: BaseException) -> str:
    """Render an error as tools do that show the local variables of each frame."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def seen_in(thing: Any, depth: int = 6) -> Iterator[str]:
    """Yield what a program can log about an object: its text, and those of its attributes that are our objects."""
    yield repr(thing)
    if depth == 0:
        return
    ours = type(thing).__module__.startswith("secretcache") or hasattr(type(thing), "secretcache_stamp")
    parts = [*vars(thing).items()] if ours and hasattr(thing, "__dict__") else []
    parts += [(str(n), each) for n, each in enumerate(thing)] if isinstance(thing, (list, tuple)) else []
    parts += list(thing.items()) if isinstance(thing, dict) else []
    parts += [("", cell.cell_contents) for cell in getattr(thing, "__closure__", None) or ()]
    for name, part in parts:
        yield name
        yield from seen_in(part, depth - 1)


def test_s4_no_traceback_and_no_object_shows_a_password(client: Any, database: Database) -> None:
    secret = Secret(client, database, f"shown/{database.kind}")
    password = secret.current()[1]["password"]
    rejections: list[Callable[[BaseException], bool] | None] = [None, lambda error: False]
    for rejected in rejections:
        options = {"login_timeout": 2.0} | ({} if rejected is None else {"rejected": rejected})
        with Programs(secret.secret_id, database, of=is_direct, **options) as programs:
            programs.read()
            programs.operate()
            objects = {each.name: " ".join(seen_in(each._operation)) for each in programs}
            assert {name for name, text in objects.items() if password in text} == set()
            with changed(database):
                errors = ended({each.name: each.start() for each in programs})
        failed = {name: error for name, error in errors.items() if error is not None}
        assert {name for name, error in failed.items() if password in shown(error)} == set()
        database.set_password(USERS[0], password)
