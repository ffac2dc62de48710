"""Ways to configure AWS credentials, Regions and endpoints, and the key, Region and endpoint each must result in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from recorder import LATER, SECRET

ROLE = "arn:aws:iam::111122223333:role"
KEYS = "aws_secret_access_key = " + SECRET
START = "https://example.awsapps.com/start"


def environment_keys(name: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": SECRET}


@dataclass
class Source:
    """A way to configure credentials. HOME and URL are replaced by the folder and the recording server's URL."""

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
