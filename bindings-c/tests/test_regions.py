"""Runs `programs/regions.c`: a replica is read while a secret's own Region does not respond."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

from conftest import HERE, Installed, run

from endpoint import Endpoint


def test_a_replica_is_read_while_its_region_hangs(installed: Installed, tmp_path: Path) -> None:
    program = installed.compile(tmp_path / "regions", [HERE / "programs" / "regions.c"])
    with Endpoint("debug", "--control") as endpoint:
        arn = endpoint.client().create_secret(
            Name="db", SecretString="v1", AddReplicaRegions=[{"Region": "eu-west-1"}]
        )["ARN"]
        fault = json.dumps({"secret_id": arn, "effect": "hang"}).encode()
        request = urllib.request.Request(f"{endpoint.url}/_control/faults", fault)
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request, timeout=10).close()
        run(program, env=os.environ | endpoint.environment, timeout=120)
