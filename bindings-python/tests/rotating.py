"""A rotating secret, behind a boto3-like client, and the database it logs in to."""

from __future__ import annotations

import json
import time
from typing import Any

from secretcache import Credential


class Refused(Exception):
    """The database's answer to a wrong password."""

    sqlstate = "28P01"


class World:
    """A secret behind a boto3-like client, and the database it logs in to."""

    def __init__(self) -> None:
        self.labels = {"AWSCURRENT": "version-0"}
        self.password = "version-0"
        self.refused = 0
        self.calls = 0

    def describe_secret(self, SecretId: str) -> dict[str, Any]:
        self.calls += 1
        stages: dict[str, list[str]] = {}
        for stage, version_id in self.labels.items():
            stages.setdefault(version_id, []).append(stage)
        return {"VersionIdsToStages": stages}

    def get_secret_value(self, SecretId: str, VersionId: str) -> dict[str, Any]:
        self.calls += 1
        fields = {"username": "app", "password": VersionId, "port": "5432"}
        return {"VersionId": VersionId, "SecretString": json.dumps(fields)}

    def log_in(self, credential: Credential) -> str:
        if credential.password != self.password:
            self.refused += 1
            raise Refused("password authentication failed")
        return credential.version_stage

    def begin(self, version_id: str) -> None:
        """Begin a single-user rotation: the current version no longer logs in, the pending one does."""
        self.labels = self.labels | {"AWSPENDING": version_id}
        self.password = version_id

    def rotate(self, version_id: str, gap: float) -> None:
        """Rotate; the current version does not log in for `gap` seconds."""
        self.begin(version_id)
        time.sleep(gap)
        self.labels = {"AWSCURRENT": version_id, "AWSPREVIOUS": self.labels["AWSCURRENT"]}
