"""A server that forwards requests to another, and lets a test inspect them or answer instead."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from certificate import self_signed
from loopback import Handler, Server

Self = TypeVar("Self", bound="Relay")


class Relay:
    """Listens on a free loopback port until the end of the `with` block. Subclasses override `answer`."""

    def __init__(self, upstream: str) -> None:
        relay = self

        class Passing(Handler):
            def do_POST(self) -> None:
                self.reply(*relay.answer(self.headers, self.body()))

        self._upstream = upstream
        self._server = Server(Passing)
        self.url = f"http://{self._server.place}"

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        """Return status and body for a POST request."""
        return self.passed_on(headers, body)

    def passed_on(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        """Forward a request and return the response. `Host` is unchanged, because it is signed."""
        request = urllib.request.Request(self._upstream, body, dict(headers.items()), method="POST")
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def speak_tls(self, folder: Path) -> Path:
        """Accept only TLS from now on; return the certificate to trust."""
        certificate, private = self_signed(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        return certificate

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
