"""Access keys of an IAM user, rotated by the function. Moto acts as IAM and STS, and checks every signature."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.message import Message
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.exceptions import ClientError
from moto_endpoint import moto_endpoint
from relay import Relay
from rotation_service import STEPS
from runtime_api import FunctionError

KEYS = ["CreateAccessKey", "ListAccessKeys", "DeleteAccessKey", "TagUser", "UntagUser", "ListUserTags"]
POLICY = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["sts:GetCallerIdentity", %s], "Resource": "*"}]}"""
REFUSED = b"""<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>
<Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>"""


class Iam(Relay):
    """A relay to IAM and STS, in which a test can intervene."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.actions: list[str] = []
        self.stands_in: Callable[[str, str], tuple[int, bytes] | None] = lambda action, key: None
        """Takes an action and the id of the key that signed it. Returns a response in place of IAM's, or `None`."""
        self.is_heard: Callable[[str], None] = lambda action: None
        """Called with an action that was performed, before the response is sent."""

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        action = parse_qs(body.decode())["Action"][0]
        signer = re.search(r"Credential=([^/]+)/", headers["Authorization"])
        self.actions.append(action)
        answer = self.stands_in(action, signer.group(1) if signer else "")
        answer = answer or self.passed_on(headers, body)
        self.is_heard(action)
        return answer


@pytest.fixture
def iam(house) -> Iterator[Iam]:
    """Start IAM with a user `rotator` that manages keys and a user `app` that has one, stored in `house.managed`."""
    with ExitStack() as stack:
        url = stack.enter_context(moto_endpoint())
        house.iam = _client("iam", url, "test", "test")
        for user, actions in (("rotator", KEYS), ("app", [])):
            house.iam.create_user(UserName=user, Path="/team/")
            allowed = ", ".join(f'"iam:{action}"' for action in actions)
            policy = POLICY.replace(", %s", f", {allowed}" if allowed else "")
            house.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy)
        manager = house.iam.create_access_key(UserName="rotator")["AccessKey"]
        key = house.iam.create_access_key(UserName="app")["AccessKey"]
        fields = {name: key[name] for name in ("AccessKeyId", "SecretAccessKey")}
        house.managed = house.create("key", {**fields, "purpose": "uploads"})
        relay = stack.enter_context(Iam(url))
        house.variables = {
            "AWS_ACCESS_KEY_ID": manager["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": manager["SecretAccessKey"],
            "AWS_ENDPOINT_URL_IAM": relay.url,
            "AWS_ENDPOINT_URL_STS": relay.url,
            "SECRETCACHE_STRATEGY": "api-key",
            "SECRETCACHE_PROVIDER": "iam",
        }
        house.moto = url
        # From here on, every request must be signed with an existing key that has the permission.
        house.admin = house.iam.create_access_key(UserName=_administrator(house.iam))["AccessKey"]
        headers = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", headers))
        house.iam = _client("iam", url, house.admin["AccessKeyId"], house.admin["SecretAccessKey"])
        yield relay


def _administrator(iam) -> str:
    iam.create_user(UserName="admin")
    everything = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
    iam.put_user_policy(UserName="admin", PolicyName="p", PolicyDocument=everything)
    return "admin"


def _client(service: str, url: str, key: str, secret: str):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def works(house, value) -> bool:
    """Check whether AWS accepts the key in a value."""
    try:
        sts = _client("sts", house.moto, value["AccessKeyId"], value["SecretAccessKey"])
        assert sts.get_caller_identity()["Arn"].endswith(":user/team/app")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidClientTokenId"
        return False
    return True


def key_ids(house) -> set[str]:
    keys = house.iam.list_access_keys(UserName="app")["AccessKeyMetadata"]
    return {key["AccessKeyId"] for key in keys}


def descriptions(house) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in house.iam.list_user_tags(UserName="app")["Tags"]}


