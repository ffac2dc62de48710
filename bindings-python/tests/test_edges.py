"""Where other people's programs, loggers, test tools and images touch the packages."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
import os
import pickle
import re
import resource
import shutil
import subprocess
import sys
import threading
import traceback
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from pprint import pformat
from typing import Any

import boto3
import pytest

import aws_secretsmanager_caching as dropin
import secretcache
from endpoint import Endpoint
from secretcache import AsyncSecretCache, Credential, LoginRejectedError, SecretCache, errors
from support import Service, eventually
from trouble import SCRIPTS

CANARY = "canary-8e21"
PACKAGES = Path(secretcache.__file__).parents[1]


class Refused(Exception):
    """What a driver raises; its frames hold the password, as drivers' frames do."""

    sqlstate = "28P01"


def refusing(credential: Credential) -> None:
    """Log in as drivers do: with the password in variables."""
    settings = {"user": credential.username, "password": credential.password}
    raise Refused(f"no {len(settings)}")


@pytest.fixture
def service() -> Iterator[Service]:
    """Provide a client object with secrets that hold a canary."""
    service = Service()
    service.put(
        "db", "v1", f'{{"username": "app", "password": "{CANARY}", "port": 5432, "tags": ["{CANARY}"]}}'
    )
    service.put("broken", "v1", f'{{"password": "{CANARY}"')
    service.put("list", "v1", f'["{CANARY}"]')
    yield service
    service.release()


def with_locals(error: BaseException) -> str:
    """Render an error as rich, Sentry and ``pytest --showlocals`` do; frames of this file are the program's own."""
    rendered = traceback.TracebackException.from_exception(error, capture_locals=True)
    todo, parts = [rendered], []
    while todo:
        each = todo.pop()
        parts += list(each.format_exception_only())
        parts += [str(frame.locals) for frame in each.stack if frame.filename != __file__]
        todo += [other for other in (each.__cause__, each.__context__) if other is not None]
    return " ".join(parts)


