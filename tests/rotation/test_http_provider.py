"""API keys of an HTTP service, described in a file: commands rotate, inspect, recover and revoke them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from loopback import Handler, Server

DESCRIPTION = """
prefix = "checkout-"
[create]
method = "POST"
url = "URL/v1/keys"
headers = { authorization = "Bearer {key}" }
body = '{"name": "{tag}"}'
limit_status = 409
fields = { key_id = "/data/id", key = "/data/secret" }
[list]
url = "URL/v1/keys"
headers = { authorization = "Bearer {key}" }
items = "/data"
id = "/id"
name = "/name"
[test]
url = "URL/v1/me"
headers = { authorization = "Bearer {key}" }
[revoke]
method = "DELETE"
url = "URL/v1/keys/{id}"
headers = { authorization = "Bearer {key}" }
"""


class Keys:
    """A service that issues keys to one account: at most eight, shown only once, with names that the client chooses."""

    def __init__(self) -> None:
        self.keys = {"key-0": ("by hand", "sk-by-hand-0000"), "key-1": ("somebody else's", "sk-others-0000")}
        self.made = 1
        self.refused = 0
        service = self

        class Api(Handler):
            def do_GET(self) -> None:
                if self._is_let_in():
                    items = [{"id": key, "name": name} for key, (name, _) in service.keys.items()]
                    self._answer(200, {"data": items} if self.path == "/v1/keys" else {})

            def do_POST(self) -> None:
                body = json.loads(self.body())
                if not self._is_let_in():
                    return
                if len(service.keys) >= 8:
                    self._answer(409, {})
                    return
                service.made += 1
                key, secret = f"key-{service.made}", f"sk-canary-{service.made:04}"
                service.keys[key] = (body["name"], secret)
                self._answer(201, {"data": {"id": key, "secret": secret}})

            def do_DELETE(self) -> None:
                if self._is_let_in():
                    gone = service.keys.pop(self.path.rsplit("/", 1)[1], None)
                    self._answer(204 if gone else 404, {})

            def _is_let_in(self) -> bool:
                bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if service.accepts(bearer):
                    return True
                service.refused += 1
                self._answer(401, {"error": f"no such key: {bearer}"})
                return False

            def _answer(self, status: int, body: object) -> None:
                self.reply(status, b"" if status == 204 else json.dumps(body).encode())

        self.server = Server(Api)

    def accepts(self, secret: str) -> bool:
        """Check whether a key works."""
        return secret in {value for _, value in self.keys.values()}


@pytest.fixture
def keys() -> Iterator[Keys]:
    """Start the service."""
    keys = Keys()
    yield keys
    keys.server.close()


@pytest.fixture
def provider(keys, tmp_path) -> list[str]:
    """Return the options that select the service."""
    file = tmp_path / "provider.toml"
    file.write_text(DESCRIPTION.replace("URL", f"http://{keys.server.place}"))
    return ["--strategy", "api-key", "--provider", str(file)]


@pytest.fixture
def name(desk) -> str:
    """Create a secret with the key that was created manually."""
    return desk.store("key", {"service": "billing", "key_id": "key-0", "key": "sk-by-hand-0000"})


def test_keys_overlap_from_one_rotation_to_the_next(desk, keys, provider, name):
    held = ["sk-by-hand-0000"]
    for _ in range(3):
        done = desk.run("rotate", name, *provider, "--json")
        assert done.status == 0, done.err
        value = desk.value(name)
        assert value["service"] == "billing" and keys.accepts(value["key"]) and keys.accepts(held[-1])
        held.append(value["key"])
    assert len(set(held)) == 4
    # The manually created key was in the secret, so it was revoked like the later ones. Others' keys are left alone.
    names = {key: name for key, (name, _) in keys.keys.items()}
    assert set(names) == {"key-1", "key-3", "key-4"}
    assert names["key-4"] == "checkout-" + desk.labels(name)["AWSCURRENT"]
    assert keys.refused == 0, "nothing was tried that could not work"


def test_a_dry_run_makes_no_key(desk, keys, provider, name):
    done = desk.run("rotate", name, *provider, "--dry-run", "--json")
    assert done.status == 0, done.err + done.out
    assert set(keys.keys) == {"key-0", "key-1"}


def test_status_reports_which_key_works(desk, keys, provider, name):
    assert desk.run("rotate", name, *provider).status == 0
    done = desk.run("status", name, *provider, "--json")
    assert done.status == 0 and done.json["Verdict"]["Health"] == "Good", done.out
    logins = {version["Stages"][0]: version["Login"] for version in done.json["Versions"]}
    assert logins == {"AWSCURRENT": "Accepted", "AWSPREVIOUS": "Accepted"}
    del keys.keys[desk.value(name)["key_id"]]
    broken = desk.run("status", name, *provider, "--json")
    assert broken.status == 4 and broken.json["Verdict"]["Health"] == "Broken", broken.out
    assert "recover" in broken.json["Verdict"]["Remedy"]


def test_after_a_leak_the_former_key_is_revoked_and_seen_refused(desk, keys, provider, name):
    for _ in range(2):
        assert desk.run("rotate", name, *provider).status == 0
    former = desk.value(name, "AWSPREVIOUS")
    done = desk.run("revoke-previous", name, *provider, "--json")
    assert done.status == 0, done.err
    assert done.json["IsRefused"] and done.json["Result"] == "KeyRevoked"
    assert former["key_id"] not in keys.keys and keys.accepts(desk.value(name)["key"])
    assert "key-1" in keys.keys
    again = desk.run("revoke-previous", name, *provider, "--json")
    assert again.status == 0 and again.json["Result"] == "Before", again.err
    assert desk.run("rotate", name, *provider).status == 0, "and rotations go on"


def test_a_key_that_ended_is_recovered_from(desk, keys, provider, name):
    for _ in range(2):
        assert desk.run("rotate", name, *provider).status == 0
    good = desk.labels(name)["AWSPREVIOUS"]
    # Someone deletes the current key on the service.
    del keys.keys[desk.value(name)["key_id"]]
    look = desk.run("recover", name, *provider, "--dry-run", "--json")
    assert look.status == 4, look.err + look.out
    assert desk.labels(name)["AWSPREVIOUS"] == good
    done = desk.run("recover", name, *provider, "--json")
    assert done.status == 0, done.err
    assert desk.labels(name)["AWSCURRENT"] == good and keys.accepts(desk.value(name)["key"])
    assert desk.run("status", name, *provider).status in (0, 4)
    assert desk.run("rotate", name, *provider).status == 0, "and rotations go on"
    assert keys.accepts(desk.value(name)["key"])


def test_a_rotation_cut_off_leaves_no_key_behind(desk, keys, provider, name):
    for operation in ("PutSecretValue", "UpdateSecretVersionStage"):
        with desk.trouble(name, operation):
            assert desk.run("rotate", name, *provider).status in (1, 3)
        status = desk.run("status", name, *provider)
        assert status.status in (0, 3), status.out
        assert desk.run("rotate", name, *provider).status == 0
        named = [name for name, _ in keys.keys.values() if name.startswith("checkout-")]
        labels = desk.labels(name)
        assert set(named) <= {f"checkout-{version}" for version in labels.values()}, (named, labels)


def test_a_service_that_allows_no_further_key_is_reported(desk, keys, provider, name):
    keys.keys |= {f"other-{number}": ("not ours", f"sk-not-ours-{number}") for number in range(6)}
    done = desk.run("rotate", name, *provider)
    assert done.status == 1 and "no further key" in done.err, done.err
    assert len(keys.keys) == 8 and "AWSPENDING" not in desk.labels(name)


def test_what_the_service_says_of_a_key_is_not_repeated(desk, keys, provider):
    name = desk.store("key", {"key_id": "key-9", "key": "sk-canary-unknown"})
    done = desk.run("rotate", name, *provider)
    # Every command's output is checked for keys.
    assert done.status == 1 and "refuse" in done.err, done.err
