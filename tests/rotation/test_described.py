"""R12, targets described in files: runs every example of the docs against a server that behaves as documented."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from conftest import FIRST, ROOT, Desk, Server
from loopback import Handler
from loopback import Server as Loopback

from endpoint import Endpoint


def example(page: str, name: str) -> str:
    """Return the example on a page that starts with this file name."""
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    return next(block for block in blocks if block.startswith(f"# {name}\n"))


class Acme(Loopback):
    """A service that allows eight keys per account, and lists two per page."""

    def __init__(self) -> None:
        self.keys = {"key-0": ("by hand", "sk-by-hand-0000")}
        self.pages = 0
        service = self

        class Api(Handler):
            def do_GET(self) -> None:
                if not self._is_let_in():
                    return
                url = urlsplit(self.path)
                if url.path == "/v1/me":
                    return self._answer(200, {})
                after = parse_qs(url.query).get("after", [""])[0]
                ids = list(service.keys)
                ids = ids[ids.index(after) + 1 :] if after else ids
                service.pages += 1
                page = [{"id": key, "name": service.keys[key][0]} for key in ids[:2]]
                following = f"/v1/keys?limit=2&after={ids[1]}" if len(ids) > 2 else None
                self._answer(200, {"data": page, "next": following})

            def do_POST(self) -> None:
                body = json.loads(self.body())
                if self._is_let_in():
                    if len(service.keys) >= 8:
                        return self._answer(409, {})
                    service.add(body["name"])
                    key = list(service.keys)[-1]
                    self._answer(201, {"data": {"id": key, "secret": service.keys[key][1]}})

            def do_DELETE(self) -> None:
                if self._is_let_in():
                    gone = service.keys.pop(self.path.rsplit("/", 1)[1], None)
                    self._answer(204 if gone else 404, {})

            def _is_let_in(self) -> bool:
                bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if bearer in {value for _, value in service.keys.values()}:
                    return True
                self._answer(401, {"error": f"no such key: {bearer}"})
                return False

            def _answer(self, status: int, body: object) -> None:
                self.reply(status, b"" if status == 204 else json.dumps(body).encode())

        super().__init__(Api)

    def add(self, name: str) -> None:
        """Create a key."""
        number = len(self.keys) + 10 * self.pages
        self.keys[f"key-{number}"] = (name, f"sk-canary-{number:04}")


class Ledger(Loopback):
    """A service whose clients exchange a secret for a token, with a form and Basic authentication."""

    def __init__(self) -> None:
        self.secrets = {"s0": ("by hand", "first/secret+0")}
        self.tokens: set[str] = set()
        self.made = 0
        service = self

        class Api(Handler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/whoami":
                    return self._answer(200 if self._basic() else 401, {})
                if self._has_token():
                    page = int(parse_qs(url.query)["page"][0])
                    items = list(service.secrets.items())[page - 1 : page]
                    self._answer(200, [{"id": key, "label": label} for key, (label, _) in items])

            def do_POST(self) -> None:
                body = self.body().decode()
                if self.path == "/oauth/token":
                    form = {"grant_type": ["client_credentials"], "scope": ["keys"]}
                    if parse_qs(body) != form or not self._basic():
                        return self._answer(401, {"error": "invalid_client"})
                    service.tokens.add(f"token-{len(service.tokens)}")
                    return self._answer(200, {"access_token": f"token-{len(service.tokens) - 1}"})
                if self._has_token():
                    service.made += 1
                    key = f"s{service.made}"
                    service.secrets[key] = (json.loads(body)["label"], f"canary/secret+{service.made}")
                    self._answer(201, {"id": key, "value": service.secrets[key][1]})

            def do_DELETE(self) -> None:
                if self._has_token():
                    service.secrets.pop(self.path.rsplit("/", 1)[1], None)
                    self._answer(204, {})

            def _basic(self) -> bool:
                kind, _, text = self.headers.get("Authorization", "").partition(" ")
                user, _, password = base64.b64decode(text if kind == "Basic" else "").decode().partition(":")
                return user == "checkout" and password in {value for _, value in service.secrets.values()}

            def _has_token(self) -> bool:
                if self.headers.get("Authorization", "").removeprefix("Bearer ") in service.tokens:
                    return True
                self._answer(401, {})
                return False

            def _answer(self, status: int, body: object) -> None:
                self.reply(status, b"" if status == 204 else json.dumps(body).encode())

        super().__init__(Api)


@pytest.fixture
def acme() -> Iterator[Acme]:
    """Start the service that issues keys."""
    service = Acme()
    yield service
    service.close()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Start the service with a token exchange."""
    service = Ledger()
    yield service
    service.close()


