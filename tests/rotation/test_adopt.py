"""`secretcache adopt`: takes over secrets that AWS's own functions have rotated so far."""

from __future__ import annotations

import json

import pytest


def as_aws_left_it(desk, server, user: str, **more: object) -> str:
    """Create what AWS's function for two users leaves behind: no marks, and a clone that is a member of the first
    user and owns the objects that it created."""
    fields = server.user(user, **more)
    name = desk.store("db", fields)
    if server.engine == "postgres":
        server.run(f"CREATE ROLE {user}_clone LOGIN PASSWORD 'clone-password'; GRANT {user} TO {user}_clone")
        server.run(f"GRANT CREATE ON SCHEMA public TO {user}")
        server.run(f"CREATE TABLE public.{user}_made (id int)", f"{user}_clone", "clone-password")
    else:
        server.run(f"CREATE USER {user}_clone@'%' IDENTIFIED BY 'clone-password'")
    value = fields | {"username": f"{user}_clone", "password": "clone-password"}
    desk.client.put_secret_value(SecretId=name, SecretString=json.dumps(value))
    return name


@pytest.mark.parametrize("kind", ["postgres-15", "postgres-16", "mariadb", "mysql"])
def test_the_second_user_is_marked_and_rotation_goes_on(desk, server, kind):
    server = server(kind)
    master = desk.store("master", server.admin())
    name = as_aws_left_it(desk, server, "adopted", masterarn=master)
    look = desk.run("adopt", name, "--dry-run", "--json")
    assert look.status == 0, look.err
    assert look.json["Strategy"] == "alternating-users" and look.json["OtherUser"] == "adopted"
    assert look.json["Actions"] == [{"Mark": "adopted"}] and not look.json["IsDone"]
    done = desk.run("adopt", name, "--json")
    assert done.status == 0 and done.json["IsDone"], done.err
    assert desk.run("adopt", name, "--dry-run", "--json").json["Actions"] == []
    if kind.startswith("postgres"):
        # Ownership is only changed when asked.
        assert any("--change-ownership" in note for note in done.json["Notes"])
        owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'adopted_made'"
        assert server.run(owner) == "adopted_clone"
        asked = desk.run("adopt", name, "--change-ownership", "--json")
        assert asked.status == 0, asked.err
        assert asked.json["Actions"][0]["ChangeOwnership"]["objects"] == ["table public.adopted_made"]
        assert server.run(owner) == "adopted"
    for _ in range(2):
        rotated = desk.run("rotate", name, "--strategy", "alternating-users")
        assert rotated.status == 0, rotated.err
        value = desk.value(name)
        if kind.startswith("postgres"):
            server.run("SELECT * FROM adopted_made", value["username"], value["password"])


@pytest.mark.parametrize("kind", ["postgres-15", "postgres-16", "postgres-18"])
def test_ownership_is_changed_in_every_database_of_the_server(desk, server, kind):
    server = server(kind)
    master = desk.store("master", server.admin())
    name = as_aws_left_it(desk, server, "spread", masterarn=master)
    clone = ("spread_clone", "clone-password")
    for database in ("spread_one", "spread_two"):
        server.run(f"CREATE DATABASE {database}")
        server.run(f"GRANT CREATE ON DATABASE {database} TO spread_clone, spread", database=database)
        function = "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        server.run(f"CREATE SCHEMA s; CREATE TABLE s.t (id int); {function}", *clone, database=database)
    server.run("CREATE TYPE spread_kind AS ENUM ('a')", *clone)
    look = desk.run("adopt", name, "--change-ownership", "--dry-run", "--json")
    assert look.status == 0, look.err
    [objects] = [
        action["ChangeOwnership"]["objects"] for action in look.json["Actions"] if "ChangeOwnership" in action
    ]
    elsewhere = [
        f"{what} (in database {database})"
        for database in ("spread_one", "spread_two")
        for what in ("function s.f()", "schema s", "table s.t")
    ]
    assert objects == ["table public.spread_made", "type public.spread_kind", *elsewhere]
    assert (
        server.run("SELECT tableowner FROM pg_tables WHERE tablename = 't'", database="spread_two")
        == "spread_clone"
    )
    assert desk.run("adopt", name, "--change-ownership").status == 0
    assert desk.run("rotate", name, "--strategy", "alternating-users").status == 0
    value = desk.value(name)
    assert value["username"] == "spread"
    for database in ("spread_one", "spread_two"):
        server.run(
            "ALTER TABLE s.t ADD more int; DROP SCHEMA s CASCADE", "spread", value["password"], database
        )
    server.run("ALTER TYPE spread_kind ADD VALUE 'b'", "spread", value["password"])


def test_without_changed_ownership_the_other_user_cannot_read_what_the_clone_made(desk, server):
    server = server("postgres-16")
    master = desk.store("master", server.admin())
    name = as_aws_left_it(desk, server, "unowned", masterarn=master)
    assert desk.run("adopt", name).status == 0
    done = desk.run("rotate", name, "--strategy", "alternating-users")
    # Refused, rather than switching to a user with fewer privileges.
    assert done.status == 1 and "unowned_made" in done.err, done.err


def test_a_single_user_needs_nothing(desk, server):
    name = desk.store("db", server("postgres-16").user("simple"))
    done = desk.run("adopt", name, "--json")
    assert done.status == 0 and done.json["Strategy"] == "single-user" and done.json["Actions"] == []


def test_what_prevents_a_rotation_is_reported(desk, server):
    server = server("postgres-16")
    server.run("CREATE ROLE an_adopter LOGIN CREATEROLE PASSWORD 'keeper-password'")
    keeper = desk.store("keeper", server.secret("an_adopter", "keeper-password"))
    name = as_aws_left_it(desk, server, "hindered", masterarn=keeper)
    done = desk.run("adopt", name, "--json")
    assert done.status == 4 and not done.json["IsDone"]
    for finding in done.json["Findings"]:
        server.run(finding["Fix"])
    assert desk.run("adopt", name).status == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"host": None}, "host"), ({"password": "wrong-password"}, "recover"), ({"masterarn": "no/such"}, "")],
)
def test_a_secret_that_lacks_something(desk, server, change, problem):
    server = server("postgres-16")
    fields = server.user("lacking_" + next(iter(change)))
    fields = {key: value for key, value in (fields | change).items() if value is not None}
    done = desk.run("adopt", desk.store("db", fields), "--strategy", "alternating-users", "--json")
    assert done.status == 4, (done.status, done.err)
    assert problem in str(done.json["Findings"])


def test_a_rotation_under_way_ends_first(desk, server):
    name = desk.store("db", server("postgres-16").user("adopt_busy"))
    desk.pend(name, password="the-new-password")
    done = desk.run("adopt", name)
    assert done.status == 4 and "in progress" in done.out


def test_all_that_begin_alike(desk, server):
    server = server("postgres-16")
    desk.store("all/one", server.user("all_one"))
    desk.store("all/two", server.secret("all_two", "wrong-password"))
    desk.store("all/three", "no json")
    done = desk.run("adopt", "--prefix", f"{desk.prefix}/all", "--dry-run", "--json")
    assert done.status == 5 and "three" in done.err
    by_name = {each["SecretId"].rsplit("/", 1)[1]: each for each in done.json}
    assert not by_name["one"]["Findings"] and by_name["two"]["Findings"]
    assert by_name["three"]["error"]["message"]
