"""Users of a real RabbitMQ, by the example of the documentation."""

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
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import FIRST, Desk
from test_described import described, example

INSTALL = "install it with: apt-get install rabbitmq-server"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Rabbit:
    """A broker with its management interface, and the administrator's way in."""

    def __init__(self, folder: Path) -> None:
        server = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        assert server.exists(), f"the tests start a real RabbitMQ; {INSTALL}"
        self.port, epmd = free_port(), free_port()
        (folder / "mnesia").mkdir()
        (folder / "log").mkdir()
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{free_port()}\nmanagement.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.port}\ndefault_user = admin\ndefault_pass = admin-1-Password\n"
        )
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
        self.pid = folder / "pid"
        log = (folder / "out").open("w")
        # Started here, or the broker would start one that outlives it.
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
        """Stop it, by the ids of its processes."""
        if self.pid.exists():
            os.kill(int(self.pid.read_text()), 15)
        self.process.wait(60)
        self.names.terminate()
        self.names.wait(10)

    def request(self, method: str, path: str, body: object = None, user: str = "admin:admin-1-Password"):
        """Ask the interface, and give the status and the answer."""
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
        """The answer to a login, 0 while nobody listens."""
        try:
            return self.request("GET", "whoami", user=f"{user}:{password}")[0]
        except (ConnectionError, urllib.error.URLError):
            return 0

    def logs_in(self, value: dict) -> bool:
        """Whether a user gets in, with or without a tag."""
        status, answer = self.request("GET", "whoami", user=f"{value['username']}:{value['password']}")
        return status == 200 or "Not management user" in answer

    def user(self, name: str, tags: str) -> None:
        """Make a user with permissions in two virtual hosts."""
        assert self.request("PUT", f"users/{name}", {"password": FIRST, "tags": tags})[0] == 201
        for host, write in (("/", ".*"), ("shop", f"^{name}")):
            self.request("PUT", f"vhosts/{quote(host, '')}")
            self.permit(name, host, write)

    def permit(self, name: str, host: str, write: str) -> None:
        """Give a user permissions."""
        rules = {"configure": "", "write": write, "read": ".*"}
        assert self.request("PUT", f"permissions/{quote(host, '')}/{name}", rules)[0] in (201, 204)

    def has(self, name: str) -> tuple:
        """All that a user has but its name and password."""
        user = self.request("GET", f"users/{name}")[1]
        rules = [
            {key: value for key, value in rule.items() if key != "user"}
            for rule in self.request("GET", f"users/{name}/permissions")[1]
        ]
        return user["tags"], user["limits"], sorted(rules, key=lambda rule: rule["vhost"])


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """One broker for all tests."""
    rabbit = Rabbit(tmp_path_factory.mktemp("rabbit"))
    yield rabbit
    rabbit.close()


@pytest.fixture
def file(rabbit: Rabbit, tmp_path: Path) -> str:
    """The example, for this broker."""
    text = example("targets-by-http.md", "rabbitmq.toml")
    return described(text, tmp_path, shop=f"127.0.0.1:{rabbit.port}")


@pytest.mark.parametrize("tags", ["", "management,policymaker"])
def test_one_user(desk: Desk, rabbit: Rabbit, file: str, tags: str) -> None:
    name = f"single{len(tags)}"
    rabbit.user(name, tags)
    master = desk.store("master", {"username": "admin", "password": "admin-1-Password"})
    secret = desk.store("db", {"username": name, "password": FIRST, "masterarn": master})
    before = rabbit.has(name)
    for _ in range(2):
        former = desk.value(secret)
        done = desk.run("rotate", secret, "--strategy", "single-user", "--statements", file)
        assert done.status == 0, done.err
        assert rabbit.logs_in(desk.value(secret)) and not rabbit.logs_in(former)
        assert rabbit.has(name) == before, "tags, limits and permissions stay"


def test_two_users_take_turns(desk: Desk, rabbit: Rabbit, file: str) -> None:
    rabbit.user("turn", "management")
    master = desk.store("master", {"username": "admin", "password": "admin-1-Password"})
    secret = desk.store("db", {"username": "turn", "password": FIRST, "masterarn": master})
    command = ("rotate", secret, "--strategy", "alternating-users", "--statements", file)
    users = []
    for _ in range(3):
        done = desk.run(*command)
        assert done.status == 0, done.err
        assert rabbit.logs_in(desk.value(secret)) and rabbit.logs_in(desk.value(secret, "AWSPREVIOUS"))
        users.append(desk.value(secret)["username"])
        assert rabbit.has("turn") == rabbit.has("turn_clone")
        # What the one in use gets and loses, the other gets and loses at its turn.
        rabbit.permit(users[-1], "/", f"^{len(users)}")
        if len(users) == 2:
            rabbit.request("DELETE", f"permissions/shop/{users[-1]}")
    assert users == ["turn_clone", "turn", "turn_clone"]
    assert [rule["vhost"] for rule in rabbit.has("turn_clone")[2]] == ["/"]


def test_a_secret_never_chooses_where_the_administrator_logs_in(
    desk: Desk, file: str, tmp_path: Path
) -> None:
    text = Path(file).read_text().replace("http://127.0.0.1", "http://{host}", 2)
    bad = tmp_path / "bad.toml"
    bad.write_text(text)
    done = desk.run("rotate", "--check", str(bad))
    assert done.status == 2 and "lets the secret choose" in done.err, done.err
