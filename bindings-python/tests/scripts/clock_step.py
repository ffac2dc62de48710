"""Reads a secret, sets the wall clock back, changes the secret, and waits for the new value."""

import os
import time
from pathlib import Path

from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
from support import Service

service = Service()
service.put("db", "v1", "value-1")
cache = SecretCache(SecretCacheConfig(secret_refresh_interval=1), service)
cache.get_secret_string("db")
before = time.time()
Path(os.environ["STEP_FILE"]).touch()
assert time.time() < before - 3600, "the clock was not set back"
service.put("db", "v2", "value-2")
deadline = time.monotonic() + 4
while cache.get_secret_string("db") != "value-2" and time.monotonic() < deadline:
    time.sleep(0.02)
print(cache.get_secret_string("db"))
