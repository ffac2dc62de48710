"""Lambda's Runtime API for one function: the HTTP protocol with which its process gets events and responds to them.

See https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
"""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from loopback import Handler, Server

PREFIX = "/2018-06-01/runtime"
PATIENCE = 60.0
"""Seconds that a process can take to respond or to exit; test machines are busy."""


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
        self._log = tempfile.NamedTemporaryFile("a")  # noqa: SIM115
        own = {
            "AWS_LAMBDA_RUNTIME_API": self._server.place,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_REGION": "us-east-1",
        } | ({"LAMBDA_TASK_ROOT": str(root)} if root else {})
        # Without the environment of the tests, so that no variable of the developer's has an effect.
        self.process = subprocess.Popen(
            list(map(str, command)), env=own | dict(environment), stdout=self._log, stderr=self._log
        )

    def invoke(self, event: Any, seconds: float = 30.0) -> Any:
        """Let the function handle an event within this many seconds; bytes are sent unchanged."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        request = str(uuid.uuid4())
        self._events.put((request, body, time.time() + seconds))
        kind, answered, answer = self._answer()
        assert answered == request, "an answer to another event"
        if kind != "response":
            raise FunctionError(json.loads(answer))
        return json.loads(answer)

    def log(self) -> str:
        """Return everything the process has written."""
        return Path(self._log.name).read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log, which must all be JSON objects."""
        return [json.loads(line) for line in self.log().splitlines()]

    def __enter__(self) -> Function:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._events.put(None)
        self._server.close()
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


def _serve(function: Function) -> Server:
    class RuntimeApi(Handler):
        def do_GET(self) -> None:
            event = function._events.get()
            if event is None:
                self.close_connection = True
                return
            assert self.path == f"{PREFIX}/invocation/next"
            request, body, deadline = event
            self.reply(
                200,
                body,
                Content_Type="application/json",
                Lambda_Runtime_Aws_Request_Id=request,
                Lambda_Runtime_Deadline_Ms=str(int(deadline * 1000)),
                Lambda_Runtime_Invoked_Function_Arn=function.arn,
            )

        def do_POST(self) -> None:
            body = self.body()
            *_, request, kind = self.path.split("/")
            self.reply(202, b'{"status":"OK"}')
            function._answers.put((kind, request, body))

    return Server(RuntimeApi)
