"""Where credentials and Region come from: the native transport finds what botocore finds."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.credentials
import botocore.tokens
import pytest

from recorder import LATER, SECRET, Recorder, Signature
from secretcache import SecretCache
from support import eventually

ROLE = "arn:aws:iam::111122223333:role"
KEYS = "aws_secret_access_key = " + SECRET
START = "https://example.awsapps.com/start"


def environment_keys(name: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": SECRET}


@dataclass
class Source:
    """A way to configure credentials. In texts, HOME and URL stand for the folder and the recording server."""

    expected: str
    environment: dict[str, str] = field(default_factory=dict)
    config: str = ""
    credentials: str = ""
    files: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    region: str = "us-east-1"


BASE = f"[base]\naws_access_key_id = BASE\n{KEYS}\n"
TOKEN_FILES = {"token": "web-token"}


def sso_token(key: str) -> dict[str, str]:
    content = {"accessToken": "portal", "expiresAt": LATER, "region": "us-east-1", "startUrl": START}
    return {f".aws/sso/cache/{hashlib.sha1(key.encode()).hexdigest()}.json": json.dumps(content)}


SSO_ROLE = "sso_account_id = 111122223333\nsso_role_name = reader\n"
PROCESS = {"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": SECRET, "SessionToken": "process-token"}

SOURCES = {
    "environment": Source("ENVIRONMENT", environment_keys("ENVIRONMENT")),
    "environment, with a session token": Source(
        "ENVIRONMENT",
        {**environment_keys("ENVIRONMENT"), "AWS_SESSION_TOKEN": "a-token"},
        token="a-token",
    ),
    "shared credentials file": Source(
        "DEFAULT", credentials=f"[default]\naws_access_key_id = DEFAULT\n{KEYS}\n"
    ),
    "config file": Source("CONFIG", config=f"[default]\naws_access_key_id = CONFIG\n{KEYS}\n"),
    "credentials file before config file": Source(
        "BASE", {"AWS_PROFILE": "base"}, f"[profile base]\naws_access_key_id = CONFIG\n{KEYS}\n", BASE
    ),
    "environment before files": Source(
        "ENVIRONMENT", {**environment_keys("ENVIRONMENT"), "AWS_PROFILE": "base"}, credentials=BASE
    ),
    "profile by AWS_PROFILE": Source("BASE", {"AWS_PROFILE": "base"}, credentials=BASE),
    "profile by option": Source("BASE", credentials=BASE, options={"profile_name": "base"}),
    "profile by option before environment": Source(
        "BASE", environment_keys("ENVIRONMENT"), credentials=BASE, options={"profile_name": "base"}
    ),
    "profile with a Region": Source(
        "BASE",
        {"AWS_PROFILE": "base", "AWS_DEFAULT_REGION": ""},
        "[profile base]\nregion = eu-west-3\n",
        BASE,
        region="eu-west-3",
    ),
    "AWS_DEFAULT_REGION before the profile's": Source(
        "BASE",
        {"AWS_PROFILE": "base", "AWS_DEFAULT_REGION": "eu-north-1"},
        "[profile base]\nregion = eu-west-3\n",
        BASE,
        region="eu-north-1",
    ),
    "Region by option": Source(
        "ENVIRONMENT",
        environment_keys("ENVIRONMENT"),
        options={"region_name": "sa-east-1"},
        region="sa-east-1",
    ),
    "role profile with a source profile": Source(
        "app-BY-BASE-external",
        {"AWS_PROFILE": "app"},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = base\nexternal_id = external\n",
        BASE,
        token="role-token",
    ),
    "role profile upon a role profile": Source(
        "app-BY-middle-BY-BASE-plain-plain",
        {"AWS_PROFILE": "app"},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = middle\n"
        f"[profile middle]\nrole_arn = {ROLE}/middle\nsource_profile = base\n",
        BASE,
        token="role-token",
    ),
    "role profile with a source in the environment": Source(
        "app-BY-ENVIRONMENT-plain",
        environment_keys("ENVIRONMENT"),
        f"[profile app]\nrole_arn = {ROLE}/app\ncredential_source = Environment\n",
        options={"profile_name": "app"},
        token="role-token",
    ),
    "credential_process": Source(
        "PROCESS",
        config="[default]\ncredential_process = cat HOME/process.json\n",
        files={"process.json": json.dumps({**PROCESS, "Expiration": LATER})},
        token="process-token",
    ),
    "single sign-on": Source(
        "SSO-portal",
        config=f"[default]\nsso_start_url = {START}\nsso_region = us-east-1\n{SSO_ROLE}",
        files=sso_token(START),
        token="sso-token",
    ),
    "single sign-on with a session": Source(
        "SSO-portal",
        config=f"[default]\nsso_session = work\n{SSO_ROLE}"
        f"[sso-session work]\nsso_start_url = {START}\nsso_region = us-east-1\n",
        files=sso_token("work"),
        token="sso-token",
    ),
    "web identity by environment": Source(
        "app-BY-nobody-web-token",
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/token", "AWS_ROLE_ARN": f"{ROLE}/app"},
        files=TOKEN_FILES,
        token="role-token",
    ),
    "web identity by profile": Source(
        "app-BY-nobody-web-token",
        config=f"[default]\nrole_arn = {ROLE}/app\nweb_identity_token_file = HOME/token\n",
        files=TOKEN_FILES,
        token="role-token",
    ),
    "container": Source(
        "CONTAINER-pass",
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass"},
        token="CONTAINER-pass-token",
    ),
    "container with a token file": Source(
        "CONTAINER-web-token",
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "HOME/token",
        },
        files=TOKEN_FILES,
        token="CONTAINER-web-token-token",
    ),
    "instance metadata": Source(
        "MACHINE",
        {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "URL", "AWS_EC2_METADATA_DISABLED": "false"},
        token="MACHINE-token",
    ),
    "role profile of the machine": Source(
        "app-BY-MACHINE-plain",
        {
            "AWS_PROFILE": "app",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "URL",
            "AWS_EC2_METADATA_DISABLED": "false",
        },
        f"[profile app]\nrole_arn = {ROLE}/app\ncredential_source = Ec2InstanceMetadata\n",
        token="role-token",
    ),
    "role profile of the container": Source(
        "app-BY-CONTAINER-pass-plain",
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass",
        },
        f"[profile app]\nrole_arn = {ROLE}/app\ncredential_source = EcsContainer\n",
        options={"profile_name": "app"},
        token="role-token",
    ),
    "instance metadata behind a profile by option without keys": Source(
        "MACHINE",
        {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "URL", "AWS_EC2_METADATA_DISABLED": "false"},
        "[profile bare]\nregion = us-east-1\n",
        options={"profile_name": "bare"},
        token="MACHINE-token",
    ),
    "files before instance metadata": Source(
        "DEFAULT",
        {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "URL", "AWS_EC2_METADATA_DISABLED": "false"},
        credentials=f"[default]\naws_access_key_id = DEFAULT\n{KEYS}\n",
    ),
    "explicit": Source(
        "EXPLICIT",
        environment_keys("ENVIRONMENT"),
        options={
            "aws_access_key_id": "EXPLICIT",
            "aws_secret_access_key": SECRET,
            "aws_session_token": "a-token",
        },
        token="a-token",
    ),
    "role by option": Source(
        "app-BY-ENVIRONMENT-external",
        environment_keys("ENVIRONMENT"),
        options={"role_arn": f"{ROLE}/app", "external_id": "external"},
        token="role-token",
    ),
    "role by option with explicit keys": Source(
        "app-BY-EXPLICIT-plain",
        options={
            "role_arn": f"{ROLE}/app",
            "aws_access_key_id": "EXPLICIT",
            "aws_secret_access_key": SECRET,
        },
        token="role-token",
    ),
    "role by option upon a profile": Source(
        "app-BY-BASE-plain",
        credentials=BASE,
        options={"role_arn": f"{ROLE}/app", "profile_name": "base"},
        token="role-token",
    ),
}


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """Run the recording server for this file."""
    with Recorder() as recorder:
        yield recorder


@pytest.fixture
def home(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, no_ambient_aws: None) -> Path:
    """Provide an empty home, from where every service is found at the recording server."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / ".aws/config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / ".aws/credentials"))
    for cls in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):
        # botocore looks for the home once, when it is imported.
        monkeypatch.setattr(cls, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))
    (tmp_path / ".aws").mkdir()
    recorder.signatures.clear()
    return tmp_path


