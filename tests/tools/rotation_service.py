"""The part of Secrets Manager that drives a rotation function, in front of an endpoint that keeps the secrets.

It labels an empty version AWSPENDING before createSecret, invokes the steps with a rotation token, and notes every
request the function makes.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from runtime_api import Function

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
SNAKE = ("create_secret", "set_secret", "test_secret", "finish_secret")
"""The same steps as newer pages of the documentation spell them."""


class RotationService:
    """Relays requests to the endpoint; ended with the `with` block."""

    def __init__(self, endpoint: str) -> None:
        self.rotation_enabled = True
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._endpoint = endpoint
        self._begun: set[str] = set()
        self._server = _serve(self)
        host, port = self._server.server_address[:2]
        self.url = f"http://{host}:{port}"

    def begin(self) -> str:
        """Begin a rotation: from now on its version is there, empty. Returns the version's id."""
        token = str(uuid.uuid4())
        self._begun.add(token)
        return token

    def event(self, secret_id: str, token: str, step: str) -> dict[str, str]:
        """One event of the service's, with the token that proves a rotation."""
        return {
            "Step": step,
            "SecretId": secret_id,
            "ClientRequestToken": token,
            "RotationToken": rotation_token(token),
        }

    def rotate(
        self, function: Function, secret_id: str, steps: Iterable[str] = STEPS, token: str | None = None
    ) -> str:
        """Run the steps of one rotation; returns its version's id. A step that fails raises `FunctionError`."""
        token = token or self.begin()
        for step in steps:
            assert function.invoke(self.event(secret_id, token, step)) is None
        return token

    def operations(self) -> list[str]:
        """The operations requested so far."""
        return [operation for operation, _ in self.requests]

    def __enter__(self) -> RotationService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _relay(self, operation: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        given = json.loads(body)
        self.requests.append((operation, given))
        request = urllib.request.Request(self._endpoint, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request) as response:
                status, answer = response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        if operation == "DescribeSecret":
            secret = json.loads(answer)
            secret["RotationEnabled"] = self.rotation_enabled
            versions = secret.setdefault("VersionIdsToStages", {})
            for token in self._begun - set(versions):
                versions[token] = ["AWSPENDING"]
            answer = json.dumps(secret).encode()
        if operation == "PutSecretValue":
            self._begun.discard(given["ClientRequestToken"])
        return status, answer


def rotation_token(token: str) -> str:
    """The token that proves the rotation of a version."""
    return f"canary-rotation-token-{token}"


def _serve(service: RotationService) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].split(".")[-1]
            headers = {name: self.headers[name] for name in ("X-Amz-Target", "Content-Type", "Authorization")}
            status, answer = service._relay(operation, headers, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="rotation-service", daemon=True).start()
    return server
