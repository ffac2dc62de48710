"""`secretcache local`, a Secrets Manager endpoint for tests, as a pytest fixture or a context manager.

If secretcache is installed, pytest finds the fixture without an import::

    def test_the_service_starts(secretcache_local):
        client = boto3.client("secretsmanager")  # the environment names endpoint, region and credentials
        client.create_secret(Name="prod/db", SecretString="one")
        secretcache_local.fault("throttle", operations=["GetSecretValue"], times=2)
        ...

One process serves a whole session. Each test starts with it empty, or with the seed in `secretcache_local_options`::

    @pytest.fixture(scope="session")
    def secretcache_local_options():
        return ["--seed", "tests/secrets.toml", "--db-plaintext"]

The command `secretcache` must be on the `PATH`, or the variable `SECRETCACHE_BIN` must be set to its path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

try:
    import pytest
except ImportError:  # the endpoint works without pytest
    if not TYPE_CHECKING:
        pytest = None

__all__ = ["LocalEndpoint", "LocalEndpointError"]


class LocalEndpointError(Exception):
    """`secretcache local` did not start, or refused a request. The message says why."""


class LocalEndpoint:
    """A running `secretcache local --control`, with its control requests as methods.

    It listens on a free port of the loopback address until `close`, the end of a `with` block or the end of this
    process. `options` are passed to the command, such as `["--seed", "secrets.toml"]`.

    Inside a `with` block, environment variables direct AWS SDKs to it. Otherwise, set those in `environment` yourself,
    or clients call AWS.
    """

    url: str
    """The endpoint URL for clients."""

    def __init__(self, options: Sequence[str] = (), *, command: str | None = None) -> None:
        command = command or os.environ.get("SECRETCACHE_BIN") or shutil.which("secretcache")
        if command is None:
            raise LocalEndpointError(
                "the command secretcache was not found: install it, or set SECRETCACHE_BIN to its path"
            )
        try:
            self._process = subprocess.Popen(
                [command, "local", "--port", "0", "--control", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except OSError as error:
            raise LocalEndpointError(
                f"{command} cannot be started ({error.strerror}): install the command secretcache, "
                "or set SECRETCACHE_BIN to its path"
            ) from None
        self._outside: dict[str, str | None] = {}
        self._region = _value_of("--region", options) or "us-east-1"
        self._certificate = _value_of("--tls-cert", options)
        assert self._process.stdout is not None
        first = self._process.stdout.readline().strip()
        if "listening on" not in first:
            rest = self._process.communicate()[0]
            raise LocalEndpointError(f"{command} local did not start: {first} {rest}".strip())
        self.url = first.rsplit(" ", 1)[1]
        self._output: deque[str] = deque([first], maxlen=1000)
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line.rstrip("\n"))

    def __enter__(self) -> LocalEndpoint:
        inside = {**dict.fromkeys(_UNSET), **self.environment}
        self._outside = {name: os.environ.get(name) for name in inside}
        _set(inside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set(self._outside)
        self.close()

    def __repr__(self) -> str:
        return f"<LocalEndpoint {self.url}>"

    def close(self) -> None:
        """Stop the process. Closing twice is fine."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that direct AWS SDKs and the `aws` command to it, with made-up credentials.

        `NO_PROXY` keeps requests to it from going through a proxy. With `--tls-cert`, `AWS_CA_BUNDLE` is that file: the
        certificate must be self-signed, or the file must also contain the certificates of its authorities.
        """
        found = {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
        }
        host = urllib.parse.urlsplit(self.url).hostname or ""
        direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        if direct != "*" and host not in direct.split(","):
            direct = f"{direct},{host}" if direct else host
        found |= {"NO_PROXY": direct, "no_proxy": direct}
        if self._certificate is not None:
            found["AWS_CA_BUNDLE"] = self._certificate
        return found

    @property
    def output(self) -> list[str]:
        """The last thousand lines that it printed; `--verbose` adds one line per request."""
        return list(self._output)

    def reset(self) -> None:
        """Restore the initial state: the seed's secrets, no faults, counts or events, and the real time."""
        self._control("POST", "reset", {})

    def fault(self, effect: object = None, **rule: object) -> int:
        """Add a fault and return the number that `clear_faults` takes.

        `effect` is `"throttle"`, `"deny"`, `"reset"`, `"hang"`, `"malformed"`, `{"error": {"type": …}}` or
        `{"stale": {"seconds": …}}`; `rule` may have `operations`, `secret_id`, `after`, `times`, `delay_ms` and
        `applied`.
        """
        body = rule if effect is None else {**rule, "effect": effect}
        number: int = self._control("POST", "faults", body)["id"]
        return number

    def clear_faults(self, number: int | None = None) -> None:
        """Remove one fault, or all."""
        self._control("DELETE", "faults" if number is None else f"faults/{number}")

    def advance(self, seconds: float) -> None:
        """Move its clock forwards."""
        self._control("POST", "clock", {"advance_seconds": seconds})

    def freeze(self, at: float | None = None) -> None:
        """Stop its clock, now or at a given time (seconds since the epoch). `advance` still moves it."""
        self._control("POST", "clock", {"freeze": True} | ({} if at is None else {"at": at}))

    def unfreeze(self) -> None:
        """Start its clock again."""
        self._control("POST", "clock", {"freeze": False})

    def now(self) -> float:
        """Return the time of its clock, in seconds since the epoch."""
        now: float = self._control("GET", "clock")["now"]
        return now

    def next_rotation(self, secret_id: str, timeout: float = 60) -> dict[str, Any]:
        """Move its clock to the secret's next rotation, wait for that to end, and return its final event.

        The event's `event` is `RotationSucceeded`, `RotationFailed` or `RotationAbandoned`.
        """
        body = {"secret_id": secret_id, "timeout_seconds": timeout}
        event: dict[str, Any] = self._control("POST", "next_rotation", body, timeout + 5)
        return event

    def events(self) -> list[dict[str, Any]]:
        """Return the rotation events, oldest first."""
        events: list[dict[str, Any]] = self._control("GET", "events")["events"]
        return events

    def secrets(self) -> list[dict[str, Any]]:
        """Return every secret with its versions and labels, without the values."""
        secrets: list[dict[str, Any]] = self._control("GET", "secrets")["secrets"]
        return secrets

    def calls(self) -> dict[str, dict[str, int]]:
        """Return how often each operation was called, by outcome."""
        calls: dict[str, dict[str, int]] = self._control("GET", "calls")
        return calls

    def _control(
        self, method: str, path: str, body: dict[str, Any] | None = None, timeout: float = 10
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_control/{path}", data, headers, method=method)
        # Never through a proxy: it is on this machine.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self._certificate is not None:
            # Trusts exactly this certificate, whatever its issuer and its host name.
            import ssl

            trust = ssl.create_default_context(cafile=self._certificate)
            trust.check_hostname = False
            trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            handlers.append(urllib.request.HTTPSHandler(context=trust))
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=timeout) as answer:
                parsed: dict[str, Any] = json.load(answer)
                return parsed
        except urllib.error.HTTPError as error:
            with error:
                reason = json.load(error).get("error", error.reason)
            raise LocalEndpointError(str(reason)) from None


_UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
"""Variables that would direct AWS SDKs elsewhere."""


def _set(variables: Mapping[str, str | None]) -> None:
    """Set environment variables, and unset those that are `None`."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _value_of(option: str, options: Sequence[str]) -> str | None:
    """Return the value of a command-line option, in either form: `--region X` or `--region=X`."""
    for at, given in enumerate(options):
        if given.startswith(option + "="):
            return given.removeprefix(option + "=")
        if given == option:
            return next(iter(options[at + 1 :]), None)
    return None


if pytest is not None:

    @pytest.fixture(scope="session")
    def secretcache_local_options() -> list[str]:
        """Options of `secretcache local`; override this fixture to pass some."""
        return []

    @pytest.fixture(scope="session")
    def secretcache_local_session(secretcache_local_options: list[str]) -> Iterator[LocalEndpoint]:
        """The process behind `secretcache_local`, in the state that earlier tests left it in."""
        endpoint = LocalEndpoint(secretcache_local_options)
        try:
            yield endpoint
        finally:
            endpoint.close()

    @pytest.fixture
    def secretcache_local(
        secretcache_local_session: LocalEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> LocalEndpoint:
        """A Secrets Manager endpoint in its initial state; environment variables direct AWS SDKs to it."""
        secretcache_local_session.reset()
        for name, value in secretcache_local_session.environment.items():
            monkeypatch.setenv(name, value)
        for name in _UNSET:
            monkeypatch.delenv(name, raising=False)
        return secretcache_local_session
