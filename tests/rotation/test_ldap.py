"""Accounts of a directory, rotated by the command and by the local endpoint. Takes about 5 s."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FIRST, ROOT, Desk, Endpoint, Server

SINGLE = ("--strategy", "single-user")


@pytest.fixture
def directory(server: Callable[[str], Server]) -> Server:
    """Start OpenLDAP."""
    return server("ldap")


@pytest.mark.parametrize("by", ["itself", "an administrator"])
def test_an_account_is_rotated_by(desk: Desk, directory: Server, by: str) -> None:
    more = {} if by == "itself" else {"masterarn": desk.store("keeper", directory.admin())}
    account = directory.user(f"by_{by.split()[-1]}", **more)
    name = desk.store("account", account)
    look = desk.run("rotate", name, "--dry-run")
    assert look.status == 0 and "OpenLDAP" in look.out and "does not say beforehand" in look.out, look.out
    done = desk.run("rotate", name, *SINGLE)
    assert done.status == 0, done.err
    assert directory.logs_in(account["username"], desk.value(name)["password"])
    assert not directory.logs_in(account["username"], FIRST)
    status = desk.run("status", name)
    assert status.status == 0 and "AWSCURRENT logs in" in status.out, status.out
    assert desk.run("revoke-previous", name).status == 0


def test_accounts_do_not_alternate_and_the_advice_fits(desk: Desk, directory: Server) -> None:
    master = desk.store("keeper", directory.admin())
    name = desk.store("account", directory.user("alternating", masterarn=master))
    command = ("rotate", name, "--strategy", "alternating-users")
    assert desk.run(*command).status == 1
    look = desk.run(*command, "--dry-run")
    assert look.status == 4 and f"secretcache rotate {name} --strategy single-user" in look.out, look.out


def described(page: str) -> str:
    """Return the file that the page shows."""
    return re.search(r"```toml\n(# directory.toml\n.*?)```", page, re.DOTALL).group(1)


def test_the_documented_file_makes_the_local_endpoint_a_rotation_function(
    directory: Server, desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "directory.toml"
    file.write_text(described((ROOT / "docs" / "targets-ldap.md").read_text()))
    check = desk.run("rotate", "--check", str(file))
    assert check.status == 0 and "single-user" in check.out, check.err
    account = directory.user("of_local")
    del account["engine"]
    with Endpoint("debug", "--db-plaintext", "--function", f"rotate-wiki={file}") as endpoint:
        client = endpoint.client()
        client.create_secret(Name="wiki", SecretString=json.dumps(account))
        arn = "arn:aws:lambda:us-east-1:123456789012:function:rotate-wiki"
        begun = client.rotate_secret(
            SecretId="wiki", RotationLambdaARN=arn, RotationRules={"AutomaticallyAfterDays": 30}
        )["VersionId"]
        for _ in range(600):
            current = client.get_secret_value(SecretId="wiki")
            if current["VersionId"] == begun:
                break
            time.sleep(0.05)
        value = json.loads(current["SecretString"])
    assert current["VersionId"] == begun
    assert directory.logs_in(account["username"], value["password"])
    assert not directory.logs_in(account["username"], FIRST)


def test_a_file_for_a_directory_has_nothing_else(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    for text in ['protocol = "ldap"\nhost = "x"\n', 'protocol = "ldap"\nstrategy = "alternating-users"\n']:
        file.write_text(text)
        done = desk.run("rotate", "--check", str(file))
        assert done.status == 2 and "directory" in done.err, done.err
