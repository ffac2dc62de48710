"""Logins with IAM tokens in place of stored passwords."""

from __future__ import annotations

from ._core import iam_login


class IamLogin(str):
    """A login with an IAM token, as a user of RDS or Aurora, ElastiCache or MemoryDB.

    Pass it to a cache or an integration instead of a secret id:

    >>> from secretcache import IamLogin
    >>> login = IamLogin.rds("app", "shop.abc123.eu-central-1.rds.amazonaws.com", 5432)
    >>> print(login)
    rds-db://app@shop.abc123.eu-central-1.rds.amazonaws.com:5432

    Reading it gives a JSON object with ``username`` and ``password``. The password is a token, which the cache signs
    with its own credentials, without a call to AWS, and replaces before it expires after fifteen minutes.
    `region_name` is the Region of the database or cache, by default the Region of the cache of secrets.
    """

    __slots__ = ()

    @classmethod
    def rds(cls, user: str, host: str, port: int, *, region_name: str | None = None) -> IamLogin:
        """Return the login of a user of RDS or Aurora, for PostgreSQL, MySQL or MariaDB.

        `host` is the endpoint of the instance, cluster or proxy, even if you connect by another name: RDS checks the
        token against it.
        """
        return cls(iam_login("rds-db", user, host, port, region_name=region_name))

    @classmethod
    def elasticache(
        cls, user: str, cache: str, *, serverless: bool = False, region_name: str | None = None
    ) -> IamLogin:
        """Return the login of a user of ElastiCache, for Valkey or Redis.

        `cache` is the name of the replication group, or of the serverless cache.
        """
        return cls(iam_login("elasticache", user, cache, region_name=region_name, serverless=serverless))

    @classmethod
    def memorydb(cls, user: str, cluster: str, *, region_name: str | None = None) -> IamLogin:
        """Return the login of a user of MemoryDB. `cluster` is the cluster's name."""
        return cls(iam_login("memorydb", user, cluster, region_name=region_name))
