"""What the two decorators promise. Runs against AWS's library as well."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import threading
from typing import Any

import pytest

from aws_secretsmanager_caching import InjectKeywordedSecretString, InjectSecretString, SecretCache
from support import DESCRIBE, GET, Service

CREDENTIALS = {"username": "app", "port": 5432, "tags": ["a"], "none": None}


class Strings:
    """A stand-in for the cache."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.threads: list[threading.Thread] = []

    def get_secret_string(self, secret_id: str) -> Any:
        assert secret_id == "db"
        self.threads.append(threading.current_thread())
        return self.value


PLAIN = InjectSecretString("db", Strings("s3"))
FIELDS = InjectKeywordedSecretString("db", Strings(json.dumps(CREDENTIALS)), user="username", port="port")


def test_attributes() -> None:
    cache = Strings("s3")
    plain = InjectSecretString(secret_id="db", cache=cache)
    keyworded = InjectKeywordedSecretString(secret_id="db", cache=cache, user="username")
    assert (plain.secret_id, plain.cache) == (keyworded.secret_id, keyworded.cache) == ("db", cache)
    assert keyworded.kwarg_map == {"user": "username"}


@pytest.mark.parametrize("decorate", [PLAIN, FIELDS])
def test_the_function_keeps_its_name_and_text(decorate: Any) -> None:
    def connect(*args: Any, **kwargs: Any) -> None:
        """Open it."""

    decorated = decorate(connect)
    assert inspect.isfunction(decorated)
    assert (decorated.__name__, decorated.__doc__, decorated.__wrapped__) == ("connect", "Open it.", connect)


def test_the_secret_comes_first() -> None:
    @PLAIN
    def use(secret: str, *args: int, **kwargs: int) -> Any:
        return secret, args, kwargs

    assert use() == ("s3", (), {})
    assert use(1, 2, three=3) == ("s3", (1, 2), {"three": 3})


def test_the_secret_comes_after_self() -> None:
    class Client:
        @PLAIN
        def use(self, secret: str, path: str) -> Any:
            return self, secret, path

    class Special(Client):
        def use(self, path: str) -> Any:  # type: ignore[override]
            return super().use(path)

    client, special = Client(), Special()
    assert client.use("/x") == (client, "s3", "/x")
    assert special.use("/x") == (special, "s3", "/x")


def test_static_methods() -> None:
    class Client:
        @staticmethod
        @PLAIN
        def use(secret: str, path: str) -> Any:
            return secret, path

    assert Client.use("/x") == Client().use("/x") == ("s3", "/x")


def test_a_binary_secret_is_passed_as_none() -> None:
    assert InjectSecretString("db", Strings(None))(lambda secret: [secret])() == [None]


def test_fields_come_as_keyword_arguments_and_keep_their_types() -> None:
    cache = Strings(json.dumps(CREDENTIALS))

    @InjectKeywordedSecretString("db", cache, u="username", p="port", t="tags", n="none")
    def connect(host: str, u: Any, p: Any, t: Any, n: Any, timeout: int = 1) -> Any:
        return host, u, p, t, n, timeout

    assert connect("h", timeout=2) == ("h", "app", 5432, ["a"], None, 2)


def test_fields_reach_methods() -> None:
    class Client:
        @FIELDS
        def connect(self, host: str, user: str, port: int) -> Any:
            return self, host, user, port

    client = Client()
    assert client.connect("h") == (client, "h", "app", 5432)


@pytest.mark.parametrize("secret", ["not json", '{"a": 1', ""])
def test_what_is_not_json(secret: str) -> None:
    with pytest.raises(RuntimeError, match="^Cached secret is not valid JSON$"):
        InjectKeywordedSecretString("db", Strings(secret), user="username")(lambda user: user)()


def test_a_missing_field() -> None:
    with pytest.raises(RuntimeError, match="^Cached secret does not contain key nope$"):
        InjectKeywordedSecretString("db", Strings("{}"), user="nope")(lambda user: user)()


