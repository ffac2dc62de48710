"""moto, the command line, and a relay between them that counts calls and can refuse some."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tools"), str(Path(__file__).parent)]
from accounts import REGION, Account, bad, good  # noqa: E402
from aws_server import aws_command  # noqa: E402
from moto_endpoint import moto_endpoint  # noqa: E402

COMMAND = ROOT / "target" / "debug" / "secretcache"


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_endpoint() as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Replace the `aws` command in printed fixes: starting the real one took half a minute of the tests."""
    folder = tmp_path_factory.mktemp("aws")
    with aws_command(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield


@pytest.fixture
def empty(moto: str) -> str:
    """Return the URL of moto after a reset."""
    urllib.request.urlopen(
        urllib.request.Request(f"{moto}/moto-api/reset", method="POST"), timeout=30
    ).close()
    return moto


@pytest.fixture
def good_account(empty: str) -> Account:
    return good(empty)


@pytest.fixture
def bad_account(empty: str) -> Account:
    return bad(empty)


@dataclass
class Ran:
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def environment(url: str) -> dict[str, str]:
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "PATH": f"{os.environ['PATH']}:{COMMAND.parent}",
        "AWS_PAGER": "",
    }


def secretcache(url: str, *arguments: str) -> Ran:
    """Run secretcache against an endpoint."""
    command = [str(COMMAND), *arguments]
    done = subprocess.run(
        command, env=environment(url), capture_output=True, text=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def audit(url: str, *arguments: str) -> dict[str, Any]:
    """Return the report on all secrets."""
    ran = secretcache(url, "audit", "--all", "--format", "json", *arguments)
    assert ran.status in (0, 4), ran.err
    return ran.json()


def shell(url: str, command: str) -> None:
    """Run a command as printed."""
    done = subprocess.run(
        ["bash", "-euc", command],
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def apart(finding: dict[str, Any]) -> str:
    """Return a key that differs if the fixes of two findings on the same resource are independent."""
    return finding["Check"] if finding["Check"].startswith(("alarm.", "network.dns", "usage.")) else ""


def fix(
    url: str,
    look: Callable[[str], dict[str, Any]],
    not_in_moto: Collection[str] = (),
    done: set[str] | None = None,
) -> list[dict[str, Any]]:
    """Run the command of each finding, as printed, until none is left; return the findings without a command.

    Each finding must be gone after its command. The checks of fixed findings are added to `done`.
    """
    key = lambda finding: (finding["Check"], finding["Secret"], finding["Resource"], finding["Seen"])  # noqa: E731
    for _ in range(20):
        every = look(url)["Findings"]
        findings = [it for it in every if it["Run"] and it["Check"] not in not_in_moto]
        # Two findings on one resource each print all of it without their own fault, so fix one at a time.
        todo = {(finding["Resource"], apart(finding)): finding for finding in reversed(findings)}.values()
        if not todo:
            return every
        with ThreadPoolExecutor(2) as pool:  # most of the time goes into starting the aws command
            list(pool.map(lambda finding: [shell(url, command) for command in finding["Run"]], todo))
        left = {key(finding) for finding in look(url)["Findings"]}
        stays = [finding for finding in todo if key(finding) in left]
        assert not stays, stays
        if done is not None:
            done |= {finding["Check"] for finding in todo}
    raise AssertionError("each round of fixes leads to new findings")


@dataclass
class Relay:
    url: str
    calls: Counter[str] = field(default_factory=Counter)
    refused: set[str] = field(default_factory=set)
    recorded: dict[str, list[str]] = field(default_factory=dict)
    """Responses to calls that moto lacks, in order."""
    secrets: str = ""
    """The URL of Secrets Manager, if it is not moto's."""
    bodies: list[tuple[str, str]] = field(default_factory=list)
    rewritten: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    """Changes to moto's responses, by call."""


def called(handler: BaseHTTPRequestHandler, body: bytes) -> str:
    """Return the action of a request, in any of the protocols."""
    if target := handler.headers.get("X-Amz-Target"):
        return target.rsplit(".", 1)[1]
    if action := urllib.parse.parse_qs(body.decode()).get("Action"):
        return action[0]
    return "GetPolicy" if handler.path.endswith("/policy") else "ListFunctions"


@pytest.fixture
def relay(moto: str) -> Iterator[Callable[..., Relay]]:
    """Return a function that starts an endpoint, which counts calls and refuses the named ones."""
    servers = []

    def make(*refused: str) -> Relay:
        made = Relay("", refused=set(refused))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name = called(self, body)
                made.calls[name] += 1
                made.bodies.append((name, body.decode()))
                if name in made.refused:
                    self.answer(
                        400,
                        {"Content-Type": "application/json"},
                        b'{"__type": "AccessDeniedException", "message": "no"}',
                    )
                    return
                if made.recorded.get(name):
                    body = made.recorded[name].pop(0).encode()
                    self.answer(200, {"Content-Type": "application/x-amz-json-1.1"}, body)
                    return
                headers = {
                    k: v
                    for k, v in self.headers.items()
                    if k.lower() not in ("host", "content-length", "connection")
                }
                method = self.command
                is_secret = self.headers.get("X-Amz-Target", "").startswith("secretsmanager.")
                request = urllib.request.Request(
                    (made.secrets if is_secret and made.secrets else moto) + self.path,
                    body if method == "POST" else None,
                    headers,
                    method=method,
                )
                rewrite = made.rewritten.get(name, bytes)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        self.answer(answer.status, dict(answer.headers), rewrite(answer.read()))
                except urllib.error.HTTPError as error:
                    self.answer(error.code, dict(error.headers), error.read())

            do_GET = do_POST

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in (
                        "content-length",
                        "transfer-encoding",
                        "connection",
                        "date",
                        "server",
                    ):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        return made

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()
