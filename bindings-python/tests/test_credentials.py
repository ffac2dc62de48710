"""Where credentials and Region come from: the native transport finds what botocore finds."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.credentials
import botocore.tokens
import pytest
from credential_sources import BASE, PROCESS, ROLE, SOURCES, SSO_ROLE, Source, environment_keys

from recorder import LATER, Recorder, Signature
from secretcache import SecretCache, errors
from support import eventually


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """Run the recording server for this file."""
    with Recorder() as recorder:
        yield recorder


@pytest.fixture
def home(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> Path:
    """Provide an empty home directory; every service's endpoint is the recording server."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / ".aws/config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / ".aws/credentials"))
    for cls in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):
        # botocore reads the home directory once, when it is imported.
        monkeypatch.setattr(cls, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))
    (tmp_path / ".aws").mkdir()
    recorder.signatures.clear()
    return tmp_path


def signed(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, transport: str, **options: Any) -> Signature:
    """Read through a transport, and return who signed the last request."""
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    with SecretCache(**options) as cache:
        assert cache.get_secret_string("db") == "value"
    return recorder.signatures[-1]


def set_up(source: Source, recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Write files, set variables, and return the options for the cache."""

    def filled_in(text: str) -> str:
        return text.replace("HOME/", f"{home}/").replace("URL/", f"{recorder.url}/")

    def value(text: str) -> str:
        return recorder.url if text == "URL" else filled_in(text)

    texts = {".aws/config": source.config, ".aws/credentials": source.credentials, **source.files}
    for path, text in texts.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(filled_in(text))
    for variable, text in source.environment.items():
        if text:
            monkeypatch.setenv(variable, value(text))
        else:
            monkeypatch.delenv(variable)
    return {
        name: value(option) if isinstance(option, str) else option for name, option in source.options.items()
    }


@pytest.mark.parametrize("name", SOURCES)
def test_p1_credentials_are_those_that_botocore_finds(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = SOURCES[name]
    options = set_up(source, recorder, home, monkeypatch)
    seen = {each: signed(recorder, monkeypatch, each, **options) for each in ("botocore", "native")}
    expected = (source.expected, source.token, source.region, source.path)
    assert seen["botocore"] == expected, "botocore itself does not do what the test expects"
    assert seen["native"] == seen["botocore"]


@pytest.mark.parametrize("transport", ["native", "botocore"])
def test_credentials_that_rotate_are_used_when_the_old_ones_run_out(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    def issue(name: str, expiration: str) -> None:
        content = {**PROCESS, "AccessKeyId": name, "Expiration": expiration}
        (home / "process.json").write_text(json.dumps(content))

    (home / ".aws/config").write_text(f"[default]\ncredential_process = cat {home}/process.json\n")
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    issue("FIRST", soon())
    with SecretCache() as cache:
        assert cache.get_secret_string("db") == "value"
        assert recorder.signatures[-1][0] == "FIRST"
        issue("SECOND", LATER)

        def signs() -> str:
            assert cache.refresh_secret_now("db")
            return recorder.signatures[-1][0]

        eventually(signs, "SECOND", within=15)


def soon() -> str:
    """Return a time three seconds from now, as the expiration of credentials."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("transport", ["native", "botocore"])
@pytest.mark.parametrize("how", ["option", "environment"])
def test_requests_go_through_the_proxy(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch, transport: str, how: str
) -> None:
    for variable, value in environment_keys("ENVIRONMENT").items():
        monkeypatch.setenv(variable, value)
    for variable in ("NO_PROXY", "no_proxy", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://secretsmanager.invalid")
    options = {"proxy_url": recorder.url} if how == "option" else {}
    if how == "environment":
        monkeypatch.setenv("HTTP_PROXY", recorder.url)
    assert signed(recorder, monkeypatch, transport, **options)[0] == "ENVIRONMENT"


def test_aws_region_goes_first_where_botocore_does_not_read_it(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deliberate difference: Lambda sets AWS_REGION, and every other SDK reads it."""
    for variable, value in environment_keys("ENVIRONMENT").items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_REGION", "eu-central-2")
    assert signed(recorder, monkeypatch, "native")[2] == "eu-central-2"


BROKEN = {
    "profile by option that is not there": (Source("", options={"profile_name": "gone"}), "gone"),
    "profile by AWS_PROFILE that is not there": (Source("", {"AWS_PROFILE": "gone"}), "gone"),
    "profile by AWS_DEFAULT_PROFILE that is not there": (
        Source("", {**environment_keys("ENVIRONMENT"), "AWS_DEFAULT_PROFILE": "gone"}),
        "gone.*known profiles: base",
    ),
    "source profile that is not there": (
        Source("", config=f"[default]\nrole_arn = {ROLE}/app\nsource_profile = gone\n"),
        "gone",
    ),
    "source profile without credentials": (
        Source(
            "",
            config=f"[default]\nrole_arn = {ROLE}/app\nsource_profile = bare\n[profile bare]\nregion = eu-west-1\n",
        ),
        "bare",
    ),
    "roles in a circle": (
        Source(
            "",
            config=f"[default]\nrole_arn = {ROLE}/a\nsource_profile = other\n"
            f"[profile other]\nrole_arn = {ROLE}/b\nsource_profile = default\n",
        ),
        "other|default",
    ),
    "role with two sources": (
        Source(
            "",
            config=f"[default]\nrole_arn = {ROLE}/a\nsource_profile = base\ncredential_source = Environment\n",
        ),
        "both",
    ),
    "unknown credential_source": (
        Source("", config=f"[default]\nrole_arn = {ROLE}/a\ncredential_source = Nowhere\n"),
        "Nowhere",
    ),
    "single sign-on with a session that is not there": (
        Source("", config=f"[default]\nsso_session = gone\n{SSO_ROLE}"),
        "gone",
    ),
    "key without its secret": (
        Source("", {"AWS_ACCESS_KEY_ID": "ENVIRONMENT"}),
        "AWS_SECRET_ACCESS_KEY|secret",
    ),
    "instance metadata switched off": (
        Source("", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "URL", "AWS_EC2_METADATA_DISABLED": "true"}),
        "no AWS credentials were found",
    ),
    "process that fails": (Source("", config="[default]\ncredential_process = ls HOME/nowhere\n"), "nowhere"),
}


@pytest.mark.parametrize("transport", ["native", "botocore"])
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_an_error_that_names_it_and_never_somebody_else(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch, transport: str, name: str
) -> None:
    source, text = BROKEN[name]
    source.credentials = BASE
    options = set_up(source, recorder, home, monkeypatch)
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    with pytest.raises(Exception, match=f"(?s){text if transport == 'native' else '.'}"):
        SecretCache(**options).get_secret_string("db")
    assert recorder.signatures == []


@pytest.mark.parametrize("how", ["variable", "profile"])
def test_configured_endpoints_are_ignored_where_that_is_asked_for(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    for variable, value in environment_keys("ENVIRONMENT").items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("HTTPS_PROXY", recorder.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    if how == "variable":
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    else:
        (home / ".aws/config").write_text("[default]\nignore_configured_endpoint_urls = true\n")
    for transport in ("botocore", "native"):
        recorder.proxied.clear()
        monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
        with pytest.raises(Exception, match="."):
            SecretCache(timeout=2).get_secret_string("db")
        assert set(recorder.proxied) == {"secretsmanager.us-east-1.amazonaws.com:443"}, transport


def test_a_credential_process_slower_than_a_read_is_waited_for_by_the_next(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "process.json").write_text(json.dumps(PROCESS))
    (home / "slow").write_text(f"#!/bin/sh\necho >> {home}/runs; sleep 2; cat {home}/process.json\n")
    (home / "slow").chmod(0o755)
    (home / ".aws/config").write_text(f"[default]\ncredential_process = {home}/slow\n")
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", "native")
    with SecretCache(timeout=0.5) as cache:

        def read() -> str:
            try:
                return str(cache.get_secret_string("db"))
            except errors.SecretCacheError:
                return "not yet"

        assert read() == "not yet"
        eventually(read, "value", within=15)
    assert (home / "runs").read_text() == "\n"
