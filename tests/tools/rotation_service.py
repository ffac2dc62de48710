"""The part of Secrets Manager that drives a rotation function, in front of an endpoint that stores the secrets.

It labels an empty version AWSPENDING before createSecret, invokes the steps with a rotation token, and records
every request of the function.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from email.message import Message
from typing import Any

from relay import Relay
from runtime_api import Function

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
SNAKE = ("create_secret", "set_secret", "test_secret", "finish_secret")
"""The same steps as newer pages of the documentation spell them."""


class RotationService(Relay):
    """Forwards requests to the endpoint, and drives rotations."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.rotation_enabled = True
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._begun: set[str] = set()

    def begin(self) -> str:
        """Begin a rotation with an empty version; return the version's id."""
        token = str(uuid.uuid4())
        self._begun.add(token)
        return token

    def event(self, secret_id: str, token: str, step: str) -> dict[str, str]:
        """Return the service's event for a step, with the token that proves a rotation."""
        return {
            "Step": step,
            "SecretId": secret_id,
            "ClientRequestToken": token,
            "RotationToken": rotation_token(token),
        }

    def rotate(
        self, function: Function, secret_id: str, steps: Iterable[str] = STEPS, token: str | None = None
    ) -> str:
        """Run the steps of one rotation; return its version's id. A step that fails raises `FunctionError`."""
        token = token or self.begin()
        for step in steps:
            assert function.invoke(self.event(secret_id, token, step)) is None
        return token

    def operations(self) -> list[str]:
        """Return the operations requested so far."""
        return [operation for operation, _ in self.requests]

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        """Forward a request. Add what the endpoint cannot know to the description of a secret."""
        operation = headers["X-Amz-Target"].split(".")[-1]
        given = json.loads(body)
        self.requests.append((operation, given))
        status, answer = self.passed_on(headers, body)
        if status == 200 and operation == "DescribeSecret":
            secret = json.loads(answer)
            secret["RotationEnabled"] = self.rotation_enabled
            versions = secret.setdefault("VersionIdsToStages", {})
            for token in self._begun - set(versions):
                versions[token] = ["AWSPENDING"]
            answer = json.dumps(secret).encode()
        if operation == "PutSecretValue":
            self._begun.discard(given["ClientRequestToken"])
        return status, answer


def rotation_token(token: str) -> str:
    """Return the token that proves the rotation of a version."""
    return f"canary-rotation-token-{token}"
