"""Reads continuously; after it has been stopped for a while, prints what the first read returns.

Arguments: transport, secret id.
"""

import os
import sys
import time

from trouble import Control

transport, secret_id = sys.argv[1:]
cache = Control(os.environ["AWS_ENDPOINT_URL"]).cache(transport, 0.4, refresh_interval=1, max_wait=20)
print(cache.get_secret_string(secret_id), flush=True)
last = time.monotonic()
while True:
    time.sleep(0.002)
    stood_still = time.monotonic() - last > 2
    last = time.monotonic()
    value = cache.get_secret_string(secret_id)
    if stood_still:
        print(value, flush=True)
        break
