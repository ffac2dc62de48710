"""Errors survive pickling to another process, and copying, unchanged. Credentials are not pickled."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor

import boto3
import pytest
from botocore.exceptions import ClientError, SSLError

from secretcache import Credential, LoginRejectedError, errors
from support import service_error


def failures() -> dict[str, BaseException]:
    """Return an error of each kind, as programs get them."""
    fault = ("ResourceNotFoundException", "no such secret", "GetSecretValue", 400, "request-1")
    made: dict[str, BaseException] = {
        kind: errors.from_core(kind, f"it is {kind}", None) for kind in errors._CLASSES
    }
    missing = service_error("ResourceNotFoundException")
    made["of the service"] = errors.from_core("secret_not_found", "", fault, "db")
    made["of a client"] = errors.from_client("secret_not_found", missing, "db")
    made["of an unreachable service"] = errors.from_client("tls", SSLError(endpoint_url="u", error="e"))
    made["of a client that is not botocore's"] = errors.from_client(
        "source", FileNotFoundError(2, "no", "db")
    )
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


def test_p6_a_client_makes_classes_that_another_process_does_not_know() -> None:
    client = boto3.client("secretsmanager", region_name="us-east-1")
    theirs = client.exceptions.ResourceNotFoundException(
        service_error("ResourceNotFoundException").response, "GetSecretValue"
    )
    twin = pickle.loads(pickle.dumps(errors.from_client("secret_not_found", theirs, "db")))
    assert isinstance(twin, errors.SecretNotFoundError) and isinstance(twin, ClientError)
    assert (twin.secret_id, twin.response) == ("db", theirs.response)


def test_a_credential_is_not_pickled_because_it_holds_the_password() -> None:
    credential = Credential({"username": "app", "password": "canary"}, "v1", "AWSCURRENT")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot pickle or copy a Credential"):
            pickle.dumps(credential, protocol)


def test_p6_errors_come_out_of_another_process_as_what_they_are() -> None:
    with ProcessPoolExecutor(1) as pool:
        error = pool.submit(raise_it, "of the service").exception(30)
        assert isinstance(error, errors.SecretNotFoundError)
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        assert isinstance(pool.submit(raise_it, "login").exception(30), LoginRejectedError)
