"""Errors survive pickling to another process, and copying, unchanged."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from secretcache import LoginRejectedError, errors


def failures() -> dict[str, BaseException]:
    """Return an error of each kind, as programs get them."""
    fault = ("ResourceNotFoundException", "no such secret", "GetSecretValue", 400, "request-1")
    made: dict[str, BaseException] = {
        kind: errors.from_core(kind, f"it is {kind}", None) for kind in errors._CLASSES
    }
    made["of the service"] = errors.from_core("secret_not_found", "", fault)
    refused = LoginRejectedError("every version was refused")
    refused.tried = [("AWSCURRENT", "v1")]
    made["login"] = refused
    return made


def raise_it(name: str) -> None:
    raise failures()[name]


@pytest.mark.parametrize("name", failures())
def test_p6_errors_are_pickled_and_copied_as_what_they_are(name: str) -> None:
    error = failures()[name]
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


def test_p6_errors_come_out_of_another_process_as_what_they_are() -> None:
    with ProcessPoolExecutor(1) as pool:
        error = pool.submit(raise_it, "of the service").exception(30)
        assert isinstance(error, errors.SecretNotFoundError)
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        assert isinstance(pool.submit(raise_it, "login").exception(30), LoginRejectedError)
