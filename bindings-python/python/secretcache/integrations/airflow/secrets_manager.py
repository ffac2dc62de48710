"""Airflow's secrets backend for AWS Secrets Manager, reading from memory.

In ``airflow.cfg``::

    [secrets]
    backend = secretcache.integrations.airflow.secrets_manager.SecretsManagerBackend
    backend_kwargs = {"connections_prefix": "airflow/connections", "refresh_interval": 60}
"""

from __future__ import annotations

from functools import cached_property

from airflow.providers.amazon.aws.secrets import secrets_manager
from botocore.exceptions import ClientError

from secretcache import SecretCache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SecretsManagerBackend(secrets_manager.SecretsManagerBackend):
    """Airflow's own ``SecretsManagerBackend``, but reading from memory.

    It takes the same options, and `refresh_interval`: for how many seconds a value counts as fresh.
    """

    def __init__(self, *, refresh_interval: float = 300, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._refresh_interval = refresh_interval

    @cached_property
    def client(self) -> Any:
        """The client that the base class reads secrets with."""
        return _Client(super().client, self._refresh_interval)


class _Client:
    """Answers the one call that the base class makes, from a cache."""

    def __init__(self, client: Any, refresh_interval: float) -> None:
        self.exceptions = client.exceptions
        self._cache = SecretCache(client=_Reader(client), refresh_interval=refresh_interval)

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:
        return {"SecretString": self._cache.get_secret_value(SecretId).secret_string}


class _Reader:
    """Airflow's client, for roles that may call only ``GetSecretValue``, as Airflow's own backend does."""

    def __init__(self, client: Any) -> None:
        self.meta = client.meta
        self.get_secret_value = client.get_secret_value
        self._describe: Any = client.describe_secret

    def describe_secret(self, *, SecretId: str) -> Any:
        if self._describe is not None:
            try:
                return self._describe(SecretId=SecretId)
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDeniedException":
                    raise
                self._describe = None  # denied calls raise alarms
        value = self.get_secret_value(SecretId=SecretId)
        return {"ARN": value["ARN"], "VersionIdsToStages": {value["VersionId"]: value["VersionStages"]}}
