"""Prints which transport a cache without a client uses; first patches the process if the argument says so."""

import sys

if sys.argv[1:] == ["gevent"]:
    from gevent import monkey

    monkey.patch_all()
elif sys.argv[1:] == ["moto"]:
    import moto  # noqa: F401
    from moto import mock_aws  # noqa: F401

from aws_secretsmanager_caching import SecretCache as DropIn
from secretcache import AsyncSecretCache, SecretCache

made = [cls() for cls in (SecretCache, AsyncSecretCache, DropIn)]
print(*("botocore" if cache._uses_botocore else "native" for cache in made))
