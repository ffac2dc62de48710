"""The ways in which a service can fail, and the errors that a reader without a value gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions as theirs

from secretcache import errors
from trouble import Trouble

DELAY = 1.2
"""Seconds by which faulty responses are delayed, so that a reader that waits for one is noticed."""


@dataclass
class Misfortune:
    """One kind of failure: how to cause it, and which errors a reader without a value gets."""

    effect: Any
    native: type[Exception]
    boto3: type[Exception]
    text: str | None = None
    operations: tuple[str, ...] = ()
    begin: Callable[[Any, str], Any] | None = None
    end: Callable[[Any, str], Any] | None = None
    native_too: type[Exception] = field(default=errors.SecretCacheError)

    def start(self, trouble: Trouble, asm: Any, secret_id: str) -> None:
        """Cause the failure, for one secret."""
        if self.begin:
            self.begin(asm, secret_id)
        trouble.fault(self.effect, *self.operations, secret_id=secret_id, delay_ms=int(DELAY * 1000))


def service_says(
    code: str, message: str, kind: type[Exception], *operations: str, status: int = 400
) -> Misfortune:
    effect = {"error": {"type": code, "message": message, "status": status}}
    return Misfortune(effect, kind, theirs.ClientError, code, operations, native_too=theirs.ClientError)


def delete(asm: Any, secret_id: str) -> None:
    asm.delete_secret(SecretId=secret_id, RecoveryWindowInDays=7)


def restore(asm: Any, secret_id: str) -> None:
    asm.restore_secret(SecretId=secret_id)


MISFORTUNES = {
    "credentials expired": service_says(
        "ExpiredTokenException", "The security token is expired", errors.InvalidCredentialsError
    ),
    "throttled": Misfortune(
        "throttle",
        errors.ThrottledError,
        theirs.ClientError,
        "ThrottlingException",
        native_too=theirs.ClientError,
    ),
    "service error": service_says(
        "InternalServiceError", "try again", errors.ServiceUnavailableError, status=500
    ),
    "service unavailable": service_says(
        "ServiceUnavailable", "try again", errors.ServiceUnavailableError, status=503
    ),
    "access revoked": Misfortune(
        "deny",
        errors.AccessDeniedError,
        theirs.ClientError,
        "AccessDeniedException",
        native_too=theirs.ClientError,
    ),
    "key disabled": service_says(
        "DecryptionFailure", "the key is disabled", errors.KeyUnavailableError, "GetSecretValue"
    ),
    "deleted": Misfortune(
        None,
        errors.SecretDeletedError,
        theirs.ClientError,
        "InvalidRequestException",
        (),
        delete,
        restore,
        theirs.ClientError,
    ),
    "connections reset": Misfortune(
        "reset",
        errors.EndpointConnectionError,
        theirs.ConnectionClosedError,
        native_too=theirs.EndpointConnectionError,
    ),
    "no answer": Misfortune(
        "hang", errors.RequestTimeoutError, theirs.ReadTimeoutError, native_too=theirs.ReadTimeoutError
    ),
    # boto3 parses such a response as one without members, so the version is missing.
    "malformed answers": Misfortune("malformed", errors.InvalidResponseError, errors.VersionNotFoundError),
}
