"""IAM tokens made by botocore, for tests to compare with, and functions that read a token."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
from botocore.credentials import Credentials
from botocore.model import ServiceId
from botocore.signers import RequestSigner, generate_db_auth_token

VALIDITY = 900
"""Seconds that a token is valid."""


def token(login: str, key: dict[str, str], moment: float) -> str:
    """Return the token for a login at a moment, made as in AWS's documentation. The login is its id, with a Region."""
    url = urlsplit(login)
    options = {name: values[0] for name, values in parse_qs(url.query).items()}
    region, name = options["region"], unquote(url.username or "")
    credentials = Credentials(key["access_key_id"], key["secret_access_key"], key.get("session_token"))
    emitter = botocore.session.Session().get_component("event_emitter")
    signer = RequestSigner(ServiceId(url.scheme), region, url.scheme, "v4", credentials, emitter)
    with at(moment):
        if url.scheme == "rds-db":
            client = SimpleNamespace(_request_signer=signer)
            return generate_db_auth_token(client, url.hostname, url.port, name, region)
        body = {"Action": "connect", "User": name}
        if "serverless" in options:
            body["ResourceType"] = "ServerlessCache"
        request = {
            "method": "GET",
            "url": f"http://{url.hostname}/",
            "body": body,
            "headers": {},
            "context": {},
        }
        signed = signer.generate_presigned_url(request, "connect", expires_in=VALIDITY, region_name=region)
    return signed.removeprefix("http://")


@contextmanager
def at(moment: float) -> Iterator[None]:
    """Make botocore sign for this moment."""
    date = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=date):
        yield


def parameters(token: str) -> dict[str, str]:
    """Return the parameters of a token."""
    return {name: values[0] for name, values in parse_qs(token.partition("?")[2]).items()}


def signed_at(token: str) -> float:
    """Return the time at which a token was signed."""
    return datetime.datetime.strptime(parameters(token)["X-Amz-Date"], "%Y%m%dT%H%M%S%z").timestamp()


def access_key_id(token: str) -> str:
    """Return the id of the key that signed a token."""
    return parameters(token)["X-Amz-Credential"].partition("/")[0]


def region(token: str) -> str:
    """Return the Region of a token."""
    return parameters(token)["X-Amz-Credential"].split("/")[2]


def signature(token: str) -> str:
    """Return the signature of a token, which is its secret part."""
    return parameters(token)["X-Amz-Signature"]


def user(login: str) -> str:
    """Return the user of a login."""
    return unquote(urlsplit(login).username or "")
