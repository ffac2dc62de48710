"""A listener that forwards connections to a real server and records every byte that clients send."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import TypeVar

Self = TypeVar("Self", bound="Tap")


class Tap:
    """Listens on a free loopback port until the end of the `with` block; `heard` is what clients have sent so far."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._heard = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def heard(self) -> bytes:
        return bytes(self._heard)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._upstream)
            for source, sink, hears in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=(source, sink, hears), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, hears: bool) -> None:
        try:
            while data := source.recv(65_536):
                if hears:
                    self._heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two closed the connection

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
