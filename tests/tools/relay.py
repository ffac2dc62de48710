"""A server that passes requests on to another, and lets a test look at them or answer in its place."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar

Self = TypeVar("Self", bound="Relay")


class Relay:
    """Listens on a free loopback port until the end of the `with` block. Subclasses override `answer`."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._server = _serve(self)
        host, port = self._server.server_address[:2]
        self.url = f"http://{host}:{port}"

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        """Answer a POST request: status and body."""
        return self.passed_on(headers, body)

    def passed_on(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        """What the other server answers. `Host` stays as it is, because it is part of what is signed."""
        request = urllib.request.Request(self._upstream, body, dict(headers.items()), method="POST")
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _serve(relay: Relay) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = relay.answer(self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="relay", daemon=True).start()
    return server
