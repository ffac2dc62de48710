"""Requests of programs on this machine are answered, those of web pages from elsewhere are not."""

from __future__ import annotations

import http.client
import json
import urllib.parse

import pytest

AMAZON = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.ListSecrets"}


@pytest.fixture(scope="module")
def send():
    """Return a function that sends a request with exactly these headers and returns status and text."""
    from conftest import start

    endpoint = start("--control", "--accept-host", "secrets.test")
    address = urllib.parse.urlsplit(endpoint.url)

    def send(method: str, path: str, body: str = "", **headers: str):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = {"Host": f"127.0.0.1:{address.port}", "Content-Length": str(len(body))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    send.port = address.port
    yield send
    assert endpoint.stop() == 0


def test_s3_a_name_that_is_not_loopback_is_refused(send):
    for path in ("/", "/_control/calls", "/nowhere"):
        for host in ("attacker.example", f"attacker.example:{send.port}", "localhost.attacker.example"):
            status, text = send("POST", path, "{}", Host=host, **AMAZON)
            assert status == 403 and host in text and "--accept-host" in text
            assert "SecretList" not in text
    for host in ("localhost", f"localhost:{send.port}", "[::1]", "app.localhost", "secrets.test"):
        status, text = send("POST", "/", "{}", Host=host, **AMAZON)
        assert status == 200 and "SecretList" in text


def test_s3_a_page_of_another_origin_is_refused(send):
    for headers in (
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{send.port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ):
        status, text = send("POST", "/", "{}", **AMAZON, **headers)
        assert status == 403 and "another origin" in json.loads(text)["Message"]
    status, _ = send(
        "POST", "/", "{}", **AMAZON, Origin=f"http://127.0.0.1:{send.port}", Sec_Fetch_Site="same-origin"
    )
    assert status == 200


def test_s3_no_form_and_no_simple_request_reaches_the_control_path(send):
    fault = json.dumps({"effect": "throttle"})
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain;application/json",
    ):
        status, text = send("POST", "/_control/faults", fault, Content_Type=kind)
        assert status == 415 and "Content-Type: application/json" in text
    assert json.loads(send("GET", "/_control/faults")[1]) == {"faults": []}
    assert send("POST", "/_control/faults", fault, Content_Type="application/json; charset=utf-8")[0] == 200
    assert (
        send("POST", "/_control/faults", fault, Content_Type="text/plain", X_Secretcache_Control="1")[0]
        == 200
    )
    assert send("DELETE", "/_control/faults")[0] == 200


def test_l5_head_and_the_older_content_type_are_answered(send):
    assert send("HEAD", "/") == (200, "")
    older = {**AMAZON, "Content-Type": "application/x-amz-json-1.0"}
    assert send("POST", "/", "{}", **older)[0] == 200
