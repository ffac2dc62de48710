"""The figures of the npm package and of Powertools for AWS Lambda (TypeScript). Can run alone."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "tools"))

from endpoint import Endpoint  # noqa: E402
from figures import Figure, nano, ratio, table  # noqa: E402

OTHERS = ["@aws-lambda-powertools/parameters@2.35.0", "@aws-sdk/client-secrets-manager@3.1164.0"]
PROCESSES = 15
CROWD = 10_000


def node(endpoint: Endpoint, official: str = "") -> list[Figure]:
    """Warm reads, first reads and processes in Node."""
    home = install()
    os.environ["AWS_REGION"] = endpoint.environment[
        "AWS_DEFAULT_REGION"
    ]  # the SDK for JavaScript reads no other variable
    return [*hits(home), *evictions(home), *cold(home), *crowd(home, endpoint)]


def install() -> Path:
    """Install the packed package and Powertools in a separate project."""
    home = ROOT / "target" / "bench" / "node"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "package.json").write_text('{"private": true}\n')
    (package,) = (ROOT / "dist").glob("secretcache-*.tgz")
    quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"]
    subprocess.run(["npm", "install", *quiet, str(package), *OTHERS], cwd=home, check=True)
    for script in (HERE / "node").glob("*.mjs"):
        shutil.copy(script, home)
    return home


def hits(home: Path) -> list[Figure]:
    """Compare reads of cached secrets."""
    rounds = json.loads(run(home, "hits.mjs"))

    def against(what: str, of: str, to: str, target: float, beside: str = "map") -> Figure:
        value, mine, other = ratio(rounds[of], rounds[to])
        return Figure(f"Node, {what}", value, target, detail=f"{nano(mine)}, {beside} {nano(other)}")

    def field(size: str, what: str) -> Figure:
        return against(
            f"getSecretField, {what}: against string", f"{size} field", f"{size} string", 3, "string"
        )

    faster, other, mine = ratio(rounds["powertools, awaited"], rounds["ours, awaited"])
    return [
        against("awaited hit against an awaited map.get", "ours, awaited", "map, awaited", 1.5),
        against("the same, 1,000 ids", "ours, awaited, 1000 ids", "map, awaited, 1000 ids", 1.5),
        against("peek against map.get", "peek", "map", 2.5),
        against("the same, 1,000 ids", "peek, 1000 ids", "map, 1000 ids", 2.5),
        field("small", "136 bytes"),
        field("large", "3.6 KB"),
        Figure(
            "Node, awaited hit: faster than Powertools",
            faster,
            3,
            True,
            detail=f"{nano(mine)}, theirs {nano(other)}",
        ),
    ]


def evictions(home: Path) -> list[Figure]:
    """Compare reads, one in a hundred of a new secret, with and without evictions."""
    rounds = json.loads(run(home, "evictions.mjs"))
    value, mine, other = ratio(rounds["with evictions"], rounds["without"])
    detail = f"{nano(mine)} a read, without {nano(other)}"
    return [Figure("Node, one eviction in a hundred reads: against none", value, 1.5, detail=detail)]


def cold(home: Path) -> list[Figure]:
    """Compare processes that read one secret, after subtracting an empty process."""
    commands = {"bare": ["-e", "0"], "ours": ["cold-ours.mjs"], "theirs": ["cold-powertools.mjs"]}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    peak: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(PROCESSES):
        for name, command in commands.items():
            seconds, kibibytes = spawn(home, *command)
            cpu[name].append(seconds)
            peak[name].append(kibibytes)
    mine, theirs = (median(cpu[name]) - median(cpu["bare"]) for name in ("ours", "theirs"))
    my_peak, their_peak = ((median(peak[name]) - median(peak["bare"])) / 1024 for name in ("ours", "theirs"))
    return [
        Figure(
            "Node, load and first secret: CPU beyond an empty process, against Powertools",
            mine / theirs,
            1 / 3,
            detail=f"{mine * 1e3:.0f} ms, theirs {theirs * 1e3:.0f} ms",
        ),
        Figure(
            "Node, the same: peak memory beyond an empty process",
            my_peak / their_peak,
            0.5,
            detail=f"{my_peak:.1f} MiB, theirs {their_peak:.1f} MiB",
        ),
    ]


def crowd(home: Path, endpoint: Endpoint) -> list[Figure]:
    """Count the calls of many concurrent first reads."""
    endpoint.forget_requests()
    answered = int(run(home, "crowd.mjs", str(CROWD)))
    made = sum(endpoint.requests().values())
    what = f"{CROWD:,} first reads at once in Node: calls"
    return [Figure(what, made, 1, unit="", detail=f"{answered:,} reads answered")]


def run(home: Path, *command: str) -> str:
    return subprocess.run(["node", *command], cwd=home, check=True, stdout=subprocess.PIPE, text=True).stdout


def spawn(home: Path, *command: str) -> tuple[float, float]:
    """Run a process; return its CPU time and its peak memory in KiB."""
    process = subprocess.Popen(
        ["node", "--import", "./peak.mjs", *command], cwd=home, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as said:
        peak = said.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, float(peak)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--profile", default="release", help="which build of `secretcache local` to run")
    given = arguments.parse_args()
    with Endpoint(given.profile) as endpoint:
        os.environ.update(endpoint.environment)
        fill(endpoint)
        print(table(node(endpoint)))


def fill(endpoint: Endpoint) -> None:
    """Store a thousand secrets, without any SDK."""
    import urllib.request

    for number in range(1000):
        body = {"Name": f"bench/{number}", "SecretString": "value", "ClientRequestToken": f"{number:032d}"}
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "secretsmanager.CreateSecret",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request, "
            "SignedHeaders=host, Signature=0",
        }
        request = urllib.request.Request(endpoint.url, json.dumps(body).encode(), headers)
        urllib.request.urlopen(request).read()


if __name__ == "__main__":
    main()
