"""Lambda's Runtime API for one function: the HTTP protocol by which its process gets events and answers them.

As https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html describes it.
"""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

PREFIX = "/2018-06-01/runtime"
PATIENCE = 60.0
"""How long a process may take to answer, or to die, in seconds: machines that run tests are busy."""


class FunctionError(Exception):
    """The function answered with an error."""

    def __init__(self, error: Mapping[str, str]) -> None:
        super().__init__(f"{error['errorType']}: {error['errorMessage']}")
        self.kind = error["errorType"]
        self.message = error["errorMessage"]


class Function:
    """A process that serves a function, started as Lambda starts it and stopped at the end of the `with` block."""

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        name: str = "rotator",
        root: Path | None = None,
    ) -> None:
        self.arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        self._events: queue.Queue[tuple[str, bytes, float] | None] = queue.Queue()
        self._answers: queue.Queue[tuple[str, str, bytes]] = queue.Queue()
        self._server = _serve(self)
        host, port = self._server.server_address[:2]
        self._log = tempfile.NamedTemporaryFile("a")  # noqa: SIM115
        own = {
            "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_REGION": "us-east-1",
        } | ({"LAMBDA_TASK_ROOT": str(root)} if root else {})
        # Nothing of the tests' own environment: no variable of the developer's must decide.
        self.process = subprocess.Popen(
            list(map(str, command)), env=own | dict(environment), stdout=self._log, stderr=self._log
        )

    def invoke(self, event: Any, seconds: float = 30.0) -> Any:
        """Have the function handle an event within so many seconds; bytes are sent as they are."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        request = str(uuid.uuid4())
        self._events.put((request, body, time.time() + seconds))
        kind, answered, answer = self._answer()
        assert answered == request, "an answer to another event"
        if kind != "response":
            raise FunctionError(json.loads(answer))
        return json.loads(answer)

    def log(self) -> str:
        """Everything the process has written."""
        return Path(self._log.name).read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The log line by line; each is a JSON object, or this fails."""
        return [json.loads(line) for line in self.log().splitlines()]

    def __enter__(self) -> Function:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    def _answer(self) -> tuple[str, str, bytes]:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._answers.get(timeout=0.2)
            except queue.Empty:
                status = self.process.poll()
                if status is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the function gave no answer ({status}): {self.log()}") from None


def _serve(function: Function) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            event = function._events.get()
            if event is None:
                self.close_connection = True
                return
            assert self.path == f"{PREFIX}/invocation/next"
            request, body, deadline = event
            self._reply(
                200,
                body,
                {
                    "Lambda-Runtime-Aws-Request-Id": request,
                    "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": function.arn,
                    "Content-Type": "application/json",
                },
            )

        def do_POST(self) -> None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
            *_, request, kind = self.path.split("/")
            self._reply(202, b'{"status":"OK"}')
            function._answers.put((kind, request, body))

        def _reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] = {}) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="runtime-api", daemon=True).start()
    return server
