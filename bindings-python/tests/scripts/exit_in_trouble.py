"""Ends while a request hangs. Arguments: transport, what is under way (refresh or first read), secret id."""

import contextlib
import os
import sys
import threading

from trouble import Control

transport, what, secret_id = sys.argv[1:]
control = Control(os.environ["AWS_ENDPOINT_URL"])
control.client().create_secret(Name=secret_id, SecretString="one")
cache = control.cache(transport, 30, refresh_interval=1)
if what == "refresh":
    assert cache.get_secret_string(secret_id) == "one"
control.fault("hang", "DescribeSecret", "GetSecretValue", secret_id=secret_id)
if what == "first read":

    def read() -> None:
        # The read can fail because the process is ending.
        with contextlib.suppress(Exception):
            cache.get_secret_string(secret_id)

    threading.Thread(target=read, daemon=True).start()
control.wait_for_trouble()
print("leaving", flush=True)
