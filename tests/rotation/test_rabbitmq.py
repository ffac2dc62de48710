"""Users of a real RabbitMQ, with the example from the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import FIRST, Desk
from rabbitmq import Rabbit
from test_described import described, example


class Users(Rabbit):
    """A broker with helpers for its users."""

    def logs_in(self, value: dict) -> bool:
        """Check whether a user can log in, with or without a tag."""
        status, answer = self.request("GET", "whoami", user=f"{value['username']}:{value['password']}")
        return status == 200 or "Not management user" in answer

    def user(self, name: str, tags: str) -> None:
        """Create a user with permissions in two virtual hosts."""
        assert self.request("PUT", f"users/{name}", {"password": FIRST, "tags": tags})[0] == 201
        for host, write in (("/", ".*"), ("shop", f"^{name}")):
            self.request("PUT", f"vhosts/{quote(host, '')}")
            self.permit(name, host, write)

    def permit(self, name: str, host: str, write: str) -> None:
        """Give a user permissions."""
        rules = {"configure": "", "write": write, "read": ".*"}
        assert self.request("PUT", f"permissions/{quote(host, '')}/{name}", rules)[0] in (201, 204)

    def has(self, name: str) -> tuple:
        """Return everything about a user except its name and password."""
        user = self.request("GET", f"users/{name}")[1]
        rules = [
            {key: value for key, value in rule.items() if key != "user"}
            for rule in self.request("GET", f"users/{name}/permissions")[1]
        ]
        return user["tags"], user["limits"], sorted(rules, key=lambda rule: rule["vhost"])


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    """Start one broker for all tests."""
    rabbit = Users(tmp_path_factory.mktemp("rabbit"))
    yield rabbit
    rabbit.close()


@pytest.fixture
def file(rabbit: Users, tmp_path: Path) -> str:
    """Write the example, changed for this broker."""
    text = example("targets-by-http.md", "rabbitmq.toml")
    return described(text, tmp_path, shop=f"127.0.0.1:{rabbit.port}")


@pytest.mark.parametrize("tags", ["", "management,policymaker"])
def test_one_user(desk: Desk, rabbit: Users, file: str, tags: str) -> None:
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


def test_two_users_take_turns(desk: Desk, rabbit: Users, file: str) -> None:
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
        # The other user gets and loses the same permissions at its turn.
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
    assert done.status == 2 and "lets the secret decide" in done.err, done.err
