"""Programs whose tests replace parts of botocore: the cache notices, and the page about testing is correct."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import aws_secretsmanager_caching as dropin
import secretcache
from secretcache import SecretCache

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

    class Tracing:  # like wrapt's proxies, it reports the original's attributes
        __module__ = original.__module__

        def __call__(self, *args: Any) -> Any:
            return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", Tracing())
        assert not _is_replaced("botocore.client", "BaseClient._make_api_call")


def test_p8_the_page_about_testing_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "testing.md").read_text()
    # One of the page's examples starts an endpoint.
    monkeypatch.setenv("SECRETCACHE_BIN", str(root / "target" / "debug" / "secretcache"))
    names: dict[str, Any] = {}
    for snippet in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        if "SECRETCACHE_TRANSPORT" not in snippet:
            exec(snippet, names)
    assert names["cache"].get_secret_string("api_key") == "test-key"
    for module, path in secretcache._transport._PATCHED:
        assert f"{module}.{path}" in page or path in page
