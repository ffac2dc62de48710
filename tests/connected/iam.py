"""An LDAP directory that checks IAM tokens for a real PostgreSQL, which asks it about each password.

PostgreSQL passes the password on as the client sent it, as RDS does.
"""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from databases import Postgres


class Directory(socketserver.ThreadingTCPServer):
    """Decides for PostgreSQL whether a user may log in with a password, and keeps the tokens that it accepted."""

    daemon_threads = True

    def __init__(self, check: Callable[[str, str], bool]) -> None:
        super().__init__(("127.0.0.1", 0), _Bind)
        self.check = check
        self.taken: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Bind(socketserver.BaseRequestHandler):
    """One LDAP connection (RFC 4511); the only request is a simple bind."""

    server: Directory

    def handle(self) -> None:
        while message := self._read():
            number, rest = _element(message)
            operation = rest[0]
            if operation != 0x60:
                return  # unbind
            version, rest = _element(_element(rest)[0])
            name, rest = _element(rest)
            password, _ = _element(rest)
            user, token = name.decode(), password.decode()
            is_right = self.server.check(user, token)
            if is_right:
                self.server.taken.append(token)
            answer = _encoded(0x0A, bytes([0 if is_right else 49])) + _encoded(0x04, b"") * 2
            self.request.sendall(_encoded(0x30, _encoded(0x02, number) + _encoded(0x61, answer)))

    def _read(self) -> bytes:
        head = self._exactly(2)
        if len(head) < 2:
            return b""
        length = head[1]
        if length & 0x80:
            length = int.from_bytes(self._exactly(length & 0x7F), "big")
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := self.request.recv(count - len(data))):
            data += more
        return data


def _element(data: bytes) -> tuple[bytes, bytes]:
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]


def _encoded(tag: int, content: bytes) -> bytes:
    assert len(content) < 0x80
    return bytes([tag, len(content)]) + content


def ask_directory(postgres: Postgres, user: str, directory: Directory) -> None:
    """Make a server check a user's passwords with the directory; wait until it refuses one that is not a token."""
    postgres.create_user(user)
    host, port = directory.server_address[:2]
    rule = (
        f'host all "{user}" 127.0.0.1/32 ldap ldapserver={host} ldapport={port} ldapprefix="" ldapsuffix=""\n'
    )
    ((file,),) = postgres._run("SHOW hba_file")
    Path(file).write_text(rule + Path(file).read_text())
    postgres._run("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 60
    while True:
        try:
            postgres.log_in(user, "no token")
        except psycopg.OperationalError as error:
            if "LDAP authentication failed" in str(error):
                return
        assert time.monotonic() < deadline, "the server does not ask the directory"
        time.sleep(0.02)
