"""Reads from many greenlets in a process patched by gevent. Arguments: client or none, secret id."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from secretcache import SecretCache  # noqa: E402
from support import eventually  # noqa: E402
from trouble import Control  # noqa: E402

whose, secret_id = sys.argv[1:]
control = Control(os.environ["AWS_ENDPOINT_URL"])
asm = control.client()
asm.create_secret(Name=secret_id, SecretString="one")
cache = SecretCache(client=control.client() if whose == "client" else None, refresh_interval=1)
control.fault(None, delay_ms=400, secret_id=secret_id)
ticks = 0


def tick() -> None:
    global ticks
    while True:
        gevent.sleep(0.01)
        ticks += 1


ticker = gevent.spawn(tick)
control.forget_calls()
readers = [gevent.spawn(cache.get_secret_string, secret_id) for _ in range(100)]
gevent.joinall(readers, timeout=20)
assert {reader.value for reader in readers} == {"one"}
calls = control.calls()
assert ticks > 15, f"the hub was blocked: {ticks} ticks"
control.calm()
asm.put_secret_value(SecretId=secret_id, SecretString="two")
eventually(lambda: cache.get_secret_string(secret_id), "two", within=10)
with gevent.Timeout(0.2, False):
    control.fault("hang", secret_id=f"{secret_id}-other")
    cache.get_secret_string(f"{secret_id}-other")
control.calm()
print(calls.get("DescribeSecret"), calls.get("GetSecretValue"))
