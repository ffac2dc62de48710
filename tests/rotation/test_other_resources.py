"""`secretcache rotate` for other resources than known databases: keys of IAM users, and custom statements."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from conftest import FIRST
from moto_endpoint import moto_endpoint
from relay import Relay

STATEMENTS = """
protocol = "postgres"
apply = ["ALTER ROLE {username:identifier} PASSWORD {password:scram}"]
probe = ["SELECT 1"]
"""


@pytest.fixture
def iam() -> Iterator[str]:
    """Run moto as IAM and STS, and yield its address."""
    with moto_endpoint() as url:
        yield url


def test_the_key_of_an_iam_user_is_followed_by_another(desk, iam):
    client = boto3.client(
        "iam", endpoint_url=iam, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_user(UserName="app")
    first = client.create_access_key(UserName="app")["AccessKey"]
    name = desk.store("key", {field: first[field] for field in ("AccessKeyId", "SecretAccessKey")})
    endpoints = {"AWS_ENDPOINT_URL_IAM": iam, "AWS_ENDPOINT_URL_STS": iam}
    held = [first["AccessKeyId"]]
    for _ in range(2):
        done = desk.run("rotate", name, "--strategy", "api-key", "--provider", "iam", **endpoints)
        assert done.status == 0, done.err
        held.append(desk.value(name)["AccessKeyId"])
    keys = {key["AccessKeyId"] for key in client.list_access_keys(UserName="app")["AccessKeyMetadata"]}
    assert len(set(held)) == 3 and keys == set(held[1:]), "the current and the previous key remain"


class Front(Relay):
    """A relay in front of moto, either as a proxy or as the service itself over TLS. Records the host of each
    request."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.asked: list[str] = []

    def answer(self, headers, body: bytes) -> tuple[int, bytes]:
        """Forward a request."""
        self.asked.append(headers["Host"])
        return self.passed_on(headers, body)


def key_of_a_user(desk, iam: str) -> str:
    """Create a secret with the key of an IAM user."""
    client = boto3.client(
        "iam", endpoint_url=iam, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_user(UserName="app")
    first = client.create_access_key(UserName="app")["AccessKey"]
    return desk.store("key", {field: first[field] for field in ("AccessKeyId", "SecretAccessKey")})


def test_iam_is_reached_through_the_proxy_of_the_environment(desk, iam):
    name = key_of_a_user(desk, iam)
    # Only the proxy can resolve these names.
    endpoints = {f"AWS_ENDPOINT_URL_{name}": f"http://{name.lower()}.invalid" for name in ("IAM", "STS")}
    with Front(iam) as proxy:
        environment = endpoints | {"HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
        done = desk.run("rotate", name, "--strategy", "api-key", "--provider", "iam", **environment)
        assert done.status == 0, done.err
        assert {"iam.invalid", "sts.invalid"} == set(proxy.asked)


def test_iam_is_trusted_by_the_bundle_of_the_environment(desk, iam, tmp_path):
    name = key_of_a_user(desk, iam)
    with Front(iam) as front:
        bundle = front.speak_tls(tmp_path)
        url = front.url.replace("http", "https")
        endpoints = {"AWS_ENDPOINT_URL_IAM": url, "AWS_ENDPOINT_URL_STS": url}
        command = ("rotate", name, "--strategy", "api-key", "--provider", "iam")
        refused = desk.run(*command, **endpoints)
        assert refused.status == 3 and "is unreachable" in refused.err, refused.err
        assert front.asked == []
        done = desk.run(*command, AWS_CA_BUNDLE=str(bundle), **endpoints)
        assert done.status == 0, done.err
        assert front.asked


def test_statements_of_ones_own_rotate_a_resource_without_a_known_engine(desk, server, tmp_path):
    server = server("postgres-16")
    name = desk.store("db", server.user("stated") | {"engine": "something else"})
    file = tmp_path / "statements.toml"
    file.write_text(STATEMENTS)
    done = desk.run("rotate", name, "--strategy", "single-user", "--statements", str(file))
    assert done.status == 0, done.err
    assert server.logs_in("stated", desk.value(name)["password"]) and not server.logs_in("stated", FIRST)


def test_a_statement_whose_parameter_would_not_be_quoted_is_refused(desk, server, tmp_path):
    server = server("postgres-16")
    name = desk.store("db", server.user("unquoted"))
    file = tmp_path / "statements.toml"
    file.write_text('protocol = "postgres"\napply = ["ALTER ROLE x PASSWORD \'{password:literal}\'"]\n')
    done = desk.run("rotate", name, "--strategy", "single-user", "--statements", str(file))
    assert done.status in (1, 2) and "statement" in done.err, done.err
    assert server.logs_in("unquoted", FIRST)
