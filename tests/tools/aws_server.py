"""Runs many `aws` commands without starting Python and loading the service models for each.

    with aws_command(folder): ...       # put folder/ first in PATH

A server process that has everything loaded forks for each command. The program `aws` passes arguments and environment
to it and prints its output.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

COMMAND = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
server.sendall(json.dumps([sys.argv[1:], dict(os.environ)]).encode())
server.shutdown(socket.SHUT_WR)
status, out, err = json.loads(b"".join(iter(lambda: server.recv(1 << 16), b"")))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(status)
"""


@contextmanager
def aws_command(folder: Path) -> Iterator[None]:
    """Put a program `aws` into the folder, and run the server behind it."""
    path = folder / "socket"
    (command := folder / "aws").write_text(COMMAND.format(python=sys.executable, path=str(path)))
    command.chmod(0o755)
    with subprocess.Popen([sys.executable, __file__, str(path)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout and server.stdout.readline() == "ready\n"
            yield
        finally:
            server.kill()


def run(driver: Any, connection: socket.socket) -> None:
    arguments, environment = json.loads(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    os.environ.clear()
    os.environ.update(environment)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = driver.main(arguments)
        except SystemExit as exit:
            status = exit.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    connection.sendall(json.dumps([status, *texts]).encode())


def main() -> None:
    from awscli.clidriver import create_clidriver

    driver = create_clidriver()
    for service in ("cloudtrail", "ec2", "events", "iam", "kms", "lambda", "secretsmanager"):
        driver.session.create_client(service, region_name="us-east-1")  # loads its model and its endpoints
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen()
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                try:
                    run(driver, connection)
                finally:
                    os._exit(0)
            connection.close()


if __name__ == "__main__":
    main()
