"""Is interrupted while it waits for a secret, and reads it again. Arguments: transport, secret id."""

import os
import signal
import sys

from trouble import Control

# A test run in a shell's background inherits an ignored SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
transport, secret_id = sys.argv[1:]
cache = Control(os.environ["AWS_ENDPOINT_URL"]).cache(transport, 8)
try:
    cache.get_secret_string(secret_id)
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(cache.get_secret_string(secret_id), flush=True)
