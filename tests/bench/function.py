"""The rotation function: the time from process start to its first step, against one in Python; and its size.

To run it alone on the build of `make build`: `function.py --profile debug`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "tools"))

from rotation_service import RotationService  # noqa: E402
from runtime_api import Function  # noqa: E402

from endpoint import Endpoint  # noqa: E402
from figures import Figure, ratio, table  # noqa: E402

TURNS = 15
"""How many times ours and the one in Python alternate."""


def function(endpoint: Endpoint, official: str) -> list[Figure]:
    """Cold starts and the size of the package. Needs boto3 and psycopg."""
    return [*cold_starts(endpoint, ROOT / "target" / "release" / "bootstrap"), *package()]


def cold_starts(endpoint: Endpoint, bootstrap: Path) -> list[Figure]:
    """Start each function as Lambda does, and let it handle createSecret."""
    import boto3

    client = boto3.client("secretsmanager", region_name="us-east-1", endpoint_url=endpoint.url)
    value = '{"engine": "postgres", "host": "127.0.0.1", "username": "app", "password": "first"}'
    secret = client.create_secret(Name=f"bench/function-{time.time_ns()}", SecretString=value)["ARN"]
    cpu: dict[str, list[float]] = {"ours": [], "theirs": []}
    wall: dict[str, list[float]] = {"ours": [], "theirs": []}
    with RotationService(endpoint.url) as service:
        for turn in range(TURNS):
            print(f"    cold starts of the rotation function, turn {turn + 1} of {TURNS}", flush=True)
            for name, command in (
                ("ours", [bootstrap]),
                ("theirs", [sys.executable, HERE / "python_function.py"]),
            ):
                processor, clock = first_step(service, secret, command)
                cpu[name].append(processor)
                wall[name].append(clock)
    value, mine, other = ratio(cpu["ours"], cpu["theirs"], median)
    walls = f"wall {median(wall['ours']) * 1e3:.0f} ms, Python {median(wall['theirs']) * 1e3:.0f} ms"
    return [
        Figure(
            "Lambda, start to first step: CPU against Python",
            value,
            0.2,
            detail=f"{mine * 1e3:.1f} ms, Python {other * 1e3:.0f} ms; {walls}",
        )
    ]


def first_step(service: RotationService, secret: str, command: Sequence[str | Path]) -> tuple[float, float]:
    """Return CPU and wall time from the start of a function's process to the response of its first step."""
    environment = {
        "SECRETS_MANAGER_ENDPOINT": service.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SECRETCACHE_STRATEGY": "single-user",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    start = time.perf_counter()
    with Function(command, environment) as process:
        service.rotate(process, secret, ["createSecret"])
        wall = time.perf_counter() - start
        process.process.kill()
        _, _, usage = os.wait4(process.process.pid, 0)
        process.process.returncode = -9
    return usage.ru_utime + usage.ru_stime, wall


def package() -> list[Figure]:
    """The sizes of the packages that `make lambda` built."""
    packages = sorted((ROOT / "dist").glob("secretcache-rotation-*.zip"))
    return [
        Figure(
            f"Lambda package, {path.stem.removeprefix('secretcache-rotation-')}",
            path.stat().st_size / 1e6,
            8,
            unit="MB",
            detail=path.name,
        )
        for path in packages
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--profile", default="release", help="which build of both programs to run")
    given = arguments.parse_args()
    profile = given.profile
    with Endpoint(profile if (ROOT / "target" / profile / "secretcache").exists() else "debug") as endpoint:
        os.environ.update(endpoint.environment)
        print(table([*cold_starts(endpoint, ROOT / "target" / profile / "bootstrap"), *package()]))


if __name__ == "__main__":
    main()
