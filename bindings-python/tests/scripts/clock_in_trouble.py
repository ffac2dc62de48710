"""Caches a value while the secret changes and the wall clock is set, and waits for the new value.

Arguments: transport, refresh interval, secret id. The clock changes once the file named by STEP_FILE exists.
"""

import os
import sys
import time
from pathlib import Path

from trouble import Control

transport, interval, secret_id = sys.argv[1:]
control = Control(os.environ["AWS_ENDPOINT_URL"])
client = control.client()
client.create_secret(Name=secret_id, SecretString="one")
cache = control.cache(transport, refresh_interval=float(interval), max_wait=20)
assert cache.get_secret_string(secret_id) == "one"
client.put_secret_value(SecretId=secret_id, SecretString="two")
before = time.time()
Path(os.environ["STEP_FILE"]).touch()
assert abs(time.time() - before) > 3600, "the clock did not change"
deadline = time.monotonic() + 5
while cache.get_secret_string(secret_id) != "two" and time.monotonic() < deadline:
    time.sleep(0.02)
print(cache.get_secret_string(secret_id), cache.stats()["refreshes"])
