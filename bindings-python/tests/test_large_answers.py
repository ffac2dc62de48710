"""Responses of any size: those larger than any secret needs are refused before they fill the memory."""

from __future__ import annotations

import json
import resource
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aws_secretsmanager_caching import SecretCache as DropIn
from aws_secretsmanager_caching import SecretCacheConfig
from aws_secretsmanager_caching.cache import SecretCacheHook
from recorder import ARN, VERSION
from secretcache import SecretCache, errors
from support import Service

MEGABYTE = 1 << 20
HUGE = 400 * MEGABYTE
LARGEST_SECRET = 65_536


class Server:
    """Answers each request to Secrets Manager as the test specifies: with JSON, or with many bytes."""

    def __init__(self) -> None:
        self.answer: Callable[[str], object] = lambda _: {}
        self.many: tuple[int, bool] | None = None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                if server.many:
                    self.send_many(*server.many)
                else:
                    body = json.dumps(server.answer(self.headers["X-Amz-Target"].partition(".")[2])).encode()
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def send_many(self, size: int, is_chunked: bool) -> None:
                headers = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": str(size)}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                piece = b'"' + b"x" * (MEGABYTE - 2) + b'"'
                try:
                    for _ in range(size // MEGABYTE):
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


def secret(name: str, value: str) -> dict[str, object]:
    """Answer as GetSecretValue, or as an entry of a batch."""
    return {
        "ARN": ARN.replace("db", name),
        "Name": name,
        "VersionId": VERSION,
        "SecretString": value,
        "VersionStages": ["AWSCURRENT"],
    }


@pytest.mark.parametrize("is_chunked", [False, True])
def test_s5_an_answer_larger_than_any_secret_is_invalid_and_the_last_known_value_stays(
    server: Server, is_chunked: bool
) -> None:
    with SecretCache() as cache:
        server.answer = lambda _: secret("db", "value")
        assert cache.get_secret_string("db") == "value"
        server.many = (HUGE, is_chunked)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(errors.InvalidResponseError, match="larger than 1048576 bytes"):
            cache.get_secret_string("another")
        assert not cache.refresh_secret_now("db")
        assert cache.get_secret_string("db") == "value"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize("letter", ["x", "\x01", "\u20ac"])
def test_s5_the_largest_secret_is_read_however_it_is_escaped(server: Server, letter: str) -> None:
    value = letter * (LARGEST_SECRET // len(letter.encode()))
    server.answer = lambda _: secret("db", value)
    with SecretCache() as cache:
        assert cache.get_secret_string("db") == value


def test_s5_a_batch_of_twenty_of_the_largest_is_read(server: Server) -> None:
    names = [f"s{number}" for number in range(20)]
    value = "x" * LARGEST_SECRET
    server.answer = lambda operation: {"SecretValues": [secret(name, value) for name in names], "Errors": []}
    with SecretCache() as cache:
        cache.prefetch(names)
        server.answer = lambda operation: pytest.fail("asked again")
        assert {cache.get_secret_string(name) for name in names} == {value}


@pytest.mark.parametrize("value", ["x" * (MEGABYTE + 1), b"x" * (MEGABYTE + 1)])
def test_s5_a_client_of_the_programs_own_is_believed_no_larger_an_answer(
    service: Service, value: str | bytes
) -> None:
    service.put("db", "v1", "value")
    with SecretCache(client=service) as cache:
        assert cache.get_secret_string("db") == "value"
        service.put("db", "v2", value)
        service.put("another", "v1", value)
        with pytest.raises(errors.InvalidResponseError, match="1048577 bytes, more than any secret can have"):
            cache.get_secret_value("another")
        assert not cache.refresh_secret_now("db")
        assert cache.get_secret_string("db") == "value"
        service.put("db", "v3", "x" * MEGABYTE)
        assert cache.refresh_secret_now("db")


def test_s5_a_hook_never_sees_such_an_answer(service: Service) -> None:
    class Hook(SecretCacheHook):
        seen = 0

        def put(self, obj: object) -> object:
            self.seen = max(self.seen, len(str(obj)))
            return obj

        def get(self, cached_obj: object) -> object:
            return cached_obj

    hook = Hook()
    service.put("db", "v1", "x" * (MEGABYTE + 1))
    cache = DropIn(config=SecretCacheConfig(secret_cache_hook=hook), client=service)
    with pytest.raises(errors.InvalidResponseError, match="1048577 bytes, more than any secret can have"):
        cache.get_secret_string("db")
    assert hook.seen < MEGABYTE