def raised(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


@dataclasses.dataclass
class Holder:
    """A program's own object."""

    thing: Any


FAILURES: dict[str, Callable[[SecretCache], Any]] = {
    "a login refused": lambda cache: cache.connect("db", refusing, timeout=0.1),
    "a login that fails otherwise": lambda cache: cache.connect(
        "db", lambda it: refusing(it), rejected=lambda e: False
    ),
    "a value that is no JSON": lambda cache: cache.get_secret_json("broken"),
    "a field of no JSON": lambda cache: cache.get_secret_field("broken", "password"),
    "a field that is not there": lambda cache: cache.get_secret_field("db", "missing"),
    "no object": lambda cache: cache.get_secret_field("list", "password"),
    "a login with no object": lambda cache: cache.connect("list", refusing),
    "a secret that is not there": lambda cache: cache.get_secret_string("missing"),
}


def test_s4_no_traceback_of_a_constructor_shows_a_credential() -> None:
    given = {"aws_access_key_id": "key", "aws_secret_access_key": CANARY}
    wrong: list[dict[str, Any]] = [
        {"refresh_interval": "often"},
        {"max_size": 0},
        {"ttl": 5},
    ]
    for each in wrong:
        error = raised(lambda each=each: SecretCache(**given, **each))  # type: ignore[misc]
        assert CANARY not in with_locals(error)


@pytest.mark.parametrize("what", FAILURES)
def test_s4_no_traceback_with_locals_shows_a_value(service: Service, what: str) -> None:
    with SecretCache(client=service) as cache:
        error = raised(lambda: FAILURES[what](cache))
        assert CANARY not in with_locals(error)


def test_s4_no_traceback_of_a_decorated_function_shows_a_value(service: Service) -> None:
    cache = dropin.SecretCache(client=service)

    def failing(secret: str, *, user: str = "") -> None:
        raise LookupError

    async def failing_too(secret: str) -> None:
        raise LookupError

    whole = secretcache.InjectSecretString("db", cache)
    part = secretcache.InjectKeywordedSecretString("db", cache, secret="password")
    lacking = secretcache.InjectKeywordedSecretString("db", cache, secret="password", user="nobody")
    calls = [whole(failing), part(failing), lacking(failing), lambda: asyncio.run(whole(failing_too)())]
    for call in calls:
        error = raised(call)  # type: ignore[arg-type]
        assert CANARY not in with_locals(error)


def test_s4_no_object_that_a_program_may_log_shows_a_value(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"aws_access_key_id": "key", "aws_secret_access_key": CANARY, "aws_session_token": CANARY}
    own = SecretCache(region_name="us-east-1", proxy_url=f"http://me:{CANARY}@127.0.0.1:1", **given)
    botocores = SecretCache(session=boto3.Session(), region_name="us-east-1", **given)
    asynchronous = AsyncSecretCache(region_name="us-east-1", **given)
    cache = SecretCache(client=service)
    seen: list[Any] = []
    cache.on_error(seen.append)
    cache.on_new_version(seen.append)
    cache.get_secret_field("db", "password")
    service.put("db", "v2", f'{{"username": "app", "password": "{CANARY}-2"}}')
    cache.refresh_secret_now("db")
    raised(lambda: cache.get_secret_string("missing"))
    refused = raised(lambda: cache.connect("db", refusing, timeout=0.1))
    things = [own, botocores, asynchronous, cache, *seen, refused, errors, secretcache]
    things += [cache.get_secret_value("db"), cache.credential("db"), cache.watch("db"), cache.stats()]
    things += [cache._driver, asynchronous._driver, botocores._driver]
    logger = logging.getLogger("a program's")
    for each in things:
        logger.warning("%s %r %s", each, each, pformat(each))
        logger.warning("%r %r", Holder(each), dataclasses.asdict(Holder(None)) | {"thing": each})
        logger.warning(f"{each} {[each]} {getattr(each, '__dict__', '')}")
    try:
        raise refused
    except LoginRejectedError:
        logger.exception("with its traceback")
    assert seen and len(caplog.records) > 30
    assert CANARY not in caplog.text


def test_s4_a_password_that_would_not_be_used_is_refused(service: Service) -> None:
    from secretcache.integrations.dbapi import Connector

    with pytest.raises(TypeError, match="password: user name and password come from the secret"):
        Connector(lambda **_: None, SecretCache(client=service), "db", password="another")


class Malformed(BaseHTTPRequestHandler):
    """Answers with something that is no JSON."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"{not json")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def malformed() -> Iterator[str]:
    """Provide the URL of an endpoint that answers malformed bodies."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Malformed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


EXITS = [("native", "log", 30), ("native", "listener", 10), ("native", "daemon", 10)]
EXITS += [("boto3", "listener", 2), ("boto3", "daemon", 4)]
"""How often: `SECRETCACHE_EXITS=200` for longer."""


@pytest.mark.parametrize(("transport", "what", "times"), EXITS)
def test_p3_a_program_ends_with_its_own_status(malformed: str, transport: str, what: str, times: int) -> None:
    times = int(os.environ.get("SECRETCACHE_EXITS", times))
    path = os.pathsep.join(each for each in sys.path if each)
    command = [sys.executable, str(SCRIPTS / "exits.py"), transport, what, malformed]

    def status(_: int) -> int:
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, timeout=60, check=False
        )
        return done.returncode

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(status, range(times))) == {3}


def test_p4_gevent_workers_forked_after_a_read_get_their_own_answers(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRETCACHE_TRANSPORT")
    names = [f"gevent/{number}" for number in range(8)]
    client = boto3.client("secretsmanager")
    for name in names:
        client.create_secret(Name=name, SecretString=f"value of {name}")
    log = tmp_path / "log"
    command = ["-m", "gunicorn", "--preload", "-k", "gevent", "--workers=2", "--bind=127.0.0.1:0"]
    path = os.pathsep.join([str(SCRIPTS), *(each for each in sys.path if each)])
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, *command, "--no-control-socket", "preloaded_gevent:app"],
            env={**os.environ, "PYTHONPATH": path},
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: "Listening at" in log.read_text() or server.poll() is not None, True, 30)
        address = re.search(r"Listening at: (\S+)", log.read_text())
        assert address, log.read_text()[-2000:]

        def read(name: str) -> tuple[str, str]:
            return name, urllib.request.urlopen(f"{address[1]}/{name}", timeout=30).read().decode()

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(read, names * 10))
        assert [(name, value) for name, value in answers if value != f"value of {name}"] == []
    finally:
        server.terminate()
        server.wait(20)


