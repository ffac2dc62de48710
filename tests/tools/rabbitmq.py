"""A real RabbitMQ on free loopback ports, with its management interface."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

INSTALL = "install it with: apt-get install rabbitmq-server"


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Rabbit:
    """A broker with its management interface and an administrator."""

    def __init__(self, folder: Path, tls: tuple[Path, Path] | None = None) -> None:
        """Start the broker. With a certificate and its key, it also listens on `amqps_port`."""
        server = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        assert server.exists(), f"the tests start a real RabbitMQ; {INSTALL}"
        self.port, self.amqp_port, self.amqps_port, epmd = (free_port() for _ in range(4))
        (folder / "mnesia").mkdir()
        (folder / "log").mkdir()
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp_port}\nmanagement.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.port}\ndefault_user = admin\ndefault_pass = admin-1-Password\n"
        )
        if tls is not None:
            with (folder / "rabbitmq.conf").open("a") as configuration:
                print(f"listeners.ssl.1 = 127.0.0.1:{self.amqps_port}", file=configuration)
                print(f"ssl_options.certfile = {tls[0]}\nssl_options.keyfile = {tls[1]}", file=configuration)
        (folder / "plugins").write_text("[rabbitmq_management].\n")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        self.log = folder / "log" / f"test{self.port}@localhost.log"
        self.pid = folder / "pid"
        log = (folder / "out").open("w")
        # Started here, because the broker would otherwise start one that outlives it.
        names = shutil.which("epmd")
        assert names, INSTALL
        self.names = subprocess.Popen([names, "-port", str(epmd), "-address", "127.0.0.1"], stdout=log)
        self.process = subprocess.Popen([server], env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 90
        while self.status("admin", "admin-1-Password") != 200:
            assert time.monotonic() < deadline, (folder / "out").read_text()
            time.sleep(0.2)
        assert self.status("admin", "wrong") == 401, "a wrong password is refused"

    def close(self) -> None:
        """Stop the broker by its process ids."""
        if self.pid.exists():
            os.kill(int(self.pid.read_text()), 15)
        self.process.wait(60)
        self.names.terminate()
        self.names.wait(10)

    def request(
        self, method: str, path: str, body: object = None, user: str = "admin:admin-1-Password"
    ) -> tuple[int, Any]:
        """Call the management interface; return status and response."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self, user: str, password: str) -> int:
        """Return the HTTP status of a login, or 0 if the broker does not listen yet."""
        try:
            return self.request("GET", "whoami", user=f"{user}:{password}")[0]
        except (ConnectionError, urllib.error.URLError):
            return 0