def signed(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, transport: str, **options: Any) -> Signature:
    """Read through a transport, and tell who signed the last request."""
    monkeypatch.setenv("SECRETCACHE_TRANSPORT", transport)
    with SecretCache(**options) as cache:
        assert cache.get_secret_string("db") == "value"
    return recorder.signatures[-1]


@pytest.mark.parametrize("name", SOURCES)
def test_credentials_are_those_that_botocore_finds(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = SOURCES[name]

    def filled_in(text: str) -> str:
        return text.replace("HOME", str(home)).replace("URL", recorder.url)

    texts = {".aws/config": source.config, ".aws/credentials": source.credentials, **source.files}
    for path, text in texts.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(filled_in(text))
    for variable, value in source.environment.items():
        if value:
            monkeypatch.setenv(variable, filled_in(value))
        else:
            monkeypatch.delenv(variable)
    seen = {each: signed(recorder, monkeypatch, each, **source.options) for each in ("botocore", "native")}
    assert seen["botocore"] == (source.expected, source.token, source.region), "the test expects too much"
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
    """Tell a time in a moment, as the expiry of credentials."""
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
    """A difference on purpose: Lambda and every other SDK set or read AWS_REGION."""
    for variable, value in environment_keys("ENVIRONMENT").items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_REGION", "eu-central-2")
    assert signed(recorder, monkeypatch, "native")[2] == "eu-central-2"
