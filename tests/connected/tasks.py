"""A Celery app for the tests, and its worker: `celery -A tasks worker`. Environment variables configure it."""

from __future__ import annotations

import json
import os

from celery import Celery

from secretcache import SecretCache
from secretcache.integrations.celery import stay_connected

app = Celery("tasks")
app.conf.update(
    json.loads(os.environ["SETTINGS"]),
    broker_connection_retry_on_startup=False,
    broker_pool_limit=0,  # a new connection for each message
    task_default_queue=os.environ["QUEUE"],
    worker_prefetch_multiplier=1,
)
stay_connected(app, SecretCache(), broker=os.environ["BROKER_SECRET"], backend=os.environ["BACKEND_SECRET"])


@app.task
def double(number: int) -> int:
    """Record each run."""
    with open(os.environ["NOTES"], "a") as notes:
        print(number, file=notes)
    return 2 * number
