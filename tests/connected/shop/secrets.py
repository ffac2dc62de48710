"""The cache of the project, which sees a rotation soon."""

from secretcache import SecretCache

cache = SecretCache(refresh_interval=1)
