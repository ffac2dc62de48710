"""Show programs whose secret changes while they run, all on this machine. Prints no secret."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

import rotation  # noqa: E402
from endpoint import Endpoint  # noqa: E402
from watcher import Watcher, fingerprint  # noqa: E402

SECRET = "prod/checkout/db"
INTERVAL = 2
BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--official", required=True, help="a Python with AWS's caching library installed")
    official = arguments.parse_args().official
    with rotation.Database() as database, Endpoint("debug", "--control", *database.stands_in) as endpoint:
        os.environ.update(endpoint.environment)
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        show(endpoint, database, official)


def show(endpoint: Endpoint, database: rotation.Database, official: str) -> None:
    title("A Secrets Manager endpoint on this machine")
    say(f"secretcache local, at {endpoint.url}")

    title("The secret, created with the aws command line as in the article (tests/demo/article.sh)")
    created = json.loads(run("bash", str(HERE / "article.sh")))
    versions = [created["VersionId"]]
    say(f"{created['Name']}, version {versions[0][:8]}")

    title("The article's Python snippet, unmodified (tests/demo/article.py)")
    ours = json.loads(run(sys.executable, str(HERE / "measure.py")))
    say(f"get_db_creds(): user {ours['user']}, a password of {ours['password length']} characters")
    calls, reads = calls_for_secrets(endpoint), ours["reads"]
    say(f"{reads:,} reads, {calls} calls to Secrets Manager")

    title(f"Programs that run while the secret changes (refresh interval {INTERVAL} s instead of 300 s)")
    watchers = [Watcher("drop-in with a boto3 client", drop_in()), Watcher("secretcache alone", idiomatic())]
    for watcher in watchers:
        say(f"{'':8}{watcher.name:<30} reads {fingerprint(watcher.first)}")
    credentials = json.loads(watchers[0].first)
    for number in (1, 2):
        value = json.dumps(credentials | {"password": f"another password, {number}"})
        versions.append(put(value))
        changed = time.monotonic()
        say(f"{'':8}aws secretsmanager put-secret-value: version {versions[-1][:8]} is current")
        for watcher in watchers:
            took = watcher.wait_for(value, within=3 * INTERVAL + 5) - changed
            say(f"+{took:4.1f} s  {watcher.name:<30} reads {fingerprint(value)}")
    for watcher in watchers:
        watcher.stop()
    say("Nothing forced a refresh: the values arrived in the background, and no read waited for them.")
    reads += sum(watcher.reads for watcher in watchers)
    calls = calls_for_secrets(endpoint)

    title("AWS's own library runs the same snippet")
    theirs = json.loads(run(official, str(HERE / "measure.py")))
    say(f"{theirs['reads']:,} reads, {duration(theirs['hit'])} each")

    title("The password rotates twice while programs with either library keep opening connections")
    database.set_password(credentials["username"], json.loads(value)["password"])
    outcome = rotation.act(database, endpoint.url, SECRET, interval=INTERVAL, official=official, say=say)

    title("Summary")
    row("reads served", f"{reads:,}")
    row("calls to Secrets Manager", f"{calls}, so {reads - calls:,} calls saved")
    row("versions seen", ", ".join(version[:8] for version in versions))
    row("slowest read while the secret changed", duration(max(watcher.slowest for watcher in watchers)))
    row("a read from the cache", f"{duration(ours['hit'])}, with AWS's library {duration(theirs['hit'])}")
    row("that is", f"{theirs['hit'] / ours['hit']:,.0f} times faster")
    for band in (outcome.ours, outcome.official):
        row(f"rotations, with {band.name}", f"{len(band.attempts):,} connections, {band.failures:,} refused")
    row("picture", str(outcome.picture.relative_to(Path.cwd())))


def drop_in() -> Callable[[], str | None]:
    """Build the article's cache with a short interval."""
    import boto3

    from aws_secretsmanager_caching import SecretCache, SecretCacheConfig

    config = SecretCacheConfig(secret_refresh_interval=INTERVAL)
    cache = SecretCache(config=config, client=boto3.client("secretsmanager"))
    return lambda: cache.get_secret_string(SECRET)


def idiomatic() -> Callable[[], str | None]:
    """Build a cache that needs no boto3."""
    from secretcache import SecretCache

    cache = SecretCache(refresh_interval=INTERVAL)
    return lambda: cache.get_secret_string(SECRET)


def put(value: str) -> str:
    """Change the secret with the aws command line; return the new version's id."""
    answer = run("aws", "secretsmanager", "put-secret-value", "--secret-id", SECRET, "--secret-string", value)
    return json.loads(answer)["VersionId"]


def calls_for_secrets(endpoint: Endpoint) -> int:
    """Count the requests that caches made; the aws command line makes none of these."""
    requests = endpoint.requests()
    return sum(requests[name] for name in ("DescribeSecret", "GetSecretValue", "BatchGetSecretValue"))


def run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {done.returncode}")
    return done.stdout


def duration(seconds: float) -> str:
    for unit, factor in (("ns", 1e9), ("µs", 1e6)):
        if seconds * factor < 1000:
            return f"{seconds * factor:,.3g} {unit}"
    return f"{seconds * 1e3:,.3g} ms"


def title(text: str) -> None:
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def row(label: str, value: str) -> None:
    say(f"{label:<38} {value}")


if __name__ == "__main__":
    main()
