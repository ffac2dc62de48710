"""pika, for RabbitMQ.

>>> connection = connect(cache, "prod/rabbit", pika.ConnectionParameters("rabbit.example"))  # doctest: +SKIP
"""

from __future__ import annotations

from copy import copy

import pika

from ._login import NOT_YOURS, Login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pika.connection import Parameters

    from secretcache import Credential
    from secretcache._base import BaseCache


def connect(
    cache: BaseCache, secret_id: str, parameters: Parameters | None = None, **options: Any
) -> pika.BlockingConnection:
    """Connect as `pika.BlockingConnection` does, with user name and password from a secret, even during a rotation.

    An open connection stays open through a rotation.
    """
    login = Login.taking(cache, secret_id, options)
    parameters = parameters or pika.ConnectionParameters()
    if parameters.credentials != pika.connection.Parameters.DEFAULT_CREDENTIALS:
        raise TypeError(f"credentials: {NOT_YOURS}")

    def log_in(credential: Credential) -> pika.BlockingConnection:
        these = copy(parameters)
        these.credentials = pika.PlainCredentials(credential.username, credential.password)
        if login.endpoint_from_secret:
            these.host, these.port = credential.host, credential.port or these.port
        return pika.BlockingConnection(these)

    return login.connect(log_in)[0]
