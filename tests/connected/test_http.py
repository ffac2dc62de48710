"""Programs that send an API key survive its rotation."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import requests

from secretcache import AsyncSecretCache, SecretCache
from secretcache.integrations.httpx import ApiKeyAuth as HttpxAuth
from secretcache.integrations.requests import ApiKeyAuth as RequestsAuth


class Api(ThreadingHTTPServer):
    """Accepts one API key, and counts the requests with another one."""

    key = ""
    refused = 0
    refusal = 401

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/orders"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/moved":
            self.send_response(307)
            self.send_header("Location", self.server.url)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        is_right = self.headers.get("Authorization") == f"Bearer {self.server.key}"
        self.server.refused += not is_right
        self.send_response(200 if is_right else self.server.refusal)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("auth", [RequestsAuth, HttpxAuth])
def test_where_a_request_goes_is_not_taken_from_the_secret(auth: Any) -> None:
    with pytest.raises(TypeError, match="URL says where it goes"):
        auth(SecretCache(region_name="us-east-1"), "never read", endpoint_from_secret=True)


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.shutdown()
    api.server_close()


def _with_requests(secret: str, url: str, **options: Any) -> Any:
    session = requests.Session()
    session.auth = RequestsAuth(SecretCache(), secret, **options)
    return lambda: session.post(url, data=b"order")


def _with_httpx(secret: str, url: str, **options: Any) -> Any:
    session = httpx.Client(auth=HttpxAuth(SecretCache(), secret, **options))
    return lambda: session.post(url, content=b"order")


def _with_async_httpx(secret: str, url: str, **options: Any) -> Any:
    loop = asyncio.new_event_loop()
    session = httpx.AsyncClient(auth=HttpxAuth(AsyncSecretCache(), secret, **options))
    return lambda: loop.run_until_complete(session.post(url, content=b"order"))


@pytest.mark.parametrize("make", [_with_requests, _with_httpx, _with_async_httpx])
def test_a_key_that_is_replaced_costs_one_refusal(api: Api, client: Any, make: Any) -> None:
    secret = f"key/{make.__name__}"
    client.create_secret(Name=secret, SecretString="first")
    api.key = "first"
    post = make(secret, api.url)
    assert post().status_code == 200
    api.key = "second"
    client.put_secret_value(SecretId=secret, SecretString="second")
    answers = [post() for _ in range(5)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"order")] * 5
    assert api.refused == 1


def test_a_key_that_is_refused_only_where_a_redirect_leads_is_replaced_there(api: Api, client: Any) -> None:
    client.create_secret(Name="moved", SecretString="first")
    api.key = "first"
    post = _with_requests("moved", api.url.replace("/orders", "/moved"))
    assert post().status_code == 200
    api.key = "second"
    client.put_secret_value(SecretId="moved", SecretString="second")
    assert [(post().status_code, api.refused) for _ in range(2)] == [(200, 1)] * 2


def test_a_prepared_request_can_be_sent_again_after_its_key_was_replaced(api: Api, client: Any) -> None:
    client.create_secret(Name="prepared", SecretString="first")
    api.key = "first"
    session = requests.Session()
    session.auth = RequestsAuth(SecretCache(), "prepared")
    order = session.prepare_request(requests.Request("POST", api.url, data=b"order"))
    assert session.send(order).status_code == 200
    api.key = "second"
    client.put_secret_value(SecretId="prepared", SecretString="second")
    assert session.send(order).status_code == 200
    assert api.refused == 1
    api.key = "third"
    assert session.send(order).status_code == 401
    time.sleep(1)  # the service is asked for the secret at most once a second
    client.put_secret_value(SecretId="prepared", SecretString="third")
    assert session.send(order).status_code == 200


@pytest.mark.parametrize("make", [_with_requests, _with_httpx, _with_async_httpx])
def test_what_refuses_a_key_can_be_decided_by_the_program(api: Api, client: Any, make: Any) -> None:
    secret = f"forbidden/{make.__name__}"
    client.create_secret(Name=secret, SecretString="first")
    api.key, api.refusal = "first", 403
    post = make(secret, api.url, rejected=lambda response: response.status_code == 403)
    assert post().status_code == 200
    api.key = "second"
    client.put_secret_value(SecretId=secret, SecretString="second")
    assert [post().status_code for _ in range(3)] == [200, 200, 200]
    assert api.refused == 1


@pytest.mark.parametrize("make", [_with_requests, _with_httpx, _with_async_httpx])
def test_only_the_stages_asked_for_are_sent(api: Api, client: Any, make: Any) -> None:
    secret = f"stages/{make.__name__}"
    client.create_secret(Name=secret, SecretString="first")
    client.put_secret_value(SecretId=secret, SecretString="second", VersionStages=["AWSPENDING"])
    api.key = "second"
    assert make(secret, api.url, stages=["AWSCURRENT"], login_timeout=0.3)().status_code == 401
    assert make(secret, api.url)().status_code == 200


@pytest.mark.parametrize("make", [_with_requests, _with_httpx, _with_async_httpx])
def test_n6_a_key_that_is_wrong_gives_the_answer_at_once_and_costs_no_more_requests(
    api: Api, client: Any, make: Any
) -> None:
    secret = f"wrong/{make.__name__}"
    client.create_secret(Name=secret, SecretString="first")
    client.put_secret_value(SecretId=secret, SecretString="second")
    post = make(secret, api.url)
    begun = time.monotonic()
    assert post().status_code == 401
    assert api.refused == 2, "the current version and the previous one"
    assert [post().status_code for _ in range(5)] == [401] * 5
    assert time.monotonic() - begun < 4, "nobody waits for a key that works"
    # In a second, the two versions can have rested, and are then sent once more.
    assert 7 <= api.refused <= 11


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_body_that_cannot_be_sent_twice_is_sent_once(api: Api, client: Any, is_async: bool) -> None:
    secret = f"stream/{is_async}"
    client.create_secret(Name=secret, SecretString="first")
    client.put_secret_value(SecretId=secret, SecretString="second", VersionStages=["AWSPENDING"])
    api.key = "second"
    headers = {"Content-Length": "5"}

    async def body() -> AsyncIterator[bytes]:
        yield b"order"

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(auth=HttpxAuth(AsyncSecretCache(), secret)) as session:
            return await session.post(api.url, content=body(), headers=headers)

    if is_async:
        answer = asyncio.run(post())
    else:
        with httpx.Client(auth=HttpxAuth(SecretCache(), secret)) as session:
            answer = session.post(api.url, content=iter([b"order"]), headers=headers)
    assert (answer.status_code, answer.content, api.refused) == (401, b"order", 1)


class _Redirecting(BaseHTTPRequestHandler):
    """Redirects to `server.target` if there is one; otherwise refuses, and notes the keys it gets."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server: Any = self.server
        server.keys.append(self.headers.get("Authorization") or self.headers.get("X-Key"))
        self.send_response(307 if server.target else 401)
        if server.target:
            self.send_header("Location", server.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[list[Any]]:
    """Two servers; the first redirects to the second, which refuses every key."""
    servers: list[Any] = [ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting) for _ in range(2)]
    for server in servers:
        server.keys, server.target = [], None
        server.url = f"http://127.0.0.1:{server.server_address[1]}/orders"
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].target = servers[1].url
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "options", [{}, {"header": "X-Key", "scheme": None}], ids=["authorization", "own header"]
)
def test_no_key_goes_where_a_redirect_leads(elsewhere: list[Any], client: Any, options: Any) -> None:
    service, stranger = elsewhere
    secret = f"key/redirect-{len(options)}"
    client.create_secret(Name=secret, SecretString="first")
    client.put_secret_value(SecretId=secret, SecretString="second")
    post = _with_requests(secret, service.url, **options)
    assert [post().status_code for _ in range(3)] == [401] * 3
    assert stranger.keys == [None] * 3
    expected = "second" if options else "Bearer second"
    assert service.keys == [expected] * 3, "nor does the stranger's answer mark the key as refused"