def test_p4_a_client_of_the_caches_own_is_made_anew_in_a_child(endpoint: Endpoint) -> None:
    cache = SecretCache(session=boto3.Session())
    before = cache._driver._reach.get()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"another" if cache._driver._reach.get() is not before else b"the same")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 20) == b"another"
    assert cache._driver._reach.get() is before


@pytest.mark.parametrize("transport", ["native", "client"])
def test_p5_ids_built_for_each_call_leave_nothing_behind(
    endpoint: Endpoint, service: Service, transport: str
) -> None:
    boto3.client("secretsmanager").create_secret(Name=f"api{uuid.uuid4()}", SecretString="one")
    service.put("api", "v1", '{"key": "one"}')
    if transport == "native":
        boto3.client("secretsmanager").create_secret(Name="api", SecretString='{"key": "one"}')
    cache = SecretCache() if transport == "native" else SecretCache(client=service)
    parts = ["a", "pi"]

    def read(times: int) -> None:
        for _ in range(times):
            cache.get_secret_string("".join(parts))
            cache.get_secret_field("".join(parts), "key")

    read(20_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read(200_000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 1000, f"{grown} KiB more"


def failures() -> dict[str, BaseException]:
    """Make an error of each kind, as programs meet them."""
    fault = ("ResourceNotFoundException", "no such secret", "GetSecretValue", 400, "request-1")
    made: dict[str, BaseException] = {
        kind: errors.from_core(kind, f"it is {kind}", None) for kind in errors._CLASSES
    }
    made["of the service"] = errors.from_core("secret_not_found", "", fault)
    refused = LoginRejectedError("every version was refused")
    refused.tried = [("AWSCURRENT", "v1")]
    made["login"] = refused
    return made


def raise_it(name: str) -> None:
    raise failures()[name]


@pytest.mark.parametrize("name", failures())
def test_p6_errors_are_pickled_and_copied_as_what_they_are(name: str) -> None:
    error = failures()[name]
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


def test_p6_errors_come_out_of_another_process_as_what_they_are() -> None:
    with ProcessPoolExecutor(1) as pool:
        error = pool.submit(raise_it, "of the service").exception(30)
        assert isinstance(error, errors.SecretNotFoundError)
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        assert isinstance(pool.submit(raise_it, "login").exception(30), LoginRejectedError)


def run_python(code: str, path: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_p7_an_image_without_sources_raises_no_alarm(tmp_path: Path) -> None:
    for name in ("secretcache", "aws_secretsmanager_caching"):
        shutil.copytree(PACKAGES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-b", tmp_path], check=True)
    for source in tmp_path.rglob("*.py"):
        source.unlink()
    code = "import secretcache, aws_secretsmanager_caching; secretcache.AsyncSecretCache"
    done = run_python(code, tmp_path, "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")


def test_p7_a_zip_file_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for name in ("secretcache", "aws_secretsmanager_caching"):
        shutil.copytree(PACKAGES / name, tmp_path / "tree" / name)
    archive = shutil.make_archive(str(tmp_path / "app"), "zip", tmp_path / "tree")
    done = run_python("import secretcache", archive)
    assert "ImportError: secretcache cannot be imported from a zip file" in done.stderr


PATCHES = {
    "an API call": "botocore.client.BaseClient._make_api_call",
    "the session": "botocore.session.get_session",
    "boto3.client": "boto3.client",
}


@pytest.mark.parametrize("what", PATCHES)
@pytest.mark.parametrize("face", [dropin.SecretCache, SecretCache])
def test_p8_what_tests_replace_in_botocore_is_noticed(
    monkeypatch: pytest.MonkeyPatch, what: str, face: type[Any]
) -> None:
    from unittest import mock

    monkeypatch.delenv("SECRETCACHE_TRANSPORT")
    described = {"VersionIdsToStages": {"v1": ["AWSCURRENT"]}}
    value = {"SecretString": "from the test"}
    client = mock.Mock(spec=["describe_secret", "get_secret_value"])
    client.describe_secret.return_value, client.get_secret_value.return_value = described, value
    session = mock.Mock(spec=["create_client"])
    session.create_client.return_value = client

    def call(self: Any, operation: str, arguments: Any) -> Any:
        return described if operation == "DescribeSecret" else value

    replacement = {
        "an API call": call,
        "the session": lambda: session,
        "boto3.client": lambda *_, **__: client,
    }
    with mock.patch(PATCHES[what], replacement[what]), monkeypatch.context() as patch:
        patch.setitem(sys.modules, "moto.core.models", None)
        del sys.modules["moto.core.models"]
        assert face().get_secret_string("db") == "from the test"


def test_p8_what_traces_calls_is_no_replacement() -> None:
    from botocore.client import BaseClient

    from secretcache._transport import _is_replaced

    assert not _is_replaced("botocore.client", "BaseClient._make_api_call")
    original = BaseClient._make_api_call

    class Tracing:  # as wrapt makes them: it says of itself what the original says
        __module__ = original.__module__

        def __call__(self, *args: Any) -> Any:
            return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", Tracing())
        assert not _is_replaced("botocore.client", "BaseClient._make_api_call")


def test_p9_a_client_is_there_for_those_who_look() -> None:
    cache = dropin.SecretCache()
    assert "secretcache/" in cache._client.meta.config.user_agent
    assert cache._client is cache._client


def test_p9_the_next_refresh_time_stands_still(service: Service) -> None:
    cache = dropin.SecretCache(client=service)
    secret = cache._get_cached_secret("db")
    assert secret._next_refresh_time == secret._next_refresh_time
    cache.get_secret_string("db")
    assert secret._next_refresh_time == cache._get_cached_secret("db")._next_refresh_time


MIGRATION: dict[str, tuple[Callable[[Any], Any], str]] = {
    "boto3's id": (lambda c: c.get_secret_string(SecretId="db"), "did you mean secret_id?"),
    "boto3's stage": (
        lambda c: c.get_secret_json("db", VersionStage="AWSCURRENT"),
        "did you mean version_stage?",
    ),
    "Powertools' force": (lambda c: c.get_secret_value("db", force_fetch=True), "did you mean max_age=0?"),
    "its spelling in JavaScript": (lambda c: c.get_secret_value("db", forceFetch=True), "max_age=0"),
    "JavaScript's age": (lambda c: c.get_secret_string("db", maxAge=5), "did you mean max_age?"),
    "Powertools' transform": (
        lambda c: c.get_secret_string("db", transform="json"),
        "get_secret_json() for JSON",
    ),
    "Powertools' batch": (lambda c: c.get_secrets_by_name(["db"]), "did you mean get_secrets?"),
    "Powertools' provider": (lambda c: c.get("db"), "did you mean get_secret_string?"),
    "JavaScript's names": (lambda c: c.getSecretString("db"), "did you mean get_secret_string?"),
    "a slip": (lambda c: c.get_secret_strings("db"), "did you mean get_secret_string?"),
    "the drop-in's option": (lambda c: type(c)(secret_refresh_interval=5), "did you mean refresh_interval?"),
    "a ttl": (lambda c: type(c)(ttl=5), "did you mean refresh_interval?"),
    "a field's keyword": (
        lambda c: c.get_secret_field("db", "x", VersionId="v1"),
        "did you mean version_id?",
    ),
    "a function": (lambda c: secretcache.get_secret("db"), "did you mean SecretCache().get_secret_string?"),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("what", MIGRATION)
def test_what_other_libraries_call_it_fails_with_the_name_of_what_to_write(
    service: Service, what: str
) -> None:
    call, expected = MIGRATION[what]
    assert expected in str(raised(lambda: call(SecretCache(client=service))))


def test_an_asynchronous_cache_says_the_same(service: Service) -> None:
    async def read() -> None:
        await AsyncSecretCache(client=service).get_secret_string(SecretId="db")  # type: ignore[call-arg]

    assert "did you mean secret_id?" in str(raised(lambda: asyncio.run(read())))
    assert asyncio.iscoroutinefunction(AsyncSecretCache.get_secret_string)


def test_several_secrets_come_in_one_call(endpoint: Endpoint) -> None:
    names = [f"batch/{uuid.uuid4()}" for _ in range(5)]
    client = boto3.client("secretsmanager")
    for name in names:
        client.create_secret(Name=name, SecretString=name.upper())
    endpoint.forget_requests()
    with SecretCache() as cache:
        assert cache.get_secrets(names) == {name: name.upper() for name in names}
        assert cache.stats()["api_calls"] == {"BatchGetSecretValue": 1}

    async def read() -> dict[str, str]:
        async with AsyncSecretCache() as cache:
            return await cache.get_secrets(names)

    assert asyncio.run(read()) == {name: name.upper() for name in names}


def test_a_session_and_a_config_make_the_client(endpoint: Endpoint) -> None:
    from botocore.config import Config
    from botocore.session import get_session

    name = f"session/{uuid.uuid4()}"
    boto3.client("secretsmanager").create_secret(Name=name, SecretString="one")
    for session in (boto3.Session(), get_session()):
        cache = SecretCache(session=session, config=Config(connect_timeout=3))
        assert cache.get_secret_string(name) == "one"
        assert cache._driver._reach.get().meta.config.connect_timeout == 3
    with pytest.raises(TypeError, match="cannot be combined with client"):
        SecretCache(client=cache._driver._reach.get(), session=boto3.Session())


def test_a_field_is_parsed_once_and_the_callers_own(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    cache = SecretCache(client=service)
    assert cache.get_secret_field("db", "password") == CANARY
    tags = cache.get_secret_field("db", "tags")
    tags.append("mine")
    monkeypatch.setattr(json, "loads", None)
    assert cache.get_secret_field("db", "tags") == [CANARY]
    assert (cache.get_secret_field("db", "port"), cache.get_secret_field("db", field="username")) == (
        5432,
        "app",
    )
    monkeypatch.undo()
    service.put("db", "v2", '{"password": "two"}')
    cache.refresh_secret_now("db")
    assert cache.get_secret_field("db", "password") == "two"
    with pytest.raises(errors.FieldNotFoundError):
        cache.get_secret_field("db", "port")


def test_p11_prefetching_works_after_the_main_thread_has_ended(endpoint: Endpoint) -> None:
    name = f"late/{uuid.uuid4()}"
    boto3.client("secretsmanager").create_secret(Name=name, SecretString="one")
    code = f"""
import asyncio, threading, time
from secretcache import AsyncSecretCache

async def work():
    async with AsyncSecretCache() as cache:
        print(await cache.prefetch([{name!r}]), (await cache.get_secret_string({name!r})))

def later():
    threading.main_thread().join()
    time.sleep(0.1)
    asyncio.run(work())

threading.Thread(target=later).start()
"""
    path = os.pathsep.join(each for each in sys.path if each)
    done = run_python(code, path)
    assert (done.stdout, done.returncode) == ("{} one\n", 0), done.stderr


def test_the_two_kinds_of_cache_are_siblings() -> None:
    assert not issubclass(AsyncSecretCache, SecretCache)
    assert not issubclass(dropin.SecretCache, SecretCache)


def test_p8_the_page_about_testing_is_true() -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    names: dict[str, Any] = {}
    for snippet in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        if "SECRETCACHE_TRANSPORT" not in snippet:
            exec(snippet, names)
    assert names["cache"].get_secret_string("api_key") == "test-key"
    for module, path in secretcache._transport._PATCHED:
        assert f"{module}.{path}" in page or path in page
