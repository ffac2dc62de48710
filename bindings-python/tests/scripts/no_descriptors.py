"""Runs out of file descriptors, reads, gets some back, reads again. Arguments: transport, secret id, another."""

import os
import resource
import sys

from trouble import Control

transport, known, unknown = sys.argv[1:]
control = Control(os.environ["AWS_ENDPOINT_URL"])
for secret_id in (known, unknown):
    control.client().create_secret(Name=secret_id, SecretString="one")
settings = {"refresh_interval": 1, "max_wait": 1}
cache, cold = control.cache(transport, 2, **settings), control.cache(transport, 2, **settings)
assert cache.get_secret_string(known) == "one"
control.fault("reset")  # so that a new connection is needed
assert not cache.refresh_secret_now(known)
control.calm()

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
hoard = []
try:
    while True:
        hoard.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
seen = [cache.get_secret_string(known), cache.refresh_secret_now(known)]
for each in (cache, cold):
    try:
        each.get_secret_string(unknown)
    except Exception as error:
        seen.append(error)
for descriptor in hoard:
    os.close(descriptor)
assert seen[:2] == ["one", False], seen
assert len(seen) == 4, "a read without descriptors did not fail"
assert cache.refresh_secret_now(known) and cold.refresh_secret_now(unknown)
print(cache.get_secret_string(known), cold.get_secret_string(unknown))
