"""Measure the project's figures and AWS's libraries in one run, and report which targets are reached.

What takes hours instead of minutes is in `soak.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "tools"))

import library  # noqa: E402
from c_interface import c_interface  # noqa: E402
from certificate import authority, issued  # noqa: E402
from function import function  # noqa: E402
from measuring import Part, measure_all, program  # noqa: E402
from node_figures import node  # noqa: E402
from overload import overload  # noqa: E402
from simulation import simulation  # noqa: E402

from endpoint import Endpoint  # noqa: E402
from figures import Figure, nano, ratio, table, write  # noqa: E402
from rotation import overhead  # noqa: E402

FACES = ["drop-in", "drop-in, boto3 client", "secretcache", "secretcache, boto3 client"]
TURNS = 5
"""How many times ours and the official library alternate."""
CROWD = 10_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--official", required=True, help="a Python with AWS's caching library installed")
    arguments.add_argument("--profile", default="release", help="which build of `secretcache local` to run")
    every = [*PARTS, *PROGRAMS]
    arguments.add_argument("parts", nargs="*", default="all", choices=["all", *every], help="default: all")
    given = arguments.parse_args()
    chosen = every if "all" in given.parts else given.parts
    output = ROOT / "target" / "bench"
    about = {
        "Python": platform.python_version(),
        "processors": str(os.cpu_count()),
        "system": platform.platform(),
    }
    with Endpoint(given.profile) as endpoint:
        os.environ.update(endpoint.environment)
        fill()
        parts = {
            name: Part(partial(PARTS[name], endpoint, given.official), NEEDS.get(name, {}))
            for name in PARTS
            if name in chosen
        }
        for name, (environment, script) in PROGRAMS.items():
            if name in chosen:
                command = [str(ROOT / "target" / "venv" / environment / "bin" / "python"), str(HERE / script)]
                parts[name] = Part(program(command, output / f"{name}.md"), NEEDS.get(name, {}))
        outcome = measure_all(parts, ROOT, lambda figures: write(figures, output, about), say)
    print(table(outcome.figures))
    print("\nwritten to target/bench")
    if verdict := outcome.verdict():
        raise SystemExit(verdict)


def fill(count: int = 1000) -> None:
    """Create this many secrets."""
    import boto3

    client = boto3.client("secretsmanager")
    for number in range(count):
        client.create_secret(Name=f"bench/{number}", SecretString="value")


def hits(endpoint: Endpoint, official: str) -> list[Figure]:
    """Warm reads in Python: against a dict, against the official library, and from threads."""
    ours: dict[str, dict[str, list[float]]] = {}
    theirs: dict[str, dict[str, list[float]]] = {}
    for turn in range(TURNS):
        say(f"warm reads in Python, turn {turn + 1} of {TURNS}")
        merge(ours, run_json(sys.executable, "hits.py", "--rounds", "6", *FACES))
        slow = ["--rounds", "2", "--reads", "4000", "--thread-reads", "20000"]
        merge(theirs, run_json(official, "hits.py", *slow, "drop-in, boto3 client"))
    aws = theirs["drop-in, boto3 client"]
    figures = []
    for name, target in (("same id", 1.8), ("equal ids", 3.0)):
        for face in FACES:
            value, mine, other = ratio(ours[face][name], ours["dict"][name])
            detail = f"{nano(mine)}, dict.get {nano(other)}"
            figures.append(
                Figure(f"Python hit, {name}, {face}: against dict.get", value, target, detail=detail)
            )
    for face in FACES:
        value, other, mine = ratio(aws["same id"], ours[face]["same id"])
        detail = f"{nano(mine)}, theirs {nano(other)}"
        figures.append(Figure(f"Python hit, {face}: faster than 1.2.0", value, 500, True, detail=detail))
    dict_value = min(ours["dict"]["1 thread"]) / min(ours["dict"]["8 threads"])
    official_value = min(aws["1 thread"]) / min(aws["8 threads"])
    for face in FACES:
        value, one, eight = ratio(ours[face]["1 thread"], ours[face]["8 threads"])
        detail = f"{value:.2f} ({nano(one)} and {nano(eight)}), dict.get {dict_value:.2f}, 1.2.0 {official_value:.2f}"
        what = f"8 threads against 1, {face}: scaling against dict.get"
        figures.append(Figure(what, value / dict_value, 0.9, True, detail=detail))
    return figures


def fields(endpoint: Endpoint, official: str) -> list[Figure]:
    """Fields and JSON of a cached secret in Python, and many secrets at once."""
    say("fields, JSON and 10,000 secrets in Python")
    found = run_json(sys.executable, "fields.py")
    figures = []
    for size in ("136 bytes", "3.6 KB"):
        for what, other, limit in (("field", "string", 3.0), ("json", "loads", 1.5)):
            mine, beside = found[size][what], found[size][other]
            name = f"Python get_secret_{what}, {size}: against {other}"
            detail = f"{nano(mine)}, {other} {nano(beside)}"
            figures.append(Figure(name, mine / beside, limit, detail=detail))
    mine, beside = found["awaited"], found["awaited nothing"]
    detail = f"{nano(mine)}, the other {nano(beside)}"
    figures.append(
        Figure("Python, an awaited read: against an empty coroutine", mine / beside, 6, detail=detail)
    )
    mine, beside = found["random"], found["random dict"]
    detail = f"{nano(mine)}, dict.get {nano(beside)}"
    figures.append(Figure("Python, 10,000 secrets in random order", mine / beside, 2.5, detail=detail))
    what = "10,000 secrets in Python: memory for each"
    figures.append(Figure(what, found["bytes"], 1024, unit="bytes", detail="with ARN, description and value"))
    return figures


def cold(endpoint: Endpoint, official: str) -> list[Figure]:
    """CPU time and peak memory of a process until it has its first secret."""
    return start_up("import and first secret", official)


def cold_https(endpoint: Endpoint, official: str) -> list[Figure]:
    """The same over HTTPS, with a certificate from a private authority."""
    with tempfile.TemporaryDirectory() as folder:
        ca = authority(Path(folder))
        certificate, key = issued(Path(folder), ca)
        options = ("--tls-cert", str(certificate), "--tls-key", str(key))
        with Endpoint(endpoint.profile, *options) as secure:
            ambient = dict(os.environ)
            os.environ.update(secure.environment | {"AWS_CA_BUNDLE": str(ca[0])})
            try:
                fill(1)
                return start_up("import and first secret over HTTPS", official)
            finally:
                os.environ.update(ambient)
                os.environ.pop("AWS_CA_BUNDLE") if "AWS_CA_BUNDLE" not in ambient else None


def start_up(what: str, official: str) -> list[Figure]:
    cpu: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for turn in range(15):
        say(f"cold processes, turn {turn + 1} of 15")
        for name, python in (("ours", sys.executable), ("theirs", official)):
            seconds, _ = spawn(python, "-c", "pass")
            cpu.setdefault(f"bare {name}", []).append(seconds)
            seconds, output = spawn(python, str(HERE / "cold.py"))
            cpu.setdefault(name, []).append(seconds)
            memory.setdefault(name, []).append(int(output))
    mine, other = (median(cpu[name]) - median(cpu[f"bare {name}"]) for name in ("ours", "theirs"))
    detail = f"{mine * 1e3:.1f} ms, theirs {other * 1e3:.0f} ms"
    peak, my_peak, their_peak = ratio(memory["ours"], memory["theirs"], median)
    peaks = f"{my_peak / 1024:.1f} MiB, theirs {their_peak / 1024:.1f} MiB"
    return [
        Figure(f"{what}: CPU against 1.2.0", mine / other, 0.2, detail=detail),
        Figure(f"{what}: peak memory against 1.2.0", peak, 0.6, detail=peaks),
    ]


def crowd(endpoint: Endpoint, official: str) -> list[Figure]:
    """Many concurrent first reads of one secret, from threads in Python."""
    say(f"{CROWD:,} first reads at once")
    before = calls(endpoint)
    answered = int(run(sys.executable, str(HERE / "crowd.py"), str(CROWD)))
    made = calls(endpoint) - before
    detail = f"{answered:,} threads answered"
    return [Figure(f"{CROWD:,} first reads at once in Python: calls", made, 1, unit="", detail=detail)]


def rust(endpoint: Endpoint, official: str) -> list[Figure]:
    """The Rust crates, in a program outside the workspace."""
    say("building the Rust program with AWS's crate and its SDK (a few minutes the first time)")
    target = ROOT / "target" / "bench" / "rust"
    manifest = HERE / "rust" / "Cargo.toml"
    build = ["cargo", "build", "--release", "--manifest-path", str(manifest), "--target-dir", str(target)]
    subprocess.run(build, check=True)
    say("warm reads in Rust")
    before = calls(endpoint)
    found = json.loads(run(str(target / "release" / "secretcache-bench"), str(CROWD)))
    made = calls(endpoint) - before - found["other calls"]
    scale = min(found["one thread"]) / min(found["two threads"])
    alone = min(found["one loop"]) / min(found["two loops"])
    value, other, mine = ratio(found["official"], found["ours"])
    return [
        Figure(
            "Rust hit: faster than AWS's crate",
            value,
            8,
            True,
            detail=f"{nano(mine)}, theirs {nano(other)}",
        ),
        Figure(
            "Rust, two threads on one secret: scaling against independent loops",
            scale / alone,
            0.9,
            True,
            detail=f"{scale:.2f} times one thread, independent loops {alone:.2f}",
        ),
        Figure(
            "1,000 secrets in use for a day, in Rust: calls for each",
            found["calls a day"],
            found["budget a day"],
            unit="",
            detail="simulated; interval 300 s",
        ),
        Figure(
            f"{CROWD:,} first reads at once in Rust: calls", made, 1, unit="", detail="asynchronous tasks"
        ),
    ]


def wheel(endpoint: Endpoint, official: str) -> list[Figure]:
    """The size of the wheel."""
    (path,) = (ROOT / "dist").glob("*.whl")
    return [Figure("wheel", path.stat().st_size / 1e6, 6, unit="MB", detail=path.name)]


WHEEL = {"dist/*.whl": "make wheel"}
NEEDS = {
    "interpreters": WHEEL,
    "wheel": WHEEL,
    "node": {"dist/secretcache-*.tgz": "make node"},
    "c": {"target/c/release/lib/libsecretcache.so": "make install-c PREFIX=target/c/release"},
    "function": {"target/release/bootstrap": "make lambda"},
    "access": {"target/release/secretcache": "make cli"},
    "audit-calls": {
        "target/release/secretcache": "make cli",
        "target/venv/tests/bin/python": "make venv-tests",
    },
    "local": {"target/venv/tests/bin/python": "make venv-tests"},
    "connected": {"target/venv/connected/bin/python": "make venv-connected"},
    "node-connected": {"target/venv/connected/bin/python": "make venv-connected"},
}
"""Files that only some parts need, by part, each with the command that makes it."""

PROGRAMS = {
    "connected": ("connected", "connected.py"),
    "node-connected": ("connected", "node_connected.py"),
    "access": ("bench", "access.py"),
    "audit-calls": ("tests", "audit_calls.py"),
    "local": ("tests", "local.py"),
}
"""Parts that run as separate programs and print their own tables: virtual environment and file, by name."""

PARTS: dict[str, Callable[[Endpoint, str], list[Figure]]] = {
    "hits": hits,
    "fields": fields,
    "cold": cold,
    "https": cold_https,
    "crowd": crowd,
    "prefetch": library.prefetch,
    "readers": library.readers,
    "interpreters": library.interpreters,
    "overload": overload,
    "rust": rust,
    "wheel": wheel,
    "node": node,
    "c": c_interface,
    "function": function,
    "simulation": lambda endpoint, official: simulation(),
    "rotation": lambda endpoint, official: overhead(),
}


def calls(endpoint: Endpoint) -> int:
    """Count the requests that caches have made."""
    requests = endpoint.requests()
    return sum(requests[name] for name in ("DescribeSecret", "GetSecretValue", "BatchGetSecretValue"))


def run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run_json(python: str, script: str, *arguments: str) -> Any:
    return json.loads(run(python, str(HERE / script), *arguments))


def spawn(*command: str) -> tuple[float, str]:
    """Run a process; return its CPU time and its output."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, output


def merge(rounds: dict[str, dict[str, list[float]]], more: dict[str, dict[str, list[float]]]) -> None:
    for name, kinds in more.items():
        for kind, seconds in kinds.items():
            rounds.setdefault(name, {}).setdefault(kind, []).extend(seconds)


def say(text: str) -> None:
    print(f"    {text}", flush=True)


if __name__ == "__main__":
    main()
