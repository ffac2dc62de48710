"""Rotates a secret: by hand, with boto3 and SQL and without our code; and with our rotation engine."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from email.message import Message
from pathlib import Path
from typing import Any, Protocol

from databases import ROOT, USERS, Database
from relay import Relay

from endpoint import Endpoint

STRATEGIES = {
    "postgres": ("single-user", "alternating-users"),
    "mariadb": ("single-user", "alternating-users", "dual-password"),
    "redis": ("single-user", "dual-password"),
    "rabbitmq": ("single-user", "alternating-users"),
    "redis-cluster": ("single-user", "dual-password"),
    "redis-sentinel": ("single-user", "dual-password"),
    "redis-tls": ("single-user", "dual-password"),
}
"""The strategies that each server supports."""
ROTATIONS = int(os.environ.get("SECRETCACHE_ROTATIONS", 3))
"""The number of rotations in tests that rotate repeatedly; `tests/bench/connected_endurance` sets it to 40."""
BY_HAND_ALONE = ("redis-cluster", "redis-sentinel", "redis-tls")
"""Servers that our engine cannot rotate here: several that it takes for one, and one with an untrusted certificate."""


class Secret:
    """The credential of one server in Secrets Manager.

    Its address is invalid unless `address` is true, because integrations must use the program's address. Our engine
    needs the real one.
    """

    def __init__(self, client: Any, database: Database, secret_id: str, *, address: bool = False) -> None:
        self.client = client
        self.database = database
        self.secret_id = secret_id
        password = _new_password()
        database.set_password(USERS[0], password)
        where = database.settings if address else {"host": "wrong.invalid", "port": 1}
        value = {"username": USERS[0], "password": password, "engine": database.engine} | where
        if address:
            value["masterarn"] = self._keep_administrator()
        client.create_secret(Name=secret_id, SecretString=json.dumps(value))

    def _keep_administrator(self) -> str:
        """Store the administrator's credential as a secret, for our engine; return its ARN."""
        value = self.database.administrator | self.database.settings | {"engine": self.database.engine}
        name = f"{self.secret_id}/admin"
        return self.client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"]

    def current(self) -> tuple[str, dict[str, Any]]:
        """Return the current version's id and its value."""
        answer = self.client.get_secret_value(SecretId=self.secret_id, VersionStage="AWSCURRENT")
        return answer["VersionId"], json.loads(answer["SecretString"])


class Rotation(Protocol):
    """A way to rotate a secret."""

    def rotate(self, gap: float) -> None:
        """Rotate, with `gap` seconds between setSecret and finishSecret."""


class ByHand:
    """The four steps, one call each.

    `strategy` is "single-user", "alternating-users" or "dual-password".
    """

    def __init__(self, secret: Secret, strategy: str) -> None:
        self._secret = secret
        self._client = secret.client
        self._strategy = strategy

    def rotate(self, gap: float) -> None:
        """Rotate, with `gap` seconds between setSecret and finishSecret."""
        token, pending = self.create()
        self.set(pending)
        time.sleep(gap)
        self.test(pending)
        self.finish(token)

    def create(self) -> tuple[str, dict[str, Any]]:
        """Run createSecret; return the version's id and its value."""
        pending = self._secret.current()[1] | {"password": _new_password()}
        if self._strategy == "alternating-users":
            pending["username"] = next(user for user in USERS if user != pending["username"])
        token = str(uuid.uuid4())
        self._client.put_secret_value(
            SecretId=self._secret.secret_id,
            ClientRequestToken=token,
            SecretString=json.dumps(pending),
            VersionStages=["AWSPENDING"],
        )
        return token, pending

    def set(self, pending: dict[str, Any]) -> None:
        """Run setSecret."""
        also = self._secret.current()[1]["password"] if self._strategy == "dual-password" else None
        self._secret.database.set_password(pending["username"], pending["password"], also=also)

    def test(self, pending: dict[str, Any]) -> None:
        """Run testSecret."""
        self._secret.database.log_in(pending["username"], pending["password"])

    def finish(self, token: str) -> None:
        """Run finishSecret."""
        secret_id = self._secret.secret_id
        stage = {"SecretId": secret_id, "VersionStage": "AWSCURRENT"}
        current, _ = self._secret.current()
        self._client.update_secret_version_stage(**stage, MoveToVersionId=token, RemoveFromVersionId=current)
        stages = self._client.describe_secret(SecretId=secret_id)["VersionIdsToStages"]
        if "AWSPENDING" in stages[token]:
            stage["VersionStage"] = "AWSPENDING"
            self._client.update_secret_version_stage(**stage, RemoveFromVersionId=token)


class ByEngine:
    """Our rotation engine, run by the command `secretcache rotate`."""

    def __init__(self, secret: Secret, strategy: str, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._command: list[str | Path] = [
            ROOT / "target" / endpoint.profile / "secretcache",
            *("rotate", secret.secret_id, "--strategy", strategy, *secret.database.how_to_rotate),
        ]
        if strategy == "alternating-users":
            self._command += ["--users", ",".join(USERS)]

    def rotate(self, gap: float) -> None:
        """Rotate, with so many seconds between setSecret and finishSecret."""
        with _Hesitating(self._endpoint.url, gap) as relay:
            environment = os.environ | self._endpoint.environment | {"AWS_ENDPOINT_URL": relay.url}
            done = subprocess.run(
                self._command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        if done.returncode:
            raise RuntimeError(f"secretcache rotate gave {done.returncode}:\n{done.stdout}")


class ByService:
    """Our engine, run by RotateSecret of `secretcache local`, which does not pause between the steps."""

    TEMPLATES = {
        ("postgres", "single-user"): "RDSPostgreSQLRotationSingleUser",
        ("postgres", "alternating-users"): "RDSPostgreSQLRotationMultiUser",
        ("mariadb", "single-user"): "RDSMariaDBRotationSingleUser",
        ("mariadb", "alternating-users"): "RDSMariaDBRotationMultiUser",
        ("redis", "dual-password"): "ElasticacheUserRotation",
    }
    """The rotation functions that AWS's templates deploy, by engine and strategy."""

    def __init__(self, secret: Secret, strategy: str) -> None:
        self._secret = secret
        template = self.TEMPLATES[secret.database.engine, strategy]
        self._function = f"arn:aws:lambda:us-east-1:111122223333:function:SecretsManager{template}"

    def rotate(self, gap: float) -> None:
        """Rotate as fast as possible."""
        which = {"SecretId": self._secret.secret_id}
        token = self._secret.client.rotate_secret(**which, RotationLambdaARN=self._function)["VersionId"]
        deadline = time.monotonic() + 60
        while (labels := self._labels(token)) != ["AWSCURRENT"]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the rotation by {self._function} has not ended: {labels}")
            time.sleep(0.02)
        self._secret.client.cancel_rotate_secret(**which)

    def _labels(self, version_id: str) -> list[str]:
        described = self._secret.client.describe_secret(SecretId=self._secret.secret_id)
        return list(described["VersionIdsToStages"].get(version_id, []))


class _Hesitating(Relay):
    """A relay that waits for some seconds before a version becomes current."""

    def __init__(self, upstream: str, gap: float) -> None:
        super().__init__(upstream)
        self._gap = gap

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        is_move = headers["X-Amz-Target"].endswith(".UpdateSecretVersionStage")
        if is_move and json.loads(body)["VersionStage"] == "AWSCURRENT":
            time.sleep(self._gap)
        return super().answer(headers, body)


def _new_password() -> str:
    return uuid.uuid4().hex
