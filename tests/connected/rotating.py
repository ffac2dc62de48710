"""Rotates a secret by hand, over boto3 and SQL: the four steps once more, and nothing of ours in them."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from databases import USERS, Database

SECRET = "prod/checkout/db"


class ByHand:
    """The credential of one server in Secrets Manager, and how it is rotated.

    `strategy` is "single-user", "alternating-users" or "dual-password".
    """

    def __init__(self, client: Any, database: Database, strategy: str, secret_id: str = SECRET) -> None:
        self._client = client
        self._database = database
        self._strategy = strategy
        self.secret_id = secret_id
        password = _new_password()
        database.set_password(USERS[0], password)
        value = {"username": USERS[0], "password": password, "host": "wrong.invalid", "port": 1}
        client.create_secret(Name=secret_id, SecretString=json.dumps(value))

    def rotate(self, gap: float) -> None:
        """Rotate, with so many seconds between setSecret and finishSecret."""
        token, pending = self.create()
        self.set(pending)
        time.sleep(gap)
        self.test(pending)
        self.finish(token)

    def create(self) -> tuple[str, dict[str, Any]]:
        """createSecret; give the version's id and its value."""
        pending = self.current()[1] | {"password": _new_password()}
        if self._strategy == "alternating-users":
            pending["username"] = next(user for user in USERS if user != pending["username"])
        token = str(uuid.uuid4())
        self._client.put_secret_value(
            SecretId=self.secret_id,
            ClientRequestToken=token,
            SecretString=json.dumps(pending),
            VersionStages=["AWSPENDING"],
        )
        return token, pending

    def set(self, pending: dict[str, Any]) -> None:
        """setSecret."""
        also = self.current()[1]["password"] if self._strategy == "dual-password" else None
        self._database.set_password(pending["username"], pending["password"], also=also)

    def test(self, pending: dict[str, Any]) -> None:
        """testSecret."""
        self._database.log_in(pending["username"], pending["password"])

    def finish(self, token: str) -> None:
        """finishSecret."""
        stage = {"SecretId": self.secret_id, "VersionStage": "AWSCURRENT"}
        current, _ = self.current()
        self._client.update_secret_version_stage(**stage, MoveToVersionId=token, RemoveFromVersionId=current)
        stages = self._client.describe_secret(SecretId=self.secret_id)["VersionIdsToStages"]
        if "AWSPENDING" in stages[token]:
            stage["VersionStage"] = "AWSPENDING"
            self._client.update_secret_version_stage(**stage, RemoveFromVersionId=token)

    def current(self) -> tuple[str, dict[str, Any]]:
        """Give the current version's id and its value."""
        answer = self._client.get_secret_value(SecretId=self.secret_id, VersionStage="AWSCURRENT")
        return answer["VersionId"], json.loads(answer["SecretString"])


def _new_password() -> str:
    return uuid.uuid4().hex