def test_keys_overlap_and_the_one_before_last_ends(house, iam):
    function = house.function(**house.variables)
    first = house.value(house.managed)
    for turn in range(3):
        token = house.service.rotate(function, house.managed)
        current, previous = house.value(house.managed), house.value(house.managed, "AWSPREVIOUS")
        assert works(house, current) and works(house, previous)
        assert current["purpose"] == "uploads"
        assert key_ids(house) == {current["AccessKeyId"], previous["AccessKeyId"]}
        assert descriptions(house)[current["AccessKeyId"]] == f"secretcache {token}"
        assert works(house, first) == (turn == 0)
    # Each of our keys has a description, and deleted keys have none.
    assert set(descriptions(house)) == key_ids(house) | {"secretcache:making"}


def test_every_step_may_come_again_and_makes_no_second_key(house, iam):
    function = house.function(**house.variables)
    house.service.rotate(function, house.managed, [step for step in STEPS for _ in range(2)])
    assert iam.actions.count("CreateAccessKey") == 1
    assert works(house, house.value(house.managed))


def test_a_new_key_that_is_not_known_everywhere_yet_is_waited_for(house, iam):
    function = house.function(**house.variables)
    first = house.value(house.managed)["AccessKeyId"]
    refusals = []

    def stands_in(action, key):
        is_new = action == "GetCallerIdentity" and key not in (first, house.variables["AWS_ACCESS_KEY_ID"])
        if is_new and len(refusals) < 3:
            refusals.append(key)
            return 403, REFUSED
        return None

    iam.stands_in = stands_in
    house.service.rotate(function, house.managed)
    assert len(refusals) == 3
    assert works(house, house.value(house.managed))


def killed_at(house, iam, function, action):
    """Rotate until the function calls this action, and kill it then; return the version id."""

    def is_heard(heard):
        if heard == action:
            function.process.kill()
            function.process.wait()

    iam.is_heard = is_heard
    token = house.service.begin()
    with pytest.raises(RuntimeError, match="gave no answer"):
        house.service.rotate(function, house.managed, STEPS, token)
    iam.is_heard = lambda heard: None
    return token


@pytest.mark.parametrize("action", ["TagUser", "CreateAccessKey"])
def test_a_function_killed_while_it_makes_a_key_leaves_no_orphan_for_long(house, iam, action):
    killed = house.function(**house.variables)
    first = house.value(house.managed)
    token = killed_at(house, iam, killed, action)
    orphans = key_ids(house) - {first["AccessKeyId"]}
    assert len(orphans) == (1 if action == "CreateAccessKey" else 0)

    # The service runs the whole rotation again, with the same version id.
    again = house.function(**house.variables)
    if orphans:
        # The key's value is lost. A lost key looks like one that is about to be stored, so the version is abandoned.
        with pytest.raises(FunctionError, match="the provider allows no further key"):
            house.service.rotate(again, house.managed, STEPS, token)
        assert house.value(house.managed) == first
        token = None
    house.service.rotate(again, house.managed, STEPS, token)
    assert works(house, house.value(house.managed)) and works(house, first)
    assert not key_ids(house) & orphans
    house.service.rotate(again, house.managed)
    assert works(house, house.value(house.managed)) and len(key_ids(house)) == 2


def test_somebody_elses_second_key_is_left_alone(house, iam):
    theirs = house.iam.create_access_key(UserName="app")["AccessKey"]
    function = house.function(**house.variables)
    for _ in range(2):
        with pytest.raises(FunctionError, match="the provider allows no further key"):
            house.service.rotate(function, house.managed)
    assert works(house, theirs) and works(house, house.value(house.managed))
    assert "DeleteAccessKey" not in iam.actions
    house.iam.delete_access_key(UserName="app", AccessKeyId=theirs["AccessKeyId"])
    house.service.rotate(function, house.managed)
    assert works(house, house.value(house.managed))


def previous_becomes(house, value: dict[str, str]) -> None:
    """Store a value that becomes AWSPREVIOUS, as anyone can who may write the secret."""
    current = house.value(house.managed)
    for each in ({**current, **value}, current):
        house.client.put_secret_value(SecretId=house.managed, SecretString=json.dumps(each))


