"""The Lambda Invoke API for a function that a test defines."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = re.compile(r"/2015-03-31/functions/([^/?]+)/invocations(\?Qualifier=[^&]+)?")


class LambdaEndpoint:
    """Calls `function(event)` for every function name, and records the events."""

    def __init__(self, function: Callable[[dict], object]) -> None:
        self.function = function
        self.invocations: list[dict] = []
        self.names: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                match = PATH.fullmatch(self.path)
                assert match, self.path
                assert self.headers["X-Amz-Invocation-Type"] == "RequestResponse"
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.names.append(match.group(1))
                outer.invocations.append(event)
                try:
                    answer, failed = outer.function(event), False
                except Exception as error:
                    answer, failed = {"errorType": type(error).__name__, "errorMessage": str(error)}, True
                body = json.dumps(answer).encode()
                self.send_response(200)
                if failed:
                    self.send_header("X-Amz-Function-Error", "Unhandled")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                """Log nothing."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    pass  # some tests kill the endpoint

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def steps(self) -> list[str]:
        """Return the steps of the recorded events."""
        return [event["Step"] for event in self.invocations]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
