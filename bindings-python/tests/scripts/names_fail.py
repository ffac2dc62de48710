"""Keeps reading while no name can be resolved. Arguments: transport, secret id.

The endpoint is called endpoint.invalid, which no longer resolves once the file named by DNS_DOWN exists.
"""

import os
import sys
import time
from pathlib import Path

from trouble import Control

transport, secret_id = sys.argv[1:]
control = Control(os.environ["AWS_ENDPOINT_URL"])
named = Control(control.url.replace("127.0.0.1", "endpoint.invalid"))
control.client().create_secret(Name=secret_id, SecretString="one")
cache, cold = (named.cache(transport, 2, refresh_interval=1, max_wait=20) for _ in range(2))
assert cache.get_secret_string(secret_id) == "one"
Path(os.environ["DNS_DOWN"]).touch()
control.fault("reset")  # closes open connections
slowest = 0.0
while sum(cache.stats()["failures"].values()) < 3:
    start = time.monotonic()
    assert cache.get_secret_string(secret_id) == "one"
    slowest = max(slowest, time.monotonic() - start)
    time.sleep(0.005)
control.calm()
assert slowest < 0.5, f"a reader waited for {slowest:.1f} s"
kinds = []
for _ in range(2):
    try:
        cold.get_secret_string(secret_id)
    except Exception as error:
        kinds.append(type(error).__name__)
Path(os.environ["DNS_DOWN"]).unlink()
deadline = time.monotonic() + 10
value = None
while value is None and time.monotonic() < deadline:
    try:
        value = cold.get_secret_string(secret_id)
    except Exception:
        time.sleep(0.05)
print(*kinds, value)