def test_naming_a_key_in_awsprevious_does_not_delete_it(house, iam):
    theirs = house.iam.create_access_key(UserName="app")["AccessKey"]
    function = house.function(**house.variables)
    previous_becomes(house, {"AccessKeyId": theirs["AccessKeyId"]})
    with pytest.raises(FunctionError, match="the provider allows no further key"):
        house.service.rotate(function, house.managed)
    assert works(house, theirs) and works(house, house.value(house.managed))
    assert "DeleteAccessKey" not in iam.actions


def test_a_name_in_awsprevious_does_not_remove_a_tag(house, iam):
    house.iam.tag_user(UserName="app", Tags=[{"Key": "team", "Value": "payments"}])
    previous_becomes(house, {"AccessKeyId": "team"})
    house.service.rotate(house.function(**house.variables), house.managed)
    assert descriptions(house)["team"] == "payments"


def test_a_key_of_another_user_in_awsprevious_is_left_alone(house, iam):
    """Whoever writes the secret may know a key, but not be allowed to delete it."""
    house.iam.create_user(UserName="other")
    other = house.iam.create_access_key(UserName="other")["AccessKey"]
    house.iam.tag_user(UserName="app", Tags=[{"Key": other["AccessKeyId"], "Value": "secretcache was here"}])
    previous_becomes(house, {field: other[field] for field in ("AccessKeyId", "SecretAccessKey")})
    house.service.rotate(house.function(**house.variables), house.managed)
    assert house.iam.list_access_keys(UserName="other")["AccessKeyMetadata"]
    assert "DeleteAccessKey" not in iam.actions


def test_a_function_killed_between_key_and_description_leaves_no_description(house, iam):
    killed = house.function(**house.variables)
    house.service.rotate(killed, house.managed)
    house.service.rotate(killed, house.managed)
    former = house.value(house.managed, "AWSPREVIOUS")["AccessKeyId"]
    token = killed_at(house, iam, killed, "DeleteAccessKey")
    assert former not in key_ids(house) and former in descriptions(house)
    house.service.rotate(house.function(**house.variables), house.managed, STEPS, token)
    assert set(descriptions(house)) == key_ids(house) | {"secretcache:making"}


def test_a_dead_key_makes_nothing_happen(house, iam):
    value = {**house.value(house.managed), "SecretAccessKey": "canary-not-the-key"}
    secret = house.create("dead", value)
    with pytest.raises(FunctionError, match="refuses the current key") as failure:
        house.service.rotate(house.function(**house.variables), secret)
    assert failure.value.kind == "Refused"
    assert set(iam.actions) == {"GetCallerIdentity"}


def test_a_user_of_another_account_is_refused_before_anything_changes(house, iam):
    def stands_in(action, key):
        if action == "GetCallerIdentity" and key == house.variables["AWS_ACCESS_KEY_ID"]:
            arn = "arn:aws:iam::999999999999:user/rotator"
            return 200, f"<R><GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult></R>".encode()
        return None

    iam.stands_in = stands_in
    with pytest.raises(FunctionError, match="belongs to a user in account 123456789012") as failure:
        house.service.rotate(house.function(**house.variables), house.managed)
    assert failure.value.kind == "Denied"
    assert set(iam.actions) == {"GetCallerIdentity"}


def test_a_key_that_manages_itself(house, iam):
    allowed = ", ".join(f'"iam:{action}"' for action in KEYS)
    house.iam.put_user_policy(UserName="app", PolicyName="p", PolicyDocument=POLICY % allowed)
    description = 'kind = "iam"\nlogin = "secret"\n'
    variables = {**house.variables, "AWS_ACCESS_KEY_ID": "other", "SECRETCACHE_PROVIDER": description}
    function = house.function(**variables)
    for _ in range(2):
        house.service.rotate(function, house.managed)
        assert works(house, house.value(house.managed))


def test_a_missing_permission_is_named_and_costs_no_key(house, iam):
    allowed = ", ".join(f'"iam:{action}"' for action in KEYS if action != "TagUser")
    house.iam.put_user_policy(UserName="rotator", PolicyName="p", PolicyDocument=POLICY % allowed)
    with pytest.raises(FunctionError, match="iam:TagUser") as failure:
        house.service.rotate(house.function(**house.variables), house.managed)
    assert failure.value.kind == "Denied"
    assert len(key_ids(house)) == 1