def described(text: str, tmp_path: Path, **places: str) -> str:
    """Write an example to a file, with local hosts instead of those on the internet."""
    for host, place in places.items():
        text = re.sub(rf"https://[a-z]+\.{host}\.example", f"http://{place}", text)
    file = tmp_path / "described.toml"
    file.write_text(text)
    return str(file)


def basic(value: dict) -> str:
    """Return what a program sends for Basic authentication."""
    return base64.b64encode(f"{value['client_id']}:{value['client_secret']}".encode()).decode()


def test_a_service_with_two_keys(desk: Desk, acme: Acme, tmp_path: Path) -> None:
    file = described(example("targets-by-http.md", "acme.toml"), tmp_path, acme=acme.place)
    assert desk.run("rotate", "--check", file).status == 0
    name = desk.store("key", {"key_id": "key-0", "key": "sk-by-hand-0000"})
    for _ in range(3):
        acme.add("somebody else's")
    for _ in range(3):
        done = desk.run("rotate", name, "--strategy", "api-key", "--provider", file)
        assert done.status == 0, done.err
    value, previous = desk.value(name), desk.value(name, "AWSPREVIOUS")
    ours = {key for key, (label, _) in acme.keys.items() if label.startswith("checkout-")}
    # Includes the one that only a later page lists.
    assert ours == {value["key_id"], previous["key_id"]}
    assert sum(label == "somebody else's" for label, _ in acme.keys.values()) == 3
    assert acme.pages > 3


