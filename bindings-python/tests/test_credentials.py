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
from secretcache import SecretCache, errors
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
    path: str = ""


BASE = f"[base]\naws_access_key_id = BASE\n{KEYS}\n"
TOKEN_FILES = {"token": "web-token"}


def sso_token(key: str) -> dict[str, str]:
    content = {"accessToken": "portal", "expiresAt": LATER, "region": "us-east-1", "startUrl": START}
    return {f".aws/sso/cache/{hashlib.sha1(key.encode()).hexdigest()}.json": json.dumps(content)}


SSO_ROLE = "sso_account_id = 111122223333\nsso_role_name = reader\n"
PROCESS = {"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": SECRET, "SessionToken": "process-token"}

TWO_ACCOUNTS = f"[default]\naws_access_key_id = DEFAULT\n{KEYS}\n" + BASE
SERVICES = (
    "[profile base]\nservices = here\nendpoint_url = URL/profile\n"
    "[services here]\nsecrets_manager =\n  endpoint_url = URL/section\n"
)

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
    "AWS_DEFAULT_PROFILE": Source("BASE", {"AWS_DEFAULT_PROFILE": "base"}, credentials=TWO_ACCOUNTS),
    "AWS_DEFAULT_PROFILE before AWS_PROFILE": Source(
        "BASE", {"AWS_DEFAULT_PROFILE": "base", "AWS_PROFILE": "default"}, credentials=TWO_ACCOUNTS
    ),
    "profile by option before AWS_DEFAULT_PROFILE": Source(
        "BASE", {"AWS_DEFAULT_PROFILE": "default"}, credentials=TWO_ACCOUNTS, options={"profile_name": "base"}
    ),
    "Region of the profile by AWS_DEFAULT_PROFILE": Source(
        "BASE",
        {"AWS_DEFAULT_PROFILE": "base", "AWS_DEFAULT_REGION": ""},
        "[profile base]\nregion = eu-west-3\n",
        TWO_ACCOUNTS,
        region="eu-west-3",
    ),
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": Source(
        "ENVIRONMENT",
        {**environment_keys("ENVIRONMENT"), "AWS_ENDPOINT_URL_SECRETS_MANAGER": "URL/variable"},
        path="/variable",
    ),
    "endpoint of a services section": Source(
        "BASE", {"AWS_PROFILE": "base", "AWS_ENDPOINT_URL": ""}, SERVICES, BASE, path="/section"
    ),
    "AWS_ENDPOINT_URL before a services section": Source("BASE", {"AWS_PROFILE": "base"}, SERVICES, BASE),
    "endpoint of the profile": Source(
        "BASE",
        {"AWS_PROFILE": "base", "AWS_ENDPOINT_URL": ""},
        "[profile base]\nendpoint_url = URL/profile\n",
        BASE,
        path="/profile",
    ),
    "endpoint by option is that of Secrets Manager alone": Source(
        "app-BY-ENVIRONMENT-plain",
        environment_keys("ENVIRONMENT"),
        options={"role_arn": f"{ROLE}/app", "endpoint_url": "URL/option"},
        token="role-token",
        path="/option",
    ),
    "endpoint of STS in a services section": Source(
        "app-BY-BASE-plain-sts-section",
        {"AWS_PROFILE": "app", "AWS_ENDPOINT_URL": ""},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = base\nservices = here\n"
        "[services here]\nsecrets_manager =\n  endpoint_url = URL/section\n"
        "sts =\n  endpoint_url = URL/sts-section\n",
        BASE,
        token="role-token",
        path="/section",
    ),
    "keys of the credentials file before credential_process": Source(
        "DEFAULT",
        config="[default]\ncredential_process = cat HOME/process.json\n",
        credentials=f"[default]\naws_access_key_id = DEFAULT\n{KEYS}\n",
        files={"process.json": json.dumps(PROCESS)},
    ),
    "credential_process before keys of the config file": Source(
        "PROCESS",
        config=f"[default]\ncredential_process = cat HOME/process.json\naws_access_key_id = CONFIG\n{KEYS}\n",
        files={"process.json": json.dumps(PROCESS)},
        token="process-token",
    ),
    "credential_process with quotes and no shell": Source(
        "PROCESS",
        config="[default]\ncredential_process = cat 'HOME/$USER process.json'\n",
        files={"$USER process.json": json.dumps(PROCESS)},
        token="process-token",
    ),
    "role profile with the credentials of a process": Source(
        "app-BY-PROCESS-plain",
        {"AWS_PROFILE": "app"},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = helper\n"
        "[profile helper]\ncredential_process = cat HOME/process.json\n",
        files={"process.json": json.dumps(PROCESS)},
        token="role-token",
    ),
    "role profile with single sign-on": Source(
        "app-BY-SSO-portal-plain",
        {"AWS_PROFILE": "app"},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = people\n"
        f"[profile people]\nsso_start_url = {START}\nsso_region = us-east-1\n{SSO_ROLE}",
        files=sso_token(START),
        token="role-token",
    ),
    "role profile that is its own source": Source(
        "app-BY-OWN-plain-1800",
        {"AWS_PROFILE": "app"},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = app\nduration_seconds = 1800\n"
        f"aws_access_key_id = OWN\n{KEYS}\n",
        token="role-token",
    ),
    "role profile whose source has keys and a role": Source(
        "app-BY-MIDDLE-plain",
        {"AWS_PROFILE": "app"},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = middle\n"
        f"[profile middle]\nrole_arn = {ROLE}/middle\nsource_profile = base\n"
        f"aws_access_key_id = MIDDLE\n{KEYS}\n",
        BASE,
        token="role-token",
    ),
    "role profile before web identity by environment": Source(
        "app-BY-BASE-plain",
        {"AWS_PROFILE": "app", "AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/token", "AWS_ROLE_ARN": f"{ROLE}/web"},
        f"[profile app]\nrole_arn = {ROLE}/app\nsource_profile = base\n",
        BASE,
        files=TOKEN_FILES,
        token="role-token",
    ),
    "web identity by environment before keys of the profile": Source(
        "web-BY-nobody-web-token",
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/token", "AWS_ROLE_ARN": f"{ROLE}/web"},
        credentials=TWO_ACCOUNTS,
        files=TOKEN_FILES,
        token="role-token",
    ),
    "keys of a profile by option before web identity by environment": Source(
        "BASE",
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/token", "AWS_ROLE_ARN": f"{ROLE}/web"},
        credentials=TWO_ACCOUNTS,
        files=TOKEN_FILES,
        options={"profile_name": "base"},
    ),
    "single sign-on before keys of the credentials file": Source(
        "SSO-portal",
        config=f"[default]\nsso_start_url = {START}\nsso_region = us-east-1\n{SSO_ROLE}",
        credentials=TWO_ACCOUNTS,
        files=sso_token(START),
        token="sso-token",
    ),
    "keys of the profile before the container": Source(
        "DEFAULT",
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass"},
        credentials=TWO_ACCOUNTS,
    ),
    "container before instance metadata": Source(
        "CONTAINER-pass",
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "URL",
            "AWS_EC2_METADATA_DISABLED": "false",
        },
        token="CONTAINER-pass-token",
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


def set_up(source: Source, recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Write files, set variables, and give the options."""

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
def test_credentials_are_those_that_botocore_finds(
    recorder: Recorder, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = SOURCES[name]
    options = set_up(source, recorder, home, monkeypatch)
    seen = {each: signed(recorder, monkeypatch, each, **options) for each in ("botocore", "native")}
    expected = (source.expected, source.token, source.region, source.path)
    assert seen["botocore"] == expected, "the test expects too much"
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
    "key without its secret": (
        Source("", {"AWS_ACCESS_KEY_ID": "ENVIRONMENT"}),
        "AWS_SECRET_ACCESS_KEY|secret",
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
