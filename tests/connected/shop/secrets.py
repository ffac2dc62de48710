"""The cache of the project, with a short refresh interval."""

from secretcache import SecretCache

cache = SecretCache(refresh_interval=1)