def test_a_service_with_a_token_exchange(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    file = described(example("targets-by-http.md", "ledger.toml"), tmp_path, ledger=ledger.place)
    first = {"client_id": "checkout", "client_secret": "first/secret+0", "secret_id": "s0"}
    name = desk.store("key", first | {"basic": basic(first), "owner": "shop"})
    for _ in range(3):
        done = desk.run("rotate", name, "--strategy", "api-key", "--provider", file)
        assert done.status == 0, done.err
        value = desk.value(name)
        assert value["basic"] == basic(value) and value["owner"] == "shop"
    assert set(ledger.secrets) == {value["secret_id"], desk.value(name, "AWSPREVIOUS")["secret_id"]}

    # A version with a stale derived field never becomes current: its key can work while the program's would not.
    stale = ledger.secrets[value["secret_id"]]
    ledger.secrets["s9"] = ("checkout-by-hand", "canary/secret+9")
    desk.pend(name, secret_id="s9", client_secret="canary/secret+9")
    done = desk.run("rotate", name, "--strategy", "api-key", "--provider", file)
    assert done.status == 1 and '"basic" does not match' in done.err, done.err
    assert desk.value(name)["client_secret"] == stale[1]


def test_a_warehouse_by_statements_with_a_url_made_of_its_fields(
    desk: Desk, server: Callable[[str], Server], tmp_path: Path
) -> None:
    server = server("postgres-16")
    # PostgreSQL would treat Redshift's hash as the password itself.
    text = example("targets-by-statements.md", "warehouse.toml").replace(":redshift}", ":scram}")
    file = described(text, tmp_path)
    name = desk.store("db", server.user("warehouse", url="stale") | {"engine": "redshift"})
    for _ in range(2):
        done = desk.run("rotate", name, "--strategy", "single-user", "--statements", file)
        assert done.status == 0, done.err
        value = desk.value(name)
        place = f"{value['host']}:{value['port']}"
        assert (
            value["url"] == f"postgres://warehouse:{quote(value['password'], safe='-._~')}@{place}/warehouse"
        )
        assert server.logs_in("warehouse", value["password"])
    desk.pend(name, password="another-1-Password")
    done = desk.run("rotate", name, "--strategy", "single-user", "--statements", file)
    assert done.status == 1 and '"url" does not match' in done.err, done.err


def test_two_users_take_turns_by_statements(
    desk: Desk, server: Callable[[str], Server], tmp_path: Path
) -> None:
    server = server("postgres-16")
    server.run("CREATE ROLE readers")
    file = described(example("targets-by-statements.md", "turns.toml"), tmp_path)
    master = desk.store("master", server.admin())
    name = desk.store("db", server.user("stating", masterarn=master))
    server.run("GRANT readers TO stating")
    users = []
    for _ in range(3):
        done = desk.run("rotate", name, "--strategy", "alternating-users", "--statements", file)
        assert done.status == 0, done.err
        value = desk.value(name)
        assert server.logs_in(value["username"], value["password"])
        users.append(value["username"])
    assert users == ["stating_clone", "stating", "stating_clone"]
    # A privilege of the user in use that the other cannot get is named, and nothing changes.
    server.run("CREATE ROLE writers; GRANT writers TO stating_clone")
    done = desk.run("rotate", name, "--strategy", "alternating-users", "--statements", file)
    assert done.status == 1 and "membership of writers" in done.err, done.err
    assert desk.value(name) == value
    stranger = desk.store("other", server.user("strange", masterarn=master))
    server.user("strange_clone")
    done = desk.run("rotate", stranger, "--strategy", "alternating-users", "--statements", file)
    assert done.status == 1 and "not created for this secret" in done.err, done.err


def test_a_password_is_never_sent_to_a_log(
    desk: Desk, server: Callable[[str], Server], tmp_path: Path
) -> None:
    server = server("mariadb")
    text = 'protocol = "mysql"\napply = ["SET PASSWORD = PASSWORD({password:literal})"]\n'
    file = described(text, tmp_path)
    name = desk.store("db", server.user("clear_text"))
    server.run("SET GLOBAL general_log = ON")
    try:
        done = desk.run("rotate", name, "--strategy", "single-user", "--statements", file)
        assert done.status == 1 and "SUPER" in done.err, done.err
        assert server.logs_in("clear_text", FIRST)
        server.run("GRANT SUPER ON *.* TO clear_text@'%'")
        done = desk.run("rotate", name, "--strategy", "single-user", "--statements", file)
        assert done.status == 0, done.err
    finally:
        server.run("SET GLOBAL general_log = OFF")


def test_a_mistake_in_a_file_is_named_with_its_line(desk: Desk, tmp_path: Path) -> None:
    acme, turns = (
        example("targets-by-http.md", "acme.toml"),
        example("targets-by-statements.md", "turns.toml"),
    )
    for text, why in [
        (acme.replace("limit_status", "limit_staus"), "line 10: unknown field `limit_staus`"),
        (acme.replace('key_id = "/data/id", ', ""), "new key's id"),
        (acme.replace('{ bearer = "{key}" }', '{ bearer = "{token}" }'), "no section [token]"),
        (acme.replace("?limit=2", "?page={page}"), "next = { page = 1 }"),
        (turns.replace("{mark:literal}", "{mork:identifier"), "without a }"),
        (turns.replace(":scram}", ":scramm}"), "whose type may be"),
        (turns.replace("missing", "lacking"), "lacking"),
        (turns.replace("alternating-users", "api-key"), "has a strategy"),
        ("not TOML", "line 1"),
    ]:
        done = desk.run("rotate", "--check", described(text, tmp_path))
        assert done.status == 2 and why in done.err, (why, done.err)


def test_the_local_endpoint_runs_a_file_as_a_function(
    server: Callable[[str], Server], acme: Acme, tmp_path: Path
) -> None:
    server = server("postgres-16")
    keys = Path(described(example("targets-by-http.md", "acme.toml"), tmp_path, acme=acme.place))
    keys = keys.rename(tmp_path / "keys.toml")
    text = example("targets-by-statements.md", "warehouse.toml").replace(":redshift}", ":scram}")
    warehouse = described(text, tmp_path)
    functions = ["--function", f"rotate-warehouse={warehouse}", "--function", f"rotate-keys={keys}"]
    with Endpoint("debug", "--db-plaintext", *functions) as endpoint:
        client = endpoint.client()
        for name, function, value in [
            ("db", "rotate-warehouse", server.user("functional") | {"engine": "redshift"}),
            ("key", "rotate-keys", {"key_id": "key-0", "key": "sk-by-hand-0000"}),
        ]:
            client.create_secret(Name=name, SecretString=json.dumps(value))
            arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function}"
            started = client.rotate_secret(SecretId=name, RotationLambdaARN=arn, RotationRules=RULES)
            deadline = time.monotonic() + 60
            while client.get_secret_value(SecretId=name)["VersionId"] != started["VersionId"]:
                assert time.monotonic() < deadline, client.describe_secret(SecretId=name)
                time.sleep(0.1)
        value = json.loads(client.get_secret_value(SecretId="db")["SecretString"])
        assert server.logs_in("functional", value["password"])
        value = json.loads(client.get_secret_value(SecretId="key")["SecretString"])
        assert value["key"] in {secret for _, secret in acme.keys.values()}
        unknown = "arn:aws:lambda:us-east-1:123456789012:function:another"
        with pytest.raises(client.exceptions.ClientError):
            client.rotate_secret(SecretId="db", RotationLambdaARN=unknown, RotationRules=RULES)


RULES = {"AutomaticallyAfterDays": 30}