def test_the_secret_is_read_on_every_call(service: Service) -> None:
    service.put("json", "v1", '{"n": 1}')
    cache = SecretCache(client=service)
    use = InjectSecretString("json", cache)(lambda secret: secret)
    field = InjectKeywordedSecretString("json", cache, n="n")(lambda n: n)
    assert service.calls == []
    assert (use(), field()) == ('{"n": 1}', 1)
    service.put("json", "v2", '{"n": 2}')
    cache.refresh_secret_now("json")
    assert (use(), field()) == ('{"n": 2}', 2)
    assert service.names() == [DESCRIBE, GET, DESCRIBE, GET]


@pytest.mark.ours_only(
    "P20: distinguished from methods by name alone, `upper(text)` takes its argument for self"
)
def test_a_function_named_like_a_method_of_its_argument() -> None:
    @PLAIN
    def upper(secret: str, name: str) -> Any:
        return secret, name

    assert upper("bob") == ("s3", "bob")


@pytest.mark.ours_only("P20: private and class methods get the secret in place of self and cls")
def test_private_methods_and_class_methods() -> None:
    class Client:
        @PLAIN
        def __use(self, secret: str, path: str) -> Any:
            return self, secret, path

        def use(self, path: str) -> Any:
            return self.__use(path)

        @classmethod
        @PLAIN
        def make(cls, secret: str) -> Any:
            return cls, secret

        @PLAIN
        @classmethod
        def build(cls, secret: str) -> Any:
            return cls, secret

    client = Client()
    assert client.use("/x") == (client, "s3", "/x")
    assert Client.make() == client.make() == Client.build() == client.build() == (Client, "s3")


@pytest.mark.ours_only("P20: a static method's argument is taken for self when it is of the same class")
def test_a_static_method_given_an_instance_of_its_class() -> None:
    class Node:
        @staticmethod
        @PLAIN
        def label(secret: str, node: Any) -> Any:
            return secret, node

    node = Node()
    assert Node.label(node) == node.label(node) == ("s3", node)


def test_methods_beneath_further_decorators() -> None:
    def logged(func: Any) -> Any:
        @functools.wraps(func)
        def call(*args: Any) -> Any:
            return func(*args)

        return call

    class Client:
        @logged
        @PLAIN
        def use(self, secret: str, path: str) -> Any:
            return self, secret, path

    client = Client()
    assert client.use("/x") == (client, "s3", "/x")


@pytest.mark.ours_only("P21: a binary secret and a JSON list end in TypeErrors from inside")
@pytest.mark.parametrize("secret", [None, "[1, 2]", '"text"', "3"])
def test_what_is_no_json_object(secret: str | None) -> None:
    with pytest.raises(RuntimeError, match="^Cached secret "):
        InjectKeywordedSecretString("db", Strings(secret), user="username")(lambda user: user)()


@pytest.mark.ours_only("P21: an argument that is injected cannot be given by the caller")
def test_the_caller_may_give_an_injected_argument() -> None:
    assert FIELDS(lambda user, port: (user, port))(user="other") == ("other", 5432)


@pytest.mark.ours_only("P21: arguments cannot be named secret_id or cache")
def test_arguments_may_have_any_name() -> None:
    strings = Strings(json.dumps(CREDENTIALS))
    decorate = InjectKeywordedSecretString("db", strings, cache="port", secret_id="username")
    assert decorate(lambda cache, secret_id: (cache, secret_id))() == (5432, "app")


@pytest.mark.ours_only("P21: a coroutine function stops being one, and its loop waits for the service")
def test_coroutine_functions() -> None:
    cache = Strings(json.dumps(CREDENTIALS))

    @InjectSecretString("db", cache)
    async def whole(secret: str) -> Any:
        return json.loads(secret)

    @InjectKeywordedSecretString("db", cache, user="username")
    async def field(user: str) -> Any:
        return user

    assert inspect.iscoroutinefunction(whole)
    assert inspect.iscoroutinefunction(field)
    assert (asyncio.run(whole()), asyncio.run(field())) == (CREDENTIALS, "app")
    assert threading.main_thread() not in cache.threads


@pytest.mark.ours_only("the JSON error, kept as context, carries the whole text of the secret")
def test_errors_do_not_carry_the_secret() -> None:
    with pytest.raises(RuntimeError) as caught:
        InjectKeywordedSecretString("db", Strings("canary, not json"), user="username")(lambda user: user)()
    assert caught.value.__context__ is None
