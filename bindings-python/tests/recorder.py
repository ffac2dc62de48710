"""A loopback server that plays every AWS service a client can get credentials from, and records who signed."""

from __future__ import annotations

import datetime
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

SECRET = "worthless-secret-key"
LATER = "2099-01-01T00:00:00Z"
VERSION = "11111111-1111-4111-8111-111111111111"
ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db-AbCdEf"

Signature = tuple[str, str, str, str]
"""Access key id, session token, Region, and the path of the endpoint."""


class Recorder:
    """Runs the server inside a `with` block; keeps requests to Secrets Manager, their signatures, and proxied hosts."""

    def __init__(self) -> None:
        self.signatures: list[Signature] = []
        self.proxied: list[str] = []
        self.sessions: list[str] = []
        self.session_seconds: float | None = None
        self.requests: list[tuple[str, dict[str, object]]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if target := self.headers.get("X-Amz-Target"):
                    recorder.signatures.append(signature(self))
                    recorder.requests.append((target.partition(".")[2], json.loads(body)))
                    return self.answer(secret(target.partition(".")[2]))
                form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                caller, _, _, path = signature(self)
                recorder.sessions.append(form["RoleArn"])
                if form["RoleArn"].endswith("/refused"):
                    return self.answer(REFUSED, "text/xml", 403)
                self.answer(assumed(form, caller, path, recorder.session_end()), "text/xml")

            def do_CONNECT(self) -> None:
                recorder.proxied.append(self.path)
                self.answer({}, status=502)

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if path == "/federation/credentials":
                    who = f"SSO-{self.headers.get('x-amz-sso_bearer_token')}"
                    keys = {"accessKeyId": who, "secretAccessKey": SECRET, "sessionToken": "sso-token"}
                    return self.answer({"roleCredentials": {**keys, "expiration": 4_000_000_000_000}})
                if path == "/container":
                    return self.answer(keys_for(f"CONTAINER-{self.headers.get('Authorization')}"))
                if path.endswith("/iam/security-credentials/"):
                    return self.answer("machine-role", "text/plain")
                if path.endswith("/iam/security-credentials/machine-role"):
                    return self.answer({"Code": "Success", **keys_for("MACHINE")})
                self.answer({}, status=404)

            def do_PUT(self) -> None:
                self.answer("metadata-token", "text/plain")

            def answer(self, content: object, kind: str = "application/json", status: int = 200) -> None:
                body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def session_end(self) -> str:
        """Return when a session that begins now ends."""
        if self.session_seconds is None:
            return LATER
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.session_seconds)
        return end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def signature(request: BaseHTTPRequestHandler) -> Signature:
    """Return who signed a request, and where it went."""
    found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", request.headers.get("Authorization", ""))
    token = request.headers.get("X-Amz-Security-Token", "")
    path = urlsplit(request.path).path.rstrip("/")
    return (found[1], token, found[2], path) if found else ("nobody", token, "", path)


def secret(operation: str) -> dict[str, object]:
    """Answer as Secrets Manager."""
    if operation == "DescribeSecret":
        return {"ARN": ARN, "Name": "db", "VersionIdsToStages": {VERSION: ["AWSCURRENT"]}}
    value = {"ARN": ARN, "Name": "db", "VersionId": VERSION, "SecretString": "value"}
    return {**value, "VersionStages": ["AWSCURRENT"]}


def keys_for(name: str) -> dict[str, str]:
    """Answer as the metadata service of a container or an instance."""
    return {"AccessKeyId": name, "SecretAccessKey": SECRET, "Token": f"{name}-token", "Expiration": LATER}


REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User: test is not authorized to perform: sts:AssumeRole</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""


def assumed(form: dict[str, str], caller: str, path: str, end: str) -> str:
    """Answer as STS. The key id encodes the role, who assumed it, how, and where."""
    how = form.get("ExternalId") or form.get("WebIdentityToken") or "plain"
    how += f"-{form['DurationSeconds']}" if "DurationSeconds" in form else ""
    how += path.replace("/", "-")
    name = f"{form['RoleArn'].rpartition('/')[2]}-BY-{caller}-{how}"
    action = form["Action"]
    return f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
<AssumedRoleUser><Arn>{form["RoleArn"]}/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>{end}</Expiration></Credentials>
</{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"""
