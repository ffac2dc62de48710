"""Forks while another thread of this process is calling the service."""

import os
import threading
import time

from aws_secretsmanager_caching import SecretCache
from support import DESCRIBE, Service

service = Service()
service.put("db", "v1", "value-1")
service.delays[DESCRIBE] = 60.0
cache = SecretCache(client=service)
threading.Thread(target=cache.get_secret_string, args=("db",), daemon=True).start()
while not service.calls:
    time.sleep(0.01)

output, child_output = os.pipe()
child = os.fork()
if child == 0:
    service.delays.clear()
    os.write(child_output, f"child read {cache.get_secret_string('db')}".encode())
    os._exit(0)

os.close(child_output)
for _ in range(500):
    if os.waitpid(child, os.WNOHANG)[0]:
        break
    time.sleep(0.01)
else:
    os.kill(child, 9)
    os.waitpid(child, 0)
print(os.read(output, 100).decode() or "child hung", flush=True)
os._exit(0)  # the thread above is still in its call
